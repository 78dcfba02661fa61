"""Scoring as one function from a record batch to a record batch, for every engine that moves those."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from pushforward.errors import DataError, UsageError
from pushforward.partitions.models import Array, SavedModel

LOG_PROB = "log_prob"
"""The column of the scores."""


class ScoreBatches:
    """A picklable function from the rows of a table to their log-densities, in nats and in the units of the table.

    It carries the model's bytes and opens it at the first call in a process, so workers need nothing but this library.

    Args:
        model: a flow, a fitted `FlowDensity`, or the path of a file that holds one.
        keep: columns that stand before the scores, such as the rows' names. A model that knows no names of columns
            reads all the others, in order.

    Raises:
        UsageError: a column that is kept has the name of the scores, or the model is none of these.
        CheckpointError: there is no readable model at the path.

    Example:
        >>> import pushforward as pf
        >>> score = ScoreBatches(pf.build("realnvp", features=2), keep=["id"])
        >>> score(pa.RecordBatch.from_pydict({"id": [7, 8], "a": [0.0, 1.0], "b": [0.5, 0.5]})).schema.names
        ['id', 'log_prob']
    """

    def __init__(self, model: Any, keep: Sequence[str] = ()) -> None:
        if LOG_PROB in keep:
            raise UsageError(f"keep: {LOG_PROB!r} is the name of the scores; rename the column of the table")
        self.model, self.keep = SavedModel.of(model), tuple(keep)

    @property
    def columns(self) -> list[str] | None:
        """What is to be read of a table; None for all of it."""
        wanted = self.model.open().columns
        return None if wanted is None else list(dict.fromkeys((*self.keep, *wanted)))

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The scores of a record batch, after the columns that are kept.

        Raises:
            DataError: a column is missing, or holds what the model cannot score.
        """
        kept = _selected(batch, self.keep)
        scores = self._scores(batch.to_pandas())
        return pa.RecordBatch.from_arrays(
            [*kept.columns, pa.array(scores, pa.float64())],
            schema=kept.schema.append(pa.field(LOG_PROB, pa.float64(), nullable=False)).remove_metadata(),
        )

    def frames(self, frames: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        """The same from data frames to data frames, as Spark's ``mapInPandas`` hands them over."""
        for frame in frames:
            missing = [name for name in self.keep if name not in frame.columns]
            if missing:
                raise _lacking(missing, list(frame.columns))
            yield frame[list(self.keep)].assign(**{LOG_PROB: self._scores(frame)})

    def _scores(self, frame: pd.DataFrame) -> Array:
        model = self.model.open()
        names = [name for name in frame.columns if name not in self.keep] if model.columns is None else model.columns
        missing = [name for name in names if name not in frame.columns]
        if missing:
            raise _lacking(missing, list(frame.columns))
        return model.log_density(frame[list(names)]) if len(frame) else np.empty(0)


def _selected(batch: pa.RecordBatch, names: Sequence[str]) -> pa.RecordBatch:
    missing = [name for name in names if name not in batch.schema.names]
    if missing:
        raise _lacking(missing, batch.schema.names)
    return batch.select(list(names))


def _lacking(missing: Sequence[str], found: Sequence[str]) -> DataError:
    return DataError(f"expected a column {missing[0]!r}, found {', '.join(map(str, found))}")
