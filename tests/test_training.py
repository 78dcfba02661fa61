"""Training reaches known optima, stops where told, and keeps what is good."""

from __future__ import annotations

import math
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from training_helpers import affine_flow, fit, moons, same, small_flow, weights

import pushforward as pf
from pushforward.distributions import StandardNormal
from pushforward.errors import DataError, TrainingError, UsageError
from pushforward.kernels.memory import kept_memory
from pushforward.scalar import Affine
from pushforward.spaces import Interval, Reals
from pushforward.training.batches import Batches
from pushforward.training.ema import MovingAverage, floating_state
from pushforward.training.plan import parse_duration
from pushforward.training.schedules import FINAL_SHARE, SCHEDULES
from pushforward.training.seeding import apart
from pushforward.transforms import Dequantization, Elementwise, Transform


@pytest.mark.parametrize("name", list(SCHEDULES))
def test_schedules_start_full_and_never_rise(name: str) -> None:
    values = [SCHEDULES[name](step / 100) for step in range(101)]
    assert values[0] == pytest.approx(1)
    assert all(a >= b for a, b in pairwise(values))
    assert values[-1] == pytest.approx(1 if name == "constant" else FINAL_SHARE)


def test_moving_average_is_the_weighted_sum() -> None:
    module = nn.Linear(1, 1, bias=False)
    average = MovingAverage(module, 0.9)
    expected = module.weight.item()
    for step in range(1, 201):
        with torch.no_grad():
            module.weight.fill_(math.sin(step))
        average.update(step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * math.sin(step)
    with average.applied():
        assert module.weight.item() == pytest.approx(expected, rel=1e-5)
    assert module.weight.item() == pytest.approx(math.sin(200))


@pytest.mark.parametrize(
    ("text", "seconds"), [("00:05:00", 300), ("1:30", 90), ("20m", 1200), ("2h", 7200), ("90", 90), (0.5, 0.5)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


# Reaching the optimum


def test_affine_flow_reaches_the_maximum_likelihood() -> None:
    torch.manual_seed(0)
    x = torch.randn(4096, 2) * torch.tensor([3.0, 0.5]) + torch.tensor([1.0, -2.0])
    flow = affine_flow()
    result = fit(flow, x, x, max_steps=400, learning_rate=0.05, batch_size=512)
    # The best of all Gaussians with a diagonal covariance has the data's own moments.
    optimum = (0.5 * math.log(2 * math.pi) + x.std(0, correction=0).log() + 0.5).sum().item()
    assert result.best_validation == pytest.approx(optimum, abs=2e-3)
    assert -flow.log_prob(x).mean().item() == pytest.approx(result.best_validation, abs=1e-5)
    assert not flow.training


def test_context_is_used() -> None:
    torch.manual_seed(0)
    context = torch.randn(2048, 1)
    x = torch.cat([2 * context, -context], -1) + 0.1 * torch.randn(2048, 2)
    flow = pf.build("realnvp", features=2, context=1, layers=2)
    fit(flow, (x, context), (x, context), max_steps=300, learning_rate=5e-3)
    noise_entropy = 2 * (0.5 * math.log(2 * math.pi) + math.log(0.1) + 0.5)
    assert -flow.log_prob(x, context).mean().item() < noise_entropy + 0.2


def test_custom_objective() -> None:
    flow = affine_flow()
    result = fit(flow, moons(), max_steps=3, objective=lambda flow, x, context: flow.log_prob(x).var())
    assert result.steps == 3 and result.history[-1]["train_loss"] > 0


def test_what_is_drawn_after_a_seeded_training_is_not_what_was_drawn_before_it() -> None:
    torch.manual_seed(0)
    train, afterwards = torch.randn(500, 2), torch.randn(500, 2)
    for seed in (0, 3):
        torch.manual_seed(0)
        x = torch.randn(500, 2)
        fit(pf.Flow([pf.transforms.diagonal(2)], pf.distributions.StandardNormal((2,))), x, seed=seed, max_steps=2)
        assert torch.equal(x, train) and torch.equal(torch.randn(500, 2), afterwards)


def test_a_seeded_training_leaves_no_seed_to_a_device_that_is_used_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    if torch.cuda.is_initialized():
        pytest.skip("a device is in use")
    seeds: list[int] = []
    torch.manual_seed(5)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeds.append)
    with pytest.raises(ValueError, match="fails"):
        apart(failing)(seed=3)
    assert seeds == [3, 5] and torch.initial_seed() == 5


def failing(*, seed: int) -> None:
    torch.manual_seed(seed)
    raise ValueError("it fails")


def test_same_seed_same_curve() -> None:
    curves = [fit(small_flow(), moons(), max_steps=20, seed=4, log_every=1).history for _ in range(2)]
    assert [row["train_loss"] for row in curves[0]] == [row["train_loss"] for row in curves[1]]


def test_first_loss_is_that_of_the_plain_loop() -> None:
    x = moons()
    flow = small_flow()
    by_hand = small_flow()
    by_hand.initialise(Batches(x, None, 1024, seed=0).batch(0)[0])
    rows = Batches(x, None, 256, seed=0).rows(0)
    expected = -by_hand.log_prob(x[rows]).mean().item()
    assert fit(flow, x, max_steps=1).history[0]["train_loss"] == pytest.approx(expected, rel=1e-5)


# Stopping, averaging, validating


def test_stops_on_steps_epochs_and_time() -> None:
    x = moons()
    assert fit(affine_flow(), x, max_steps=7).steps == 7
    assert fit(affine_flow(), x, max_epochs=3, batch_size=128).steps == 12
    result = fit(affine_flow(), x, max_time=0.7)
    assert result.stopped == "time" and 0.7 <= result.seconds < 5
    # The cosine follows the clock down to its end.
    assert result.history[-1]["lr"] < 0.1 * result.history[0]["lr"]


def test_patience() -> None:
    x = moons()
    flow = affine_flow()
    result = fit(flow, x, x + 100, max_steps=1000, patience=3, validate_every=2, learning_rate=0.1)
    assert result.stopped == "patience"
    losses = [row["val_loss"] for row in result.history if row["val_loss"] is not None]
    assert len(losses) == losses.index(min(losses)) + 4
    # The best weights come back, not the last.
    assert -flow.log_prob(x + 100).mean().item() == pytest.approx(min(losses), rel=1e-5)
    with pytest.raises(UsageError, match="patience needs validation"):
        fit(affine_flow(), x, patience=2)


def test_warmup_and_schedule_rates() -> None:
    options = {"max_steps": 20, "log_every": 1, "learning_rate": 1e-2}
    rates = [row["lr"] for row in fit(affine_flow(), moons(), schedule="constant", warmup_steps=4, **options).history]
    assert rates == pytest.approx([0.0025, 0.005, 0.0075] + [0.01] * 17)
    rates = [row["lr"] for row in fit(affine_flow(), moons(), schedule="exponential", **options).history]
    assert rates == pytest.approx([0.01 * FINAL_SHARE ** (step / 20) for step in range(20)])


def test_infinite_bounds_stay_what_they_are_in_an_average() -> None:
    module = nn.Module()
    module.register_buffer("low", torch.tensor([0.0, -torch.inf]))
    average = MovingAverage(module, 0.9)
    average.update(0)
    assert average.average[0].tolist() == [0.0, -torch.inf]


def test_ema_none_keeps_the_last_weights() -> None:
    """Without an average and with a zero rate's worth of noise the result is the plain Adam loop's."""
    x = moons()
    flow, by_hand = affine_flow(), affine_flow()
    fit(flow, x, max_steps=5, batch_size=512, ema=None, schedule="constant", clip=None, learning_rate=0.01)
    optimizer = torch.optim.Adam(by_hand.parameters(), lr=0.01)
    for _ in range(5):
        optimizer.zero_grad()
        (-by_hand.log_prob(x).mean()).backward()
        optimizer.step()
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(weights(flow), weights(by_hand)))


def test_clipping_bounds_the_step() -> None:
    """SGD is not offered, so the clipped gradient is read off the weights' gradients after the last step."""
    flow = affine_flow()
    fit(flow, 100 * moons(), max_steps=1, clip=0.5)
    norm = torch.nn.utils.get_total_norm([weight.grad for weight in flow.parameters()])
    assert norm.item() == pytest.approx(0.5 * 2, rel=1e-4)


def test_validation_leaves_the_training_alone() -> None:
    x = torch.randint(0, 17, (256, 1, 4, 4)).float()

    def curve(*validation: Tensor, **options: object) -> list[float | None]:
        torch.manual_seed(0)
        flow = pf.Flow([Dequantization(17), Elementwise(Affine(), (1, 4, 4))], StandardNormal((1, 4, 4)))
        return [row["train_loss"] for row in fit(flow, x, *validation, max_steps=8, log_every=1, **options).history]

    assert curve() == curve(x, validate_every=3)


# Precision


@pytest.mark.parametrize("precision", ["32", "64", "bf16-mixed"])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.uint8])
def test_pairs_of_any_type_in_every_precision(precision: str, kind: torch.dtype) -> None:
    pair = (moons().to(kind), moons()[:, :1].to(kind))
    result = fit(pf.build("maf", features=2, context=1), pair, pair, max_steps=20, precision=precision)
    assert math.isfinite(result.best_validation)


