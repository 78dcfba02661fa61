"""Beginning a run: everything is checked before the folder is touched."""

from __future__ import annotations

from pathlib import Path

from pushforward.cli.runs import plan_run
from pushforward.cli.settings import parse_settings
from pushforward.cli.work import Request, Work, first_process, seeded_flow
from pushforward.data import load_data
from pushforward.errors import UsageError
from pushforward.files import check_folder
from pushforward.training.runs import RunFolder


def started(request: Request, force: bool) -> Work:
    """The work of a new run.

    Raises:
        UsageError: the model or the data are missing or do not fit each other, or a run is there and not to be
            replaced.
        DataError: the data cannot be read.
        FileError: nothing can be written there.
    """
    if request.model is None or request.data is None:
        raise UsageError("train needs a MODEL and --data, or --resume")
    check_folder(request.out)
    if not force:
        refuse_run(request.out)
    settings = parse_settings(request.model, request.settings)
    data = load_data(request.data, request.levels)
    training = {"seed": 0, **request.training}
    run = plan_run(request.model, settings, data, request.data, request.context, training)
    return Work(run, seeded_flow(run), data, request.out)


def refuse_run(out: Path) -> None:
    """Check that no run would be written over.

    Raises:
        UsageError: there is one.
    """
    if first_process() and RunFolder(out).holds_run():
        raise UsageError(f"{out} already holds a run; --resume it, choose another --out, or --force to write over it")
