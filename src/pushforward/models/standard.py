"""What the vector models share: they begin with the standardisation of the data, and of the context."""

from __future__ import annotations

from collections.abc import Sequence

from pushforward.distributions.base import Distribution
from pushforward.flows.flow import Flow
from pushforward.networks.context import Context
from pushforward.networks.embeddings.standardised import Standardised
from pushforward.spaces import Reals, as_context
from pushforward.transforms.base import Transform
from pushforward.transforms.linear.standardisation import Standardise


def vector_flow(parts: Sequence[Transform], base: Distribution, context: Context) -> Flow:
    """Return a flow of vectors behind a standardisation, its context standardised too, both set from the data."""
    space = as_context(context)
    embedding = Standardised(space.shape) if isinstance(space, Reals) else None
    features = parts[0].domain.shape[0]
    return Flow([Standardise(features), *parts], base, context=context, embedding=embedding)
