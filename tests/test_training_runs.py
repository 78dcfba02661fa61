"""A run folder holds what a training left, and a run resumes to the same curve."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest
import torch
from torch import Tensor
from training_helpers import affine_flow, fit, image_flow, moons, same, small_flow, weights

import pushforward as pf
from pushforward.errors import CheckpointError, FileError
from pushforward.scalar import Affine


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
