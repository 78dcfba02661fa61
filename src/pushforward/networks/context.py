"""How a context enters a network: checked, broadcast, and joined to the input."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from pushforward.errors import ShapeError


def check_context(context: Tensor | None, features: int, dim: int, owner: str) -> None:
    """Raise :class:`ShapeError` unless ``context`` has ``features`` at dimension ``dim`` (or is absent for 0)."""
    if features == 0:
        return
    if context is None:
        raise ShapeError(f"{owner} expects a context with {features} features, got none: pass context=")
    if context.dim() < -dim or context.shape[dim] != features:
        raise ShapeError(
            f"{owner} expects a context with {features} features at dimension {dim}, got shape {tuple(context.shape)}"
        )


def join_vector_context(x: Tensor, context: Tensor | None, features: int, owner: str) -> Tensor:
    """Append a context ``(..., features)`` to vectors ``(..., D)``, broadcasting over missing batch dimensions."""
    check_context(context, features, -1, owner)
    if features == 0 or context is None:
        return x
    batch = torch.broadcast_shapes(x.shape[:-1], context.shape[:-1])
    if batch != x.shape[:-1]:
        raise ShapeError(f"{owner}: the context's batch {tuple(context.shape[:-1])} does not fit {tuple(x.shape[:-1])}")
    return torch.cat([x, context.to(x.dtype).expand(*batch, -1)], dim=-1)


def join_image_context(x: Tensor, context: Tensor | None, features: int, owner: str) -> Tensor:
    """Append a context to images ``(..., C, H, W)`` as channels: an image ``(..., features, H', W')`` averaged down to
    ``H x W`` where it is larger, a vector ``(..., features)`` repeated over the pixels."""
    if features == 0 or context is None:
        check_context(context, features, -1, owner)
        return x
    planes = _as_planes(context, features, x.shape[-2:], owner)
    try:
        planes = planes.to(x.dtype).expand(*x.shape[:-3], *planes.shape[-3:])
    except RuntimeError:
        reason = f"{owner}: the context's shape {tuple(context.shape)} does not fit images {tuple(x.shape)}"
        raise ShapeError(reason) from None
    return torch.cat([x, planes], dim=-3)


def condition_on(x: Tensor, context: Tensor | None, owner: str) -> Tensor:
    """Join a context to the part ``x`` of an event (images have 3 dimensions more than their batch) that conditions
    another part. The context's batch must be that of ``x``, which tells a vector from an image."""
    if context is None:
        return x
    is_image = context.dim() == x.dim()
    return join_image_context(x, context, context.shape[-3 if is_image else -1], owner)


def trailing_dims(context: Tensor, event_shape: torch.Size) -> int:
    """Return how many of a context's dimensions are its own: 3 for an image that fits an image event, else 1."""
    fits = len(event_shape) == 3 and context.dim() >= 3 and context.shape[-2:] == event_shape[-2:]
    return 3 if fits else 1


def _as_planes(context: Tensor, features: int, plane: torch.Size, owner: str) -> Tensor:
    if context.dim() >= 3 and context.shape[-3] == features and context.shape[-2] >= plane[0]:
        if context.shape[-2:] == plane:
            return context
        pooled = F.adaptive_avg_pool2d(context.flatten(0, -4) if context.dim() > 4 else context, (plane[0], plane[1]))
        return pooled.reshape(*context.shape[:-2], *plane)
    check_context(context, features, -1, owner)
    return context[..., None, None].expand(*context.shape, *plane)
