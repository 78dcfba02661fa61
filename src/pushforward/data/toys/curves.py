"""Noisy curves on the plane: half moons, spirals and rings."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Generator, Tensor

from pushforward.data.toys.density import ToyDensity
from pushforward.data.toys.gaussians import log_gaussian_mixture


class NoisyCurve(ToyDensity):
    r"""Points on mirrored curves ``c_k(t)``, ``t = u^(1/growth)`` with ``u`` uniform on [0, 1], plus isotropic
    noise.

    ``p(x) = mean_k int_0^1 N(x; c_k(t), scale^2 I) growth t^(growth - 1) dt``, the integral by Gauss-Legendre
    quadrature in panels that are narrow beside the noise, so that it is exact to rounding.
    """

    _NODES = 8

    def __init__(
        self,
        strands: list[Callable[[Tensor], Tensor]],
        scale: float,
        *,
        growth: int,
        panels: int,
        bounds: tuple[float, float],
    ) -> None:
        nodes, weights = np.polynomial.legendre.leggauss(self._NODES)
        starts = torch.arange(panels, dtype=torch.float64)[:, None]
        t = ((starts + (torch.from_numpy(nodes) + 1) / 2) / panels).flatten()
        weight = torch.from_numpy(weights).repeat(panels) / (2 * panels * len(strands)) * growth * t ** (growth - 1)
        self.strands = strands
        self.scale = scale
        self.growth = growth
        self.bounds = bounds
        self.centres = torch.cat([strand(t) for strand in strands])
        self.log_weights = weight.log().repeat(len(strands))

    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        t = torch.rand(n, generator=generator) ** (1 / self.growth)
        chosen = torch.randint(len(self.strands), (n, 1), generator=generator)
        points = torch.stack([strand(t) for strand in self.strands])
        point = points.gather(0, chosen.expand(n, 2)[None])[0]
        return point + self.scale * torch.randn(n, 2, generator=generator)

    def _log_prob(self, x: Tensor) -> Tensor:
        # Every point meets every node: a chunk at a time bounds the memory.
        chunks = x.reshape(-1, 2).split(2048)
        values = [log_gaussian_mixture(chunk, self.centres, self.scale, self.log_weights) for chunk in chunks]
        return torch.cat(values).reshape(x.shape[:-1])


def moons(scale: float = 0.1) -> NoisyCurve:
    """Two interleaved half circles (as scikit-learn's ``make_moons``, centred)."""

    def upper(t: Tensor) -> Tensor:
        return torch.stack([(math.pi * t).cos() - 0.5, (math.pi * t).sin() - 0.25], -1)

    return NoisyCurve([upper, lambda t: -upper(t)], scale, growth=1, panels=16, bounds=(-2.5, 2.5))


def spirals(scale: float = 0.1) -> NoisyCurve:
    """Two spiral arms of one and a half turns; the angle goes with the square root of a uniform number."""

    def arm(t: Tensor) -> Tensor:
        angle = 3 * math.pi * t
        return torch.stack([-angle * angle.cos(), angle * angle.sin()], -1) / 3

    return NoisyCurve([arm, lambda t: -arm(t)], scale, growth=2, panels=64, bounds=(-4.0, 4.0))


class Rings(ToyDensity):
    r"""Concentric circles plus isotropic noise.

    ``p(x) = mean_R exp(-(r - R)^2 / 2 s^2) I0e(r R / s^2) / (2 pi s^2)`` with ``r = |x|`` and the scaled
    Bessel function ``I0e``.
    """

    def __init__(self, radii: tuple[float, ...] = (0.75, 1.5, 2.25, 3.0), scale: float = 0.08) -> None:
        self.radii = torch.tensor(radii, dtype=torch.float64)
        self.scale = scale

    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        radius = self.radii.float()[torch.randint(len(self.radii), (n,), generator=generator)]
        angle = 2 * math.pi * torch.rand(n, generator=generator)
        circle = radius[:, None] * torch.stack([angle.cos(), angle.sin()], -1)
        return circle + self.scale * torch.randn(n, 2, generator=generator)

    def _log_prob(self, x: Tensor) -> Tensor:
        radii = self.radii.to(x)
        variance = self.scale**2
        r = torch.linalg.vector_norm(x, dim=-1)[..., None]
        gaussian = -0.5 * (r - radii) ** 2 / variance - math.log(2 * math.pi * variance * len(radii))
        return torch.logsumexp(gaussian + torch.special.i0e(r * radii / variance).log(), -1)
