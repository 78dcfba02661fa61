"""The training of a table's model: an estimator is fitted and saved, with the run's configuration beside it."""

from __future__ import annotations

import inspect
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pushforward.cli.configuration import TABLE_MODEL
from pushforward.cli.run_data import keep_place
from pushforward.cli.settings import parse_settings
from pushforward.cli.table_options import TableOptions
from pushforward.cli.table_runs import TableRun, split_rows, text_columns
from pushforward.cli.training_options import training_options
from pushforward.cli.work import Outcome
from pushforward.data.fingerprint import from_anywhere, present_fingerprint
from pushforward.data.numpy_files import NUMPY_ENDINGS, split_name
from pushforward.data.table_files import TableFile, open_array, open_table
from pushforward.errors import UsageError
from pushforward.extras import requires
from pushforward.files import atomic_write
from pushforward.flows.saving import MODEL
from pushforward.models.registry import build
from pushforward.sklearn import FlowDensity, FlowRegressor
from pushforward.tables.recipes import check_recipe
from pushforward.tables.saving import to_bytes
from pushforward.training.runs import RunFolder, new_run, resumed_run
from pushforward.training.runs.folder import IDENTITY

with requires("tables", purpose="a model of a table"):
    import pandas as pd


@dataclass(frozen=True)
class TableWork:
    """A run of a table, its rows, and its folder."""

    run: TableRun
    frame: pd.DataFrame
    out: Path
    notes: tuple[str, ...] = ()

    def fit(self, resume: bool, progress: bool) -> Outcome:
        """Fit the estimator and save it; the configuration comes first, so that a killed fit can be begun again."""
        started = time.monotonic()
        run, frame = self.run, split_rows(self.run.data, self.frame)["train"]
        estimator = run.estimator(verbose=progress)
        folder = RunFolder(self.out, run.to_json()).identified()
        with resumed_run(self.out) if resume else new_run(self.out):
            folder.write_configuration()
            if isinstance(estimator, FlowRegressor):
                estimator.fit(frame[list(run.features)], frame[list(run.targets)])
            else:
                estimator.fit(frame)
            atomic_write(self.out / MODEL, to_bytes(estimator, {IDENTITY: folder.identity}))
        rows, seconds = len(frame), time.monotonic() - started
        told = f"fitted to {rows:,} rows in {seconds:.0f} s; saved in {self.out}"
        columns = f"{estimator.columns_}\n" if isinstance(estimator, FlowDensity) else ""
        return Outcome({"run": str(self.out), "rows": rows, "seconds": round(seconds, 2)}, columns + told)

    def describe(self) -> str:
        """What is fitted to what, in a line for each thing to know."""
        run = self.run
        what = f"{', '.join(run.targets)} given {', '.join(run.features)}" if run.targets else ", ".join(run.columns)
        head = f"{run.model} on {run.data}: {len(self.frame):,} rows of {len(run.columns)} columns ({what})"
        return "\n".join([*self.notes, head])


@dataclass(frozen=True)
class MovedTable:
    """A run of a table that has ended, whose data have moved."""

    run: TableRun
    out: Path

    def fit(self, resume: bool, progress: bool) -> Outcome:
        """Store where the data are now."""
        keep_place(self.out, self.run)
        told = f"nothing was left to do: {self.out} has come to its end; its data are now {self.run.data}"
        return Outcome({"run": str(self.out), "data": self.run.data}, told)

    def describe(self) -> str:
        """What is there."""
        return f"{self.run.model} on {self.run.data}"


def started_table(
    model: str, data: str, settings: list[str], table: TableOptions, training: dict[str, Any], out: Path
) -> TableWork:
    """The work of a new run.

    Raises:
        UsageError: an option is none of an estimator.
        DataError: the data cannot be read, or are no table, or miss a column.
    """
    recipe = FlowDensity().model if model == TABLE_MODEL else model
    options = parse_settings(recipe, settings)
    check_training(training)
    check_recipe(recipe, options, conditional=bool(table.targets or table.context))
    # The recipe's own check of its options, before the data are read, which can take long.
    build(recipe, **options, features=2)
    source = open_rows(data, table)
    targets = _targets(source, table)
    _check_names(source, table)
    frame = source.read(texts=[name for name, kind in table.kinds if kind == "categorical"])
    run = TableRun(
        model,
        options,
        from_anywhere(data),
        present_fingerprint(data),
        source.names,
        targets,
        text_columns(frame),
        _whole_targets(frame, targets) | dict(table.kinds),
        dict(table.bounds),
        dict(table.circular),
        training,
    )
    run.estimator(verbose=False)
    return TableWork(run, frame, out, tuple(f"{source.path.name}: {note}" for note in source.notes))


def resumed_table(run: TableRun, out: Path) -> TableWork:
    """The work of a run that is begun again, since a fit of a table leaves nothing to go on from.

    Raises:
        UsageError: it has come to its end already.
        DataError: its data cannot be read any more.
    """
    if (out / MODEL).is_file():
        raise UsageError(
            f"{out}: this run of a table has come to its end, and a table is always fitted anew: train it again with "
            "--force in place of --resume, or with another --out"
        )
    frame = open_rows(run.data, TableOptions(run.columns)).read(texts=run.texts)
    return TableWork(run, frame, out, ("the fit of a table starts again from its beginning",))


def check_training(training: dict[str, Any]) -> None:
    """Check that an estimator takes the options of the training.

    Raises:
        UsageError: it does not.
    """
    taken = [name for name in training_options() if name in inspect.signature(FlowDensity).parameters]
    unknown = [name for name in training if name not in (*taken, "seed")]
    if unknown:
        shown = ", ".join("--" + name.replace("_", "-") for name in taken)
        raise UsageError(
            f"the models of tables choose --{unknown[0].replace('_', '-')} themselves; of the training's options they "
            f"take {shown}"
        )


def open_rows(data: str, table: TableOptions) -> TableFile:
    """The chosen columns of a table or of an array of rows.

    Raises:
        DataError: it is neither, or misses a column.
    """
    array = split_name(data)[0].suffix.lower() in NUMPY_ENDINGS
    source = open_array(data) if array else open_table(Path(data).expanduser())
    return source.choose(table.columns, table.drop)


def _targets(source: TableFile, table: TableOptions) -> tuple[str, ...]:
    if table.context:
        source.choose(table.context)
        targets = tuple(name for name in source.names if name not in table.context)
    else:
        source.choose(table.targets)
        targets = table.targets
    if (table.context and not targets) or set(targets) == set(source.names):
        raise UsageError("expected some columns that are modelled and some that they depend on")
    return targets


def _whole_targets(frame: pd.DataFrame, targets: tuple[str, ...]) -> dict[str, str]:
    """The kind of targets that are whole numbers, so that they are drawn as such."""
    return {name: "ordinal" for name in targets if pd.api.types.is_integer_dtype(frame[name].dtype)}


def _check_names(source: TableFile, table: TableOptions) -> None:
    for option, pairs in (("of a kind", table.kinds), ("--bounds", table.bounds), ("--circular", table.circular)):
        for name, _ in pairs:
            if name not in source.names:
                raise UsageError(f"{option}: there is no column {name!r}; there are {', '.join(source.names)}")
