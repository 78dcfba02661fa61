"""Vectors in increasing order, as a constraint of ``torch.distributions``, which has none."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import biject_to, constraints
from torch.distributions.transforms import Transform


class OrderedVector(constraints.Constraint):
    """Vectors with ``x_1 < x_2 < ... < x_n``.

    Example:
        >>> OrderedVector().check(torch.tensor([[1.0, 2.0, 3.0], [1.0, 3.0, 2.0]]))
        tensor([ True, False])
    """

    event_dim = 1

    def check(self, value: Tensor) -> Tensor:
        return (value[..., 1:] > value[..., :-1]).all(-1)


ordered_vector = OrderedVector()
"""Vectors in increasing order: ``(ordered_vector, (3,))`` is a parameter of three numbers, the least first."""


class ToOrdered(Transform):
    r"""From the reals to vectors in increasing order, ``y_1 = x_1``, ``y_i = y_{i-1} + exp(x_i)``.

    Example:
        >>> ToOrdered()(torch.zeros(3))
        tensor([0., 1., 2.])
    """

    domain = constraints.real_vector
    codomain = ordered_vector
    bijective = True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ToOrdered)

    def _call(self, x: Tensor) -> Tensor:
        return torch.cat([x[..., :1], x[..., 1:].exp()], -1).cumsum(-1)

    def _inverse(self, y: Tensor) -> Tensor:
        return torch.cat([y[..., :1], y.diff(dim=-1).log()], -1)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return x[..., 1:].sum(-1)


@biject_to.register(OrderedVector)
def _(constraint: OrderedVector) -> ToOrdered:
    return ToOrdered()
