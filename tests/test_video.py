"""Clips: the latents of frames in turn, VideoFlow, generated clips, and their way through the command line."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

import pushforward as pf
from pushforward.cli import main as cli
from pushforward.data.fingerprint import place
from pushforward.data.video import (
    DIRECTIONS,
    bouncing_balls,
    futures,
    load_clips,
    load_moving_digits,
    moving_pictures,
    stochastic_movement,
)
from pushforward.errors import DataError, ShapeError, UsageError
from pushforward.flows import FramesInTurn, NextLatents
from pushforward.flows.video.windows import frames_before
from pushforward.networks import GatedConvNet, NearestCellMiddle
from pushforward.plots import futures_of
from pushforward.scalar import Affine
from pushforward.transforms import Chain, Coupling, Elementwise, Squeeze, masks

NETWORK = partial(GatedConvNet, hidden=4, blocks=1)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def two_levels(
    frames: int = 2, first: int = 1, components: int = 2, seen: torch.nn.Module | None = None
) -> FramesInTurn:
    """Clips of 4 x 4 pixels: 2 channels of 4 are split off at the lower level, all 8 at the upper one."""
    lower = Chain([Squeeze(), Coupling(masks.channel((4, 2, 2)), Affine(), NETWORK)])
    upper = Chain([Squeeze(), Coupling(masks.channel((8, 1, 1)), Affine(), NETWORK)])
    latents = partial(NextLatents, network=NETWORK, components=components, features=4)
    base = FramesInTurn([lower, upper], [latents((2, 2, 2), 2), latents((8, 1, 1), 0)], frames, first, seen)
    return pf.testing.randomise(base.double(), scale=0.3).eval()


def small_flow(first: int = 1, **options: int) -> pf.Flow:
    flow = pf.models.videoflow(clip=(4, 1, 8, 8), levels=3, first=first, layers=1, hidden=4, **options)
    return pf.testing.randomise(flow, scale=0.2).eval()


def clips(count: int, frames: int, first: int) -> tuple[Tensor, Tensor | None]:
    whole = torch.randint(3, (count, frames, 1, 8, 8), generator=seeded()).float()
    return whole[:, first:], whole[:, :first] if first else None


def test_each_frame_sees_those_before_it() -> None:
    clip = torch.randn(2, 5, 3, 4, 4, generator=seeded())
    seen = frames_before(clip[:, :-1], 3, 4).unflatten(-3, (3, 4))
    for index, frame in enumerate(range(1, 5)):
        for lag in range(1, 4):
            there = frame - lag >= 0
            expected = clip[:, frame - lag] if there else torch.zeros_like(clip[:, 0])
            assert torch.equal(seen[:, index, lag - 1, :3], expected)
            assert bool((seen[:, index, lag - 1, 3] == float(there)).all())


def test_mass_of_the_next_latents_is_one() -> None:
    latents = NextLatents((1, 1, 1), 0, NETWORK, components=3, features=4).double()
    pf.testing.randomise(latents, scale=0.5)
    z = torch.linspace(-60, 60, 24_001, dtype=torch.float64)
    past = torch.randn(1, 1, 1, 1, 1, dtype=torch.float64, generator=seeded()).expand(len(z), 1, 1, 1, 1)
    log_prob = latents.score(z.reshape(-1, 1, 1, 1, 1), past, None)
    assert torch.trapezoid(log_prob.exp(), z).item() == pytest.approx(1, abs=1e-6)


def test_drawn_latents_have_the_moments_of_their_density() -> None:
    latents = NextLatents((1, 1, 1), 0, NETWORK, components=3, features=4).double()
    pf.testing.randomise(latents, scale=0.5)
    z = torch.linspace(-60, 60, 24_001, dtype=torch.float64)
    one = torch.ones(1, 1, 1, 1, 1, dtype=torch.float64)
    density = latents.score(z.reshape(-1, 1, 1, 1, 1), one.expand(len(z), 1, 1, 1, 1), None).exp()
    mean = torch.trapezoid(z * density, z)
    variance = torch.trapezoid((z - mean) ** 2 * density, z)
    drawn = latents.draw(one.expand(40_000, 1, 1, 1, 1), None, 1.0, seeded()).flatten()
    assert drawn.mean().item() == pytest.approx(mean.item(), abs=5 * (variance / 40_000).sqrt().item())
    assert drawn.var().item() == pytest.approx(variance.item(), rel=0.1)


def test_a_component_moves_the_frame_before_on_exactly() -> None:
    latents = NextLatents((1, 8, 8), 0, NETWORK, memory=1, components=2, features=4).double()
    torch.nn.init.zeros_(latents.last.weight)
    torch.nn.init.zeros_(latents.last.bias)
    with torch.no_grad():
        # The second component, whose channels are 3 ... 5: one row down, instead of staying.
        latents.last.weight[3, 4, 0, 1], latents.last.weight[3, 4, 1, 1] = 1.0, -1.0
    before = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    before[..., 2:5, 3:6] = 3.0
    down = before.roll(1, -2)
    stays, moves = (-0.5 * ((down - mean) ** 2).sum() for mean in (before, down))
    expected = torch.logaddexp(stays, moves) - math.log(2) - 32 * math.log(2 * math.pi)
    torch.testing.assert_close(latents.score(down, before, None), expected)


def test_frames_to_come_do_not_see_the_noise_of_those_before() -> None:
    base = two_levels(seen=NearestCellMiddle(2))
    first, noise = (torch.rand(3, 1, 1, 4, 4, dtype=torch.float64, generator=seeded(seed)) for seed in (0, 1))
    x, other = 0.5 * noise, 0.5 * torch.rand(3, 1, 1, 4, 4, dtype=torch.float64, generator=seeded(2))
    later = torch.rand(2, 3, 1, 1, 4, 4, dtype=torch.float64, generator=seeded(3))

    def gain(now: Tensor) -> Tensor:
        """How much likelier the one later frame is than the other, given a frame now."""
        clip, clip_too = (torch.cat([now, each], 1) for each in later)
        return base.log_prob(clip, first) - base.log_prob(clip_too, first)

    torch.testing.assert_close(gain(x), gain(other))
    assert not torch.allclose(gain(x), gain(x + 0.5))
    assert not two_levels(components=1, seen=NearestCellMiddle(2)).reparametrised


def test_samples_have_the_mass_of_their_cells() -> None:
    shift = Elementwise(Affine(), (1, 1, 1))
    latents = NextLatents((1, 1, 1), 0, NETWORK, components=2, features=4)
    base = FramesInTurn([shift], [latents], 2, seen=NearestCellMiddle(2)).double()
    pf.testing.randomise(base, scale=0.5)
    first = torch.full((1, 1, 1, 1), 0.25, dtype=torch.float64)
    # Middles of steps of 0.1 that part where the cells do, at 1/2.
    middles = torch.arange(-9.95, 11, 0.1, dtype=torch.float64)
    clip = torch.cartesian_prod(middles, middles).reshape(-1, 2, 1, 1, 1)
    with torch.no_grad():
        density = base.log_prob(clip, first).exp()
    drawn = base.sample(8_000, first, generator=seeded())
    cells, shown = ((each.flatten(1) > 0.5).long() @ torch.tensor([2, 1]) for each in (clip, drawn))
    mass = torch.zeros(4, dtype=torch.float64).index_add(0, cells, density * 0.01)
    assert mass.sum().item() == pytest.approx(1, abs=1e-4)
    assert chisquare(torch.bincount(shown, minlength=4), 8_000 * mass / mass.sum()).pvalue > 0.01


def test_clip_is_scored_frame_by_frame_with_the_determinant_of_its_latents() -> None:
    base = two_levels(frames=3)
    clip = torch.randn(4, 1, 4, 4, dtype=torch.float64, generator=seeded())
    first, x = clip[:1], clip[1:]

    def levels_of(frame: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What is kept at the lower level, and the latents of both."""
        kept, lower = base.transforms[0].encode(frame).split(2, -3)
        return kept, lower, base.transforms[1].encode(kept)

    expected = torch.zeros((), dtype=torch.float64)
    for time in range(1, 4):
        flat = torch.autograd.functional.jacobian(
            lambda pixels: torch.cat([each.flatten() for each in levels_of(pixels)[1:]]), clip[time]
        )
        before = [levels_of(frame) for frame in clip[:time]]
        kept, lower, upper = levels_of(clip[time])
        expected = expected + torch.linalg.slogdet(flat.reshape(16, 16)).logabsdet
        expected = expected + base.levels[0].score(lower[None], torch.stack([each[1] for each in before]), kept[None])
        expected = expected + base.levels[1].score(upper[None], torch.stack([each[2] for each in before]), None)
    torch.testing.assert_close(base.log_prob(x, first), expected, rtol=1e-9, atol=1e-9)


