"""The data of a run: found again, and known again by their fingerprint, wherever they lie now."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pushforward.cli.terminal import say
from pushforward.data.dataset import Dataset
from pushforward.data.fingerprint import from_anywhere, place, present_fingerprint
from pushforward.data.load import load_data, table_path
from pushforward.errors import DataError, UsageError
from pushforward.files import atomic_write
from pushforward.training.runs.folder import CONFIGURATION

if TYPE_CHECKING:
    from pushforward.cli.runs import Run
    from pushforward.cli.table_runs import TableRun

AnyRun = TypeVar("AnyRun", "Run", "TableRun")


def run_data(run: Run, spec: str | None = None) -> Dataset:
    """The data that a run was trained on, or others of the same kind.

    Raises:
        DataError: the run's data are no longer where they were.
    """
    if spec is None:
        check_there(run)
    return columns_of(run, spec or run.data)


def check_there(run: Run | TableRun) -> None:
    """Check that a run's own data are where they were, and say so if they have changed.

    Raises:
        DataError: they are not.
    """
    _require_there(run)
    if _differs(run, run.data):
        say(f"{run.data} has changed since the training: rows of its test part may be among those trained on")


def columns_of(run: Run, spec: str) -> Dataset:
    """Data of the kind that a run was trained on, of a table the run's columns."""
    return load_data(spec, run.levels, run.columns if table_path(spec) else ())


def going_on_with(run: AnyRun, spec: str | None, folder: Path, accept_changed: bool) -> AnyRun:
    """The run with the data that it goes on with: those that it began with, wherever they are.

    Args:
        run: as it is stored in ``folder``.
        spec: where its data are now, as `load_data` takes it; None for where they were.
        folder: of the run.
        accept_changed: whether other data will do.

    Raises:
        DataError: they are no longer where they were.
        UsageError: the data are not those that the run began with, and are not to be accepted.
    """
    if spec is None:
        _require_there(run)
    now = run.data if spec is None else from_anywhere(spec)
    other = now != run.data and (run.fingerprint is None or place(now) is None)
    if (other or _differs(run, now)) and not accept_changed:
        what = f"{now} is other data than {folder} was trained on" if now != run.data else f"{now} has changed since"
        raise UsageError(
            f"{what} (by its content): give the same data with --data, train in another folder, or go on with these by "
            "--accept-changed-data"
        )
    return replace(run, data=now, fingerprint=present_fingerprint(now))


def keep_place(folder: Path, run: Run | TableRun) -> None:
    """Store where the data of a run that has ended are now, if they are those that it was trained on.

    Raises:
        FileError: the configuration cannot be written.
    """
    path = folder / CONFIGURATION
    stored = json.loads(path.read_text())
    if stored["data"] != run.data and stored["fingerprint"] == run.fingerprint is not None:
        atomic_write(path, json.dumps({**stored, "data": run.data}, indent=2) + "\n")


def _differs(run: Run | TableRun, spec: str) -> bool:
    return run.fingerprint is not None and present_fingerprint(spec) not in (None, run.fingerprint)


def _require_there(run: Run | TableRun) -> None:
    path = place(run.data)
    if path is not None and not path.exists():
        raise DataError(f"{path}: the data of this run are no longer there; say where they are now with --data")
