"""A run of a table: the folder of a fitted estimator, with what is needed to use it on other tables later."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.cli.configuration import TABLE_FORMAT, TABLE_MODEL
from pushforward.cli.terminal import say
from pushforward.data.dataset import split_order
from pushforward.data.delimited import is_missing
from pushforward.errors import CheckpointError, DataError, UsageError
from pushforward.extras import requires
from pushforward.flows.saving import MODEL
from pushforward.sklearn import FlowDensity, FlowRegressor, load
from pushforward.training.runs import RunFolder, leftover, repair
from pushforward.training.runs.folder import CONFIGURATION

with requires("tables", purpose="a model of a table"):
    import pandas as pd
    from pandas.api.types import is_object_dtype, is_string_dtype

VERSION = 1
LEAST_ROWS = 20

Estimator = FlowDensity | FlowRegressor


@dataclass(frozen=True)
class TableRun:
    """What ``config.json`` of a run of a table holds.

    Attributes:
        model: the name of a recipe, or ``table`` for the estimator's own.
        options: of the recipe.
        data: the table's absolute path.
        fingerprint: of the table's content.
        columns: those that are taken, in their order.
        targets: those of them that are modelled given the others; none where all are modelled together.
        texts: those that hold text, and are read so whatever a chunk of another table has in them.
        kinds, bounds, circular: what the user says of columns.
        training: the options of the training that were given.
    """

    model: str
    options: dict[str, Any]
    data: str
    fingerprint: str | None
    columns: tuple[str, ...]
    targets: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    kinds: dict[str, str] = field(default_factory=dict)
    bounds: dict[str, tuple[float | None, float | None]] = field(default_factory=dict)
    circular: dict[str, tuple[float | None, float | None]] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """What ``config.json`` holds beside the run's identity."""
        return {"format": TABLE_FORMAT, "version": VERSION, **asdict(self)}

    @classmethod
    def read(cls, folder: Path) -> TableRun:
        """Read ``config.json`` from the folder.

        Raises:
            CheckpointError: there is none, or it is none of a table.
        """
        path = folder / CONFIGURATION
        try:
            stored = json.loads(path.read_text())
            if stored["format"] != TABLE_FORMAT or stored["version"] != VERSION:
                raise CheckpointError(f"{path}: not the configuration of a table's run of this version of pushforward")
            return cls._from_json(stored)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{path}: damaged or foreign configuration ({error})") from error

    @classmethod
    def _from_json(cls, stored: Mapping[str, Any]) -> TableRun:
        values = {each.name: stored[each.name] for each in fields(cls)}
        for name in ("columns", "targets", "texts"):
            values[name] = tuple(values[name])
        for name in ("bounds", "circular"):
            values[name] = {column: tuple(ends) for column, ends in values[name].items()}
        return cls(**values)

    #: A table has none: whole numbers are one of the kinds of its columns.
    levels = None

    @property
    def recipe(self) -> str:
        """The name of the recipe that makes the flow."""
        return str(FlowDensity().model) if self.model == TABLE_MODEL else self.model

    @property
    def features(self) -> tuple[str, ...]:
        """The columns that the targets depend on; none where all are modelled together."""
        return tuple(name for name in self.columns if name not in self.targets) if self.targets else ()

    @property
    def modelled(self) -> tuple[str, ...]:
        """The columns that have a density."""
        return self.targets or self.columns

    def estimator(self, verbose: bool) -> Estimator:
        """The estimator, not fitted yet.

        Raises:
            UsageError: it does not take one of the options.
        """
        training = {"random_state" if name == "seed" else name: value for name, value in self.training.items()}
        options: dict[str, Any] = {"model_options": self.options, "bounds": self.bounds, "circular": self.circular}
        if self.model != TABLE_MODEL:
            options["model"] = self.model
        if self.targets:
            options["columns"] = {name: kind for name, kind in self.kinds.items() if name not in self.targets}
            options["target_columns"] = {name: kind for name, kind in self.kinds.items() if name in self.targets}
        else:
            options["columns"] = self.kinds
        given = {name: value for name, value in options.items() if value}
        return (FlowRegressor if self.targets else FlowDensity)(**given, **training, verbose=verbose)


