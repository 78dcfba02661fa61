"""Normal distributions whose mean and covariance are learned."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.distributions.base import Distribution
from pushforward.distributions.continuous.normal import LOG_SQRT_TWO_PI, MAX_LOG_SCALE
from pushforward.numerics import as_vectors, bounded, finite_square, randn, solve_triangular, sum_event
from pushforward.spaces import Reals


def bounded_log_scale(raw: Tensor) -> Tensor:
    """A log-scale between -7 and 7 from an unconstrained number; near the identity around 0."""
    return bounded(raw, MAX_LOG_SCALE)


def log_normal(x: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """The log-density of a normal, element by element.

    Example:
        >>> round(log_normal(torch.zeros(()), torch.zeros(()), torch.zeros(())).item(), 4)
        -0.9189
    """
    standard = (x - mean) * torch.exp(-log_scale)
    return -0.5 * finite_square(standard) - log_scale - LOG_SQRT_TWO_PI


class DiagonalNormal(Distribution):
    r"""Independent normals with a learned mean and scale for each dimension,
    ``log p(x) = sum_d log N(x_d; mu_d, exp(s_d))``, starting as standard normals. Log-scales stay within +-7.

    Args:
        event_shape: the shape of one event.

    Raises:
        ShapeError: if the input does not end in ``event_shape``.

    Source: Bishop (2006), Pattern Recognition and Machine Learning, section 2.3.

    Example:
        >>> base = DiagonalNormal((3,))
        >>> base.log_prob(torch.zeros(4, 3)).shape, base.sample(5).shape
        (torch.Size([4]), torch.Size([5, 3]))
    """

    def __init__(self, event_shape: Sequence[int]) -> None:
        super().__init__()
        self.support = Reals(event_shape)
        self.mean = nn.Parameter(torch.zeros(self.event_shape))
        self.raw_log_scale = nn.Parameter(torch.zeros(self.event_shape))

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        return sum_event(log_normal(x, self.mean, bounded_log_scale(self.raw_log_scale)), len(self.event_shape))

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        noise = randn(self.mean, batch + self.event_shape, generator)
        return self.mean + temperature * torch.exp(bounded_log_scale(self.raw_log_scale)) * noise


class FullNormal(Distribution):
    r"""A normal with a learned mean and a learned full covariance,

    .. math:: \log p(x) = -\tfrac12 \lVert W (x - \mu) \rVert^2 + \sum_d \log W_{dd} - \tfrac{D}{2} \log 2\pi,

    with ``W`` the lower Cholesky factor of the precision, so that training multiplies and only sampling solves. It
    starts as a standard normal; the logarithms of ``W``'s diagonal stay within +-7.

    Args:
        event_shape: the shape of one event; its ``D`` dimensions are all correlated.

    Raises:
        ShapeError: if the input does not end in ``event_shape``.

    Source: Bishop (2006), Pattern Recognition and Machine Learning, section 2.3.

    Example:
        >>> base = FullNormal((3,))
        >>> base.log_prob(torch.zeros(4, 3)).shape, base.sample(5).shape
        (torch.Size([4]), torch.Size([5, 3]))
        >>> torch.equal(base.covariance(), torch.eye(3))
        True
    """

    def __init__(self, event_shape: Sequence[int]) -> None:
        super().__init__()
        self.support = Reals(event_shape)
        size = self.event_shape.numel()
        self.mean = nn.Parameter(torch.zeros(size))
        self.raw_log_diagonal = nn.Parameter(torch.zeros(size))
        self.off_diagonal = nn.Parameter(torch.zeros(size, size))

    def precision_factor(self) -> Tensor:
        """Return ``W``, lower triangular, with ``W^T W`` the inverse covariance."""
        return torch.tril(self.off_diagonal, -1) + torch.diag(torch.exp(bounded_log_scale(self.raw_log_diagonal)))

    def covariance(self) -> Tensor:
        """Return the covariance, of shape ``(D, D)``."""
        identity = torch.eye(self.mean.numel(), dtype=self.mean.dtype, device=self.mean.device)
        root = solve_triangular(self.precision_factor(), identity, upper=False)
        return root @ root.mT

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        centred = as_vectors(x, self.event_shape) - self.mean
        standard = centred @ self.precision_factor().mT
        log_det = bounded_log_scale(self.raw_log_diagonal).sum()
        return -0.5 * finite_square(standard).sum(-1) + log_det - LOG_SQRT_TWO_PI * self.mean.numel()

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        noise = randn(self.mean, (batch.numel(), self.mean.numel()), generator)
        centred = solve_triangular(self.precision_factor(), noise.mT, upper=False).mT
        return (self.mean + temperature * centred).reshape(batch + self.event_shape)
