"""From rows to a trained flow: how large, for how long, and weighted rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.distributions import StandardNormal
from pushforward.errors import DataError, UsageError
from pushforward.flows import Flow
from pushforward.models import build, recipe_options
from pushforward.tables.columns import Array
from pushforward.tables.likelihood import inner
from pushforward.tables.table import LatentCode
from pushforward.tables.whitening import fit_whitening
from pushforward.training import fit, negative_log_likelihood

ROWS_TO_VALIDATE = 20
LEAST_HELD_OUT = 20
ROWS_IN_MEMORY = 2_000_000
NOISY_ROWS = 30_000
WIDTH_FOR_THREADS = 1024


@dataclass(frozen=True)
class Size:
    """What suits a number of rows: the flow's size and the length of its training."""

    layers: int
    hidden: tuple[int, ...]
    steps: int
    batch_size: int
    learning_rate: float


def suitable_size(rows: int) -> Size:
    """Choose by the number of rows; tiny data gets a tiny flow, which cannot overfit much and trains in a moment."""
    if rows < 150:
        return Size(1, (16,), 120, 128, 1e-2)
    if rows < 1000:
        return Size(2, (32, 32), 250, 128, 1e-2)
    if rows < 4000:
        return Size(3, (64, 64), 600, 256, 5e-3)
    if rows < 50_000:
        return Size(3, (64, 64), 1200, 256, 3e-3)
    return Size(5, (128, 128), 4000, 512, 2e-3)


@dataclass(frozen=True)
class Training:
    """What the user may set of a training; None where the number of rows chooses."""

    model: str
    model_options: Mapping[str, Any] | None
    max_steps: int | None
    max_time: str | float | None
    batch_size: int | None
    learning_rate: float | None
    validation_fraction: float
    patience: int
    accelerator: str
    verbose: int

    @classmethod
    def of(cls, estimator: Any) -> Training:
        """Take the settings from an estimator's parameters of the same names."""
        return cls(**{field.name: getattr(estimator, field.name) for field in fields(cls)})


@dataclass(frozen=True)
class Rows:
    """Rows in an order of their own, with weights: what a fit depends on, and nothing else.

    A fit must not depend on the order of the rows, and a weight of 2 must be the same as the row twice, so equal rows
    are brought together first. Where weights are whole numbers the rows are then repeated, else they carry them.
    """

    values: Array
    weights: Array


def canonical_rows(values: Array, sample_weight: Array) -> Rows:
    """Bring rows into their own order.

    Raises:
        DataError: if a weight is negative or all are zero.
    """
    if (sample_weight < 0).any() or not sample_weight.sum() > 0:
        raise DataError("sample_weight expects numbers of at least 0, not all of them 0")
    kept = sample_weight > 0
    unique = np.unique(values[kept], axis=0, return_inverse=True)
    distinct, position = unique[0].astype(np.float64), unique[1]
    weights = np.bincount(position.ravel(), weights=sample_weight[kept]).astype(np.float64)
    if (weights == np.round(weights)).all() and weights.sum() <= ROWS_IN_MEMORY:
        repeated = np.repeat(distinct, weights.astype(np.int64), axis=0)
        return Rows(repeated, np.ones(len(repeated)))
    return Rows(distinct, weights)


