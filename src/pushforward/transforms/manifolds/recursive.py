"""Flows on spheres by recursion: the height of a point changes first, then where it lies on the circle of latitude."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.networks.context import Context, vector_context
from pushforward.networks.factory import NetworkFactory, check_outputs, make_network
from pushforward.networks.mlp import MLP
from pushforward.scalar.base import ScalarBijection
from pushforward.scalar.splines.circular import CircularRationalQuadraticSpline
from pushforward.spaces import Circle, Sphere
from pushforward.transforms.base import Bijection
from pushforward.transforms.conditioning import check_scalar
from pushforward.transforms.manifolds.poles import Cap, HeightSpline, Moved
from pushforward.transforms.residual.parameters import GlobalParameters

FLOOR = 1e-10
"""A point closer to a pole than this lies at it."""


class Latitude(NamedTuple):
    """Where points of a sphere are along its last axis, and how far from it."""

    height: Tensor
    radius: Tensor


class RecursiveSphere(Bijection):
    r"""A flow on ``S^n`` in cylindrical coordinates (Rezende et al. 2020, arXiv:2002.02428, section 2.3).

    A point is a height and, on its circle of latitude, a point of a smaller sphere, ``x = (sqrt(1 - r^2) y, r)``, down
    to an angle. Heights are moved by splines and the angle by a map of the circle; each is told by a network what the
    heights above it are,

    ``r_k' = g(r_k; theta_k(r_n, ..., r_(k+1)))``,  ``angle' = h(angle; theta_1(r_n, ..., r_2))``,

    ``log_det = sum_k log g'(r_k) + (k - 2) / 2 log((1 - r_k'^2) / (1 - r_k^2)) + log h'(angle)``.

    Surfaces of spheres have no direction at a pole, so what all networks below say is multiplied by the distance from
    the axis: near a pole the map turns and stretches alike in all directions, and the log-density is continuous across
    it, as that of every continuous density is. Heights are measured from the nearer pole, so that no digit is lost
    there.

    Args:
        n: the dimension of the sphere.
        scalar: the map of the circle ``(-pi, pi)``, whose parameters of zero leave lengths as they are.
        bins: of the splines of the heights.
        network: a network factory, called as ``network(heights above, parameters, context)``, for the first height (for
            the angle of ``S^1``) as ``network(context, parameters, 0)``, if there is a context.
        context: a number of features or a space of vectors; 0 for none.

    Raises:
        UsageError: if ``scalar`` is not one of the circle, or stretches it at parameters of zero.
        ShapeError: if the input does not end in ``n + 1``, or the context is missing or misshapen.

    Example:
        >>> layer = RecursiveSphere(2)
        >>> x = nn.functional.normalize(torch.randn(8, 3), dim=-1)
        >>> z, log_det = layer(x)
        >>> torch.allclose(layer.inverse(z)[0], x, atol=1e-5)
        True
    """

    def __init__(
        self,
        n: int = 2,
        scalar: ScalarBijection | None = None,
        bins: int = 16,
        network: NetworkFactory | nn.Module = MLP,
        context: Context = 0,
    ) -> None:
        super().__init__()
        self.domain: Sphere = Sphere(n)
        self.codomain = self.domain
        self.context = vector_context(context, "RecursiveSphere")
        self.scalar = _check_circular(CircularRationalQuadraticSpline(bins) if scalar is None else scalar)
        self.tolerance = self.scalar.tolerance
        self.spline = HeightSpline(bins)
        self._counts = counts = [self.spline.num_parameters] * (n - 1) + [self.scalar.num_parameters]
        self.first = GlobalParameters(torch.zeros(counts[0]), network, self.context, "RecursiveSphere")
        self.networks = nn.ModuleList(
            make_network(network, above, count, self.context, "RecursiveSphere")
            for above, count in enumerate(counts[1:], start=1)
        )

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        x, context = self.check(x, context, self.domain)
        return self._mapped(x, context, self.spline.forward, self.scalar.forward, lambda before, after: before)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        z, context = self.check(z, context, self.codomain)
        return self._mapped(z, context, self.spline.inverse, self.scalar.inverse, lambda before, after: after)

    def _mapped(
        self,
        x: Tensor,
        context: Tensor | None,
        move_height: Callable[[Cap, Tensor], Moved],
        move_angle: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
        data_side: Callable[[Latitude, Latitude], Latitude],
    ) -> tuple[Tensor, Tensor]:
        """Map points level by level; the networks see heights on the data's side, before or after they are moved."""
        direction = x / torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        seen: list[Latitude] = []
        images: list[Latitude] = []
        log_det = torch.zeros_like(x[..., 0])
        for k in range(self.domain.n, 1, -1):
            direction, before, cap = split(direction)
            moved = move_height(cap, self._told(seen, x, context))
            widening = moved.stretch * (1.0 - moved.share) / (1.0 - cap.share)
            after = Latitude(_height(moved.share, cap.south), before.radius * torch.sqrt(widening))
            log_det = log_det + moved.log_slope + 0.5 * (k - 2) * torch.log(widening)
            seen, images = [*seen, data_side(before, after)], [*images, after]
        angle, log_slope = move_angle(torch.atan2(direction[..., 1], direction[..., 0]), self._told(seen, x, context))
        image = torch.stack([torch.cos(angle), torch.sin(angle)], -1)
        for latitude in reversed(images):
            image = torch.cat([image * latitude.radius[..., None], latitude.height[..., None]], -1)
        return image, log_det + log_slope

    def _told(self, seen: list[Latitude], x: Tensor, context: Tensor | None) -> Tensor:
        """The parameters of the level below the latitudes that are known, which fade towards the axis of each."""
        if not seen:
            parameters = self.first(context)
            return parameters.expand(*x.shape[:-1], parameters.shape[-1])
        heights, radii = zip(*seen, strict=True)
        outputs = self.networks[len(seen) - 1](torch.stack(heights, -1), context)
        check_outputs(outputs, -1, self._counts[len(seen)], "RecursiveSphere")
        return outputs * torch.stack(radii, -1).prod(-1, keepdim=True)


