"""One training at a time in a folder, and whatever kills it leaves the run that stood there or the new one whole."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from training_helpers import fit, moons, small_flow

import pushforward as pf
from pushforward.errors import CheckpointError, FileError, UsageError
from pushforward.training.runs import RunFolder, leftover, locked, new_run, put_back, repair, resumed_run
from pushforward.training.runs.folder import CONFIGURATION, LAST, METRICS, TENSORBOARD
from pushforward.training.runs.replacement import PREVIOUS

MODEL = "model.safetensors"


def write_run(folder: Path, text: str) -> None:
    """What a training writes, in its order."""
    for name in (CONFIGURATION, METRICS, LAST, MODEL):
        (folder / name).write_text(text)
    (folder / TENSORBOARD).mkdir(exist_ok=True)
    (folder / TENSORBOARD / "events").write_text(text)


def contents(folder: Path) -> dict[str, str]:
    """The files of a run, by name."""
    files = [folder / name for name in (CONFIGURATION, METRICS, LAST, MODEL, f"{TENSORBOARD}/events")]
    return {path.name: path.read_text() for path in files if path.exists()}


def run_of(text: str) -> dict[str, str]:
    return dict.fromkeys((CONFIGURATION, METRICS, LAST, MODEL, "events"), text)


def in_child(work: Callable[[], None]) -> int:
    """Do some work in another process and return its wait status."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1]


