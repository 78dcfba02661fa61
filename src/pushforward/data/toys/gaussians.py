"""Mixtures of Gaussians on the plane: on a circle, and as the twisted blades of a pinwheel."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from pushforward.data.toys.density import ToyDensity


class Gaussians(ToyDensity):
    """Equal isotropic Gaussians on a circle.

    Example:
        >>> Gaussians().log_prob(torch.zeros(3, 2)).shape
        torch.Size([3])
    """

    def __init__(self, count: int = 8, radius: float = 2.0, scale: float = 0.2) -> None:
        angles = torch.arange(count, dtype=torch.float64) * (2 * math.pi / count)
        self.centres = radius * torch.stack([angles.cos(), angles.sin()], -1)
        self.scale = scale

    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        chosen = torch.randint(len(self.centres), (n,), generator=generator)
        return self.centres.float()[chosen] + self.scale * torch.randn(n, 2, generator=generator)

    def _log_prob(self, x: Tensor) -> Tensor:
        return log_gaussian_mixture(x, self.centres, self.scale) - math.log(len(self.centres))


class Pinwheel(ToyDensity):
    r"""Gaussian blades twisted around the origin (after Johnson et al. 2016, arXiv:1603.06277).

    A blade is ``N((1, 0), diag(radial^2, tangential^2))`` turned by its share of the circle and then twisted: a point
    at distance ``r`` turns by ``twist * r``. The twist keeps areas, so that the density is the mixture's at the
    untwisted point.
    """

    def __init__(
        self, blades: int = 5, radial: float = 0.3, tangential: float = 0.1, twist: float = 1.0, size: float = 1.8
    ) -> None:
        self.angles = torch.arange(blades, dtype=torch.float64) * (2 * math.pi / blades)
        self.radial, self.tangential, self.twist, self.size = radial, tangential, twist, size

    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        noise = torch.randn(n, 2, generator=generator) * torch.tensor([self.radial, self.tangential])
        blade = self.angles.float()[torch.randint(len(self.angles), (n,), generator=generator)]
        straight = noise + torch.tensor([1.0, 0.0])
        r = torch.linalg.vector_norm(straight, dim=-1)
        return self.size * _rotate(straight, blade + self.twist * r)

    def _log_prob(self, x: Tensor) -> Tensor:
        scaled = x / self.size
        straight = _rotate(scaled, -self.twist * torch.linalg.vector_norm(scaled, dim=-1))
        blades = _rotate(straight[..., None, :], -self.angles.to(x))
        deviation = (blades - blades.new_tensor([1.0, 0.0])) / blades.new_tensor([self.radial, self.tangential])
        constant = 2 * math.pi * self.radial * self.tangential * self.size**2 * len(self.angles)
        return torch.logsumexp(-0.5 * deviation.square().sum(-1), -1) - math.log(constant)


def log_gaussian_mixture(x: Tensor, centres: Tensor, scale: float, log_weights: Tensor | float = 0.0) -> Tensor:
    first, second = centres.to(x).unbind(-1)
    squared = (x[..., :1] - first).square() + (x[..., 1:] - second).square()
    weights = log_weights.to(x) if isinstance(log_weights, Tensor) else log_weights
    return torch.logsumexp(weights - 0.5 * squared / scale**2, -1) - math.log(2 * math.pi * scale**2)


def _rotate(x: Tensor, angle: Tensor) -> Tensor:
    cosine, sine = angle.cos(), angle.sin()
    return torch.stack([cosine * x[..., 0] - sine * x[..., 1], sine * x[..., 0] + cosine * x[..., 1]], -1)
