"""From rows to a trained flow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.distributions import StandardNormal
from pushforward.flows import Flow
from pushforward.tables.calibrating import calibrated
from pushforward.tables.codes import LatentCode
from pushforward.tables.columns import Array
from pushforward.tables.latents import given
from pushforward.tables.quadrature import inner
from pushforward.tables.recipes import build_flow, check_recipe
from pushforward.tables.rows import repeats_for_noise, split_rows
from pushforward.tables.sizes import Size, suitable_size
from pushforward.tables.weighting import WeightedFlow, objective_of_rows
from pushforward.tables.whitening import Whitening, fit_whitening
from pushforward.training import fit
from pushforward.training.objectives import Objective

WIDTH_FOR_THREADS = 1024
VALIDATIONS = 24
"""How many there are of in the course of a training that is not cut short."""

REPEATS_HELD_OUT = 4
"""How often rows that are validated on are repeated at most, each time with fresh noise: rows vary more than noise."""

Pair = tuple[Tensor, Tensor | None]


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
    compile: bool | Literal["auto"]
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

    The codes of a single column without a context are standard normals already, by its marginal distribution: they get
    a flow that changes nothing, and no training, which could only add noise.

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
    conditional = contexts.shape[1] > 0
    check_recipe(training.model, training.model_options, conditional)
    if code.features == 0:
        return None
    if code.features == 1 and not conditional:
        identity = Whitening(torch.eye(1), torch.zeros(1, 0), torch.zeros(1))
        return Flow([identity], StandardNormal((1,))).double()
    size = suitable_size(len(values), code.features, conditional)
    rng = np.random.default_rng(seed)
    repeats = repeats_for_noise(len(values)) if code.noises else 1

    weighted = weights.min() != weights.max()
    with_weights = np.concatenate([contexts, (weights / weights.mean())[:, None]], axis=1) if weighted else contexts

    codes, _ = code.encode(code.draw_images(values, rng), inner(rng.random((len(values), code.noises))))
    whitening = fit_whitening(codes, contexts, weights)

    def noisy(rows: NDArray[np.int64]) -> tuple[Pair, float]:
        codes, log_du = code.encode(code.draw_images(values[rows], rng), inner(rng.random((len(rows), code.noises))))
        context = given(with_weights[rows])
        # Whitened in double precision: what two nearly equal columns differ by is lost in single.
        white, log_det = whitening(torch.as_tensor(codes), given(contexts[rows]))
        log_volume = -float(np.average(log_du + log_det.numpy(), weights=weights[rows]))
        return (white.float(), None if context is None else context.float()), log_volume

    inner_rows, held_out_rows = split_rows(len(values), training.validation_fraction, seed)
    held_out_repeats = min(repeats, REPEATS_HELD_OUT)
    held_out_rows = np.repeat(held_out_rows, held_out_repeats)
    train, log_volume = noisy(np.repeat(inner_rows, repeats))
    # The loss is shown in the data's own units, best of all on the rows that are validated on.
    held_out, log_volume = noisy(held_out_rows) if len(held_out_rows) else (None, log_volume)
    with torch.random.fork_rng(), threads_for(code.features * max(size.hidden)):
        torch.manual_seed(seed)
        flow = build_flow(training.model, training.model_options, size, code.features, contexts.shape[1])
        objective = objective_of_rows(flow, log_volume, weighted)
        model = WeightedFlow(flow) if weighted else flow
        flow = _trained(training, size, model, objective, train, held_out, seed)
    if held_out is not None:
        counts = (weights / weights.mean())[held_out_rows] / held_out_repeats
        flow = calibrated(flow, held_out[0], given(contexts[held_out_rows]), counts)
    # Estimators promise the same numbers for a row alone and among others, which float32 sums do not keep.
    return Flow([whitening], flow).double()


def _trained(
    training: Training, size: Size, model: Flow, objective: Objective, train: Pair, held_out: Pair | None, seed: int
) -> Flow:
    """Train, and return the flow; the one that it began as where no validation was better than that."""
    untrained = deepcopy(model).eval()
    steps = size.steps if training.max_steps is None else training.max_steps
    result = fit(
        model,
        train,
        held_out,
        objective=objective,
        max_steps=steps,
        max_time=training.max_time,
        batch_size=size.batch_size if training.batch_size is None else training.batch_size,
        learning_rate=size.learning_rate if training.learning_rate is None else training.learning_rate,
        patience=None if held_out is None else training.patience,
        validate_every=max(1, steps // VALIDATIONS),
        ema=0.98,
        compile=training.compile,
        accelerator=training.accelerator,
        seed=seed,
        progress=training.verbose > 0,
    )
    if held_out is not None and result.best_validation is not None:
        with torch.no_grad():
            if objective(untrained, *held_out) <= result.best_validation:
                model = untrained
    return Flow(model.transform, model.base, context=model.context or 0, embedding=model.embedding)


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
