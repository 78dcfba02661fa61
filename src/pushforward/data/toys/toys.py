"""Two-dimensional densities whose log-density is known, and energies that are known up to their constant."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn.functional import softplus

from pushforward.data.dataset import Dataset
from pushforward.errors import DataError, ShapeError, UsageError


class ToyDensity(ABC):
    """A density on the plane that can be sampled and evaluated.

    Attributes:
        bounds: the ends ``(low, high)`` of a square that holds nearly all of the mass.
    """

    bounds: tuple[float, float] = (-4.0, 4.0)

    @abstractmethod
    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        """Draw ``n`` points, ``(n, 2)`` in float32."""

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density of ``(..., 2)`` points in nats, ``(...)``, in the dtype of ``x``.

        Raises:
            ShapeError: the points are not two-dimensional.
        """
        if x.ndim == 0 or x.shape[-1] != 2:
            raise ShapeError(f"expected points (..., 2), got shape {tuple(x.shape)}")
        return self._log_prob(x)

    @abstractmethod
    def _log_prob(self, x: Tensor) -> Tensor: ...


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
        return _log_mixture(x, self.centres, self.scale) - math.log(len(self.centres))


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
        values = [_log_mixture(chunk, self.centres, self.scale, self.log_weights) for chunk in chunks]
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


class Checkerboard(ToyDensity):
    """Uniform on the eight dark fields, 2x2 each, of a 4x4 board on ``[-4, 4]^2``; ``-inf`` elsewhere."""

    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        row = torch.randint(4, (n,), generator=generator)
        column = 2 * torch.randint(2, (n,), generator=generator) + row % 2
        corner = torch.stack([column, row], -1)
        return 2 * (corner + torch.rand(n, 2, generator=generator)) - 4

    def _log_prob(self, x: Tensor) -> Tensor:
        field = ((x + 4) / 2).floor()
        inside = ((field >= 0) & (field <= 3)).all(-1) & (field.sum(-1) % 2 == 0)
        dark = torch.full(x.shape[:-1], -math.log(32.0), dtype=x.dtype, device=x.device)
        return torch.where(inside, dark, -math.inf)


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