def test_clip_comes_back_from_its_latents_and_missing_levels_are_drawn() -> None:
    base = two_levels(frames=3)
    x = torch.randn(5, 3, 1, 4, 4, dtype=torch.float64, generator=seeded())
    first = torch.randn(5, 1, 1, 4, 4, dtype=torch.float64, generator=seeded(1))
    latents = base.latents(x, first)
    assert [tuple(each.shape) for each in latents] == [(5, 3, 2, 2, 2), (5, 3, 8, 1, 1)]
    torch.testing.assert_close(base.from_latents(latents, first), x)
    drawn = base.from_latents([None, latents[1]], first, seeded())
    torch.testing.assert_close(base.latents(drawn, first)[1], latents[1])
    assert not torch.allclose(drawn, x)
    shared = base.from_latents([each[0] for each in latents], first)
    torch.testing.assert_close(shared[0], x[0])
    with pytest.raises(ShapeError, match=r"\(3, 2, 2, 2\)"):
        base.from_latents([each[:, :1] for each in latents], first)


def test_one_future_in_mind_and_a_low_temperature_leave_no_choice() -> None:
    base = two_levels(components=1)
    first = torch.randn(1, 1, 4, 4, dtype=torch.float64, generator=seeded())
    cold, cold_too = (base.sample(4, first, temperature=1e-6, generator=seeded(seed)) for seed in (0, 1))
    torch.testing.assert_close(cold, cold_too, atol=1e-4, rtol=0)
    assert not torch.allclose(base.sample(4, first, generator=seeded()), cold, atol=1e-2)