def test_double_precision_stays_with_the_flow(tmp_path: Path) -> None:
    flow = small_flow()
    x = moons().double() + 1e-9
    result = fit(flow, x, x, max_steps=10, precision="64", out=tmp_path)
    assert {value.dtype for value in floating_state(flow)} == {torch.float64}
    # No digit of the data is lost on the way.
    assert result.best_validation == pytest.approx(-flow.log_prob(x).mean().item(), rel=1e-14)
    loaded = pf.load(tmp_path / "model.safetensors")
    assert same(weights(loaded), weights(flow)) and loaded.log_prob(x).dtype == torch.float64
    again = small_flow()
    fit(again, x, x, max_steps=20, precision="64", out=tmp_path, resume=True)
    assert {value.dtype for value in floating_state(again)} == {torch.float64}


def test_a_flow_in_double_precision_takes_whole_numbers() -> None:
    flow = affine_flow().double()
    assert fit(flow, torch.ones(64, 2, dtype=torch.uint8), torch.ones(64, 2).long(), max_steps=2).steps == 2
    assert {value.dtype for value in floating_state(flow)} == {torch.float64}


# What is trained


def test_frozen_parameters_stay_and_the_others_are_trained() -> None:
    flow = pf.Flow([Elementwise(Affine(), (2,)), Elementwise(Affine(), (2,))], StandardNormal((2,)))
    frozen = [weight.requires_grad_(False) for weight in flow.transform[0].parameters()]
    before = [weight.clone() for weight in frozen]
    fit(flow, 3 * moons(), moons(), max_steps=5, optimizer="adamw", weight_decay=0.1, learning_rate=0.1)
    assert same(before, frozen)
    assert all(weight.abs().max() > 0.01 for weight in flow.transform[1].parameters())
    with pytest.raises(UsageError, match="every parameter of the flow is frozen"):
        fit(flow.requires_grad_(False), moons())
    with pytest.raises(UsageError, match="no parameters to train"):
        fit(pf.Flow([pf.transforms.Permutation(torch.tensor([1, 0]))], StandardNormal((2,))), moons())