class ImageDensity(ToyDensity):
    """Any picture as a density: uniform within a pixel, pixels weighted by ``weights``, on ``[-4, 4]`` across.

    Args:
        weights: ``(H, W)``, not negative; the first row is the top of the picture. The longer side spans the square.

    Raises:
        DataError: weights of another shape, negative, not finite or all zero.

    Example:
        >>> density = ImageDensity(np.ones((2, 2)))
        >>> round(density.log_prob(torch.zeros(2)).item(), 4) == round(-math.log(64), 4)
        True
    """

    def __init__(self, weights: np.ndarray[Any, Any] | Tensor) -> None:
        grid = torch.as_tensor(weights, dtype=torch.float64)
        if grid.ndim != 2 or not bool(torch.isfinite(grid).all()) or bool((grid < 0).any()) or float(grid.sum()) <= 0:
            raise DataError(f"expected weights (H, W), finite and not negative with some above 0, got {grid.shape}")
        self.probabilities = (grid / grid.sum()).flatten()
        self.height, self.width = grid.shape
        self.pixel = 8.0 / max(self.height, self.width)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> ImageDensity:
        """The density of a picture's ink: dark pixels weigh, white ones do not.

        Raises:
            DataError: the picture cannot be read, or is all white.
        """
        from pushforward.data.folders import read_picture
        from pushforward.data.sources import require_file

        luminance = read_picture(require_file(path)).mean(0)
        return cls(255.0 - luminance)

    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        # Inverting the cumulative sum has no limit on the number of pixels, unlike torch.multinomial.
        uniform = torch.rand(n, dtype=torch.float64, generator=generator)
        cumulative = self.probabilities.cumsum(0)
        cell = torch.searchsorted(cumulative, uniform * cumulative[-1], right=True).clamp(max=len(cumulative) - 1)
        corner = torch.stack([cell % self.width, self.height - 1 - cell // self.width], -1)
        grid = corner + torch.rand(n, 2, generator=generator)
        return ((grid - self._half()) * self.pixel).float()

    def _log_prob(self, x: Tensor) -> Tensor:
        grid = (x / self.pixel + self._half().to(x)).floor()
        column, row = grid[..., 0], self.height - 1 - grid[..., 1]
        inside = (column >= 0) & (column < self.width) & (row >= 0) & (row < self.height)
        cell = row.clamp(0, self.height - 1) * self.width + column.clamp(0, self.width - 1)
        log_density = (self.probabilities.log() - 2 * math.log(self.pixel)).to(x)
        return torch.where(inside, log_density[cell.long()], -math.inf)

    def _half(self) -> Tensor:
        return torch.tensor([self.width / 2, self.height / 2])


def energy_1(z: Tensor) -> Tensor:
    """Two parallel arcs of a ring (Rezende and Mohamed 2015, arXiv:1505.05770, table 1); ``(..., 2)`` to ``(...)``."""
    ring = 0.5 * ((torch.linalg.vector_norm(z, dim=-1) - 2) / 0.4) ** 2
    first = z[..., 0]
    return ring - torch.logaddexp(-0.5 * ((first - 2) / 0.6) ** 2, -0.5 * ((first + 2) / 0.6) ** 2)


def energy_2(z: Tensor) -> Tensor:
    """A band along a sine (Rezende and Mohamed 2015, table 1)."""
    return 0.5 * ((z[..., 1] - _wave(z)) / 0.4) ** 2


def energy_3(z: Tensor) -> Tensor:
    """A band along a sine that splits and joins again (Rezende and Mohamed 2015, table 1)."""
    offset = z[..., 1] - _wave(z)
    bump = 3 * torch.exp(-0.5 * ((z[..., 0] - 1) / 0.6) ** 2)
    return -torch.logaddexp(-0.5 * (offset / 0.35) ** 2, -0.5 * ((offset + bump) / 0.35) ** 2)


def energy_4(z: Tensor) -> Tensor:
    """A band along a sine that splits in two (Rezende and Mohamed 2015, table 1)."""
    offset = z[..., 1] - _wave(z)
    step = 3 * torch.sigmoid((z[..., 0] - 1) / 0.3)
    return -torch.logaddexp(-0.5 * (offset / 0.4) ** 2, -0.5 * ((offset + step) / 0.35) ** 2)


#: The four unnormalised test densities ``exp(-U(z))`` of Rezende and Mohamed; the last three are meant on
#: ``|z_1| <= 4``, which `within` enforces.
ENERGIES: dict[str, Callable[[Tensor], Tensor]] = {
    "energy-1": energy_1,
    "energy-2": energy_2,
    "energy-3": energy_3,
    "energy-4": energy_4,
}

#: The densities by name.
TOYS: dict[str, Callable[[], ToyDensity]] = {
    "moons": moons,
    "rings": Rings,
    "checkerboard": Checkerboard,
    "pinwheel": Pinwheel,
    "spirals": spirals,
    "gaussians": Gaussians,
}


def within(
    energy: Callable[[Tensor], Tensor], limit: float = 4.0, sharpness: float = 10.0
) -> Callable[[Tensor], Tensor]:
    """The energy with smooth walls at ``|z_i| = limit``, which make a band of infinite length integrable."""

    def confined(z: Tensor) -> Tensor:
        return energy(z) + softplus(sharpness * (z.abs() - limit)).square().sum(-1)

    return confined


def toy(name: str) -> ToyDensity:
    """The density of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in TOYS:
        raise UsageError(f"no toy density {name!r}; there are {', '.join(TOYS)}")
    return TOYS[name]()


def load_toy(name: str, rows: int = 100_000, seed: int = 0) -> Dataset:
    """Points drawn from a toy density: ``rows`` to train, a tenth as many each to validate and to test."""
    return _draw(name, toy(name), rows, seed)


def load_picture_density(path: str | os.PathLike[str]) -> Dataset:
    """Points drawn from the density of a picture's ink."""
    return _draw(os.path.basename(path), ImageDensity.read(path), 100_000, seed=0)


def _draw(name: str, density: ToyDensity, rows: int, seed: int) -> Dataset:
    generator = torch.Generator().manual_seed(seed)
    train, validation, test = (density.sample(size, generator) for size in (rows, rows // 10, rows // 10))
    return Dataset(name, train, validation, test, columns=("x", "y"))


def _wave(z: Tensor) -> Tensor:
    return torch.sin(0.5 * math.pi * z[..., 0])


def _rotate(x: Tensor, angle: Tensor) -> Tensor:
    cosine, sine = angle.cos(), angle.sin()
    return torch.stack([cosine * x[..., 0] - sine * x[..., 1], sine * x[..., 0] + cosine * x[..., 1]], -1)


def _log_mixture(x: Tensor, centres: Tensor, scale: float, log_weights: Tensor | float = 0.0) -> Tensor:
    first, second = centres.to(x).unbind(-1)
    squared = (x[..., :1] - first).square() + (x[..., 1:] - second).square()
    weights = log_weights.to(x) if isinstance(log_weights, Tensor) else log_weights
    return torch.logsumexp(weights - 0.5 * squared / scale**2, -1) - math.log(2 * math.pi * scale**2)
