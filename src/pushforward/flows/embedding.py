"""The embedding of a flow: a network that makes of a context what the parts take."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pushforward.errors import ShapeError, UsageError, first_line
from pushforward.kernels.example import example_of
from pushforward.kernels.modes import evaluating
from pushforward.spaces import Space


def check_embedding(embedding: nn.Module | None, context: Space | None, inner: Space | None) -> nn.Module | None:
    """Return the embedding, if the flow's context and that of its parts agree with there being one.

    Raises:
        UsageError: if they do not.
    """
    if context is not None and inner is None:
        raise UsageError(
            f"the flow was given context={tuple(context.shape)}, but none of its parts takes a context: make them with "
            f"context="
        )
    if embedding is None:
        if context != inner:
            raise UsageError(
                f"the flow's context is {context} and its parts take {inner}: give an embedding= network that leads "
                f"from one to the other"
            )
        return None
    if not isinstance(embedding, nn.Module):
        raise UsageError(f"embedding expects a module, got {embedding!r}")
    if context is None:
        raise UsageError("a flow with an embedding expects parts that take a context, got parts without one")
    _check_features(embedding, context, inner)
    return embedding


@torch.no_grad()
def _check_features(embedding: nn.Module, context: Space, inner: Space | None) -> None:
    """Ask the embedding once, in evaluation mode, what it makes of a context."""
    like = example_of(embedding)
    example = torch.zeros(2, *context.shape) if like is None else like.new_zeros(2, *context.shape)
    try:
        with evaluating(embedding):
            embedded(embedding, context.features(example), len(context.features_shape), inner)
    except ShapeError as error:
        raise UsageError(str(error)) from None
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise UsageError(
            f"the embedding cannot take contexts of shape {tuple(context.shape)}: {first_line(error)}"
        ) from error


def embedded(embedding: nn.Module, context: Tensor, dims: int, inner: Space | None) -> Tensor:
    """Apply an embedding to contexts with any batch dimensions.

    Raises:
        ShapeError: if it does not give what the parts take.
    """
    batch, own = context.shape[: context.dim() - dims], context.shape[context.dim() - dims :]
    features: Tensor = embedding(context.reshape(-1, *own))
    expected = torch.Size() if inner is None else inner.shape
    if features.shape[1:] != expected:
        raise ShapeError(
            f"the embedding must give features of shape {tuple(expected)}, as the flow's parts take them, got "
            f"{tuple(features.shape[1:])}"
        )
    return features.reshape(*batch, *features.shape[1:])
