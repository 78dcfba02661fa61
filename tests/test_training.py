"""Training reaches known optima, resumes to the same curve, stops where told, and keeps what is good."""

from __future__ import annotations

import csv
import math
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pushforward as pf
from pushforward.distributions import StandardNormal
from pushforward.errors import CheckpointError, DataError, FileError, ShapeError, TrainingError, UsageError
from pushforward.kernels.memory import kept_memory
from pushforward.scalar import Affine
from pushforward.training.augmentation import shifted
from pushforward.training.batches import Batches
from pushforward.training.ema import MovingAverage
from pushforward.training.plan import parse_duration
from pushforward.training.schedules import FINAL_SHARE, SCHEDULES
from pushforward.transforms import Dequantization, Elementwise, Transform


def affine_flow(features: int = 2) -> pf.Flow:
    return pf.Flow([Elementwise(Affine(), (features,))], StandardNormal((features,)))


def small_flow() -> pf.Flow:
    torch.manual_seed(0)
    return pf.build("realnvp", features=2, layers=2)


def moons(rows: int = 512) -> Tensor:
    return pf.data.toy("moons").sample(rows, torch.Generator().manual_seed(0))


def fit(flow: pf.Flow, *data: object, **options: object) -> pf.training.FitResult:
    return pf.fit(flow, *data, **{"progress": False, "seed": 0, **options})  # type: ignore[arg-type]


def weights(flow: nn.Module) -> list[Tensor]:
    return [value.clone() for value in flow.state_dict().values()]


