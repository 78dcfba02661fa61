"""The Gaussian copula."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pushforward.distributions.base import Distribution
from pushforward.distributions.continuous.normal import LOG_SQRT_TWO_PI
from pushforward.distributions.copulas.correlation import correlation_factor, whitened
from pushforward.numerics import finite_square, randn
from pushforward.spaces import Reals


class GaussianCopula(Distribution):
    r"""The Gaussian copula in normal scores, ``z_i = Phi^-1(u_i)``: a normal of learned correlations,

    .. math:: \log p(z) = \log c(\Phi(z_1), \dots, \Phi(z_D)) + \sum_i \log \phi(z_i)
        = -\tfrac12 \lVert L^{-1} z \rVert^2 - \log \det L - \tfrac{D}{2} \log 2 \pi, \quad R = L L^T.

    Each dimension by itself is standard normal, whatever ``R``: behind a transform of each dimension the marginals are
    that transform's alone. Normal scores in the place of uniform ones keep what lies far out, of which uniform numbers
    in single precision lose all below 1e-7 from 1. It starts independent.

    Args:
        features: the number of dimensions ``D``.

    Shapes: scores ``z`` are ``(..., D)``, their log-density ``(...)``.

    Raises:
        ShapeError: if the input does not end in ``D``.

    Source: Sklar (1959), Publ. Inst. Statist. Univ. Paris 8; Joe (2014), Dependence modeling with copulas, section 4.3.

    Example:
        >>> copula = GaussianCopula(3)
        >>> copula.log_prob(torch.zeros(4, 3)).shape, copula.correlations().diag().tolist()
        (torch.Size([4]), [1.0, 1.0, 1.0])
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.support = Reals((features,))
        self.raw = nn.Parameter(torch.zeros(features, features))

    def correlations(self) -> Tensor:
        """Return ``R``, ``(D, D)``."""
        factor, _ = correlation_factor(self.raw)
        return factor @ factor.mT

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        factor, log_det = correlation_factor(self.raw)
        return (-0.5 * finite_square(whitened(x, factor)) - LOG_SQRT_TWO_PI).sum(-1) - log_det

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        factor, _ = correlation_factor(self.raw)
        return temperature * randn(self.raw, batch + self.event_shape, generator) @ factor.mT