@contextmanager
def killed_before(operation: int) -> Iterator[None]:
    """Kill this process before its ``operation``-th change of a file system."""
    count = iter(range(10**6))

    def fatal(change: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            if next(count) == operation:
                os.kill(os.getpid(), signal.SIGKILL)
            return change(*arguments, **options)

        return counted

    for place, names in ((os, ("rmdir",)), (Path, ("replace", "rename", "mkdir", "rmdir", "unlink", "write_text"))):
        for name in names:
            setattr(place, name, fatal(getattr(place, name)))
    yield


def replace_by_new(folder: Path) -> None:
    with new_run(folder):
        write_run(folder, "new")


def test_a_kill_at_any_moment_of_a_replacement_leaves_a_whole_run(tmp_path: Path) -> None:
    kept, operation = [], 0
    while True:
        folder = tmp_path / str(operation)
        folder.mkdir()
        write_run(folder, "old")
        (folder / "notes.txt").write_text("the user's")

        def work(folder: Path = folder, operation: int = operation) -> None:
            with killed_before(operation):
                replace_by_new(folder)

        status = in_child(work)
        repair(folder)
        in_place, aside = contents(folder), contents(folder / PREVIOUS)
        assert (folder / "notes.txt").read_text() == "the user's"
        if not os.WIFSIGNALED(status):
            assert in_place == run_of("new") and leftover(folder) is None
            break
        if leftover(folder) is None:
            assert in_place in (run_of("old"), run_of("new"))
        else:
            assert aside == run_of("old") and set(in_place.values()) <= {"new"}
            assert str(folder / PREVIOUS) in str(leftover(folder))
            put_back(folder)
            assert contents(folder) == run_of("old")
        kept.append("aside" if aside else in_place[MODEL])
        operation += 1
    # Every state was met.
    assert {"old", "aside", "new"} == set(kept)
    assert sorted(path.name for path in folder.iterdir()) == [
        ".lock",
        CONFIGURATION,
        LAST,
        METRICS,
        MODEL,
        "notes.txt",
        TENSORBOARD,
    ]


def test_a_kill_at_any_moment_of_a_restoration_leaves_the_old_run(tmp_path: Path) -> None:
    operation = 0
    while True:
        folder = tmp_path / str(operation)
        folder.mkdir()
        write_run(folder, "old")
        with pytest.raises(KeyboardInterrupt), new_run(folder):
            write_run(folder, "new")
            raise KeyboardInterrupt

        def work(folder: Path = folder, operation: int = operation) -> None:
            with killed_before(operation):
                put_back(folder)

        status = in_child(work)
        repair(folder)
        if leftover(folder) is not None:
            put_back(folder)
        assert contents(folder) == run_of("old")
        if not os.WIFSIGNALED(status):
            break
        operation += 1
    assert operation > 5


def test_a_training_that_fails_before_it_has_a_model_gives_the_old_run_back(tmp_path: Path) -> None:
    write_run(tmp_path, "old")
    with pytest.raises(ValueError, match="wrong"), new_run(tmp_path):
        (tmp_path / CONFIGURATION).write_text("new")
        raise ValueError("wrong")
    assert contents(tmp_path) == run_of("old") and leftover(tmp_path) is None
    with pytest.raises(UsageError, match="none to put back"):
        put_back(tmp_path)


def test_the_old_run_is_dropped_when_the_interrupted_new_one_has_ended(tmp_path: Path) -> None:
    write_run(tmp_path, "old")
    with pytest.raises(KeyboardInterrupt), new_run(tmp_path):
        write_run(tmp_path, "new")
        raise KeyboardInterrupt
    assert contents(tmp_path / PREVIOUS) == run_of("old") and contents(tmp_path) == run_of("new")
    # A third one would be the end of one of them.
    with pytest.raises(UsageError, match="resume the one or restore the other first"), new_run(tmp_path):
        pass
    assert contents(tmp_path / PREVIOUS) == run_of("old") and contents(tmp_path) == run_of("new")
    with resumed_run(tmp_path):
        pass
    assert leftover(tmp_path) is None and contents(tmp_path) == run_of("new")


def test_an_attempt_without_a_model_does_not_take_the_place_of_the_last_run_that_stood(tmp_path: Path) -> None:
    write_run(tmp_path, "old")

    def dies() -> None:
        with new_run(tmp_path):
            (tmp_path / CONFIGURATION).write_text("new")
            os.kill(os.getpid(), signal.SIGKILL)

    for _ in range(2):
        in_child(dies)
        assert contents(tmp_path / PREVIOUS) == run_of("old")
    replace_by_new(tmp_path)
    assert contents(tmp_path) == run_of("new") and leftover(tmp_path) is None


# The lock


def test_a_folder_is_held_by_one_process_until_it_ends(tmp_path: Path) -> None:
    ready, end = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        with locked(tmp_path):
            os.write(ready[1], b"1")
            os.read(end[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    with pytest.raises(FileError, match=f"another training works there \\(process {child} on ") as error:
        fit(small_flow(), moons(), max_steps=1, out=tmp_path)
    assert "\n" not in str(error.value)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    # The lock of the dead is nobody's.
    assert fit(small_flow(), moons(), max_steps=1, out=tmp_path).steps == 1
    for pipe in (*ready, *end):
        os.close(pipe)


def test_a_process_may_hold_a_folder_twice_but_not_in_two_threads(tmp_path: Path) -> None:
    refused = []

    def other() -> None:
        with pytest.raises(FileError, match="another training") as error, locked(tmp_path):
            pass
        refused.append(error)

    with locked(tmp_path), locked(tmp_path / "." / ""):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(refused) == 1 and (tmp_path / ".lock").read_text() == ""
    with locked(tmp_path):
        pass


# Whose files they are


def test_files_of_two_runs_are_told_apart(tmp_path: Path) -> None:
    for name in ("one", "two"):
        fit(small_flow(), moons(), max_steps=2, out=RunFolder(tmp_path / name, {"what": "a test"}))
        RunFolder(tmp_path / name).check_identity()
    one, two = tmp_path / "one", tmp_path / "two"
    (one / MODEL).write_bytes((two / MODEL).read_bytes())
    with pytest.raises(CheckpointError, match=r"files there are of different runs \(config.json of"):
        RunFolder(one).check_identity()
    with pytest.raises(CheckpointError, match="different runs"):
        fit(small_flow(), moons(), max_steps=4, out=one, resume=True)
    # A folder keeps its identity through a resume.
    before = (two / CONFIGURATION).read_text()
    fit(small_flow(), moons(), max_steps=4, out=RunFolder(two, {"what": "a test"}), resume=True)
    assert (two / CONFIGURATION).read_text() == before
    assert pf.load(two).event_shape == (2,)


def test_a_folder_without_a_name_is_refused() -> None:
    with pytest.raises(UsageError, match="a variable that is not set"):
        fit(small_flow(), moons(), max_steps=1, out="")
