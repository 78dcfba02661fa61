"""How a context enters a network: checked, broadcast, and joined to the input."""

from __future__ import annotations

import torch
from torch import Tensor

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
    """Append a context to images ``(..., C, H, W)`` as channels: an image ``(..., features, H, W)`` as it is, a
    vector ``(..., features)`` repeated over the pixels."""
    if features == 0 or context is None:
        check_context(context, features, -1, owner)
        return x
    is_image = context.dim() >= 3 and context.shape[-3:] == (features, *x.shape[-2:])
    if not is_image:
        check_context(context, features, -1, owner)
        context = context[..., None, None].expand(*context.shape, *x.shape[-2:])
    try:
        context = context.to(x.dtype).expand(*x.shape[:-3], *context.shape[-3:])
    except RuntimeError:
        raise ShapeError(
            f"{owner}: the context's shape {tuple(context.shape)} does not fit images {tuple(x.shape)}"
        ) from None
    return torch.cat([x, context], dim=-3)
