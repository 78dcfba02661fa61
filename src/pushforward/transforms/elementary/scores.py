"""Normal scores of a smooth estimate of each dimension: a mixture of logistics at quantiles of the data."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.scalar.mixture_components import LogisticComponent
from pushforward.scalar.normal_tails import log_mills, normal_excess, normal_of_excess
from pushforward.scalar.root import TOLERANCE, invert, solve
from pushforward.transforms.elementary.placed import Placed

LEAST_WIDTH = 1e-3
"""The least width of a kernel as a part of the standard deviation, where many values are the same."""

BROAD = 0.01
"""The weight of a kernel as broad as the data. Without it what lies a little beyond the data, where the kernels are
narrow, would go far out, and farther with each layer."""

LOGISTIC = LogisticComponent()

UNIT = math.sqrt(3.0) / math.pi
"""The scale of a logistic of standard deviation 1."""


class KernelScores(Placed):
    r"""Each dimension through a smooth estimate of its distribution function and the normal quantile function, ``z_i =
    Phi^-1(F_i(x_i))`` with ``F_i(x) = sum_k w_k sigmoid((x - m_ik) / s_ik)``.

    :meth:`initialise` takes the kernels' places ``m`` from the data: quantiles at equal steps of the normal score,
    which reach as far as the data do, with the weights that a normal has there, and as wide as the nearer neighbour is
    far; one more is as broad as the data and has a hundredth of the weight. The inverse is iterative, see
    ``tolerance``.

    Args:
        features: the number of dimensions ``D``.
        kernels: how many logistics are mixed in each dimension, beside the broad one.

    Raises:
        UsageError: of fewer than 3 kernels.

    Source: Laparra, Camps-Valls, Malo (2011), IEEE Transactions on Neural Networks 22, arXiv:1602.00229, with a
    histogram in the place of the kernels.

    Example:
        >>> layer = KernelScores(1)
        >>> z = layer.initialise(torch.exp(torch.randn(4000, 1, generator=torch.Generator().manual_seed(0))))
        >>> abs(z.mean().item()) < 0.05, abs(z.std().item() - 1) < 0.1
        (True, True)
    """

    tolerance = TOLERANCE
    log_weights: Tensor
    places: Tensor
    widths: Tensor

    def __init__(self, features: int, kernels: int = 24) -> None:
        super().__init__(features)
        if kernels < 3:
            raise UsageError(f"KernelScores expects at least 3 kernels, got {kernels}")
        self.kernels = kernels
        self.register_buffer("log_weights", torch.full((kernels + 1,), -math.log(kernels + 1.0)))
        self.register_buffer("places", torch.linspace(-3.0, 3.0, kernels + 1).repeat(features, 1))
        self.register_buffer("widths", torch.full((features, kernels + 1), UNIT * 6.0 / kernels))

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(x, context, self.domain)
        z, log_slopes = self._scores(x)
        return z, log_slopes.sum(-1)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(z, context, self.codomain)
        x, log_slopes = invert(self._scores, z, *self._bracket(z))
        return x, log_slopes.sum(-1)

    def decode(self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        self.check(z, context, self.codomain)
        return solve(self._scores, z, *self._bracket(z))

    def _scores(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The normal scores, and the logarithms of their slopes."""
        u = (x.unsqueeze(-1) - self.places) / self.widths
        # On the side of the smaller tail, which is not rounded.
        side = torch.where((torch.exp(self.log_weights) * torch.sigmoid(u)).sum(-1) < 0.5, -1.0, 1.0).to(x.dtype)
        outwards = side.unsqueeze(-1) * u
        log_tails = self.log_weights + LOGISTIC.log_cdf(-outwards)
        size = normal_of_excess((-math.log(2.0) - torch.logsumexp(log_tails, -1)).clamp_min(0.0))
        # dz / dx = (p(x) / P) (P / phi(z)), with P the tail: a mean of the kernels' hazards, and Mills' ratio.
        log_hazards = torch.log_softmax(log_tails, -1) + LOGISTIC.log_hazard(outwards) - torch.log(self.widths)
        z, log_slopes = side * size, torch.logsumexp(log_hazards, -1) + log_mills(size)
        return torch.where(self.initialised, z, x), torch.where(self.initialised, log_slopes, 0.0)

    def _bracket(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Numbers below and above the root: the mean of several distribution functions is between the least and the
        largest of them."""
        logit = torch.sign(z) * (normal_excess(z.abs()) + math.log(2.0))
        own = self.places + self.widths * logit.unsqueeze(-1)
        return torch.where(self.initialised, own.amin(-1), z), torch.where(self.initialised, own.amax(-1), z)

    def _place(self, rows: Tensor) -> None:
        most = -torch.special.ndtri(torch.tensor(0.5 / max(len(rows), 8), dtype=torch.float64)).item()
        scores = torch.linspace(-most, most, self.kernels, dtype=torch.float64, device=rows.device)
        places = torch.quantile(rows.double(), torch.special.ndtr(scores), dim=0).t()
        steps = places.diff(dim=1)
        # Of the nearer neighbour: across a gap in the data no kernel reaches.
        widths = torch.cat([steps[:, :1], torch.minimum(steps[:, 1:], steps[:, :-1]), steps[:, -1:]], 1)
        mean, deviation = rows.double().mean(0)[:, None], rows.double().std(0, correction=0)[:, None].clamp_min(1e-6)
        widths = torch.cat([torch.maximum(widths, LEAST_WIDTH * deviation), deviation], 1)
        weights = torch.cat([(1.0 - BROAD) * _weights(scores), scores.new_tensor([BROAD])])
        self.log_weights.copy_(torch.log(weights))
        self.places.copy_(torch.cat([places, mean], 1))
        self.widths.copy_(UNIT * widths)


def _weights(scores: Tensor) -> Tensor:
    """A normal's probabilities of what is nearest to each score."""
    edges = torch.special.ndtr(0.5 * (scores[1:] + scores[:-1]))
    return torch.diff(edges, prepend=edges.new_zeros(1), append=edges.new_ones(1))
