"""From rows to a trained flow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.flows import Flow
from pushforward.tables.codes import LatentCode
from pushforward.tables.columns import Array
from pushforward.tables.latents import given
from pushforward.tables.quadrature import inner
from pushforward.tables.recipes import build_flow, check_recipe, suitable_size
from pushforward.tables.rows import repeats_for_noise, split_rows
from pushforward.tables.weighting import WeightedFlow, weighted_negative_log_likelihood
from pushforward.tables.whitening import fit_whitening
from pushforward.training import fit, negative_log_likelihood

WIDTH_FOR_THREADS = 1024


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
    verbose: int | bool

    @classmethod
    def of(cls, estimator: Any) -> Training:
        """Take the settings from an estimator's parameters of the same names."""
        return cls(**{field.name: getattr(estimator, field.name) for field in fields(cls)})


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
        UsageError: if the model does not fit a table.
    """
    check_recipe(training.model, training.model_options, contexts.shape[1] > 0)
    if code.features == 0:
        return None
    size = suitable_size(len(values))
    inner_rows, held_out = split_rows(len(values), training.validation_fraction, seed)
    rng = np.random.default_rng(seed)
    repeats = repeats_for_noise(len(values)) if code.noises else 1

    weighted = weights.min() != weights.max()
    with_weights = np.concatenate([contexts, (weights / weights.mean())[:, None]], axis=1) if weighted else contexts

    codes, _ = code.encode(code.draw_images(values, rng), inner(rng.random((len(values), code.noises))))
    whitening = fit_whitening(codes, contexts, weights)

    def noisy(rows: NDArray[np.int64]) -> tuple[Tensor, Tensor | None]:
        rows = np.repeat(rows, repeats)
        codes, _ = code.encode(code.draw_images(values[rows], rng), inner(rng.random((len(rows), code.noises))))
        context = given(with_weights[rows])
        # Whitened in double precision: what two nearly equal columns differ by is lost in single.
        white = whitening.encode(torch.as_tensor(codes), given(contexts[rows]))
        return white.float(), None if context is None else context.float()

    steps = size.steps if training.max_steps is None else training.max_steps
    with torch.random.fork_rng(), threads_for(code.features * max(size.hidden)):
        torch.manual_seed(seed)
        flow = build_flow(training.model, training.model_options, size, code.features, contexts.shape[1])
        fit(
            WeightedFlow(flow) if weighted else flow,
            noisy(inner_rows),
            noisy(held_out) if len(held_out) else None,
            objective=weighted_negative_log_likelihood if weighted else negative_log_likelihood,
            max_steps=steps,
            max_time=training.max_time,
            batch_size=size.batch_size if training.batch_size is None else training.batch_size,
            learning_rate=size.learning_rate if training.learning_rate is None else training.learning_rate,
            patience=training.patience if len(held_out) else None,
            validate_every=max(1, steps // 24),
            ema=0.98,
            accelerator=training.accelerator,
            seed=seed,
            progress=training.verbose > 0,
        )
    # Estimators promise the same numbers for a row alone and among others, which float32 sums do not keep.
    return Flow([whitening], flow).double()


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
