"""Training where a run stands already: the old one is set aside whole and dropped when the new one has ended.

At every moment a kill leaves one of these: the old run in its place; the old run partly in ``.moving``, which the next
command moves back (`repair`); the new run in its place and the old one, a whole run folder itself, in ``.previous``.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from pushforward.errors import UsageError
from pushforward.files import unwritable
from pushforward.training.runs.checkpoints import checkpoint_step
from pushforward.training.runs.folder import FILES, LAST, MODELS, RunFolder
from pushforward.training.runs.lock import locked

PREVIOUS = ".previous"
_MOVING = ".moving"
_DROPPED = ".dropped"


@contextmanager
def new_run(folder: Path) -> Iterator[None]:
    """Hold a folder for a new run; one that is there comes back if the new one fails before it has anything to show.

    An old run is kept in ``.previous`` until the block ends without an error: an interrupted or failed training keeps
    both. One that fails before its first checkpoint leaves nothing, since it would fail again; an interrupted one
    leaves its configuration, to begin again with.

    Raises:
        UsageError: a run that is to replace another has not ended.
        FileError: another process trains there, or nothing can be written.
    """
    with locked(folder):
        repair(folder)
        _set_aside(folder)
        try:
            yield
        except BaseException as error:
            if (folder / PREVIOUS).exists() and not _stands(folder):
                put_back(folder)
            elif isinstance(error, Exception) and not RunFolder(folder).holds_run():
                _remove(folder)
            raise
        _drop_previous(folder)


@contextmanager
def resumed_run(folder: Path) -> Iterator[None]:
    """Hold a folder for going on with its run; a run that it is to replace is dropped if it ends without an error.

    Raises:
        FileError: another process trains there, or nothing can be written.
    """
    with locked(folder):
        repair(folder)
        yield
        _drop_previous(folder)


def repair(folder: Path) -> None:
    """Finish what a killed process began: move a run back that was half set aside, delete one that was dropped.

    Raises:
        FileError: another process trains there, or the files cannot be moved.
    """
    if not any((folder / name).exists() for name in (_MOVING, _DROPPED)):
        return
    with locked(folder):
        shutil.rmtree(folder / _DROPPED, ignore_errors=True)
        moving = folder / _MOVING
        if moving.exists():
            _move(moving, folder)
            moving.rmdir()


def put_back(folder: Path) -> None:
    """Drop what stands in a folder for the run that was set aside there.

    Raises:
        UsageError: none was.
        FileError: another process trains there, or the files cannot be moved.
    """
    with locked(folder):
        repair(folder)
        previous = folder / PREVIOUS
        if not previous.exists():
            raise UsageError(f"{folder}: no earlier run was set aside there, so there is none to put back")
        _remove(folder)
        previous.rename(folder / _MOVING)
        repair(folder)


def leftover(folder: Path) -> str | None:
    """What is to be said of a run that was set aside in a folder and is still there."""
    if not (folder / PREVIOUS).exists():
        return None
    return (
        f"{folder}: the run that stood there before is kept in {folder / PREVIOUS} until the new training comes to its "
        f"end (pushforward train --resume --out {folder}); pushforward train --restore --out {folder} brings it back"
    )


def _set_aside(folder: Path) -> None:
    if not any((folder / name).exists() for name in FILES):
        return
    if not _stands(folder):
        # An attempt that came to nothing; what may lie in `.previous` is still the last run that stood.
        _remove(folder)
        return
    if (folder / PREVIOUS).exists():
        raise UsageError(
            f"{folder}: the training there has not ended, and the run that it is to replace is in {folder / PREVIOUS}: "
            "resume the one or restore the other first, or choose another folder"
        )
    moving = folder / _MOVING
    moving.mkdir()
    try:
        _move(folder, moving)
        moving.rename(folder / PREVIOUS)
    except BaseException:
        repair(folder)
        raise


def _stands(folder: Path) -> bool:
    """Whether a run has come to a model, or to a checkpoint of a step that was taken."""
    return any((folder / name).exists() for name in MODELS) or checkpoint_step(folder / LAST) > 0


def _move(source: Path, target: Path) -> None:
    for path in [source / name for name in FILES if (source / name).exists()]:
        try:
            path.replace(target / path.name)
        except OSError as error:
            raise unwritable(target / path.name, error) from error


def _remove(folder: Path) -> None:
    for path in [folder / name for name in FILES]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _drop_previous(folder: Path) -> None:
    previous = folder / PREVIOUS
    if previous.exists():
        previous.rename(folder / _DROPPED)
        repair(folder)


def held(folder: RunFolder | None, resume: bool, first: bool) -> AbstractContextManager[None]:
    """The run folder, where there is one, held for a training by the first of its processes."""
    if folder is None or not first:
        return nullcontext()
    return resumed_run(folder.path) if resume else new_run(folder.path)
