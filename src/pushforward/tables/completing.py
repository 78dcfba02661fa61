"""Drawing some columns of a table given others, and filling in what is missing."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from pushforward.errors import DataWarning, UsageError
from pushforward.flows import Flow
from pushforward.tables.codes import LatentCode
from pushforward.tables.columns import Array, Mask
from pushforward.tables.conditional import Candidates, Completion
from pushforward.tables.fills import typical
from pushforward.tables.inputs import check_draws, checked_table
from pushforward.tables.random_states import check_random_state
from pushforward.tables.table import Table, check_keys, columns_of

CANDIDATES = 128
CANDIDATES_FOR_A_DRAW = 8
FEW = 5.0
SHARE_OF_ROWS = 0.05


@dataclass(frozen=True, repr=False)
class ConditionalDensity:
    """The distribution of a table's other columns given some of them, one for each row that is given.

    Attributes:
        table: the layout of the whole table.
        completion: of its rows.
        numbers: the given rows, NaN where nothing is given, ``(m, columns)``.
        unknown: which columns are to be drawn, ``(m, columns)``.
    """

    table: Table
    completion: Completion
    numbers: Array
    unknown: Mask

    def __repr__(self) -> str:
        free = np.asarray(self.unknown.any(0)).tolist()
        drawn, given = (
            ", ".join(str(name) for name, is_free in zip(self.table.names, free) if is_free == wanted)
            for wanted in (True, False)
        )
        rows = "1 row" if len(self.numbers) == 1 else f"{len(self.numbers):,} rows"
        method = f"importance resampling of {self.completion.candidates} candidates"
        return f"ConditionalDensity of {drawn} given {given} ({rows}; {method})"

    def sample(self, n_samples: int = 1, random_state: int | np.random.RandomState | None = None) -> Any:
        """Draw ``n_samples`` whole rows for each given one, ``(m * n_samples, columns)``, those of one row together.

        The draws are of the fitted joint density, by importance resampling, eight candidates for each draw and 128 at
        least.

        Raises:
            DataError: if what is given is outside the support.
        """
        check_draws(n_samples)
        rng = generator(random_state)
        each = min(n_samples, max(1, self.completion.candidates // CANDIDATES_FOR_A_DRAW))
        repeats = -(-n_samples // each)
        numbers, unknown = np.repeat(self.numbers, repeats, axis=0), np.repeat(self.unknown, repeats, axis=0)
        parts, sizes = [], []
        for found in self.completion.weighted(numbers, unknown, rng):
            codes = found.chosen(each, rng)
            parts.append(self.completion.code.decode(codes.reshape(len(codes) * each, codes.shape[-1])))
            sizes.append(found.effective_sample_sizes())
        warn_of_few(np.concatenate(sizes))
        drawn = np.concatenate(parts).reshape(len(self.numbers), repeats * each, self.numbers.shape[1])[:, :n_samples]
        rows = np.where(self.unknown[:, None], drawn, self.numbers[:, None])
        return self.table.write(rows.reshape(-1, rows.shape[-1]))

    def effective_sample_sizes(self, random_state: int | np.random.RandomState | None = None) -> Array:
        """Return for each given row how many of its candidates' worth there is, ``(m,)``: a few are too few."""
        found = self.completion.weighted(self.numbers, self.unknown, generator(random_state))
        return np.concatenate([part.effective_sample_sizes() for part in found])


