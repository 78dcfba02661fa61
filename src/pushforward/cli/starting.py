"""Beginning a run: everything is checked before the folder is touched."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pushforward.cli.configuration import TABLE_MODEL
from pushforward.cli.runs import plan_run
from pushforward.cli.settings import parse_settings
from pushforward.cli.table_options import Interval, TableOptions
from pushforward.cli.work import Request, Work, first_process, seeded_flow
from pushforward.data import load_data
from pushforward.data.load import table_path
from pushforward.errors import UsageError
from pushforward.files import check_folder
from pushforward.models.registry import recipe_options
from pushforward.spaces import Circle, Product, Space
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
    _check_no_table(request.model, request.data, request.table)
    data = load_data(request.data, request.levels, request.table.columns, request.table.drop)
    if request.table.circular:
        settings["space"] = circles(data.columns, dict(request.table.circular))
    run = plan_run(request.model, settings, data, request.data, training)
    return Work(run, seeded_flow(run), data, request.out)


def takes_table(model: str, data: str) -> bool:
    """Whether an estimator is what models these data: a table, by a model of real vectors that a table's marginals lead
    to. Other models of vectors (of angles, of unit vectors, with bases of their own) take a table's numbers as they
    are."""
    if table_path(data) is None:
        recipe_options(model)
        return False
    from pushforward.tables.recipes import suits

    return suits(model, False)


def _check_no_table(model: str, data: str, table: TableOptions) -> None:
    """Refuse what can only be said of a table, and circles where none are modelled."""
    taken = ["--columns", "--drop", *["--circular"] * ("space" in recipe_options(model))]
    said = [option for option in table.given() if option not in taken]
    if said:
        raise UsageError(f"{said[0]} is for tables and continuous models of them, and this is {model} on {data}")


RADIANS: Interval = (-math.pi, math.pi)


def circles(columns: Sequence[str], told: Mapping[str, Interval]) -> Space:
    """The space of columns of angles, each with the ends that are told, radians from -pi to pi by default.

    Raises:
        UsageError: a circle is told of no such column.

    Example:
        >>> circles(("direction", "hour"), {"hour": (0.0, 24.0)}).shape
        torch.Size([2])
    """
    unknown = [name for name in told if name not in columns]
    if unknown:
        raise UsageError(
            f"--circular {unknown[0]}: the data have no such column, they have {', '.join(columns) or 'none'}"
        )
    ends = [told.get(name, RADIANS) for name in columns]
    return Product(*(Circle((1,), low, high) for low, high in ends if low is not None and high is not None))


def refuse_run(out: Path) -> None:
    """Check that no run would be written over.

    Raises:
        UsageError: there is one.
    """
    if first_process() and RunFolder(out).holds_run():
        raise UsageError(f"{out} already holds a run; --resume it, choose another --out, or --force to write over it")
