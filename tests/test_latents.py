"""Walks through the latents of all levels, directions of attributes, and the labels that they are found by."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.cli import main as cli
from pushforward.data import load_labels, write_idx
from pushforward.diagnostics import attribute_direction, interpolate, manipulate, spherical, straight
from pushforward.diagnostics.attributes import mean_latents
from pushforward.diagnostics.latents import latents


def multiscale() -> pf.Flow:
    torch.manual_seed(0)
    return pf.build("multiscale", shape=[1, 8, 8], levels=17, layers=2, hidden=4).eval()


def test_the_way_on_the_sphere_keeps_the_norm_of_all_levels_and_turns_evenly() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randn(5, 7, generator=generator, dtype=torch.float64) for _ in range(2))
    second *= first.norm(dim=1, keepdim=True) / second.norm(dim=1, keepdim=True)
    levels = [(x[:, :4].reshape(5, 2, 2), x[:, 4:]) for x in (first, second)]
    walk = [
        torch.cat([part.flatten(1) for part in spherical(*levels, weight)], 1)
        for weight in torch.linspace(0, 1, 5).tolist()
    ]
    torch.testing.assert_close(walk[0], first)
    torch.testing.assert_close(walk[-1], second)
    for step in walk:
        torch.testing.assert_close(step.norm(dim=1), first.norm(dim=1))
    angles = [torch.acos(torch.cosine_similarity(a, b)) for a, b in pairwise(walk)]
    torch.testing.assert_close(torch.stack(angles), torch.acos(torch.cosine_similarity(first, second)).expand(4, 5) / 4)


@pytest.mark.parametrize("factor", [1.0, -1.0, 1 + 1e-6])
def test_where_no_great_circle_is_single_the_way_is_straight(factor: float) -> None:
    x = torch.tensor([[3.0, -4.0]])
    for weight in (0.0, 0.3, 1.0):
        torch.testing.assert_close(spherical((x,), (factor * x,), weight), straight((x,), (factor * x,), weight))


def test_both_ways_end_at_the_images() -> None:
    test = pf.data.load_data("digits").test
    for path in (straight, spherical):
        between = interpolate(multiscale(), test[:3], test[3:6], steps=4, path=path)
        assert between[:, 0].equal(test[:3]) and between[:, -1].equal(test[3:6])


@pytest.mark.parametrize("path", [straight, spherical])
def test_no_level_is_left_behind_on_the_way(path: Any) -> None:
    one, two = (torch.ones(1, 2),), (torch.ones(1, 2), torch.ones(1, 3))
    with pytest.raises(pf.errors.ShapeError, match="of the same levels and shapes"):
        path(one, two, 0.5)
    with pytest.raises(pf.errors.ShapeError, match=r"\(1, 2\).*\(1, 3\)"):
        path(two[:1], two[1:], 0.5)


def test_an_event_is_itself_at_strength_zero_and_the_mean_moves_to_the_other_mean() -> None:
    flow = multiscale()
    digits, labels = pf.data.load_data("digits"), load_labels("digits")
    having, lacking = digits.train[labels.train == 1], digits.train[labels.train == 0]
    direction = attribute_direction(flow, having, lacking)
    assert [tuple(level.shape) for level in direction] == [tuple(each.shape[1:]) for each in latents(flow, having)]
    assert manipulate(flow, lacking[:5], direction, [0.0])[:, 0].equal(lacking[:5])
    continuous = pf.testing.randomise(pf.build("realnvp", features=3, layers=4, hidden=8), 0.3).double().eval()
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randn(300, 3, generator=generator, dtype=torch.float64) + shift for shift in (0.0, 2.0))
    moved = manipulate(continuous, first, attribute_direction(continuous, second, first), [-1.0, 1.0])
    torch.testing.assert_close(mean_latents(continuous, moved[:, 1]), mean_latents(continuous, second))


def test_of_a_linear_flow_the_direction_is_the_difference_of_the_means() -> None:
    flow = pf.Flow([pf.transforms.Standardise(2)], pf.distributions.StandardNormal((2,)))
    x = torch.randn(1000, 2, generator=torch.Generator().manual_seed(0))
    flow.initialise(3 * x)
    moved = manipulate(flow, x[:4], attribute_direction(flow, x + torch.tensor([1.0, -2.0]), x), [0.5])[:, 0]
    torch.testing.assert_close(moved, x[:4] + torch.tensor([0.5, -1.0]), atol=1e-5, rtol=1e-5)


def test_what_makes_no_direction_is_told() -> None:
    flow = pf.build("realnvp", features=2, layers=2, hidden=8)
    with pytest.raises(pf.errors.UsageError, match="got 0 and 3"):
        attribute_direction(flow, torch.zeros(0, 2), torch.zeros(3, 2))
    with pytest.raises(pf.errors.UsageError, match="each level"):
        manipulate(flow, torch.zeros(3, 2), (torch.zeros(3),), [1.0])
    conditional = pf.build("realnvp", features=2, context=1, layers=2, hidden=8)
    with pytest.raises(pf.errors.UsageError, match="without a context"):
        attribute_direction(conditional, torch.zeros(3, 2), torch.zeros(3, 2))
    with pytest.raises(pf.errors.UsageError, match="finite strengths"):
        manipulate(flow, torch.zeros(3, 2), (torch.zeros(2),), [0.0, float("nan")])
    with pytest.raises(pf.errors.ShapeError, match=r"events \(N, 2,\)"):
        attribute_direction(flow, torch.zeros(2), torch.zeros(3, 2))
    with pytest.raises(pf.errors.ShapeError, match="as many first events as second, got 2 and 3"):
        interpolate(flow, torch.zeros(2, 2), torch.zeros(3, 2))
    with pytest.raises(pf.errors.UsageError, match="at least 2 steps"):
        interpolate(flow, torch.zeros(2, 2), torch.zeros(2, 2), steps=1)


@pytest.mark.parametrize("model", ["nade", "idf-vector", "discrete-flow"])
def test_between_latents_that_are_whole_numbers_there_is_no_way(model: str) -> None:
    """They would be data between the levels, and beyond them."""
    flow = pf.build(model, features=3)
    x = torch.tensor([[0.0, 1.0, 0.0], [1.0, 1.0, 0.0]])
    for ask in (lambda: interpolate(flow, x, x), lambda: attribute_direction(flow, x, x)):
        with pytest.raises(pf.errors.UsageError, match="latents that are real numbers"):
            ask()


def test_a_way_that_leaves_the_sphere_of_the_latents_is_told() -> None:
    flow = pf.Flow([pf.transforms.Rotation()], pf.distributions.UniformSphere())
    ends = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[0.0, 1.0, 0.0]])
    on_the_circle = interpolate(flow, *ends, steps=5, path=spherical)
    torch.testing.assert_close(on_the_circle.norm(dim=-1), torch.ones(1, 5))
    with pytest.raises(pf.errors.UsageError, match="leaves the latents"):
        interpolate(flow, *ends)


def test_a_flow_in_training_is_asked_as_in_evaluation_and_stays_as_it_was() -> None:
    """The statistics of each kind of events by themselves would take the attribute out."""
    flow = pf.Flow([pf.transforms.BatchNorm(2)], pf.distributions.StandardNormal((2,)))
    x = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    flow.initialise(torch.cat([x, x + 3]))
    expected = attribute_direction(flow.eval(), x + 3, x)[0]
    before = {name: value.clone() for name, value in flow.state_dict().items()}
    assert attribute_direction(flow.train(), x + 3, x)[0].equal(expected) and expected.min() > 1
    manipulate(flow, x, (expected,), [0.0, 1.0]), interpolate(flow, x, x + 3)
    assert flow.training and all(value.equal(before[name]) for name, value in flow.state_dict().items())


def test_labels_are_split_as_their_events_are(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    digits = load_labels("digits").check(pf.data.load_data("digits"))
    everything = torch.cat([digits.train, digits.validation, digits.test])
    assert everything.equal(torch.from_numpy(load_digits().target))
    # Pictures that say which label is theirs.
    for part, rows in (("train", 30), ("t10k", 7)):
        numbers = np.arange(rows, dtype=np.uint8)
        write_idx(tmp_path / f"{part}-images-idx3-ubyte", numbers[:, None, None] * np.ones((1, 2, 2), np.uint8))
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte", numbers)
    spec = f"mnist:{tmp_path}"
    events, labels = pf.data.load_data(spec), load_labels(spec)
    for name, x in labels.check(events).__dict__.items():
        assert x.equal(getattr(events, name)[:, 0, 0, 0].long())
    np.save(tmp_path / "events.npy", np.arange(40, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 2), np.uint8))
    np.save(tmp_path / "labels.npy", np.arange(40))
    events = pf.data.load_data(str(tmp_path / "events.npy"))
    labels = load_labels(str(tmp_path / "events.npy"), str(tmp_path / "labels.npy")).check(events)
    assert labels.test.equal(events.test.flatten(1)[:, 0].long())


def test_labels_of_cifar10_are_each_records_first_byte(tmp_path: Path) -> None:
    records = np.random.default_rng(0).integers(0, 10, (20, 3073), dtype=np.uint8)
    records[:12].tofile(tmp_path / "data_batch_1.bin")
    records[12:].tofile(tmp_path / "test_batch.bin")
    spec = f"cifar10:{tmp_path}"
    labels = load_labels(spec).check(pf.data.load_data(spec))
    assert torch.cat([labels.train, labels.validation, labels.test]).tolist() == records[:, 0].tolist()


def test_labels_that_do_not_fit_are_told(tmp_path: Path) -> None:
    with pytest.raises(pf.errors.DataError, match="no labels of its own"):
        load_labels("moons")
    np.save(tmp_path / "short.npy", np.arange(20))
    with pytest.raises(pf.errors.DataError, match="a label for each of 1000 events"):
        load_labels("digits", str(tmp_path / "short.npy")).check(pf.data.load_data("digits"))
    np.save(tmp_path / "floats.npy", np.arange(20.0))
    with pytest.raises(pf.errors.DataError, match="whole numbers"):
        load_labels("digits", str(tmp_path / "floats.npy"))


def test_the_command_moves_test_events_along_a_label(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, tiny = tmp_path / "run", ["--set", "layers=1", "--set", "hidden=4", "--max-steps", "2"]
    assert cli.run(["train", "mnist-simple", "-d", "digits", "-o", str(out), "-q", *tiny]) == 0
    ask = ["manipulate", str(out), "--with", "3", "-q"]
    rows = ["--events", "2", "--steps", "3"]
    assert cli.run([*ask, "--without", "5", "-o", str(tmp_path / "m.npz"), *rows]) == 0
    moved = np.load(tmp_path / "m.npz")["data"].reshape(2, 3, 64)
    fives = pf.data.load_data("digits").test[load_labels("digits").test == 5].flatten(1).numpy()
    assert all((fives == row[0]).all(1).any() for row in moved)
    assert cli.run([*ask, "-o", str(tmp_path / "m.png"), *rows]) == 0 and (tmp_path / "m.png").stat().st_size > 0
    walk = ["interpolate", str(out), "-o", str(tmp_path / "i.npy"), "--pairs", "2", "--path", "spherical", "-q"]
    assert cli.run(walk) == 0
    capsys.readouterr()
    assert cli.run(["manipulate", str(out), "--with", "12", "-o", str(tmp_path / "m.png")]) == 2
    assert "no events labelled 12" in capsys.readouterr().err
    assert cli.run([*ask, "--without", "3", "-o", str(tmp_path / "m.png")]) == 2
    assert "both 3" in capsys.readouterr().err
    assert cli.run([*walk[:-2], "curved"]) == 2 and "straight or spherical" in capsys.readouterr().err