def test_given_frames_decide_and_are_not_scored() -> None:
    flow = small_flow(first=2)
    (x, first), other = clips(6, 4, 2), clips(6, 4, 2)[1].flip(0)
    log_prob = flow.log_prob(x, first, seeded())
    assert not torch.allclose(log_prob, flow.log_prob(x, other, seeded()))
    bits = -log_prob / (2 * 64 * math.log(2))
    torch.testing.assert_close(flow.bits_per_dim(x, first, generator=seeded()), bits)
    with pytest.raises(ShapeError, match="context"):
        flow.log_prob(x)
    with pytest.raises(DataError, match="context"):
        flow.log_prob(x, first + 3)


@pytest.mark.parametrize("first", [0, 1, 2])
def test_clips_come_back_bit_for_bit_and_from_a_file(first: int, tmp_path: Path) -> None:
    flow = small_flow(first, components=2)
    x, given = clips(20, 4, first)
    assert torch.equal(flow.decode(flow.encode(x, given), given), x)
    pf.save(flow, tmp_path / "flow.safetensors")
    loaded = pf.load(tmp_path / "flow.safetensors")
    assert torch.equal(loaded.log_prob(x, given, seeded()), flow.log_prob(x, given, seeded()))
    drawn = flow.sample(2, given, generator=seeded())
    assert drawn.shape == (2, *(() if given is None else (20,)), 4 - first, 1, 8, 8)
    assert bool(flow.support.contains(drawn).all())


def test_a_frame_does_not_depend_on_the_batch_or_the_frames_behind_it() -> None:
    base = two_levels(frames=3)
    x = torch.randn(4, 3, 1, 4, 4, dtype=torch.float64, generator=seeded())
    first = torch.randn(4, 1, 1, 4, 4, dtype=torch.float64, generator=seeded(1))
    together = base.log_prob(x, first)
    torch.testing.assert_close(together[2], base.log_prob(x[2], first[2]))
    torch.testing.assert_close(base.log_prob(x[0], first), torch.stack([base.log_prob(x[0], each) for each in first]))


def test_gradients_pass_where_there_is_one_future_alone() -> None:
    first = torch.randn(1, 1, 4, 4, dtype=torch.float64, generator=seeded())
    assert two_levels(components=1).rsample(2, first, generator=seeded()).requires_grad
    with pytest.raises(UsageError, match="reparametrised"):
        two_levels(components=2).rsample(2, first)


