"""Student's copula, whose dimensions are extreme together."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pushforward.distributions.base import Distribution
from pushforward.distributions.continuous.normal import LOG_SQRT_TWO_PI
from pushforward.distributions.continuous.student_t import log1p_square
from pushforward.distributions.copulas.correlation import correlation_factor, whitened
from pushforward.distributions.copulas.student_tails import student_excess, student_of_excess
from pushforward.errors import UsageError
from pushforward.kernels.gamma import standard_gamma
from pushforward.numerics import finite_square, randn
from pushforward.scalar.normal_tails import normal_excess, normal_of_excess
from pushforward.spaces import Reals

MOST_DEGREES = 100.0


class StudentCopula(Distribution):
    r"""Student's copula in normal scores, ``z_i = Phi^-1(u_i)``: with ``q_i = T_nu^-1(Phi(z_i))``,

    .. math:: \log p(z) = \log t_{\nu, R}(q) - \sum_i \log t_\nu(q_i) + \sum_i \log \phi(z_i).

    Each dimension by itself is standard normal. Unlike the Gaussian copula it has tail dependence: where one dimension
    is extreme, another is with a probability that does not vanish. The correlations ``R`` and the degrees of freedom
    ``nu``, between 1 and 100, are learned. ``q`` is found in log space by Newton steps; scores rarer than one in
    ``e^(39 nu)`` count as that rare there.

    Args:
        features: the number of dimensions ``D``.
        degrees: where the degrees of freedom start, between 1 and 100.

    Raises:
        UsageError: unless ``1 < degrees < 100``.

    Source: Demarta, McNeil (2005), The t copula and related copulas, International Statistical Review 73.

    Example:
        >>> copula = StudentCopula(2, degrees=3.0)
        >>> corner, side = copula.log_prob(torch.tensor([[3.0, 3.0], [3.0, 0.0]])) + 0.5 * torch.tensor([18.0, 9.0])
        >>> bool(corner > side), round(copula.degrees().item(), 3)
        (True, 3.0)
    """

    def __init__(self, features: int, degrees: float = 8.0) -> None:
        super().__init__()
        if not 1 < degrees < MOST_DEGREES:
            raise UsageError(f"StudentCopula expects degrees between 1 and 100 to start from, got {degrees}")
        self.support = Reals((features,))
        self.raw = nn.Parameter(torch.zeros(features, features))
        fraction = math.log(degrees) / math.log(MOST_DEGREES)
        self.raw_degrees = nn.Parameter(torch.tensor(math.log(fraction / (1.0 - fraction))))

    def correlations(self) -> Tensor:
        """Return ``R``, ``(D, D)``."""
        factor, _ = correlation_factor(self.raw)
        return factor @ factor.mT

    def degrees(self) -> Tensor:
        """Return the degrees of freedom, a scalar."""
        return torch.exp(math.log(MOST_DEGREES) * torch.sigmoid(self.raw_degrees))

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        nu, size = self.degrees(), x.shape[-1]
        factor, log_det = correlation_factor(self.raw)
        q = self._student_scores(x, nu)
        joint = -0.5 * (nu + size) * log1p_square(_length(whitened(q, factor)) * torch.rsqrt(nu)) - log_det
        apart = (-0.5 * (nu + 1.0) * log1p_square(q * torch.rsqrt(nu))).sum(-1)
        gammas = torch.lgamma(0.5 * (nu + size)) + (size - 1) * torch.lgamma(0.5 * nu)
        log_normaliser = gammas - size * torch.lgamma(0.5 * (nu + 1.0))
        return joint - apart + log_normaliser - (0.5 * finite_square(x) + LOG_SQRT_TWO_PI).sum(-1)

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        nu = self.degrees()
        factor, _ = correlation_factor(self.raw)
        normal = randn(self.raw, batch + self.event_shape, generator) @ factor.mT
        half = (0.5 * nu).expand((*batch, 1))
        chi_square = standard_gamma(half, generator=generator).clamp(min=torch.finfo(nu.dtype).tiny) / half
        t = normal * torch.rsqrt(chi_square)
        z = normal_of_excess(student_excess(torch.asinh(t.abs() * torch.rsqrt(nu)), nu.expand(t.shape))[0])
        return temperature * torch.where(t < 0, -z, z)

    @staticmethod
    def _student_scores(z: Tensor, nu: Tensor) -> Tensor:
        """``q``, with the same probabilities as the normal scores."""
        rarest = 0.44 * math.log(torch.finfo(z.dtype).max) * nu.detach()
        excess = torch.minimum(normal_excess(z.abs()), rarest)
        size = torch.sqrt(nu) * torch.sinh(student_of_excess(excess, nu.expand(z.shape)))
        return torch.where(z < 0, -size, size)


def _length(x: Tensor) -> Tensor:
    """The length of vectors, whose squares may have no room in their type."""
    largest = x.abs().amax(-1).clamp_min(torch.finfo(x.dtype).tiny).detach()
    return largest * torch.sqrt((x / largest[..., None]).square().sum(-1).clamp_min(torch.finfo(x.dtype).tiny))