def same(first: list[Tensor], second: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


# Batches, schedules, averages


def test_each_epoch_is_a_permutation() -> None:
    batches = Batches(torch.arange(12.0)[:, None], None, 4, seed=3)
    epochs = [torch.cat([batches.rows(step) for step in range(first, first + 3)]) for first in (0, 3, 6)]
    assert all(sorted(epoch.tolist()) == list(range(12)) for epoch in epochs)
    assert not torch.equal(epochs[0], epochs[1])


def test_batch_of_a_step_needs_no_history() -> None:
    x = torch.arange(10.0)[:, None]
    straight = [rows for _, (_, _, rows) in zip(range(9), Batches(x, None, 3, seed=5).stream(0))]
    jumped = next(Batches(x, None, 3, seed=5).stream(7))[2]
    assert torch.equal(straight[7], jumped)


def test_processes_share_a_batch() -> None:
    x = torch.arange(20.0)[:, None]
    whole = Batches(x, x + 100, 8, seed=1).batch(3)
    shares = [Batches(x, x + 100, 8, seed=1, rank=rank, world_size=2).batch(3) for rank in range(2)]
    assert sorted(torch.cat([share[2] for share in shares]).tolist()) == sorted(whole[2].tolist())
    assert all(torch.equal(share[1], share[0] + 100) and len(share[0]) == 4 for share in shares)
    with pytest.raises(UsageError, match="multiple of the 3 processes"):
        Batches(x, None, 8, seed=1, rank=0, world_size=3)


def test_integers_are_served_as_floats() -> None:
    assert Batches(torch.arange(6, dtype=torch.uint8)[:, None], None, 2, seed=0).batch(0)[0].dtype == torch.float32


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


def test_same_seed_same_curve() -> None:
    curves = [fit(small_flow(), moons(), max_steps=20, seed=4, log_every=1).history for _ in range(2)]
    assert [row["train_loss"] for row in curves[0]] == [row["train_loss"] for row in curves[1]]


def test_first_loss_is_that_of_the_plain_loop() -> None:
    x = moons()
    flow = small_flow()
    by_hand = small_flow()
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


def test_bf16_mixed() -> None:
    result = fit(small_flow(), moons(), moons(), max_steps=30, precision="bf16-mixed")
    assert math.isfinite(result.best_validation)


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


# The run folder


def test_run_folder(tmp_path: Path) -> None:
    flow = small_flow()
    result = fit(flow, moons(), moons(100), max_steps=60, out=tmp_path / "run")
    with (tmp_path / "run" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["step", "epoch", "train_loss", "val_loss", "lr", "seconds"]
    assert [int(row["step"]) for row in rows] == [row["step"] for row in result.history] == [25, 50, 60]
    assert float(rows[-1]["val_loss"]) == pytest.approx(result.history[-1]["val_loss"])
    assert list((tmp_path / "run" / "tensorboard").glob("events.*"))
    loaded = pf.load(tmp_path / "run" / "model.safetensors")
    assert torch.equal(loaded.log_prob(moons(10)), flow.log_prob(moons(10)))
    assert not [path for path in (tmp_path / "run").iterdir() if path.name.startswith(".")]


def image_flow() -> pf.Flow:
    torch.manual_seed(1)
    return pf.Flow([Dequantization(17), Elementwise(Affine(), (1, 4, 4))], StandardNormal((1, 4, 4)))


@pytest.mark.parametrize("stop", [1, 13, 50])
def test_resume_continues_the_same_curve(tmp_path: Path, stop: int) -> None:
    """A run that dies and resumes ends with the very weights of one that does not: noise, order, average and all."""
    x = torch.randint(0, 17, (96, 1, 4, 4), generator=torch.Generator().manual_seed(0)).float()
    options = {"max_steps": 60, "batch_size": 32, "log_every": 1, "validate_every": 7, "warmup_steps": 20}
    options["checkpoint_seconds"] = 0
    straight = image_flow()
    expected = fit(straight, x, x[:40], out=tmp_path / "straight", **options)

    calls = iter(range(10**6))

    def dies(flow: pf.Flow, x: Tensor, context: Tensor | None) -> Tensor:
        if flow.training and next(calls) == stop:
            raise OSError("the machine went away")
        return pf.training.negative_log_likelihood(flow, x, context)

    with pytest.raises(OSError, match="went away"):
        fit(image_flow(), x, x[:40], out=tmp_path / "run", objective=dies, **options)
    torch.randn(1000)
    flow = image_flow()
    result = fit(flow, x, x[:40], out=tmp_path / "run", resume=True, seed=None, **options)
    assert same(weights(flow), weights(straight))
    for name in ("step", "train_loss", "val_loss", "lr"):
        assert [row[name] for row in result.history] == [row[name] for row in expected.history]
    written = [(tmp_path / run / "metrics.csv").read_text().splitlines() for run in ("straight", "run")]
    assert [row.rsplit(",", 1)[0] for row in written[0]] == [row.rsplit(",", 1)[0] for row in written[1]]


def test_resume_of_a_finished_run_adds_no_step(tmp_path: Path) -> None:
    first = fit(small_flow(), moons(), moons(), max_steps=10, out=tmp_path)
    flow = small_flow()
    again = fit(flow, moons(), moons(), max_steps=10, out=tmp_path, resume=True)
    assert again.steps == 10 and again.history == first.history
    assert same(weights(flow), weights(pf.load(tmp_path / "model.safetensors")))
    assert fit(small_flow(), moons(), moons(), max_steps=12, out=tmp_path, resume=True).steps == 12


def test_elapsed_time_survives_a_resume(tmp_path: Path) -> None:
    fit(affine_flow(), moons(), max_time=1.0, out=tmp_path)
    result = fit(affine_flow(), moons(), max_time=1.2, out=tmp_path, resume=True)
    assert 1.2 <= result.seconds < 1.9


def test_unusable_checkpoints(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"

    def message() -> str:
        with pytest.raises(CheckpointError) as error:
            fit(small_flow(), moons(), max_steps=4, out=tmp_path, resume=True)
        assert "\n" not in str(error.value) and str(path) in str(error.value)
        return str(error.value)

    assert "no checkpoint" in message()
    fit(small_flow(), moons(), max_steps=2, out=tmp_path)
    whole = path.read_bytes()
    for damaged in (b"", b"rubbish" * 100, whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        assert "damaged" in message()
    torch.save({"state_dict": {}}, path)
    assert "not a checkpoint of pushforward" in message()
    torch.save({"made": Affine()}, path)
    assert "damaged or no checkpoint" in message()
    fit(affine_flow(2), moons(), max_steps=2, out=tmp_path)
    assert "another model" in message()


def test_output_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FileError, match="cannot write") as error:
        fit(affine_flow(), moons(), max_steps=1, out=tmp_path / "file")
    assert (tmp_path / "file").read_text() == "in the way" and "\n" not in str(error.value)


def test_full_disk_keeps_the_old_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fit(small_flow(), moons(), max_steps=2, out=tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in ("last.ckpt", "model.safetensors")}

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(FileError, match="No space left"):
        fit(small_flow(), moons(), max_steps=5, out=tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in before} == before


# When numbers fail


class FailsAfter(Transform):
    """The identity, until a number of steps is over; then NaN."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps, self.calls = steps, 0

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        self.calls += self.training
        bad = x * float("nan") if self.calls > self.steps else x
        return bad, torch.zeros(x.shape[:-1])


def test_nonfinite_loss_names_step_batch_and_part(tmp_path: Path) -> None:
    parts = [Elementwise(Affine(), (2,)), FailsAfter(12), Elementwise(Affine(), (2,))]
    flow = pf.Flow(parts, StandardNormal((2,)))
    with pytest.raises(TrainingError) as error:
        fit(flow, moons(), batch_size=64, max_steps=50, out=tmp_path, ema=None)
    text = str(error.value)
    # One call was spent on initialising.
    assert "step 12" in text and "transform.parts.1 (FailsAfter)" in text and "\n" not in text
    rows = Batches(moons(), None, 64, seed=0).rows(11)
    assert torch.equal(error.value.rows, rows) and str(rows[0].item()) in text
    # The weights are those of eleven good steps.
    by_hand = pf.Flow([Elementwise(Affine(), (2,)), Elementwise(Affine(), (2,))], StandardNormal((2,)))
    assert not same(weights(flow), weights(by_hand)) and all(torch.isfinite(value).all() for value in weights(flow))
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["pushforward"]["step"] == 0


def test_nonfinite_base_gradient_and_data_are_named() -> None:
    class Broken(StandardNormal):
        def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
            return super().log_prob(x, context) / 0.0

    with pytest.raises(TrainingError, match=r"base \(Broken\)"):
        fit(pf.Flow([Elementwise(Affine(), (2,))], Broken((2,))), moons(), max_steps=2)

    class RootAtZero(StandardNormal):
        def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
            return super().log_prob(x, context) - torch.sqrt((x - x).sum(-1))

    with pytest.raises(TrainingError, match="the gradient of transform"):
        fit(pf.Flow([Elementwise(Affine(), (2,))], RootAtZero((2,))), moons(), max_steps=2)
    with pytest.raises(TrainingError, match="the data itself"):
        fit(affine_flow(), torch.full((64, 2), torch.nan), max_steps=2)


# Wrong arguments


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"max_steps": 0}, "max_steps must be at least 1"),
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


def test_wrong_data() -> None:
    with pytest.raises(ShapeError, match=r"training events must be \(N, 2\) for this flow, got \(5, 3\)"):
        fit(affine_flow(), torch.zeros(5, 3))
    with pytest.raises(ShapeError, match="validation events"):
        fit(affine_flow(), moons(), torch.zeros(5, 3))
    with pytest.raises(DataError, match="no rows"):
        fit(affine_flow(), torch.zeros(0, 2))
    with pytest.raises(DataError, match="context for each of the 512"):
        fit(affine_flow(), (moons(), torch.zeros(3, 1)))


# Two processes

_DISTRIBUTED = """
import sys, torch
import pushforward as pf

def run(out, **options):
    torch.manual_seed(0)
    flow = pf.build("realnvp", features=2, layers=2)
    x = pf.data.toy("moons").sample(500, torch.Generator().manual_seed(0))
    pf.fit(flow, x, x[:101], max_steps=40, batch_size=64, seed=3, log_every=1, validate_every=10, progress=False,
           accelerator="cpu", out=out, **options)

if __name__ == "__main__":
    run(sys.argv[1], devices=2, strategy="ddp")
"""


def test_two_processes_train_to_the_loss_of_one(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(_DISTRIBUTED)
    namespace: dict[str, Any] = {"__name__": "script"}
    exec(_DISTRIBUTED, namespace)
    namespace["run"](tmp_path / "one")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), str(tmp_path / "two")]
    subprocess.run(command, check=True, env=environment, capture_output=True, timeout=300)
    curves = []
    for run in ("one", "two"):
        with (tmp_path / run / "metrics.csv").open() as file:
            curves.append(list(csv.DictReader(file)))
    assert len(curves[0]) == len(curves[1]) == 40
    for one, two in zip(*curves):
        assert float(two["train_loss"]) == pytest.approx(float(one["train_loss"]), abs=1e-4)
        assert two["val_loss"] == one["val_loss"] == "" or float(two["val_loss"]) == pytest.approx(
            float(one["val_loss"]), abs=1e-4
        )
    models = [pf.load(tmp_path / run / "model.safetensors") for run in ("one", "two")]
    assert torch.allclose(models[0].log_prob(moons(50)), models[1].log_prob(moons(50)), atol=1e-3)


# Evaluation


def test_evaluate_is_the_mean_over_all_events() -> None:
    flow = small_flow()
    x = moons(301)
    found = pf.evaluate(flow, x, batch_size=64)
    values = flow.log_prob(x).double()
    assert found.log_prob == pytest.approx(values.mean().item(), rel=1e-6)
    assert found.bits_per_dim == pytest.approx(-values.mean().item() / (2 * math.log(2)), rel=1e-6)
    assert found.log_prob_error == pytest.approx(values.std(correction=0).item() / math.sqrt(301), rel=1e-5)
    assert found.exact and found.events == 301


def test_importance_samples_tighten_the_bound() -> None:
    x = torch.randint(0, 2, (200, 1, 4, 4), generator=torch.Generator().manual_seed(0)).float()
    flow = pf.Flow([Dequantization(2), Elementwise(Affine(), (1, 4, 4))], StandardNormal((1, 4, 4)))
    with torch.no_grad():
        for weight in flow.parameters():
            weight.fill_(0.5)
    state = torch.get_rng_state()
    one, many = (pf.evaluate(flow, x, importance_samples=samples) for samples in (1, 64))
    assert torch.equal(state, torch.get_rng_state())
    # The truth: each pixel's mass is an integral of the normal over its cell, z = (u + 0.5) exp(0.5 / 1.1).
    normal = torch.distributions.Normal(0.0, 1.0)
    low, high = ((edge + 0.5) * math.exp(0.5 / 1.1) for edge in (x / 2, x / 2 + 0.5))
    truth = (normal.cdf(high) - normal.cdf(low)).log().sum((1, 2, 3)).mean().item()
    assert one.log_prob < many.log_prob - 0.5 and not many.exact
    assert many.log_prob == pytest.approx(truth, abs=0.1)


def test_evaluate_refuses_nothing() -> None:
    with pytest.raises(DataError, match="no events"):
        pf.evaluate(small_flow(), torch.zeros(0, 2))


def test_shifted_images_are_the_images_moved() -> None:
    images = torch.arange(16.0).reshape(1, 1, 4, 4).expand(64, 2, 4, 4)
    assert shifted(images, 0) is images
    moved = shifted(images, 1, share=1.0)
    possible = [
        images[0][:, [max(min(row + up, 3), 0) for row in range(4)]][..., [max(min(c + left, 3), 0) for c in range(4)]]
        for up in (-1, 0, 1)
        for left in (-1, 0, 1)
    ]
    assert all(any(torch.equal(image, other) for other in possible) for image in moved)
    assert len({tuple(image.flatten().tolist()) for image in moved}) > 4
    still = shifted(images, 1)
    assert 8 < sum(torch.equal(one, other) for one, other in zip(still, images)) < 60
    with pytest.raises(UsageError, match="shift expects images"):
        shifted(torch.zeros(3, 2), 1)
