"""Whether a fitted flow ends where its splines do, of which the weights of its own samples cannot tell."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from pushforward.flows.flow import Flow
from pushforward.scalar import ScalarBijection
from pushforward.transforms import Standardise, Transform
from pushforward.transforms.conditioning import ReachWarning
from pushforward.transforms.retracing import leaves

EDGE = 0.9
"""The share of a spline's reach beyond which a sample lies at its edge."""

MOST_AT_EDGE = 0.01
"""The share of samples that may lie there."""


def warn_of_edges(flow: Flow, samples: Tensor) -> None:
    """Warn if samples of a flow lie at the edge of where its first bijections bend them: there the posterior goes on,
    and beyond there is next to nothing of the flow."""
    part, x = _first_behind_standardisation(flow, samples)
    scalar = getattr(part, "scalar", None)
    if not isinstance(scalar, ScalarBijection) or (reach := scalar.reach) is None:
        return
    middle, half = 0.5 * (reach.low + reach.high), 0.5 * (reach.high - reach.low)
    share = ((x - middle).abs() > EDGE * half).flatten(1).any(1).to(torch.float32).mean().item()
    if share > MOST_AT_EDGE:
        warnings.warn(
            f"{share:.0%} of the flow's samples lie at the edge of ({reach.low:g}, {reach.high:g}), where its "
            f"{type(scalar).__name__} ends, and log Z misses what lies beyond: give parameters as widely spread "
            f"as the posterior by start=, or the model a greater bound",
            ReachWarning,
            stacklevel=4,
        )


@torch.no_grad()
def _first_behind_standardisation(flow: Flow, x: Tensor) -> tuple[Transform | None, Tensor]:
    """The first part that learns, and what enters it."""
    for part in leaves([flow.transform]):
        if not isinstance(part, Standardise):
            return part, x
        x = part.encode(x)
    return None, x
