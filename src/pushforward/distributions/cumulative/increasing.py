"""A network of a distribution function that increases by construction."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pushforward.distributions.cumulative.base import CumulativeNetwork, log_slopes_of, neighbour_slopes, raw_of
from pushforward.distributions.discrete.mass import gumbel_argmax
from pushforward.numerics import check_start, log_sigmoid_slope, uniform_noise
from pushforward.scalar.arguments import check_counts
from pushforward.spaces import Reals


class IncreasingNetwork(CumulativeNetwork):
    r"""A network that is a distribution function whatever its parameters, ``H(x) = sum_k w_k prod_d sigmoid(a_kd (x_d -
    m_kd))``.

    The weights are positive and sum to 1 and the slopes ``a`` are positive and bounded, so in one dimension it is a
    network of one hidden layer of sigmoids with positive weights, and in more all mixed derivatives are positive too.
    The density is ``sum_k w_k prod_d a_kd sigmoid'(a_kd (x_d - m_kd))``. :meth:`initialise` puts the units at points of
    the data, each as wide as the points nearest to it.

    Args:
        features: the number of dimensions ``D``.
        units: the number of hidden units ``K``.

    Shapes: ``x`` is ``(..., D)``, its log-density ``(...)``.

    Raises:
        UsageError: for no unit.

    Source: Magdon-Ismail, Atiya (2002), Density estimation and random variate generation using multilayer networks,
    IEEE Transactions on Neural Networks 13, 497-520, for one dimension.

    Example:
        >>> base = IncreasingNetwork(2, units=4)
        >>> base.cdf(torch.full((1, 2), 100.0)), base.log_prob(torch.zeros(3, 2)).shape
        (tensor([1.], grad_fn=<ExpBackward0>), torch.Size([3]))
    """

    reparametrised = False
    initialised: Tensor

    def __init__(self, features: int, units: int = 16) -> None:
        super().__init__()
        check_counts("IncreasingNetwork", units=units)
        self.support = Reals((features,))
        self.logits = nn.Parameter(torch.zeros(units))
        self.centers = nn.Parameter(torch.randn(units, features))
        self.raw_slopes = nn.Parameter(torch.zeros(units, features))
        self.register_buffer("initialised", torch.tensor(False))

    def cdf(self, x: Tensor) -> Tensor:
        log_slopes = log_slopes_of(self.raw_slopes)
        units = nn.functional.logsigmoid(torch.exp(log_slopes) * (x.unsqueeze(-2) - self.centers)).sum(-1)
        return torch.exp(torch.logsumexp(torch.log_softmax(self.logits, -1) + units, -1))

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        log_slopes = log_slopes_of(self.raw_slopes)
        inner = torch.exp(log_slopes) * (x.unsqueeze(-2) - self.centers)
        units = (log_slopes + log_sigmoid_slope(inner)).sum(-1)
        return torch.logsumexp(torch.log_softmax(self.logits, -1) + units, -1)

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        log_weights = torch.log_softmax(self.logits, -1).expand(*batch, -1)
        chosen = gumbel_argmax(log_weights, temperature, generator)
        widths = torch.exp(-log_slopes_of(self.raw_slopes))[chosen]
        return self.centers[chosen] + temperature * widths * torch.logit(uniform_noise(widths, widths.shape, generator))

    @torch.no_grad()
    def initialise(self, x: Tensor, context: Tensor | None = None) -> None:
        if self.initialised:
            return
        rows = x.reshape(-1, x.shape[-1])
        check_start(rows.t(), "IncreasingNetwork")
        units = len(self.centers)
        self.centers.copy_(rows[torch.randint(len(rows), (units,), device=rows.device)])
        self.raw_slopes.copy_(raw_of(neighbour_slopes(self.centers, rows)))
        self.initialised.fill_(True)
