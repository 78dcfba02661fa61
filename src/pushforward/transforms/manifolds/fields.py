r"""Scalar fields on spheres whose gradients an exponential map can follow.

All are convex combinations of fields of one center each, ``phi(x) = sum_i w_i f(x . mu_i; s_i)`` with ``w_i >= 0`` and
``sum_i w_i < 1``, in which ``f`` alone moves points along the great circles through its center without ever letting one
overtake another. Such potentials are convex in the sense of optimal transport (``c``-convex, of the cost of half the
squared distance), and so are their convex combinations on a sphere (Sei 2013; Figalli, Rifford, Villani 2010): the map
of the combination is a bijection too.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from pushforward.numerics import bounded
from pushforward.parts import Part

MAX_WEIGHT = 0.95
"""The most that the weights of all centers are together: the map shrinks no length by more than what is left."""

SMALL, TERMS = 0.05, 12
"""Where a series takes the place of ``atan(w) / w``, and its terms: the first left out is below 1e-17."""


class ScalarField(Part):
    r"""A family of potentials ``f(c; s)`` of the cosine ``c = x . mu`` of the angle to a center.

    To write one, derive from this class and write :meth:`slopes`.

    Shapes: the cosines ``c`` and the parameters ``s`` are of one shape, and so are the slopes.

    Source: Sei (2013), A Jacobian inequality for gradient maps on the sphere and its application to directional
    statistics; Rezende et al. (2020), arXiv:2002.02428, section 2.3.2.

    Example:
        >>> import pushforward as pf
        >>> isinstance(pf.transforms.ExponentialField(), ScalarField)
        True
    """

    @abstractmethod
    def slopes(self, cosine: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``f'(c)`` and ``f''(c)``, given the unconstrained parameter that a network emits for each center.

        Every ``t - sin(t) f'(cos t)`` must increase from 0 to pi, which is what an angle ``t`` to the center becomes.
        """


class ExponentialField(ScalarField):
    r"""``f(c; s) = exp(s (c - 1)) / s`` with ``s > 0``: points are drawn to the center from within about ``1 /
    sqrt(s)``.

    Shapes: the cosines ``c`` and the parameters ``s`` are of one shape, and so are the slopes.

    Source: Sei (2013), A Jacobian inequality for gradient maps on the sphere and its application to directional
    statistics; Rezende et al. (2020), arXiv:2002.02428, section 2.3.2.

    Example:
        >>> [each.item() for each in ExponentialField().slopes(torch.tensor(1.0), torch.tensor(0.0))]
        [1.0, 1.0]
    """

    MAX_LOG_STRENGTH = 5.0

    def slopes(self, cosine: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
        strength = torch.exp(bounded(raw, self.MAX_LOG_STRENGTH))
        slope = torch.exp(strength * (cosine - 1.0))
        return slope, strength * slope


class ConformalField(ScalarField):
    r"""The potential whose map is a Moebius map of the sphere, ``tan(t' / 2) = (1 - k) / (1 + k) tan(t / 2)`` for the
    angle ``t`` to the center, with ``-1 < k < 1``: a Cayley transform, which draws all points to the center or drives
    them away.

    ``f'(c) = 2 atan(w) / sin t`` with ``w = k sin t / (1 + k cos t)``.

    Source: Kato, McCullagh (2020), Some properties of a Cauchy family on the sphere derived from the Moebius
    transformations, arXiv:1510.07679 (the maps); as a potential it is ours.

    Example:
        >>> slope, _ = ConformalField().slopes(torch.tensor(0.0), torch.tensor(1.0))
        >>> k = 0.9 * torch.tanh(torch.tensor(1.0))
        >>> bool(torch.isclose(slope, 2 * torch.atan(k)))
        True
    """

    MAX_SHIFT = 0.9

    def slopes(self, cosine: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
        k = self.MAX_SHIFT * torch.tanh(raw)
        scale = 1.0 / (1.0 + k * cosine)
        # w^2, and what it changes by with the cosine.
        squared = (k * scale).square() * (1.0 - cosine.square()).clamp_min(0.0)
        change = -2.0 * k.square() * (cosine + k) * scale.pow(3)
        ratio, ratio_slope = _atan_ratio(squared)
        slope = 2.0 * k * scale * ratio
        return slope, 2.0 * k * scale * (ratio_slope * change - k * scale * ratio)


class EvenField(ScalarField):
    r"""A field with a second center at each center's antipode, ``g(c; s) = (f(c; s) + f(-c; s)) / 2``.

    Its map moves antipodes to antipodes, so that a density that is the same at both stays so: of axes, and of rotations
    as unit quaternions, which are one rotation at ``q`` and ``-q``.

    Args:
        field: the field.

    Shapes: cosines and parameters are of one shape, and so are the slopes; ``x`` is ``(..., n + 1)``.

    Raises:
        nothing of its own: what the field within raises.

    Source: Koehler, Klein, Noe (2020), Equivariant Flows, arXiv:2006.02425: the density inherits the map's symmetry.

    Example:
        >>> slope, _ = EvenField(ExponentialField()).slopes(torch.tensor([-0.5, 0.5]), torch.zeros(2))
        >>> bool(slope.sum() == 0)
        True
    """

    def __init__(self, field: ScalarField) -> None:
        self.field = field

    def slopes(self, cosine: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
        slope, second = self.field.slopes(cosine, raw)
        other_slope, other_second = self.field.slopes(-cosine, raw)
        return 0.5 * (slope - other_slope), 0.5 * (second + other_second)


def _atan_ratio(squared: Tensor) -> tuple[Tensor, Tensor]:
    """``atan(w) / w`` of ``w^2``, and its derivative, smooth at 0."""
    small = squared < SMALL
    far = torch.where(small, 1.0, squared)
    root = torch.sqrt(far)
    ratio = torch.atan(root) / root
    slope = 0.5 * (1.0 / (1.0 + far) - ratio) / far
    near = torch.where(small, squared, 0.0)
    near_ratio, near_slope = torch.zeros_like(near), torch.zeros_like(near)
    for k in range(TERMS, -1, -1):
        near_slope = near_slope * near + near_ratio
        near_ratio = near_ratio * near + (-1.0) ** k / (2 * k + 1)
    return torch.where(small, near_ratio, ratio), torch.where(small, near_slope, slope)
