"""Beginning a run: everything is checked before the folder is touched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pushforward.cli.configuration import TABLE_MODEL
from pushforward.cli.given_labels import LABEL, count_labels
from pushforward.cli.runs import plan_run
from pushforward.cli.settings import parse_settings
from pushforward.cli.table_options import TableOptions
from pushforward.cli.work import Request, Work, first_process, seeded_flow
from pushforward.data import Dataset, load_data
from pushforward.data.labels import has_labels, load_labels
from pushforward.data.load import table_path
from pushforward.errors import UsageError
from pushforward.files import check_folder
from pushforward.models.registry import recipe_options
from pushforward.tables.recipes import suits
from pushforward.training.runs import RunFolder

if TYPE_CHECKING:
    from pushforward.cli.table_work import TableWork


def started(request: Request, force: bool) -> Work | TableWork:
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
    training = {"seed": 0, **request.training}
    if request.model == TABLE_MODEL or takes_table(request.model, request.data):
        from pushforward.cli.table_work import started_table

        if request.levels is not None:
            raise UsageError("a table has no --levels: whole numbers are counts there, see --ordinal and --categorical")
        return started_table(request.model, request.data, request.settings, request.table, training, request.out)
    settings = parse_settings(request.model, request.settings)
    data = load_data(request.data, request.levels, request.table.columns, request.table.drop)
    _check_no_table(request.model, data.name, request.table)
    labels = _count_labels(request.data, data) if request.table.context else None
    run = plan_run(request.model, settings, data, request.data, training, labels)
    return Work(run, seeded_flow(run), data, request.out)


def takes_table(model: str, data: str) -> bool:
    """Whether an estimator is what models these data: a table, by a model of vectors of real numbers. What models
    circles, spheres or categories takes the numbers of a table as they are."""
    known = set(recipe_options(model))
    whole = "shape" not in known and {"levels", "classes"} & known
    return table_path(data) is not None and "features" in known and not whole and suits(model, conditional=False)


def _count_labels(spec: str, data: Dataset) -> int:
    """How many labels the data have."""
    if not has_labels(spec):
        raise UsageError(
            f"--context {LABEL} expects data with labels of their own (digits, mnist:FOLDER, cifar10:FOLDER), and "
            f"{data.name} has none; in Python any labels are a context: pf.fit(flow, (x, labels))"
        )
    return count_labels(load_labels(spec).check(data))


def _check_no_table(model: str, data: str, table: TableOptions) -> None:
    """Refuse what can only be said of a table."""
    labels = ["--context"] if table.context == (LABEL,) else []
    said = [option for option in table.given() if option not in ("--columns", "--drop", *labels)]
    if said:
        raise UsageError(
            f"{said[0]} is for tables and continuous models of them, and this is {model} on {data}; images can have "
            f"--context {LABEL}"
        )


def refuse_run(out: Path) -> None:
    """Check that no run would be written over.

    Raises:
        UsageError: there is one.
    """
    if first_process() and RunFolder(out).holds_run():
        raise UsageError(f"{out} already holds a run; --resume it, choose another --out, or --force to write over it")