@dataclass(frozen=True)
class FittedTable:
    """A run of a table with its fitted estimator."""

    run: TableRun
    estimator: Estimator

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that a table must have to be scored."""
        return self.run.columns

    @property
    def texts(self) -> tuple[str, ...]:
        """Those of them that are read as text."""
        return self.run.texts

    @property
    def accuracy(self) -> str:
        """How exact the log-density is."""
        return accuracy_of(self.estimator)

    def __call__(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """The log-density of each row; of the targets given the others where there are targets."""
        run = self.run
        if isinstance(self.estimator, FlowRegressor):
            return self.estimator.log_prob(frame[list(run.features)], frame[list(run.targets)])
        return self.estimator.score_samples(frame[list(run.columns)])

    def sample(self, count: int, given: pd.DataFrame | None, seed: int | np.random.RandomState | None) -> pd.DataFrame:
        """Draw rows of the modelled columns; ``given`` has one row, with values of other columns.

        Raises:
            UsageError: other columns are given than those that the targets depend on.
        """
        if isinstance(self.estimator, FlowDensity):
            if given is None:
                return self.estimator.sample(count, seed)
            return self.estimator.sample(count, seed, given=given)
        features = list(self.run.features)
        names = [] if given is None else list(given.columns)
        if given is None or set(names) != set(features):
            wanted = " ".join(f"--given {name}=VALUE" for name in features)
            raise UsageError(f"this model needs {wanted}, got {', '.join(map(str, names)) or 'none'}")
        drawn = self.estimator.sample(given[features], count, seed)
        frame = pd.DataFrame(np.asarray(drawn).reshape(count, -1), columns=list(self.run.targets)).infer_objects()
        whole = [name for name in self.run.targets if self.run.kinds.get(name) == "ordinal"]
        return frame.assign(**{name: frame[name].convert_dtypes() for name in whole})


def accuracy_of(estimator: Estimator) -> str:
    """How exact an estimator's log-density is: that of columns with cells is an integral over them."""
    flow, cells = estimator.flow_, estimator._code.noises
    return "exact" if flow is None else "exact up to quadrature" if cells else flow.accuracy.describe()


def open_table_run(folder: Path) -> FittedTable:
    """The run of a table and its fitted estimator.

    Raises:
        CheckpointError: there is no run, or its training has not come to its end yet, or a file is damaged.
    """
    repair(folder)
    kept = leftover(folder)
    if kept is not None:
        say(kept)
    run = TableRun.read(folder)
    if not (folder / MODEL).is_file():
        raise CheckpointError(
            f"{folder}: no {MODEL} there yet; finish the training with: pushforward train --resume --out {folder}"
        )
    RunFolder(folder).check_identity()
    return FittedTable(run, load(folder / MODEL))


def split_rows(path: str, frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows that an estimator is fitted to, nine tenths, and those that are left to test it, the same each time.

    Raises:
        DataError: there are too few.
    """
    if len(frame) < LEAST_ROWS:
        raise DataError(f"{path}: {len(frame)} rows are too few to fit and to test; at least {LEAST_ROWS} are needed")
    train, validation, test = split_order(len(frame))
    fitted = np.concatenate([train, validation])
    return {"train": frame.iloc[fitted], "test": frame.iloc[test]}


def text_columns(frame: pd.DataFrame) -> tuple[str, ...]:
    """The columns whose values are texts."""
    return tuple(str(name) for name, values in frame.items() if _is_text(values))


def _is_text(values: pd.Series) -> bool:
    if is_object_dtype(values.dtype):
        present = values.dropna()
        return bool(len(present)) and all(isinstance(value, str) for value in present.iloc[:1000])
    return is_string_dtype(values.dtype)


def parse_given(run: TableRun, given: Sequence[str]) -> pd.DataFrame | None:
    """``COLUMN=VALUE`` as a table of one row, its values read as those of a file are; None for nothing.

    ``COLUMN=`` is a missing value, and so is ``COLUMN=NA`` and what else stands for one in files.

    Raises:
        UsageError: it is written otherwise, or there is no such column.
    """
    values: dict[str, Any] = {}
    for item in given:
        name, equals, text = item.partition("=")
        if not equals or name not in run.columns:
            raise UsageError(f"--given takes COLUMN=VALUE of {', '.join(run.columns)}, got {item or 'nothing'}")
        values[name] = np.nan if is_missing(text) else text if name in run.texts else _plain(text)
    return pd.DataFrame({name: [value] for name, value in values.items()}) if values else None


def _plain(text: str) -> Any:
    """A number, a truth value, a date or a text, as a reader of tables takes it."""
    if text in ("True", "False"):
        return text == "True"
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return pd.to_datetime(text, format="ISO8601")
    except ValueError:
        return text
