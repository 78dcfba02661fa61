"""A run folder holds what a training left, and a run resumes to the same curve."""

from __future__ import annotations

import csv
import errno
import math
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from torch import Tensor
from training_helpers import affine_flow, fit, image_flow, moons, same, small_flow, weights

import pushforward as pf
from pushforward.errors import CheckpointError, FileError, UsageError
from pushforward.scalar import Affine
from pushforward.training import module, progress
from pushforward.training.objectives import NegativeLogLikelihood
from pushforward.training.recorder import Recorder
from pushforward.training.runs import checkpoints
from pushforward.training.trainer import make_trainer
from pushforward.training.units import Unit


def test_run_folder(tmp_path: Path) -> None:
    flow = small_flow()
    result = fit(flow, moons(), moons(100), max_steps=60, out=tmp_path / "run")
    with (tmp_path / "run" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["step", "epoch", "train_nats", "validation_nats", "lr", "seconds"]
    assert [int(row["step"]) for row in rows] == [row["step"] for row in result.history] == [25, 50, 60]
    assert float(rows[-1]["validation_nats"]) == pytest.approx(result.history[-1]["val_loss"])
    assert list((tmp_path / "run" / "tensorboard").glob("events.*"))
    loaded = pf.load(tmp_path / "run" / "model.safetensors")
    assert torch.equal(loaded.log_prob(moons(10)), flow.log_prob(moons(10)))
    assert [path.name for path in (tmp_path / "run").iterdir() if path.name.startswith(".")] == [".lock"]


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


def test_on_other_validation_data_the_best_is_chosen_anew(tmp_path: Path) -> None:
    """A loss on rows that lie near the mode is not to be beaten by any on rows that lie far out."""
    near, far = 0.01 * moons(100), 1000 + moons(100)
    flow, out = small_flow(), tmp_path / "run"
    first = fit(flow, moons(), near, max_steps=20, validate_every=10, out=out)
    ended = fit(small_flow(), moons(), far, max_steps=20, validate_every=10, out=out, resume=True)
    assert ended.best_validation == first.best_validation
    second = fit(flow, moons(), far, max_steps=40, validate_every=10, out=out, resume=True)
    judged = [row["val_loss"] for row in second.history if row["step"] > 20 and row["val_loss"] is not None]
    assert second.best_validation == min(judged) > first.best_validation
    assert -flow.log_prob(far).mean().item() == pytest.approx(second.best_validation, rel=1e-5)
    third = fit(flow, moons(), far, max_steps=60, validate_every=10, out=out, resume=True)
    assert third.best_validation <= second.best_validation


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


def test_a_full_disk_costs_a_checkpoint_and_not_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = iter([True, True, False, False, True, False])
    written = []

    def save(trainer: Any, path: Path) -> None:
        if next(room, False):
            written.append(saved(trainer, path))
            return
        path.write_bytes(b"half of it")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    saved = lightning.Trainer.save_checkpoint
    monkeypatch.setattr(lightning.Trainer, "save_checkpoint", save)
    with pytest.warns(UserWarning, match="goes on from its last checkpoint") as told:
        result = fit(small_flow(), moons(), max_steps=6, out=tmp_path, checkpoint_seconds=0, log_every=1)
    assert result.steps == 6 and len(written) == 3
    # Once for each time that it filled up, and the checkpoint of the fourth step is the last good one.
    assert len(told) == 2 and all("No space left on device" in str(warning.message) for warning in told)
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["pushforward"]["step"] == 4
    assert not [path for path in tmp_path.iterdir() if "writing" in path.name]
    monkeypatch.undo()
    assert fit(small_flow(), moons(), max_steps=8, out=tmp_path, resume=True).earlier_steps == 4


def test_a_record_that_had_no_room_is_written_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(tmp_path, Unit("nats"))
    recorder.start([])
    rows = [
        {"step": step, "epoch": 0.5, "train_loss": 1.0, "val_loss": None, "lr": 0.1, "seconds": 1.0}
        for step in range(1, 5)
    ]
    opened = Path.open
    with monkeypatch.context() as patched:

        def full(path: Path, mode: str = "r", **options: Any) -> Any:
            if mode == "a":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return opened(path, mode, **options)

        recorder.add(rows[0])
        patched.setattr(Path, "open", full)
        with pytest.warns(UserWarning, match="its record waits") as told:
            recorder.add(rows[1])
    assert len(told) == 1
    for row in rows[2:]:
        recorder.add(row)
    recorder.close()
    with (tmp_path / "metrics.csv").open() as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["1", "2", "3", "4"]


def test_a_model_without_room_is_kept_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    write = checkpoints.atomic_write

    def full(path: Path, content: bytes) -> None:
        if path.parent.name == "run":
            raise FileError(f"cannot write {path}: No space left on device")
        write(path, content)

    monkeypatch.setattr(checkpoints, "atomic_write", full)
    flow = small_flow()
    with (
        pytest.warns(UserWarning, match="last checkpoint"),
        pytest.raises(FileError, match=r"the trained model is in .*: move it into .*run when there is room") as error,
    ):
        fit(flow, moons(), max_steps=4, out=tmp_path / "run")
    kept = Path(str(error.value).split("the trained model is in ")[1].split(": move")[0])
    assert same(weights(pf.load(kept)), weights(flow))


def test_a_resume_takes_the_weight_decay_that_it_is_given(tmp_path: Path) -> None:
    decays = []

    stepped = torch.optim.Adam.step

    def step(optimizer: torch.optim.Adam, *arguments: Any, **options: Any) -> Any:
        decays.append(optimizer.param_groups[0]["weight_decay"])
        return stepped(optimizer, *arguments, **options)

    fit(small_flow(), moons(), max_steps=2, out=tmp_path, weight_decay=0.5)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(torch.optim.Adam, "step", step)
        fit(small_flow(), moons(), max_steps=4, out=tmp_path, weight_decay=0.25, resume=True)
    assert decays == [0.25, 0.25]


def test_the_last_validation_does_not_overrun_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    # A validation that takes long, as one of many rows does.
    monkeypatch.setattr(module, "summed_loss", lambda *arguments: (time.sleep(0.3), (1.0, 1))[1])
    result = fit(affine_flow(), moons(), moons(10), max_time=1.5, validate_every=5)
    assert result.stopped == "time" and result.seconds < 1.9


# What is seen of it


def test_lines_come_at_growing_intervals(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    now = iter(range(200))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(now)))
    lines = progress.Lines(seconds=30)
    for second in range(1, 200):
        lines.show(second / 200, lambda second=second: f"step {second}")
    steps = [int(line.rsplit(" ", 1)[1]) for line in capsys.readouterr().err.splitlines()]
    assert steps == [1, 3, 7, 15, 31, 61, 91, 121, 151, 181]