def split_rows(count: int, fraction: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows to train on and those to validate on: the fraction, but 20 or a quarter of few rows at least.

    Of less than 20 rows all train; with a fraction of 0 all do.

    Raises:
        UsageError: if the fraction is not in [0, 1).
    """
    if not 0 <= fraction < 1:
        raise UsageError(f"validation_fraction expects a number in [0, 1), got {fraction}")
    held_out = (
        max(round(fraction * count), min(LEAST_HELD_OUT, count // 4)) if fraction and count >= ROWS_TO_VALIDATE else 0
    )
    order = np.random.default_rng(seed).permutation(count)
    return order[held_out:], order[:held_out]


def repeats_for_noise(rows: int) -> int:
    """How often rows are repeated, each time with fresh noise, so that training seldom sees a noise twice."""
    return int(np.clip(NOISY_ROWS // max(rows, 1), 2, 64))


def train_flow(
    training: Training, seed: int, code: LatentCode, values: Array, contexts: Array, weights: Array
) -> Flow | None:
    """Build a flow over the codes of rows and train it; in double precision when done, None where nothing varies.

    Args:
        training: the user's settings.
        seed: of the weights, the batches, and whatever else is drawn.
        code: of the rows.
        values: the rows ``(n, columns)``.
        contexts: ``(n, C)``, with no columns for none.
        weights: ``(n,)``.

    Raises:
        UsageError: if the model's base is not standard normal.
    """
    if code.features == 0:
        return None
    size = suitable_size(len(values))
    inner_rows, held_out = split_rows(len(values), training.validation_fraction, seed)
    rng = np.random.default_rng(seed)
    repeats = repeats_for_noise(len(values)) if code.noises else 1

    weighted = weights.min() != weights.max()
    given = np.concatenate([contexts, (weights / weights.mean())[:, None]], axis=1) if weighted else contexts

    codes, _ = code.encode(values, inner(rng.random((len(values), code.noises))))
    whitening = fit_whitening(codes, contexts, weights)

    def noisy(rows: NDArray[np.int64]) -> tuple[Tensor, Tensor | None]:
        rows = np.repeat(rows, repeats)
        codes, _ = code.encode(values[rows], inner(rng.random((len(rows), code.noises))))
        context = torch.as_tensor(given[rows], dtype=torch.float32) if given.shape[1] else None
        # Whitened in double precision: what two nearly equal columns differ by is lost in single.
        return whitening(torch.as_tensor(codes), torch.as_tensor(contexts[rows]))[0].float(), context

    options = {"features": code.features, "context": contexts.shape[1], "layers": size.layers, "hidden": size.hidden}
    known = recipe_options(training.model)
    options = {key: value for key, value in options.items() if key in known} | dict(training.model_options or {})
    steps = size.steps if training.max_steps is None else training.max_steps
    with torch.random.fork_rng(), threads_for(code.features * max(size.hidden)):
        torch.manual_seed(seed)
        flow = build(training.model, **options)
        if not isinstance(flow.base, StandardNormal):
            raise UsageError(
                f"model expects a recipe with a standard normal base, {training.model!r} has {type(flow.base).__name__}"
            )
        fit(
            WeightedFlow(flow) if weighted else flow,
            noisy(inner_rows),
            noisy(held_out) if len(held_out) else None,
            objective=weighted_negative_log_likelihood if weighted else negative_log_likelihood,
            max_steps=steps,
            max_time=training.max_time,
            batch_size=training.batch_size or size.batch_size,
            learning_rate=training.learning_rate or size.learning_rate,
            patience=training.patience if len(held_out) else None,
            validate_every=max(1, steps // 24),
            ema=0.98,
            accelerator=training.accelerator,
            seed=seed,
            progress=training.verbose > 0,
        )
    # Estimators promise the same numbers for a row alone and among others, which float32 sums do not keep.
    return Flow([whitening, flow.transform], flow.base).double()


@contextmanager
def threads_for(width: int) -> Iterator[None]:
    """Compute narrow networks in one thread: a second one gains nothing there, and on a busy machine each step waits
    for it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if width < WIDTH_FOR_THREADS else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class WeightedFlow(Flow):
    """A flow whose training contexts have each row's weight as a last column."""

    def __init__(self, flow: Flow) -> None:
        super().__init__(flow.transform, flow.base)

    def initialise(self, x: Tensor, context: Tensor | None = None) -> None:
        super().initialise(x, unweighted(context))


def weighted_negative_log_likelihood(flow: Flow, x: Tensor, context: Tensor | None = None) -> Tensor:
    """The mean of ``-w log p(x | c)``, where the last column of the context holds the weights ``w``."""
    assert context is not None
    return -(context[..., -1] * flow.log_prob(x, unweighted(context))).mean()


def unweighted(context: Tensor | None) -> Tensor | None:
    """The context without the weights, None where nothing is left."""
    return context[..., :-1] if context is not None and context.shape[-1] > 1 else None