def test_parts_are_initialised_once_from_one_large_batch() -> None:
    seen = []

    class Watch(Transform):
        domain = codomain = Reals((2,))

        def forward(self, x: Tensor, context: Any = None, generator: Any = None) -> tuple[Tensor, Tensor]:
            return x, x.new_zeros(x.shape[:-1])

        def initialise(self, x: Tensor, context: Tensor | None = None) -> Tensor:
            seen.append(x)
            return x

    flow = pf.Flow([Watch(), Elementwise(Affine(), (2,))], StandardNormal((2,)))
    x = torch.arange(4000.0).reshape(2000, 2)
    fit(flow, x, x, max_steps=3)
    # Rows of the whole data, not its first ones.
    assert len(seen) == 1 and seen[0].shape == (1024, 2) and seen[0].max() > 3900
    with pytest.raises(DataError, match="no rows"):
        fit(flow, x[:0])
    assert len(seen) == 1


# Memory


class Allocator:
    """A C library that writes down what it is told."""

    gnu_get_libc_version = None

    def __init__(self) -> None:
        self.told: list[object] = []

    def mallopt(self, name: int, value: int) -> None:
        self.told.append((name, value))

    def malloc_trim(self, pad: int) -> None:
        self.told.append("trim")


@pytest.fixture
def allocator(monkeypatch: pytest.MonkeyPatch) -> Allocator:
    for name in [name for name in os.environ if name.startswith(("MALLOC_", "GLIBC_TUNABLES"))]:
        monkeypatch.delenv(name)
    library = Allocator()
    monkeypatch.setattr("ctypes.CDLL", lambda name: library)
    return library


