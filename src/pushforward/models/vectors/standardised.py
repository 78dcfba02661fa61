"""What the vector recipes share: they begin with the standardisation of the data."""

from __future__ import annotations

from collections.abc import Sequence

from pushforward.distributions import Distribution, StandardNormal
from pushforward.flows.flow import Flow
from pushforward.models.contexts import Conditioning
from pushforward.transforms import Standardise, Transform

HIDDEN = (128, 128)
"""The widths of the networks' hidden layers, by default."""


def vector_flow(
    features: int, parts: Sequence[Transform], given: Conditioning, base: Distribution | None = None
) -> Flow:
    """Return a flow behind a standardisation, onto a standard normal base unless there is another."""
    return given.flow([Standardise(features), *parts], base or StandardNormal((features,)))


def widths(hidden: int | Sequence[int]) -> Sequence[int]:
    """The widths of hidden layers; one number stands for two layers of that width."""
    return (hidden, hidden) if isinstance(hidden, int) else hidden