class Completing:
    """An estimator of a joint density that draws what is unknown given what is known."""

    flow_: Flow | None
    random_state: Any
    _code: LatentCode
    _table: Table

    def conditional(self, given: Any, candidates: int = CANDIDATES) -> ConditionalDensity:
        """Return the density of the other columns given some of them.

        The method is importance resampling of the joint density that was fitted, with candidates from the conditional
        of its Gaussian copula (:mod:`pushforward.tables.conditional`); nothing is trained for it. Two columns of a
        mixture or a banana come out within a few hundredths of a standard deviation of the joint's own conditional.
        Where the copula is far from the flow few candidates have weight, which a warning tells; more candidates help.

        Args:
            given: ``{column: value}``, or a data frame of some of the columns with a row for each condition. A missing
                value is given as missing, an angle beyond the ends of its circle as that between them; columns are
                those by the names they were fitted with, or by position.
            candidates: for each row, a power of two.

        Raises:
            UsageError: for a column that is not there, or none left to draw.

        Example:
            >>> import numpy as np
            >>> from pushforward.sklearn import FlowDensity
            >>> X = np.random.default_rng(0).multivariate_normal([0, 5], [[1, 0.8], [0.8, 1]], 200)
            >>> density = FlowDensity(random_state=0, max_steps=50).fit(X)
            >>> density.conditional({0: 1.0})
            ConditionalDensity of 1 given 0 (1 row; importance resampling of 128 candidates)
            >>> rows = density.conditional({0: 1.0}).sample(50, random_state=0)
            >>> rows.shape, bool((rows[:, 0] == 1.0).all()), bool(abs(rows[:, 1].mean() - 5.8) < 0.3)
            ((50, 2), True, True)
        """
        check_is_fitted(self)
        numbers, unknown = given_numbers(self._table, given)
        completion = self._completion(candidates, present=False)
        return ConditionalDensity(self._table, completion, self._code.written(numbers), unknown)

    def impute(
        self,
        X: Any,
        method: str = "draw",
        random_state: int | np.random.RandomState | None = None,
        candidates: int = CANDIDATES,
    ) -> Any:
        """Return the table with its missing values filled in, given what each row has; all else is as it was.

        Values come from the conditional of the joint density given the row's other values, and given that they are
        not missing. What is missing in an identifier stays so.

        Args:
            X: a table with the columns of the fit.
            method: ``"draw"`` draws each row's values together, as multiple imputation wants it; ``"fill"`` takes the
                conditional median, of categories the most probable, around circles the mean direction.
            random_state: in place of the estimator's own.
            candidates: for each row, a power of two.

        Raises:
            UsageError: for another method.
            DataError: if a value that is there is outside the support.

        Example:
            >>> import numpy as np
            >>> from pushforward.sklearn import FlowDensity
            >>> X = np.random.default_rng(0).multivariate_normal([0, 5], [[1, 0.8], [0.8, 1]], 200)
            >>> density = FlowDensity(random_state=0, max_steps=50).fit(X)
            >>> filled = density.impute([[1.0, np.nan], [1.0, 5.0]], method="fill")
            >>> bool(abs(filled[0, 1] - 5.8) < 0.3), filled[1].tolist()
            (True, [1.0, 5.0])
        """
        check_is_fitted(self)
        if method not in ("draw", "fill"):
            raise UsageError(f"method expects 'draw' or 'fill', got {method!r}")
        X = checked_table(self, X, reset=False)  # type: ignore[arg-type]
        missing = np.stack([np.asarray(pd.isna(column)) for column in columns_of(X)], axis=1)
        rows = np.flatnonzero(missing.any(1))
        read = zip(self._table.fields, columns_of(X))
        numbers = np.stack([field.read(values) for field, values in read], axis=1)[rows]
        rng = generator(self.random_state if random_state is None else random_state)
        completion, filled, sizes = self._completion(candidates, present=True), [numbers[:0]], [np.zeros(0)]
        for found in completion.weighted(numbers, missing[rows], rng):
            sizes.append(found.effective_sample_sizes())
            if method == "draw":
                filled.append(self._code.decode(found.chosen(1, rng)[:, 0]))
            else:
                filled.append(self._typical(found))
        warn_of_few(np.concatenate(sizes))
        return with_filled(X, missing, rows, self._table.write(np.concatenate(filled)))

    def _completion(self, candidates: int, present: bool) -> Completion:
        return Completion(self.flow_, self._code, candidates, present)

    def _typical(self, found: Candidates) -> Array:
        rows, count, features = found.codes.shape
        numbers = self._code.decode(found.codes.reshape(rows * count, features)).reshape(rows, count, self._code.width)
        columns = [typical(report, numbers[..., i], found.weights) for i, report in enumerate(self._code.report)]
        return np.stack(columns, axis=1)


def given_numbers(table: Table, given: Any) -> tuple[Array, Mask]:
    """Return what is given as rows of numbers, and which columns are not.

    Raises:
        UsageError: for a column that is not there, or none left to draw.
    """
    if isinstance(given, Mapping):
        check_keys("given", given, table.names)
        given = pd.DataFrame({name: pd.Series([value]) for name, value in given.items()}, columns=list(given))
    if not isinstance(given, pd.DataFrame):
        raise UsageError(f"given expects a mapping from columns or a data frame, got {type(given).__name__}")
    check_keys("given", dict.fromkeys(given.columns), table.names)
    if len(given.columns) == len(table.names) or not len(given.columns):
        raise UsageError(f"given expects some of the columns and not all of them, got {list(given.columns)[:20]}")
    numbers, unknown = np.full((len(given), len(table.names)), np.nan), np.ones((len(given), len(table.names)), bool)
    for position, field in enumerate(table.fields):
        if field.name in given.columns:
            numbers[:, position], unknown[:, position] = field.read(given[field.name]), False
    return numbers, unknown


def with_filled(X: Any, missing: Mask, rows: Any, filled: Any) -> Any:
    """Return a copy of a table whose missing cells, in ``rows``, hold what was filled in."""
    result = X.copy()
    for position, (own, values) in enumerate(zip(columns_of(X), columns_of(filled))):
        gaps = missing[:, position]
        if not gaps.any():
            continue
        found = values[missing[rows, position]]
        if isinstance(result, pd.DataFrame):
            column = own.copy()
            column[gaps] = found.astype(own.dtype).to_numpy() if own.dtype != found.dtype else found.array
            result.isetitem(position, column)
        else:
            result[gaps, position] = found
    return result


def generator(random_state: Any) -> np.random.Generator:
    """A generator that a random state begins."""
    return np.random.default_rng(check_random_state(random_state).randint(2**31 - 1))


def warn_of_few(sizes: Array) -> None:
    """Warn where more than a twentieth of the rows rest on few candidates."""
    few = int((sizes < FEW).sum())
    if few > SHARE_OF_ROWS * len(sizes):
        warnings.warn(
            f"{few} of {len(sizes)} rows rest on fewer than {FEW:.0f} of their candidates, since the flow there is far "
            f"from the normal that they are drawn from: give candidates= a larger power of two",
            DataWarning,
            stacklevel=3,
        )