def test_noise_and_levels_are_compiled() -> None:
    flow = small_flow()
    couplings = [part for part in flow.transform.modules() if isinstance(part, Coupling)]
    assert list(flow.transform.blocks()) == couplings


def test_levels_that_do_not_fit_are_told() -> None:
    latents = partial(NextLatents, network=NETWORK, features=4)
    with pytest.raises(UsageError, match="topmost level"):
        FramesInTurn([Squeeze()], [latents((2, 2, 2), 2)], 2)
    with pytest.raises(UsageError, match="a transform and latents for each level"):
        FramesInTurn([Squeeze()], [], 2)
    with pytest.raises(UsageError, match="levels that fit"):
        FramesInTurn([Squeeze(), Squeeze()], [latents((2, 2, 2), 2), latents((4, 1, 1), 0)], 2)
    with pytest.raises(UsageError, match="more frames than first"):
        pf.models.videoflow(clip=(2, 1, 8, 8), first=2)
    with pytest.raises(UsageError, match="without a context"):
        transform = Coupling(masks.channel((4, 2, 2)), Affine(), NETWORK, 3)
        pf.transforms.EachFrame(transform, 2)


def test_movement_is_one_of_eight_futures_each_as_likely() -> None:
    clip = stochastic_movement(4000, frames=3, generator=seeded())
    agrees = (futures(clip[:, 0], 2) == clip[:, None, 1:]).flatten(2).all(-1)
    assert bool((agrees.sum(1) == 1).all())
    assert chisquare(agrees.sum(0).numpy()).pvalue > 0.01
    assert len(DIRECTIONS) == 8 and set(clip.unique().tolist()) == {0.0, 1.0}
    assert bool((clip.sum((-3, -2, -1)) == clip[:, :1].sum((-3, -2, -1))).all())
    with pytest.raises(UsageError, match="at least 9 pixels"):
        stochastic_movement(1, frames=4, size=8)


def test_balls_stay_in_the_box_and_keep_their_energy() -> None:
    from pushforward.data.video.bouncing_balls import _moved

    places = 0.2 + 0.6 * torch.rand(50, 3, 2, generator=seeded(), dtype=torch.float64)
    velocities = 0.02 * torch.randn(50, 3, 2, generator=seeded(1), dtype=torch.float64)
    energy = (velocities**2).sum((1, 2))
    for _ in range(60):
        # Two at a time, as a collision of three is none of pairs.
        places[:, :2], velocities[:, :2] = _moved(places[:, :2], velocities[:, :2], 0.1)
        places[:, 2:], velocities[:, 2:] = _moved(places[:, 2:], velocities[:, 2:], 0.1)
    torch.testing.assert_close((velocities**2).sum((1, 2)), energy)
    assert bool((places >= 0.1).all() and (places <= 0.9).all())
    clip = bouncing_balls(3, frames=4, size=12, generator=seeded())
    assert clip.shape == (3, 4, 1, 12, 12) and clip.max() <= 255 and torch.equal(clip, clip.round())


def test_moving_pictures_keep_their_ink_and_turn_back() -> None:
    pictures = torch.randint(1, 9, (5, 2, 3, 4), generator=seeded()).float()
    clip = moving_pictures(pictures, 20, frames=30, size=7, together=1, speed=2.0, generator=seeded())
    ink = clip.sum((-2, -1))
    assert bool((ink == ink[:, :1]).all()) and set(ink[:, 0, 0].tolist()) <= set(pictures.sum((-2, -1))[:, 0].tolist())
    assert bool((clip[:, 1:] != clip[:, :-1]).flatten(1).any(1).all())
    assert torch.equal(clip, moving_pictures(pictures, 20, 30, 7, 1, 2.0, seeded()))
    assert torch.equal(clip, moving_pictures(pictures.byte(), 20, 30, 7, 1, 2.0, seeded()))
    with pytest.raises(UsageError, match="at least 4 pixels"):
        moving_pictures(pictures, 1, size=3)
    with pytest.raises(ShapeError, match="at least one"):
        moving_pictures(pictures[:0], 1)
    digits = load_moving_digits(clips=16)
    assert digits.event_shape == (8, 1, 16, 16) and digits.levels == 17


