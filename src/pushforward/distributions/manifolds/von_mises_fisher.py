"""The von Mises-Fisher distribution: the normal distribution of directions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.distributions.base import Distribution
from pushforward.distributions.manifolds.axial import log_integral
from pushforward.distributions.manifolds.rejection import accepted
from pushforward.errors import UsageError
from pushforward.kernels.gamma import standard_gamma
from pushforward.numerics import bounded, rand, randn, uniform_noise, unit
from pushforward.spaces import Sphere

MAX_LOG_CONCENTRATION = 14.0
"""Beyond it a distribution is a point, or uniform, to single precision."""


class VonMisesFisher(Distribution):
    r"""The von Mises-Fisher distribution on ``S^n`` with a learned mean direction and concentration,

    .. math:: \log p(x) = \kappa (\mu \cdot x - 1) - \log \int \exp(\kappa (\mu \cdot y - 1)) dS(y),

    with respect to the surface measure. The normaliser (a Bessel function) is found by quadrature, scaled by its
    largest value, so that it is right from the uniform distribution to concentrations of a million. ``log kappa`` stays
    within +-14. A temperature divides the concentration by its square, as it multiplies the spread.

    Args:
        n: the dimension of the sphere.
        concentration: where ``kappa`` starts, above 0.
        direction: where ``mu`` starts, ``n + 1`` numbers of any length but 0; the last axis by default.

    Shapes: ``x`` is ``(..., n + 1)``, its log-density ``(...)``.

    Raises:
        UsageError: unless the concentration is positive, below 1e6, and the direction has ``n + 1`` numbers, not all
            zero.

    Source: Fisher (1953); samples of ``S^2`` by inversion, which carries gradients, of others by Wood (1994),
    Simulation of the von Mises Fisher distribution.

    Example:
        >>> base = VonMisesFisher(2, 10.0)
        >>> x = base.sample(1000)
        >>> x.shape, bool(x[:, 2].mean() > 0.85)
        (torch.Size([1000, 3]), True)
    """

    def __init__(
        self, n: int = 2, concentration: float = 1.0, direction: Sequence[float] | Tensor | None = None
    ) -> None:
        super().__init__()
        self.support = Sphere(n)
        self.raw_log_concentration = nn.Parameter(torch.tensor(unbounded_log(concentration, "VonMisesFisher")))
        self.raw_direction = nn.Parameter(_direction(n, direction))
        self.reparametrised = n == 2

    def concentration(self) -> Tensor:
        """Return ``kappa``."""
        return torch.exp(bounded(self.raw_log_concentration, MAX_LOG_CONCENTRATION))

    def direction(self) -> Tensor:
        """Return ``mu``, of length 1."""
        return unit(self.raw_direction)

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        concentration = self.concentration()
        n = self.event_shape[0] - 1
        normaliser = log_integral(n, lambda below, above: -concentration * below, self.raw_direction)
        # 1 - mu . x, to all digits near the mode.
        return -0.5 * concentration * (x - self.direction()).square().sum(-1) - normaliser

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        return draw_around(self.direction(), self.concentration() / temperature**2, batch, generator)


def draw_around(mean: Tensor, concentration: Tensor, batch: torch.Size, generator: torch.Generator | None) -> Tensor:
    """Draw from von Mises-Fisher distributions whose means and concentrations broadcast to a batch.

    Example:
        >>> mean = torch.eye(3)
        >>> x = draw_around(mean, torch.tensor([1e3, 1e4, 1e5]), torch.Size([3]), None)
        >>> bool(((x - mean).abs() < 0.3).all())
        True
    """
    n = mean.shape[-1] - 1
    depth = (
        truncated_exponential(concentration, batch, generator) if n == 2 else _depth(concentration, n, batch, generator)
    )
    noise = randn(mean, batch + mean.shape[-1:], generator)
    # Twice: what is nearly along the mean loses digits the first time.
    across = _across(_across(noise, mean), mean)
    return (1.0 - depth)[..., None] * mean + torch.sqrt(depth * (2.0 - depth))[..., None] * across


def _across(vector: Tensor, mean: Tensor) -> Tensor:
    """The direction of what of a vector is orthogonal to the mean."""
    return unit(vector - (vector * mean).sum(-1, keepdim=True) * mean)


def unbounded_log(concentration: float, owner: str) -> float:
    """Return what :func:`bounded` makes the logarithm of a concentration of."""
    if not 0 < concentration < 1e6 or abs(math.log(concentration)) >= MAX_LOG_CONCENTRATION:
        raise UsageError(f"{owner} expects a concentration between 1e-6 and 1e6, got {concentration}")
    log = math.log(concentration)
    return log / math.sqrt(1.0 - (log / MAX_LOG_CONCENTRATION) ** 2)


def _direction(n: int, direction: Sequence[float] | Tensor | None) -> Tensor:
    if direction is None:
        return torch.eye(n + 1)[-1].clone()
    start = torch.as_tensor(direction, dtype=torch.get_default_dtype()).clone()
    if start.shape != (n + 1,) or not bool(start.isfinite().all()) or not bool(start.any()):
        raise UsageError(f"VonMisesFisher expects a direction of {n + 1} finite numbers, not all zero, got {direction}")
    return start


def truncated_exponential(rate: Tensor, batch: torch.Size, generator: torch.Generator | None) -> Tensor:
    """Draw numbers between 0 and 2 of a density proportional to ``exp(-rate s)``, by inversion.

    Example:
        >>> bool((truncated_exponential(torch.tensor(1e-3), torch.Size([9]), None) <= 2.0).all())
        True
    """
    below = uniform_noise(rate, batch, generator) * -torch.expm1(-2.0 * rate)
    return (-torch.log1p(-below) / rate).clamp(0.0, 2.0)


def _depth(concentration: Tensor, n: int, batch: torch.Size, generator: torch.Generator | None) -> Tensor:
    """``1 - mu . x`` on any sphere, by rejection from a beta distribution of its Moebius image."""
    b = n / (2.0 * concentration + torch.sqrt(4.0 * concentration.square() + n**2))
    # 1 - x0 and 1 - x0^2 of Wood's x0 = (1 - b) / (1 + b), none of whose digits is lost where b is small.
    rest, square_rest = 2.0 * b / (1.0 + b), 4.0 * b / (1.0 + b).square()
    half = torch.full(batch, 0.5 * n, dtype=b.dtype, device=b.device)

    def propose() -> tuple[Tensor, Tensor]:
        one, other = standard_gamma(half, generator), standard_gamma(half, generator)
        beta = one / (one + other).clamp_min(torch.finfo(one.dtype).tiny)
        depth = 2.0 * b * beta / (1.0 - (1.0 - b) * beta)
        log_share = concentration * (rest - depth) + n * torch.log((rest + (1.0 - rest) * depth) / square_rest)
        return depth, torch.log(rand(depth, batch, generator)) <= log_share

    with torch.no_grad():
        return accepted(propose).clamp(0.0, 2.0)
