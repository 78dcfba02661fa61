"""How well a flow fits data it has not seen."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.errors import DataError
from pushforward.flows.flow import Flow
from pushforward.training.batches import take


@dataclass(frozen=True)
class Evaluation:
    """The mean log-likelihood of held-out data.

    Attributes:
        log_prob: the mean of ``log p(x)`` in nats per event; a lower bound where ``exact`` is False.
        log_prob_error: its standard error over the events.
        bits_per_dim: ``-log_prob / (D log 2)``.
        bits_per_dim_error: its standard error.
        exact: False where the flow gives a bound.
        events: how many events were scored.
    """

    log_prob: float
    log_prob_error: float
    bits_per_dim: float
    bits_per_dim_error: float
    exact: bool
    events: int


def evaluate(
    flow: Flow,
    x: Tensor,
    context: Tensor | None = None,
    *,
    importance_samples: int = 1,
    batch_size: int = 256,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Score every event of ``x`` in batches.

    Args:
        flow: what is evaluated, in evaluation mode, on the device where it is.
        x: events ``(N, ...)``.
        context: contexts ``(N, ...)``, where the flow is conditional.
        importance_samples: how many draws tighten the bound of a flow that is not exact.
        batch_size: how many events at a time.
        seed: of the draws; the global random state is left as it was.
        progress: called with the number of events done.

    Raises:
        DataError: there are no events.

    Example:
        >>> import pushforward as pf
        >>> flow = pf.Flow([pf.transforms.Elementwise(pf.scalar.Affine(), (2,))], pf.distributions.StandardNormal((2,)))
        >>> round(evaluate(flow, torch.zeros(5, 2)).log_prob, 4) == round(-math.log(2 * math.pi), 4)
        True
    """
    values = log_probs(
        flow,
        x,
        context,
        importance_samples=importance_samples,
        batch_size=batch_size,
        seed=seed,
        progress=progress,
    )
    unit = math.log(2) * math.prod(flow.event_shape)
    mean = values.mean().item()
    error = values.std(unbiased=False).item() / math.sqrt(len(values))
    return Evaluation(mean, error, -mean / unit, error / unit, flow.exact, len(values))


@torch.no_grad()
def log_probs(
    flow: Flow,
    x: Tensor,
    context: Tensor | None = None,
    *,
    importance_samples: int = 1,
    batch_size: int = 256,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Tensor:
    """``log p(x)`` of every event in float64, ``(N,)``, in batches; arguments and errors as in `evaluate`."""
    if len(x) == 0:
        raise DataError("there are no events to evaluate")
    like = next((weight for weight in flow.parameters()), torch.zeros(()))
    training = flow.training
    flow.eval()
    values = []
    devices = [like.device] if like.is_cuda else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        for rows in torch.arange(len(x)).split(batch_size):
            batch = take(x, rows).to(like)
            given = None if context is None else take(context, rows).to(like)
            values.append(flow.importance_log_prob(batch, given, importance_samples=importance_samples).double().cpu())
            if progress is not None:
                progress(int(rows[-1]) + 1)
    flow.train(training)
    return torch.cat(values)
