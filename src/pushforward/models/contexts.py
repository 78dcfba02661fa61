"""What a recipe makes of a context: standardised, through an embedding, and then as the parts take it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pushforward.distributions.base import Distribution
from pushforward.errors import UsageError, first_line
from pushforward.flows.flow import Flow
from pushforward.kernels.modes import evaluating
from pushforward.networks.context import Context
from pushforward.networks.embeddings.standardised import Standardised
from pushforward.spaces import Categories, Integers, Interval, Product, Reals, Space, as_context
from pushforward.transforms.base import Transform


@dataclass(frozen=True)
class Conditioning:
    """How a flow comes by its context.

    Attributes:
        context: what users give.
        embedding: what makes of it what the parts take.
        taken: what the parts take, a number of features or an image's shape.
    """

    context: Context
    embedding: nn.Module | None
    taken: int | tuple[int, ...]

    def flow(self, parts: Sequence[Transform], base: Distribution) -> Flow:
        """The flow of these parts, which take the context as ``taken`` says."""
        return Flow(parts, base, context=self.context, embedding=self.embedding)


def conditioning(context: Context, embedding: nn.Module | None, center: float = 0.0, unit: float = 1.0) -> Conditioning:
    """Return what a recipe makes of ``context=`` and ``embedding=``.

    Numbers in the context are standardised when the flow is initialised with data, those of categories and circles are
    taken as their space shows them. How many features an embedding gives is found by running it once, on zeros.

    Args:
        context: the context as users give it: a number of features, a shape or a space; 0 for none.
        embedding: a network of the user's that is trained with the flow.
        center, unit: the scale of the numbers that the parts' networks expect.

    Raises:
        UsageError: if there is an embedding and no context, or it does not take the context.

    Example:
        >>> conditioning((1, 8, 8), nn.Sequential(nn.Flatten(), nn.Linear(64, 5))).taken
        5
    """
    space = as_context(context)
    if space is None:
        if embedding is not None:
            raise UsageError("embedding= expects context= too: the number of features or the shape of what it is given")
        return Conditioning(0, None, 0)
    seen = space.features_shape
    standardised = Standardised(seen, embedding, _numbers(space), center, unit)
    shape = tuple(seen) if embedding is None else _embedded_shape(standardised, seen)
    return Conditioning(space, standardised, shape[0] if len(shape) == 1 else shape)


def _numbers(space: Space) -> list[bool] | None:
    """For each feature of a context whether it is a number, whose location and scale mean nothing to a network; None
    where all are."""
    if isinstance(space, Product):
        parts = [(part, _numbers(part)) for part in space.spaces]
        return [each for part, only in parts for each in only or [True] * part.features_shape[0]]
    if isinstance(space, Reals | Interval) or (isinstance(space, Integers) and not isinstance(space, Categories)):
        return None
    shape = space.features_shape
    return [False] * (shape[0] if len(shape) in (1, 3) else 1)


def _embedded_shape(embedding: nn.Module, shape: torch.Size) -> tuple[int, ...]:
    """The shape of the features that an embedding makes of one context."""
    like = next((each for each in embedding.parameters() if each.is_floating_point()), torch.zeros(()))
    try:
        # Of one event, which normalisations over the batch take in evaluation alone.
        with torch.no_grad(), evaluating(embedding):
            features = embedding(torch.zeros(1, *shape, dtype=like.dtype, device=like.device))
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise UsageError(
            f"embedding= expects a module that takes contexts of shape (batch, {', '.join(map(str, shape))}), and it "
            f"fails on one: {first_line(error)}"
        ) from error
    if not isinstance(features, Tensor) or features.dim() < 2 or features.shape[0] != 1:
        got = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
        raise UsageError(f"embedding= expects a module that gives features (batch, ...), got {got} for a batch of 1")
    return tuple(features.shape[1:])
