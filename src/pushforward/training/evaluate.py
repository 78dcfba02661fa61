"""How well a flow fits data it has not seen."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from pushforward.accuracy import Accuracy
from pushforward.distributions.base import Distribution
from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.seeds import check_seed
from pushforward.training.batches import take
from pushforward.training.inputs import read_pair

# Elements that are scored together by default, which bounds the memory, and rows, for what is gained by many.
_ELEMENTS = 2**17
_LEAST_ROWS, _MOST_ROWS = 32, 8192
DRAWS = 8
"""How many draws of a log-likelihood that is an estimate are averaged, by default."""


@dataclass(frozen=True)
class Evaluation:
    """The mean log-likelihood of held-out data.

    Attributes:
        log_prob: the mean of ``log p(x)`` in nats per event; what ``accuracy`` says.
        log_prob_error: its standard error over the events.
        bits_per_dim: ``-log_prob / (D log 2)``.
        bits_per_dim_error: its standard error.
        accuracy: what the flow's log-likelihood is: exact, a lower bound or an estimate.
        events: how many events were scored.
        draws: how many draws of an estimate were averaged; 1 of all else.
        log_prob_draws_error: the standard error of an estimate's ``log_prob`` over its draws, which more events do not
            lessen where they share what is drawn; 0 of all else.
        bits_per_dim_draws_error: that of ``bits_per_dim``.

    Example:
        >>> import pushforward as pf
        >>> flow = pf.Flow([pf.transforms.Elementwise(pf.scalar.Affine(), (2,))], pf.distributions.StandardNormal((2,)))
        >>> found = evaluate(flow, torch.randn(1000, 2))
        >>> found.events, found.accuracy.name, found.bits_per_dim == -found.log_prob / (2 * math.log(2))
        (1000, 'EXACT', True)
    """

    log_prob: float
    log_prob_error: float
    bits_per_dim: float
    bits_per_dim_error: float
    accuracy: Accuracy
    events: int
    draws: int = 1
    log_prob_draws_error: float = 0.0
    bits_per_dim_draws_error: float = 0.0


def evaluate(
    flow: Flow,
    x: Any,
    context: Any = None,
    *,
    importance_samples: int = 1,
    draws: int = DRAWS,
    batch_size: int | None = None,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Score every event of ``x`` in batches.

    Args:
        flow: what is evaluated, in evaluation mode, on the device where it is.
        x: events ``(N, ...)``, in every form that `fit` takes; of a `Dataset` of Pushforward, the test part.
        context: contexts ``(N, ...)``, where the flow is conditional and ``x`` does not bring them.
        importance_samples: how many draws tighten the bound of a flow that is not exact.
        draws: how many draws are averaged, at least 2, of a flow whose log-likelihood is an estimate.
        batch_size: how many events at a time; by default so many that little memory is needed.
        seed: of the draws; the global random state is left as it was.
        progress: called with the number of events done.

    Raises:
        UsageError: a context is missing, or there is one too many, or the seed is none, or an estimate's draws are
            fewer than two.
        ShapeError, DataError: the data do not fit the flow, or hold NaN or infinite values, or no rows.

    Example:
        >>> import pushforward as pf
        >>> flow = pf.Flow([pf.transforms.Elementwise(pf.scalar.Affine(), (2,))], pf.distributions.StandardNormal((2,)))
        >>> round(evaluate(flow, torch.zeros(5, 2)).log_prob, 4) == round(-math.log(2 * math.pi), 4)
        True
    """
    estimated = flow.accuracy is Accuracy.ESTIMATE
    if estimated and (not isinstance(draws, Integral) or draws < 2):
        raise UsageError(f"evaluate expects draws to be a whole number of at least 2, got {draws!r}")
    drawn = _drawn_log_probs(
        flow,
        x,
        context,
        importance_samples=importance_samples,
        draws=draws if estimated else 1,
        batch_size=batch_size,
        seed=seed,
        progress=progress,
    )
    values = drawn.mean(0)
    mean = values.mean().item()
    error = values.std(unbiased=False).item() / math.sqrt(len(values))
    # Events of a batch may share what is drawn, and so their errors: draws of the whole mean tell them.
    of_draws = drawn.mean(1).std().item() / math.sqrt(len(drawn)) if estimated else 0.0
    unit = math.log(2) * flow.support.dimensions
    return Evaluation(
        mean, error, -mean / unit, error / unit, flow.accuracy, len(values), len(drawn), of_draws, of_draws / unit
    )


def log_probs(
    flow: Flow,
    x: Any,
    context: Any = None,
    *,
    importance_samples: int = 1,
    batch_size: int | None = None,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Tensor:
    """``log p(x)`` of every event in float64, ``(N,)``, in batches, of an estimate one draw; arguments and errors as in
    `evaluate`."""
    drawn = _drawn_log_probs(
        flow,
        x,
        context,
        importance_samples=importance_samples,
        draws=1,
        batch_size=batch_size,
        seed=seed,
        progress=progress,
    )
    return drawn[0]


@torch.no_grad()
def _drawn_log_probs(
    flow: Flow,
    x: Any,
    context: Any,
    *,
    importance_samples: int,
    draws: int,
    batch_size: int | None,
    seed: int,
    progress: Callable[[int], None] | None,
) -> Tensor:
    """Several draws of ``log p(x)`` of every event, ``(draws, N)``."""
    if context is not None and isinstance(x, tuple):
        raise UsageError("expected contexts in a pair (events, contexts) or as context, got both")
    seed = check_seed("seed", seed)
    like = next((weight for weight in flow.parameters()), torch.zeros(()))
    events, contexts = read_pair(flow, x if context is None else (x, context), "test", like.dtype)
    rows_at_once = default_batch_size(math.prod(flow.event_shape)) if batch_size is None else batch_size
    training = flow.training
    flow.eval()
    values = []
    try:
        with torch.random.fork_rng([like.device] if like.is_cuda else []):
            torch.manual_seed(seed)
            for rows in torch.arange(len(events)).split(rows_at_once):
                batch, given, _ = take(events, contexts, rows, like.dtype)
                given = None if given is None else given.to(like.device)
                batch = batch.to(like.device)
                scores = [_log_prob(flow, batch, given, importance_samples) for _ in range(draws)]
                values.append(torch.stack(scores).double().cpu())
                if progress is not None:
                    progress(int(rows[-1]) + 1)
    finally:
        flow.train(training)
    return torch.cat(values, 1)


def _log_prob(flow: Distribution, x: Tensor, context: Tensor | None, importance_samples: int) -> Tensor:
    # A distribution by itself has nothing to draw.
    if not isinstance(flow, Flow):
        return flow.log_prob(x, context)
    return flow.importance_log_prob(x, context, importance_samples=importance_samples)


def default_batch_size(dimensions: int) -> int:
    """How many events of so many dimensions are scored together.

    Example:
        >>> default_batch_size(8), default_batch_size(28 * 28), default_batch_size(3 * 64 * 64)
        (8192, 167, 32)
    """
    return min(_MOST_ROWS, max(_LEAST_ROWS, _ELEMENTS // dimensions))
