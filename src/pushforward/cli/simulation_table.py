"""Tables of simulations: parameters and what a simulator gave for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pushforward.cli.scoring import opened
from pushforward.data.table_files import TableFile
from pushforward.data.tables import numbers, numeric
from pushforward.errors import DataError, UsageError
from pushforward.extras import requires

if TYPE_CHECKING:
    import pandas as pd

#: Fewer simulations teach nothing and leave none to calibrate with.
FEWEST = 100
#: As many steps of single precision, in which flows learn, as a column's deviation has at least.
FINEST = 100


@dataclass(frozen=True)
class Simulations:
    """Parameters and what was simulated with them.

    Attributes:
        theta: ``(N, D)``.
        x: ``(N, F)``, NaN where a value is missing.
        parameters, observations: the names of their columns.
    """

    theta: Tensor
    x: Tensor
    parameters: tuple[str, ...]
    observations: tuple[str, ...]

    def at(self, rows: Tensor) -> Simulations:
        """Some of them."""
        return Simulations(self.theta[rows], self.x[rows], self.parameters, self.observations)


def read_simulations(path: str, parameters: tuple[str, ...], observations: tuple[str, ...]) -> Simulations:
    """Read a table; without names of observations they are all other columns.

    Raises:
        UsageError: if names are not two sets of columns.
        DataError: if the table cannot be read, misses a column, has too few rows, or a column is constant, varies
            less than single precision tells, or holds something else than numbers; a value of an observation may be
            missing.
    """
    table = opened(path)
    others = observations or tuple(name for name in table.names if name not in parameters)
    named = (*parameters, *others)
    if not parameters or not others or len(set(named)) < len(named):
        raise UsageError(
            f"{path}: expected columns of parameters and others of observations, each of them once, got parameters "
            f"{', '.join(parameters) or 'none'} and observations {', '.join(others) or 'none'}"
        )
    read = table.choose(named).read()
    if len(read) < FEWEST:
        raise DataError(f"{path}: expected at least {FEWEST} simulations, got {len(read)}")
    _check_numbers(path, read, named)
    theta = numeric(table.path, read, parameters, np.float64)
    x = _observed(table, read, others)
    for name, values in zip(named, np.hstack([theta, x]).T, strict=True):
        there = values[~np.isnan(values)]
        if not len(there) or (there == there[0]).all():
            what = f"is {there[0]:g} in all simulations" if len(there) else "has no values"
            raise DataError(f"{path}: expected columns that vary, but {name!r} {what}; leave it out, by --observations")
        check_precision(path, name, there)
    return Simulations(torch.from_numpy(theta), torch.from_numpy(x), parameters, others)


def check_precision(path: str, name: str, values: np.ndarray) -> None:
    """Check that single precision tells a column's values apart.

    Raises:
        DataError: if it does not.
    """
    # Rounding may leave nothing of them, or infinity.
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        step = float(np.spacing(np.float32(np.abs(values).max())))
        fine = FINEST * step <= values.std()
    if not fine:
        raise DataError(
            f"{path}: column {name!r} goes from {values.min():.10g} to {values.max():.10g}, more finely than single "
            "precision tells; subtract a constant from it, or scale it"
        )


def read_observation(path: Path, row: int, columns: tuple[str, ...]) -> Tensor:
    """Read one row ``(F,)`` of a table of what was observed.

    Raises:
        DataError: if the table cannot be read, or misses a column.
        UsageError: if there is no such row.
    """
    table = opened(path)
    x = _observed(table, table.choose(columns).read(), columns)
    check_row(path, row, len(x))
    return torch.from_numpy(x[row])


def check_row(source: object, row: int, count: int) -> None:
    """Check that a table has a row.

    Raises:
        UsageError: if it has not.
    """
    if row >= count:
        raise UsageError(f"{source}: expected --row below {count}, its number of rows, got {row}")


def _check_numbers(path: str, frame: pd.DataFrame, columns: tuple[str, ...]) -> None:
    """Check that columns hold numbers, and say how to leave out one that does not."""
    with requires("data", purpose="a table"):
        from pandas.api.types import is_numeric_dtype

    for name in columns:
        if not is_numeric_dtype(frame[name]):
            raise DataError(
                f"{path}: expected columns of numbers, but {name!r} holds something else: leave it out, by naming "
                f"those that the simulator gave in --observations, or encode it by numbers"
            )


def _observed(table: TableFile, frame: object, columns: tuple[str, ...]) -> np.ndarray:
    x = numbers(table.path, frame, columns, np.float64)
    if np.isinf(x).any():
        row, place = np.argwhere(np.isinf(x))[0]
        raise DataError(
            f"{table.path}: column {columns[place]!r} is infinite (row {row}); leave it empty where it is missing"
        )
    return x