def test_without_a_terminal_a_training_tells_of_itself_in_one_unit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x = torch.randint(0, 17, (96, 1, 4, 4), generator=torch.Generator().manual_seed(0)).float()
    options = {"max_steps": 4, "log_every": 1, "progress": True, "progress_seconds": 0.0}
    result = fit(image_flow(), x, x[:40], validate_every=2, out=tmp_path, **options)
    lines = capsys.readouterr().err.splitlines()
    with (tmp_path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(lines) == 4 and list(rows[0])[2:4] == ["train_bits_per_dim", "validation_bits_per_dim"]
    unit = 16 * math.log(2)
    for line, row, kept in zip(lines, rows, result.history):
        assert f"step {row['step']}, train {float(row['train_bits_per_dim']):.4f} bits/dim" in line
        assert float(row["train_bits_per_dim"]) == pytest.approx(kept["train_loss"] / unit)
    assert f"best validation {result.best_validation / unit:.4f} bits/dim, 0:00:00 left" in lines[-1]
    fit(affine_flow(), moons(), max_steps=1, out=tmp_path / "own", objective=lambda flow, x, c: flow.log_prob(x).var())
    assert "train_loss,validation_loss" in (tmp_path / "own" / "metrics.csv").read_text()
    assert capsys.readouterr().err == ""


def test_the_volume_is_part_of_a_loss() -> None:
    one, two = (
        fit(small_flow(), moons(), moons(50), max_steps=3, objective=objective)
        for objective in (NegativeLogLikelihood(), NegativeLogLikelihood(log_volume=5.0))
    )
    assert two.best_validation == pytest.approx(one.best_validation + 5.0, abs=1e-5)


def test_more_processes_than_a_cpu_can_run_are_refused() -> None:
    # Making a trainer starts none.
    with pytest.raises(UsageError, match="devices=1000 would start as many processes"):
        make_trainer("32", "cpu", 1000, "auto", 1)
    assert make_trainer("32", "cpu", 2, "auto", 1).num_devices == 2
