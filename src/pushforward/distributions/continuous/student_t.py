"""Student's t distribution, with a given or a learned number of degrees of freedom."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.distributions.base import Distribution
from pushforward.errors import UsageError
from pushforward.kernels.gamma import standard_gamma
from pushforward.numerics import randn, sum_event
from pushforward.spaces import Reals


class StudentT(Distribution):
    r"""Independent Student t's, whose tails fall like a power,

    .. math:: \log p(x) = \sum_d \log\Gamma(\tfrac{\nu + 1}{2}) - \log\Gamma(\tfrac{\nu}{2})
        - \tfrac12 \log(\pi\nu) - \tfrac{\nu + 1}{2} \log(1 + x_d^2 / \nu).

    A flow with a Lipschitz transform has the tails of its base, so heavy-tailed data wants this one (Jaini, Kobyzev,
    Yu, Brubaker 2020, arXiv:1907.04481).

    Args:
        event_shape: the shape of one event.
        degrees: the degrees of freedom ``nu``.

    Raises:
        UsageError: unless ``degrees`` is positive and finite.

    Example:
        >>> base = StudentT((1,), 1.0)
        >>> round(base.log_prob(torch.zeros(1)).exp().item() * math.pi, 4)
        1.0
    """

    def __init__(self, event_shape: Sequence[int], degrees: float = 5.0) -> None:
        super().__init__()
        if not 0 < degrees < math.inf:
            raise UsageError(f"StudentT expects positive finite degrees of freedom, got {degrees}")
        self.support = Reals(event_shape)
        self.degrees = degrees
        # In double precision: the two lgamma cancel for many degrees of freedom.
        self.log_normaliser = (
            math.lgamma(degrees / 2) - math.lgamma((degrees + 1) / 2) + 0.5 * math.log(math.pi * degrees)
        )
        self.register_buffer("like", torch.zeros(()), persistent=False)

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        tail = 0.5 * (self.degrees + 1.0) * log1p_square(x / math.sqrt(self.degrees))
        return sum_event(-tail - self.log_normaliser, len(self.event_shape))

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        like: Tensor = self.like  # type: ignore[assignment]
        return temperature * draw_t(like.new_full(batch + self.event_shape, self.degrees), generator)


class LearnedStudentT(Distribution):
    r"""Independent Student t's whose degrees of freedom are learned, one number for each dimension.

    ``nu = exp(l)`` with ``l`` kept between ``log 1`` and ``log 100`` by a sigmoid: fewer have no mean, more are normal
    for all purposes.

    Args:
        event_shape: the shape of one event.
        degrees: where the degrees of freedom start, between 1 and 100.

    Raises:
        UsageError: unless ``1 < degrees < 100``.

    Source: Alexanderson, Henter 2020, Robust model training and generalisation with Studentising flows,
    arXiv:2006.06599 (t bases); the bounds are ours.

    Example:
        >>> base = LearnedStudentT((3,))
        >>> base.degrees().tolist()
        [10.0, 10.0, 10.0]
    """

    def __init__(self, event_shape: Sequence[int], degrees: float = 10.0) -> None:
        super().__init__()
        if not 1 < degrees < 100:
            raise UsageError(f"LearnedStudentT expects degrees between 1 and 100 to start from, got {degrees}")
        self.support = Reals(event_shape)
        fraction = math.log(degrees) / math.log(100.0)
        self.raw_degrees = nn.Parameter(torch.full(self.event_shape, math.log(fraction / (1.0 - fraction))))

    def degrees(self) -> Tensor:
        """Return the degrees of freedom, of the event's shape."""
        return torch.exp(math.log(100.0) * torch.sigmoid(self.raw_degrees))

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        nu = self.degrees().to(x.dtype)
        tail = 0.5 * (nu + 1.0) * log1p_square(x * torch.rsqrt(nu))
        return sum_event(-tail - student_log_normaliser(nu), len(self.event_shape))

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        return temperature * draw_t(self.degrees().expand(batch + self.event_shape), generator)


def student_log_normaliser(nu: Tensor) -> Tensor:
    """The logarithm of the integral of ``(1 + x^2 / nu)^(-(nu + 1) / 2)``; in double precision, since the two lgamma
    cancel for many degrees of freedom.

    Example:
        >>> round(student_log_normaliser(torch.tensor(1e6)).mul(2).exp().item(), 4)  # that of a normal: 2 pi
        6.2832
    """
    wide = nu.double()
    gammas = torch.lgamma(0.5 * wide) - torch.lgamma(0.5 * (wide + 1.0))
    return (gammas + 0.5 * torch.log(math.pi * wide)).to(nu.dtype)


def log1p_square(x: Tensor) -> Tensor:
    """``log(1 + x^2)`` where ``x^2`` would overflow, too.

    Example:
        >>> round(log1p_square(torch.tensor(1e30)).item(), 3)
        138.155
    """
    size = x.abs()
    near = torch.log1p(size.clamp(max=1e4).square())
    far = 2.0 * torch.log(size.clamp(min=1e4))
    return torch.where(size < 1e4, near, far)


def draw_t(degrees: Tensor, generator: torch.Generator | None) -> Tensor:
    """One Student t number for each of ``degrees``, with gradients: a normal over the root of a scaled chi-square."""
    half = 0.5 * degrees
    chi_square = standard_gamma(half, generator=generator).clamp(min=torch.finfo(degrees.dtype).tiny) / half
    return randn(degrees, degrees.shape, generator) * torch.rsqrt(chi_square)