@pytest.mark.parametrize("shape", [(3, 8, 6), (3, 1, 8, 6), (3, 8, 6, 1)])
def test_clips_are_read_from_folders(tmp_path: Path, shape: tuple[int, ...]) -> None:
    stored = np.random.default_rng(0).integers(0, 4, (10, *shape))
    for index, clip in enumerate(stored):
        np.save(tmp_path / f"{index:02}.npy", clip)
    data = load_clips(tmp_path)
    assert data.event_shape == (3, 1, 8, 6) and data.levels == 4
    found = {tuple(clip.flatten().tolist()) for part in data.parts().values() for clip in part}
    assert found == {tuple(clip.flatten().tolist()) for clip in stored.astype(float)}
    assert pf.data.load_data(f"clips:{tmp_path}").event_shape == data.event_shape


def test_generated_clips_come_with_the_library() -> None:
    assert place("movement") is place("balls") is place("moving-digits") is None
    assert place("moving-mnist:/data/mnist") == Path("/data/mnist")


def test_folders_of_other_things_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no clips in it"):
        load_clips(tmp_path)
    np.save(tmp_path / "a.npy", np.zeros((3, 4, 4), np.uint8))
    np.save(tmp_path / "b.npy", np.zeros((2, 4, 4), np.uint8))
    with pytest.raises(DataError, match="share one shape"):
        load_clips(tmp_path)
    np.save(tmp_path / "b.npy", np.zeros((3, 4, 4)))
    with pytest.raises(DataError, match="of whole numbers"):
        load_clips(tmp_path)


def test_picture_of_futures_refuses_others() -> None:
    with pytest.raises(ShapeError, match="futures of shape"):
        futures_of(torch.zeros(4, 1, 8, 8), torch.zeros(2, 4, 1, 8, 8))


def test_clips_pass_through_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generator = seeded()
    parts = {name: stochastic_movement(20, generator=generator) for name in ("train", "validation", "test")}
    folder = tmp_path / "clips"
    folder.mkdir()
    for index, clip in enumerate(torch.cat(list(parts.values()))):
        np.save(folder / f"{index:03}.npy", clip.numpy().astype(np.int64))
    run = str(tmp_path / "run")
    options = ["--set", "layers=1", "--set", "hidden=4", "--set", "scales=1", "--max-steps", "2", "-q"]
    assert cli.run(["train", "videoflow", "-d", f"clips:{folder}", "-o", run, *options]) == 0
    assert cli.run(["evaluate", run, "-m", "2", "--json"]) == 0
    assert '"bits_per_dim"' in capsys.readouterr().out
    for ending in ("npy", "png", "gif"):
        assert cli.run(["sample", run, "-o", str(tmp_path / f"drawn.{ending}"), "-n", "8", "-q"]) == 0
    drawn = np.load(tmp_path / "drawn.npy")
    given = load_clips(folder).test[:, 0].numpy()
    assert drawn.shape == (8, 3, 1, 8, 8)
    assert np.array_equal(drawn[:, 0], given[np.arange(8) % len(given)])
    from PIL import Image

    with Image.open(tmp_path / "drawn.gif") as film:
        assert film.n_frames == 3
    assert cli.run(["plot", run, "frames", "-o", str(tmp_path / "futures.png"), "-q"]) == 0
    folder.rename(tmp_path / "elsewhere")
    moved = ["sample", run, "-o", str(tmp_path / "moved.npy"), "-n", "2", "-q"]
    assert cli.run(moved) != 0
    assert cli.run([*moved, "-d", f"clips:{tmp_path / 'elsewhere'}"]) == 0
    assert np.array_equal(np.load(tmp_path / "moved.npy")[:, 0], given[:2])
    assert cli.run(["plot", run, "density", "-o", str(tmp_path / "density.png"), "-q"]) != 0
    np.save(tmp_path / "pictures.npy", np.zeros((20, 8, 8), np.uint8))
    for wrong, told in (
        (["-d", str(tmp_path / "pictures.npy")], "expects clips of at least 1 frames of shape (1, 8, 8)"),
        (["--denoise"], "--denoise is for models that were trained with noise"),
    ):
        capsys.readouterr()
        assert cli.run(["sample", run, "-o", str(tmp_path / "none.npy"), *wrong]) != 0
        assert told in " ".join(capsys.readouterr().err.split())
