"""Student's copula, whose dimensions are extreme together."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pushforward.distributions.base import Distribution
from pushforward.distributions.continuous.normal import LOG_SQRT_TWO_PI
from pushforward.distributions.copulas.correlation import correlation_factor, whitened
from pushforward.distributions.copulas.student_tails import log_cosh, student_excess, student_of_excess
from pushforward.errors import UsageError
from pushforward.kernels.gamma import standard_gamma
from pushforward.numerics import finite_square, magnitude, randn
from pushforward.scalar.normal_tails import normal_excess, normal_of_excess
from pushforward.spaces import Reals

MOST_DEGREES = 100.0


class StudentCopula(Distribution):
    r"""Student's copula in normal scores, ``z_i = Phi^-1(u_i)``: with ``q_i = T_nu^-1(Phi(z_i))``,

    .. math:: \log p(z) = \log t_{\nu, R}(q) - \sum_i \log t_\nu(q_i) + \sum_i \log \phi(z_i).

    Each dimension by itself is standard normal. Unlike the Gaussian copula it has tail dependence: where one dimension
    is extreme, another is with a probability that does not vanish. The correlations ``R`` and the degrees of freedom
    ``nu``, between 1 and 100, are learned. All is computed with ``s``, where ``q = sqrt(nu) sinh s``, which Newton
    steps find in log space: a score of 1000 has a ``q`` that no number holds.

    Args:
        features: the number of dimensions ``D``.
        degrees: where the degrees of freedom start, between 1 and 100.

    Shapes: scores ``z`` are ``(..., D)``, their log-density ``(...)``.

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
        s = _student_scores(magnitude(x), nu)
        joint = -0.5 * (nu + size) * _log1p_length(torch.where(x < 0, -1.0, 1.0), s, factor) - log_det
        apart = -(nu + 1.0) * log_cosh(s).sum(-1)
        normal = -(0.5 * finite_square(x) + LOG_SQRT_TWO_PI).sum(-1)
        return joint - apart + _log_normaliser(nu, size) + normal

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        nu = self.degrees()
        factor, _ = correlation_factor(self.raw)
        normal = randn(self.raw, batch + self.event_shape, generator) @ factor.mT
        half = (0.5 * nu).expand((*batch, 1))
        chi_square = standard_gamma(half, generator=generator).clamp(min=torch.finfo(nu.dtype).tiny) / half
        t = normal * torch.rsqrt(chi_square)
        z = normal_of_excess(student_excess(torch.asinh(magnitude(t) * torch.rsqrt(nu)), nu.expand(t.shape))[0])
        return temperature * torch.where(t < 0, -z, z)


def _student_scores(z: Tensor, nu: Tensor) -> Tensor:
    """The ``s`` with the same probabilities as the absolute normal scores."""
    excess = normal_excess(z).clamp(max=math.sqrt(torch.finfo(z.dtype).max))
    return student_of_excess(excess, nu.expand(z.shape))


def _log1p_length(sign: Tensor, s: Tensor, factor: Tensor) -> Tensor:
    """``log(1 + |L^-1 v|^2)`` of ``v = sign sinh s``, which needs not be a number."""
    largest = s.detach().amax(-1, keepdim=True)
    part = -0.5 * sign * torch.exp(s - largest) * torch.expm1(-2.0 * s)
    square = whitened(part, factor).square().sum(-1).clamp_min(torch.finfo(s.dtype).tiny)
    log_square = torch.log(square) + 2.0 * largest.squeeze(-1)
    return torch.logaddexp(torch.zeros_like(log_square), log_square)


def _log_normaliser(nu: Tensor, size: int) -> Tensor:
    """Of the joint density over those of the dimensions; in double precision, since the parts cancel."""
    wide = nu.double()
    gammas = torch.lgamma(0.5 * (wide + size)) + (size - 1) * torch.lgamma(0.5 * wide)
    return (gammas - size * torch.lgamma(0.5 * (wide + 1.0))).to(nu.dtype)
