"""Derivatives of a field in its events, inside and outside of a computation whose gradient is wanted."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pushforward.numerics import sum_event

Field = Callable[[Tensor], Tensor]


def pulled_back(field: Field, x: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``v(x)`` and ``direction^T dv/dx``, for fields that treat the events of a batch apart; both are
    differentiable where gradients are recorded.

    Reverse mode, which costs a small network a fraction of what forward mode does, and which every operation has.

    Example:
        >>> with torch.no_grad():
        ...     pulled_back(lambda x: x**2, torch.tensor([1.0, 3.0]), torch.tensor([1.0, 2.0]))
        (tensor([1., 9.]), tensor([ 2., 12.]))
    """
    recorded = torch.is_grad_enabled()
    with torch.enable_grad():
        points = x if recorded and x.requires_grad else x.detach().requires_grad_()
        value = field(points)
        if not value.requires_grad:
            return value, torch.zeros_like(x)
        (product,) = torch.autograd.grad(value, points, direction, create_graph=recorded, materialize_grads=True)
    return (value, product) if recorded else (value.detach(), product)


def with_divergence(
    field: Callable[[Tensor], Tensor], x: Tensor, directions: Tensor, event_dims: int
) -> tuple[Tensor, Tensor]:
    """Return ``v(x)`` and its divergence along orthonormal directions ``(K, *x.shape)``, of one product with each of
    them, all in one call: the field is called on ``(K, ...)`` copies of the events.

    Example:
        >>> x = torch.tensor([[1.0, 3.0]])
        >>> with torch.no_grad():
        ...     with_divergence(lambda x: x**2, x, unit_events(x, 1), 1)
        (tensor([[1., 9.]]), tensor([8.]))
    """
    values, rows = pulled_back(field, x.expand_as(directions), directions)
    # Sums over events are single precision where the events are half.
    return values[0], sum_event(rows * directions, event_dims).sum(0).to(values.dtype)


def unit_events(x: Tensor, event_dims: int) -> Tensor:
    """Return the unit vectors of the space of events, for each event of ``x``: ``(D, *x.shape)``.

    Example:
        >>> unit_events(torch.ones(5, 2), 1).shape
        torch.Size([2, 5, 2])
    """
    event = x.shape[x.dim() - event_dims :]
    basis = torch.eye(event.numel(), dtype=x.dtype, device=x.device)
    return basis.reshape(-1, *[1] * (x.dim() - event_dims), *event).expand(-1, *x.shape)
