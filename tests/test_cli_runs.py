"""Runs on the command line: nothing is lost by a wrong option, a kill, a second run, or data that moved or changed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import pushforward as pf
from pushforward.cli import main as cli

TINY = ["--set", "layers=2", "--set", "hidden=8"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(autouse=True)
def one_thread() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "t.npy"
    write_array(path, seed=0)
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, table: Path) -> Path:
    out = tmp_path_factory.mktemp("runs") / "finished"
    assert run("train", "maf", "-d", table, "-o", out, "--max-steps", 60, "-q", *TINY) == 0
    return out


@pytest.fixture
def copy(tmp_path: Path, finished: Path) -> Path:
    """A copy of the finished run, to be changed."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def write_array(path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    np.save(path, np.stack([rng.normal(1000, 50, 300), rng.normal(-3, 0.01, 300)], axis=1))


def run(*arguments: object) -> int:
    return cli.run([str(argument) for argument in arguments])


def fails(capsys: pytest.CaptureFixture[str], code: int, *arguments: object) -> str:
    """Run what must fail with this code and return its one line."""
    capsys.readouterr()
    assert run(*arguments) == code
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("pushforward: "), lines
    return lines[0]


def files(folder: Path) -> dict[str, bytes]:
    """What a run folder holds, without its lock."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


# Nothing is lost by a wrong option


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--patience", "0"], "patience must be at least 1"),
        (["--seed", str(2**64)], "less than or equal to 4294967295"),
        (["--set", "wings=2"], "no option wings"),
        (["--set", "layers=0"], "layers"),
        (["--levels", "3"], ""),
        (["--context", "z"], "--context is for tables"),
        (["--shift", "2"], "shift expects images"),
        (["--accelerator", "tpu"], "Lightning refuses"),
        (["--max-time", "1x"], "max_time must be"),
        (["--data", "nowhere.csv"], "no such file"),
    ],
)
def test_a_wrong_option_with_force_destroys_nothing(
    copy: Path, table: Path, capsys: pytest.CaptureFixture[str], options: list[str], expected: str
) -> None:
    before = files(copy)
    capsys.readouterr()
    assert run("train", "maf", "-d", table, "-o", copy, "--force", "-q", *options) in (1, 2)
    assert expected in capsys.readouterr().err
    assert files(copy) == before


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--patience", "0"], "patience must be at least 1"),
        (["--set", "layers=3"], "is a run with --set layers 2, not 3"),
        # Options that are not stored have the recipe's default.
        (["--set", "context=2"], "is a run with --set context 0, not 2"),
        (["--set", "hidden=[8]"], "is a run with --set hidden 8, not [8]"),
        (["--seed", "3"], "is a run with --seed 0, not 3"),
        (["--context", "a"], "--context makes another run"),
        (["--levels", "7"], "is a run with --levels null, not 7"),
        (["--data", "moons"], "moons is other data"),
    ],
)
def test_a_resume_refuses_what_would_be_another_run(
    copy: Path, capsys: pytest.CaptureFixture[str], options: list[str], expected: str
) -> None:
    before = files(copy)
    assert expected in fails(capsys, 2, "train", "--resume", "-o", copy, *options)
    assert files(copy) == before


def test_what_fails_in_the_first_step_of_a_resume_is_not_stored(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (copy / "config.json").read_bytes()
    arguments = ["train", "--resume", "-o", copy, "--max-steps", "80", "-q"]
    assert "shift expects images" in fails(capsys, 2, *arguments, "--shift", "2")
    assert (copy / "config.json").read_bytes() == before
    assert run(*arguments, "--set", "layers=2", "--seed", "0") == 0
    assert json.loads((copy / "config.json").read_text())["training"] == {"seed": 0, "max_steps": 80}


@pytest.mark.parametrize("arguments", [["--out", ""], ["--data", ""], ["--resume", "--out", ""]])
def test_an_unset_variable_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    line = fails(capsys, 2, "train", "maf", "--data", "moons", "--out", "R", *arguments)
    assert arguments[-2] in line and "a variable that is not set" in line
    assert "a variable that is not set" in fails(capsys, 2, "evaluate", "")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_will_not_do_is_told_before_the_data_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        assert "is a file" in fails(capsys, 1, "train", "maf", "-d", tmp_path / "nowhere.csv", "-o", out)


# Replacing a run


def killed(command: list[str], metrics: Path, rows: int) -> None:
    process = subprocess.Popen([sys.executable, "-m", "pushforward", *command], env=ENVIRONMENT)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        # The old run's record has as many rows; a new one begins with a new file.
        if (metrics.parent / ".previous").exists() and metrics.exists() and metrics.read_text().count("\n") > rows:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait(60) == -signal.SIGKILL


def test_a_killed_replacement_keeps_the_old_run_and_tells_of_it(
    copy: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(copy)
    command = ["train", "maf", "-d", str(table), "-o", str(copy), "--force", "-q", *TINY, "--log-every", "1"]
    # So many steps would be enough for compiling to pay.
    killed([*command, "--max-steps", "100000", "--no-compile"], copy / "metrics.csv", 3)
    # The new one has no model yet: the old one is told of, can be used where it is, and brought back.
    capsys.readouterr()
    assert run("evaluate", copy) == 1
    told = capsys.readouterr().err
    assert "no model.safetensors there yet" in told and str(copy / ".previous") in told and "--restore" in told
    assert run("evaluate", copy / ".previous", "-q") == 0
    assert run("train", "--restore", "-o", copy) == 0
    assert files(copy) == before
    assert "none to put back" in fails(capsys, 2, "train", "--restore", "-o", copy)


def test_a_replacement_that_ends_takes_the_place_of_the_old_run(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = files(copy)
    assert run("train", "realnvp", "-d", "moons", "-o", copy, "--force", "--max-steps", 5, "-q", *TINY) == 0
    assert json.loads((copy / "config.json").read_text())["model"] == "realnvp"
    assert set(files(copy)) - {name for name in files(copy) if "tensorboard" in name} == {
        name for name in old if "tensorboard" not in name
    }
    capsys.readouterr()
    assert run("evaluate", copy, "-q") == 0 and capsys.readouterr().err == ""
    assert "has no option" not in fails(capsys, 2, "train", "maf", "-d", "moons", "-o", copy)


def test_two_trainings_do_not_share_a_folder(tmp_path: Path, table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    command = ["train", "maf", "-d", str(table), "-o", str(out), "-q", *TINY, "--log-every", "1", "--max-time", "60s"]
    command.append("--no-compile")
    process = subprocess.Popen([sys.executable, "-m", "pushforward", *command], env=ENVIRONMENT)
    try:
        while not (out / "last.ckpt").exists():
            assert process.poll() is None
            time.sleep(0.01)
        for arguments in (["train", "realnvp", "-d", table, "-o", out, "--force"], ["train", "--resume", "-o", out]):
            assert f"another training works there (process {process.pid} on" in fails(capsys, 1, *arguments)
    finally:
        process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert run("evaluate", out, "-q") == 0 and json.loads((out / "config.json").read_text())["model"] == "maf"
    assert run("train", "--resume", "-o", out, "--max-time", "61s", "--max-steps", "1", "-q") == 0


def test_a_model_of_another_run_is_refused(copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("train", "maf", "-d", "moons", "-o", tmp_path / "other", "--max-steps", 1, "-q", *TINY) == 0
    shutil.copy(tmp_path / "other" / "model.safetensors", copy)
    assert "different runs" in fails(capsys, 1, "evaluate", copy)
    assert "different runs" in fails(capsys, 1, "train", "--resume", "-o", copy, "--max-steps", 100, "-q")


# Data that move and change


def test_a_run_is_used_from_any_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_array(tmp_path / "t.npy", seed=0)
    assert run("train", "maf", "-d", "t.npy", "-o", "run", "--max-steps", 2, "-q", *TINY) == 0
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    assert run("evaluate", "../run") == 0
    assert run("train", "--resume", "-o", "../run", "--max-steps", 4, "-q") == 0


def test_data_that_moved_are_known_again(
    copy: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = copy / "config.json"
    moved = tmp_path / "moved.npy"
    config.write_text(config.read_text().replace(str(table), str(tmp_path / "gone.npy")))
    for command in (["evaluate", copy], ["train", "--resume", "-o", copy]):
        line = fails(capsys, 1, *command)
        assert "no longer there" in line and "--data" in line
    shutil.copy(table, moved)
    assert run("evaluate", copy, "--data", moved) == 0
    assert run("train", "--resume", "-o", copy, "--data", moved, "--max-steps", 70, "-q") == 0
    assert json.loads(config.read_text())["data"] == str(moved)
    assert run("train", "--resume", "-o", copy, "--max-steps", 80, "-q") == 0


def test_a_run_that_has_ended_learns_where_its_data_are(copy: Path, table: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copy(table, tmp_path / "moved.npy"))
    before = json.loads((copy / "config.json").read_text())
    assert run("train", "--resume", "-o", copy, "--data", moved, "-q") == 0
    assert json.loads((copy / "config.json").read_text()) == before | {"data": str(moved)}


def test_a_tables_run_that_has_ended_learns_where_its_data_are(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, moved = tmp_path / "run", Path(shutil.copy(table, tmp_path / "moved.npy"))
    assert run("train", "table", "-d", table, "-o", out, "--max-steps", 5, "-q") == 0
    before = json.loads((out / "config.json").read_text())
    assert "come to its end" in fails(capsys, 2, "train", "--resume", "-o", out)
    assert "come to its end" in fails(capsys, 2, "train", "--resume", "-o", out, "-d", moved, "--max-steps", 9)
    assert run("train", "--resume", "-o", out, "--data", moved) == 0
    assert json.loads((out / "config.json").read_text()) == before | {"data": str(moved)}
    assert run("evaluate", out) == 0


def test_data_that_changed_are_not_gone_on_with(
    copy: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, changed = copy / "config.json", tmp_path / "t.npy"
    config.write_text(config.read_text().replace(str(table), str(changed)))
    write_array(changed, seed=1)
    before = files(copy)
    line = fails(capsys, 2, "train", "--resume", "-o", copy, "--max-steps", 80)
    assert "has changed" in line and "--accept-changed-data" in line
    assert "other data" in fails(capsys, 2, "train", "--resume", "-o", copy, "--data", "moons", "--max-steps", 80)
    assert files(copy) == before
    capsys.readouterr()
    assert run("evaluate", copy) == 0 and "has changed since the training" in capsys.readouterr().err
    assert run("train", "--resume", "-o", copy, "--max-steps", 80, "--accept-changed-data", "-q") == 0
    assert run("train", "--resume", "-o", copy, "--max-steps", 90, "-q") == 0


# One number, one unit


def test_every_place_tells_the_same_number(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    arguments = ["train", "maf", "-d", table, "-o", out, "--max-steps", 60, "--progress-seconds", 0, *TINY]
    assert run(*arguments) == 0
    lines = capsys.readouterr().err.splitlines()
    metrics = pd.read_csv(out / "metrics.csv")
    best = metrics["validation_nats"].min()
    assert f"best validation {best:.4f} nats, " in lines[-2] and f"best validation {best:.4f} nats; saved" in lines[-1]
    assert run("evaluate", out, "--part", "validation", "--json") == 0
    evaluated = json.loads(capsys.readouterr().out)
    assert evaluated["nats"] == pytest.approx(best, abs=1e-3)
    assert run("evaluate", out, "--part", "validation") == 0
    assert f"{evaluated['nats']:.4f} ±" in capsys.readouterr().out
    # In the units of the table: a column of spread 50, one of spread 0.01.
    truth = np.log(2 * np.pi * np.e) + np.log(50 * 0.01)
    assert best == pytest.approx(truth, abs=0.7)
    assert run("train", "--resume", "-o", out, "--json") == 0
    assert json.loads(capsys.readouterr().out)["best_validation_nats"] == pytest.approx(best, abs=1e-6)


def test_images_are_told_in_bits_per_dimension(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert run("train", "nice", "-d", "digits", "-o", out, "--max-steps", 5, "--json", *TINY) == 0
    best = json.loads(capsys.readouterr().out)["best_validation_bits_per_dim"]
    assert pd.read_csv(out / "metrics.csv")["validation_bits_per_dim"].min() == pytest.approx(best)
    assert pf.load(out).event_shape == (1, 8, 8)


def test_a_spent_time_says_how_much_more_to_give(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run("train", "--resume", "-o", copy) == 0
    line = capsys.readouterr().err.splitlines()[-1]
    assert "nothing was left to do" in line and "from the beginning of a run" in line and "--max-steps 160" in line