def split(x: Tensor) -> tuple[Tensor, Latitude, Cap]:
    """Return the direction ``(..., n)`` in which points of a sphere ``(..., n + 1)`` lie as seen from the last axis,
    and where on that axis they are, as a latitude and as a cap.

    Example:
        >>> direction, latitude, cap = split(torch.tensor([0.6, 0.0, -0.8]))
        >>> direction, round(latitude.radius.item(), 4), round(cap.share.item(), 4), cap.south.item()
        (tensor([1., 0.]), 0.6, 0.1, True)
    """
    across, height = x[..., :-1], x[..., -1]
    squared = across.square().sum(-1)
    off_axis = squared > FLOOR**2
    radius = torch.sqrt(torch.where(off_axis, squared, FLOOR**2))
    # All directions are the same at a pole, and none is to be divided by nothing.
    some = torch.zeros_like(across)
    some[..., -1] = 1.0
    direction = torch.where(off_axis[..., None], across / radius[..., None], some)
    cap = Cap(0.5 * squared / (1.0 + height.abs()), height < 0)
    return direction, Latitude(height, torch.where(off_axis, radius, 0.0)), cap


def _height(share: Tensor, south: Tensor) -> Tensor:
    height = 1.0 - 2.0 * share
    return torch.where(south, -height, height)


def _check_circular(scalar: ScalarBijection) -> ScalarBijection:
    check_scalar(scalar, "RecursiveSphere")
    if scalar.domain != Circle() or scalar.codomain != Circle() or scalar.num_shared:
        raise UsageError(
            f"RecursiveSphere expects a scalar bijection of the circle (-pi, pi) that a network tells all, such as "
            f"CircularRationalQuadraticSpline(), got {scalar}"
        )
    angles = torch.linspace(-3.0, 3.0, 13, dtype=torch.float64)
    slopes = scalar.forward(angles, angles.new_zeros(13, scalar.num_parameters))[1]
    if slopes.abs().max() > 1e-6:
        raise UsageError(
            f"RecursiveSphere expects a scalar bijection that leaves lengths as they are at parameters of zero, as a "
            f"density that is continuous at a pole needs, got {scalar}, which does not: choose another"
        )
    return scalar
