"""Smooth activations with their slopes: an adaptive solver takes short steps at every kink."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from pushforward.errors import UsageError

Function = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Activation:
    """An activation, and the same with its derivative, which shares most of the work."""

    value: Function
    with_slope: Callable[[Tensor], tuple[Tensor, Tensor]]


def _tanh_with_slope(a: Tensor) -> tuple[Tensor, Tensor]:
    value = torch.tanh(a)
    return value, torch.addcmul(value.new_ones(()), value, value, value=-1)


def _softplus_with_slope(a: Tensor) -> tuple[Tensor, Tensor]:
    return F.softplus(a), torch.sigmoid(a)


def _silu_with_slope(a: Tensor) -> tuple[Tensor, Tensor]:
    gate = torch.sigmoid(a)
    value = a * gate
    return value, torch.lerp(value, value.new_ones(()), gate)


ACTIVATIONS = {
    "tanh": Activation(torch.tanh, _tanh_with_slope),
    "softplus": Activation(F.softplus, _softplus_with_slope),
    "silu": Activation(F.silu, _silu_with_slope),
}


def activation_named(name: str) -> Activation:
    """Return an activation by its name.

    Raises:
        UsageError: if there is none of that name.

    Example:
        >>> value, slope = activation_named("tanh").with_slope(torch.zeros(()))
        >>> value.item(), slope.item()
        (0.0, 1.0)
    """
    if name not in ACTIVATIONS:
        raise UsageError(f"a velocity expects an activation of {', '.join(ACTIVATIONS)}, got {name!r}")
    return ACTIVATIONS[name]