def test_freed_memory_is_kept_in_training_and_given_back(allocator: Allocator) -> None:
    with pytest.raises(TrainingError), kept_memory():
        assert allocator.told == [(-1, -1), (-4, 0)]
        raise TrainingError("in the middle of a step")
    told = list(allocator.told)
    assert told[2:] == [(-3, 2**25), (-1, 2**26), (-4, 2**16), "trim"]
    fit(affine_flow(), torch.randn(16, 2), max_steps=1)
    assert allocator.told == 2 * told


@pytest.mark.parametrize("setting", ["MALLOC_ARENA_MAX", "GLIBC_TUNABLES"])
def test_allocator_settings_of_the_user_are_left_alone(
    allocator: Allocator, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setenv(setting, "2")
    with kept_memory():
        pass
    assert allocator.told == []


def test_training_needs_no_particular_allocator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    fit(affine_flow(), torch.randn(16, 2), max_steps=1)


@pytest.mark.slow
def test_compiled_training_agrees_with_eager() -> None:
    curves = [fit(small_flow(), moons(), moons(), max_steps=5, log_every=1, compile=compiled) for compiled in (0, 1)]
    eager, compiled = ([row["train_loss"] for row in curve.history] for curve in curves)
    assert eager == pytest.approx(compiled, rel=1e-4)


# Wrong arguments


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"max_steps": 0}, "max_steps must be at least 1"),
        ({"max_steps": 2.5}, "fit expects a whole number as max_steps, got max_steps=2.5"),
        ({"max_steps": "2"}, "fit expects a whole number as max_steps, got max_steps='2'"),
        ({"batch_size": "64"}, "fit expects a whole number as batch_size"),
        ({"learning_rate": "1e-3"}, "fit expects a number as learning_rate"),
        ({"clip": "no"}, "fit expects a number as clip"),
        ({"seed": "a"}, "fit expects a whole number as seed"),
        ({"learning_rate": -1.0}, "learning_rate must be above 0"),
        ({"learning_rate": math.nan}, "learning_rate"),
        ({"optimizer": "sgd"}, "optimizer must be one of adam, adamw"),
        ({"schedule": "step"}, "schedule must be one of constant, cosine, exponential"),
        ({"precision": "16"}, "precision must be one of"),
        ({"ema": 1.0}, "ema must be in"),
        ({"clip": 0.0}, "clip must be above 0"),
        ({"max_time": "soon"}, "max_time must be"),
        ({"max_time": "00:00:00"}, "max_time must be"),
        ({"resume": True}, "resume needs the folder"),
        ({"accelerator": "abacus"}, "Lightning refuses"),
        ({"strategy": "chance"}, "Lightning refuses"),
    ],
)
def test_wrong_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        fit(affine_flow(), moons(), **options)
    assert "\n" not in str(error.value)


def test_what_splines_do_not_see_is_warned_of() -> None:
    class Spline(pf.scalar.RationalQuadraticSpline):
        reach = Interval(-5.0, 5.0)

    flow = pf.Flow([Elementwise(Spline(), (2,))], StandardNormal((2,)))
    with pytest.warns(UserWarning, match="Elementwise: 100% of the data lie outside"):
        fit(flow, 170 + 10 * moons(), max_steps=1)


def test_what_is_no_flow_is_refused_in_one_sentence(tmp_path: Path) -> None:
    flow, x = affine_flow(), moons()
    with pytest.raises(UsageError, match=r"^fit expects a flow as its first argument, got nsf, which makes one: call"):
        pf.fit(pf.models.nsf, x)
    with pytest.raises(UsageError, match=r"^summary expects a flow as its first argument, got a value of type Tensor$"):
        pf.summary(x)
    with pytest.raises(UsageError, match=r"^save expects a flow as its first argument, got 'x\.st'$"):
        pf.save("x.st", flow)
