"""How a context enters a network: declared, checked, broadcast, and joined to the input.

What a context's dimensions mean is declared when a part is made, as a number of features or a shape, and never guessed
from the sizes of a tensor: behind any batch dimensions a context has exactly the declared shape.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from pushforward.errors import DataError, ShapeError, UsageError
from pushforward.kernels.recording import is_traced
from pushforward.spaces import Space, as_context

Context = int | Sequence[int] | Space
"""A declared context: a number of features, a shape, or a space; 0 for none."""


def vector_context(context: Context, owner: str) -> Space | None:
    """Return the space of a declared context that must be a vector, None for none.

    Raises:
        UsageError: if it is an image or a sequence, which an embedding must make a vector of first.
    """
    space = as_context(context)
    if space is not None and len(space.shape) != 1:
        raise UsageError(
            f"{owner} expects a context that is a vector, got shape {tuple(space.shape)}: give the flow an embedding= "
            f"network that makes a vector of it"
        )
    return space


def image_context(context: Context, owner: str) -> Space | None:
    """Return the space of a declared context that must be a vector or an image, None for none."""
    space = as_context(context)
    if space is not None and len(space.shape) not in (1, 3):
        raise UsageError(
            f"{owner} expects a context that is a vector or an image (channels, height, width), got shape "
            f"{tuple(space.shape)}: give the flow an embedding= network that makes one of it"
        )
    return space


def image_with(context: Context, shape: Sequence[int]) -> tuple[int, int, int]:
    """Return the shape of an image with a user's context as further channels: a context that is joined to an image.

    Example:
        >>> image_with(10, (1, 8, 8)), image_with((3, 16, 16), (1, 8, 8))
        ((11, 8, 8), (4, 8, 8))
    """
    given = for_network(as_context(context))
    return shape[0] + (given if isinstance(given, int) else given[0]), shape[1], shape[2]


def for_network(context: Space | None) -> int | tuple[int, ...]:
    """Return a context as a network factory takes it: 0 for none, a number of features, or an image's shape."""
    if context is None:
        return 0
    shape = context.features_shape
    return shape[0] if len(shape) == 1 else tuple(shape)


def check_context(context: Tensor | None, space: Space | None, owner: str) -> None:
    """Check a context against the declared one.

    Raises:
        ShapeError: if a context is missing, or superfluous, or does not end in the declared shape.
    """
    if space is None:
        if context is not None:
            raise ShapeError(
                f"{owner} was made without a context and got one of shape {tuple(context.shape)}: leave it out, or "
                f"make it with context={context.shape[-1] if context.dim() else 1}"
            )
        return
    shape = space.shape
    if context is None:
        raise ShapeError(f"{owner} expects a context of shape {tuple(shape)}, got none: pass context=")
    if context.shape[max(context.dim() - len(shape), 0) :] != shape:
        raise ShapeError(
            f"{owner} expects a context of shape {tuple(shape)} behind any batch dimensions, got {tuple(context.shape)}"
        )


def check_context_values(context: Tensor | None, space: Space | None) -> None:
    """Raise :class:`DataError` if a context lies outside of its declared space, such as a category that is none."""
    if context is None or space is None or space.everywhere or is_traced():
        return
    inside = space.contains(context)
    if not bool(inside.all()):
        found = context[~inside][0].flatten()[0].item()
        raise DataError(f"a context expects points of {space}, got {found:g}")


def broadcast(x: Tensor, event_dims: int, context: Tensor, context_dims: int, owner: str) -> Tensor:
    """Return events expanded over the batch of a context: one event with many contexts, or the other way round.

    Raises:
        ShapeError: if the two batches do not fit.

    Example:
        >>> broadcast(torch.zeros(2), 1, torch.zeros(5, 3), 1, "doctest").shape
        torch.Size([5, 2])
    """
    mine, theirs = x.shape[: x.dim() - event_dims], context.shape[: context.dim() - context_dims]
    if mine == theirs:
        return x
    try:
        batch = torch.broadcast_shapes(mine, theirs)
    except RuntimeError:
        raise ShapeError(
            f"{owner} expects events and contexts whose batches broadcast, got {tuple(mine)} and {tuple(theirs)}"
        ) from None
    return x if batch == mine else x.expand(*batch, *x.shape[x.dim() - event_dims :])


def join_vector(x: Tensor, context: Tensor | None, features: int, owner: str) -> Tensor:
    """Append a context ``(..., features)`` to vectors ``(..., D)``, each broadcast over the other's batch."""
    check_context(context, as_context(features), owner)
    if context is None:
        return x
    x = broadcast(x, 1, context, 1, owner)
    return torch.cat([x, context.to(x.dtype).expand(*x.shape[:-1], -1)], dim=-1)


def join_image(x: Tensor, context: Tensor | None, shape: int | Sequence[int], owner: str) -> Tensor:
    """Append a context to images ``(..., C, H, W)`` as channels: a vector repeated over the pixels, or an image
    averaged down (or repeated up) to ``H x W``."""
    space = as_context(shape)
    check_context(context, space, owner)
    if context is None or space is None:
        return x
    x = broadcast(x, 3, context, len(space.shape), owner)
    planes = as_planes(context, len(space.shape), x.shape[-2:]).to(x.dtype)
    return torch.cat([x, planes.expand(*x.shape[:-3], *planes.shape[-3:])], dim=-3)


def as_planes(context: Tensor, dims: int, plane: torch.Size) -> Tensor:
    """Return a context, a vector (``dims`` 1) or an image (``dims`` 3), as channels of planes of a size."""
    if dims == 1:
        return context[..., None, None].expand(*context.shape, *plane)
    if context.shape[-2:] == plane:
        return context
    pooled = F.adaptive_avg_pool2d(context.reshape(-1, *context.shape[-3:]), (plane[0], plane[1]))
    return pooled.reshape(*context.shape[:-2], *plane)
