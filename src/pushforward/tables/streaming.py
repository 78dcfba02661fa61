"""Fitting an estimator to a table that is larger than memory: its columns on a sample of rows, its flow on all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from pandas.api import types
from sklearn.base import clone
from torch import Tensor

from pushforward.data.streams import ParquetStream
from pushforward.errors import DataError, UsageError
from pushforward.flows import Flow
from pushforward.tables.fitting import Training, threads_for
from pushforward.tables.kinds import FEWEST_NUMBERS
from pushforward.tables.quadrature import inner
from pushforward.tables.random_states import check_random_state
from pushforward.tables.sizes import suitable_size
from pushforward.tables.whitening import Whitening, whitening_of
from pushforward.training import fit
from pushforward.training.objectives import objective_of_model

ROWS_FOR_COLUMNS = 200_000
"""The standard error of a quantile of so many rows is below a thousandth of the column's spread."""


def fit_to_stream(density: Any, stream: ParquetStream) -> None:
    """Fit a `FlowDensity` to all rows of a stream, in bounded memory.

    The columns (kinds, marginal distributions, linear dependence) are fitted to a random sample of rows, and the flow
    is trained on the whole, with fresh noise in discrete columns whenever a row is read, and validated on the row
    groups that the stream holds out.

    Raises:
        UsageError: the stream has contexts, which a joint density has not.
        DataError: a file cannot be read, or the columns cannot be modelled.
    """
    if stream.context:
        raise UsageError(f"a density is of all columns together, and this stream has the context {stream.context}")
    seed = int(check_random_state(density.random_state).randint(2**31 - 1))
    sample = stream.sample(ROWS_FOR_COLUMNS, seed).reset_index(drop=True)
    # A step of training sets up what the flow is made of.
    kinds = _with_identifiers(density.columns, sample, stream)
    once = clone(density).set_params(max_steps=1, max_time=None, validation_fraction=0)
    start = once.set_params(columns=kinds, random_state=seed).fit(sample)
    options = density.get_params(deep=False)
    vars(density).update({name: value for name, value in vars(start).items() if name not in options})
    if start._code.features < 2:
        # The marginal distribution of a single column is its density, and there is no flow to train.
        return
    training, size = Training.of(density), suitable_size(stream.rows, start._code.features)
    steps = size.steps if training.max_steps is None else training.max_steps
    whitening = whitening_of(start.flow_)
    flow = start.flow_.base.float()
    with torch.random.fork_rng(), threads_for(density.n_features_in_ * max(size.hidden)):
        torch.manual_seed(seed)
        fit(
            flow,
            stream.mapped(_codes(start, whitening, seed)),
            objective=objective_of_model(density.model, flow),
            max_steps=steps,
            max_time=training.max_time,
            batch_size=_whole(size.batch_size if training.batch_size is None else training.batch_size, stream.shards),
            learning_rate=size.learning_rate if training.learning_rate is None else training.learning_rate,
            patience=training.patience if stream.held_out is not None else None,
            validate_every=max(1, steps // 24),
            ema=0.98,
            compile=training.compile,
            accelerator=training.accelerator,
            seed=seed,
            progress=training.verbose > 0,
        )
    density.flow_ = Flow([whitening], flow).double()


def _with_identifiers(
    kinds: Mapping[Any, str] | str | None, sample: pd.DataFrame, stream: ParquetStream
) -> Mapping[Any, str] | str | None:
    """The declared kinds, and that integers which number the rows of the stream are identifiers.

    A sample of these has gaps; what tells them is that all differ though they lie no further apart than there are rows.
    """
    if isinstance(kinds, str) or len(sample) < FEWEST_NUMBERS:
        return kinds
    rows = stream.rows + (stream.held_out.rows if stream.held_out is not None else 0)
    found = {
        name: "id"
        for name, values in sample.items()
        if types.is_integer_dtype(values.dtype)
        and values.notna().all()
        and values.is_unique
        and int(values.max()) - int(values.min()) < rows
    }
    return {**found, **(kinds or {})}


def _codes(density: Any, whitening: Whitening, seed: int) -> Callable[[pd.DataFrame], tuple[Tensor, None]]:
    """What the flow is trained on, of a frame of rows: their codes without linear dependence."""
    rng = np.random.default_rng(seed)

    def codes(frame: pd.DataFrame) -> tuple[Tensor, None]:
        numbers = density._code.draw_images(density._table.read(frame), rng)
        drawn, log_du = density._code.encode(numbers, inner(rng.random((len(numbers), density._code.noises))))
        # What the sample of rows did not hold, a rare category say, has no code: other rows stand in for such ones.
        known = np.flatnonzero(np.isfinite(log_du))
        if len(known) == 0:
            raise DataError(
                "no row of a row group is like the sample that the columns were fitted to: shuffle the files"
            )
        drawn = np.where(np.isfinite(log_du)[:, None], drawn, drawn[rng.choice(known, len(drawn))])
        white = whitening.encode(torch.as_tensor(drawn))
        assert isinstance(white, Tensor)
        return white, None

    return codes


def _whole(batch_size: int, shards: int) -> int:
    """The batch size that is a multiple of the shards."""
    return max(1, batch_size // shards) * shards
