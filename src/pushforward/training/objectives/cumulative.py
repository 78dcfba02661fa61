"""Learning distribution functions: the network at a point is to be the part of the data below it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pushforward.distributions.cumulative.base import CumulativeNetwork
from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.numerics import rand

Targets = Callable[[Tensor], Tensor]
"""Of events ``(N, D)``, what the distribution function is to be at each, ``(N,)``."""

Weights = Callable[[Tensor], Tensor]
"""Of what the network says at the events of a batch, ``(N,)``, how much the error at each counts."""


def anderson_darling(values: Tensor) -> Tensor:
    """``1 / (H (1 - H) + 1 / N)``, near the inverse of the variance of ``N`` times an empirical distribution function:
    the tails, where that is small, then count as much as the middle.

    Raises:
        ZeroDivisionError: of an empty batch.

    Source: Anderson, Darling (1952), Annals of Mathematical Statistics 23, 193-212; the least variance of an event is
    ours.

    Example:
        >>> anderson_darling(torch.tensor([0.0, 0.5]))
        tensor([2.0000, 1.3333])
    """
    return 1.0 / (values * (1.0 - values) + 1.0 / len(values))


def equal_weights(values: Tensor) -> Tensor:
    """1 for each, as in the paper.

    Raises:
        TypeError: if this is no tensor.

    Example:
        >>> equal_weights(torch.tensor([0.2, 0.9]))
        tensor([1., 1.])
    """
    return torch.ones_like(values)


@dataclass(frozen=True)
class EmpiricalTargets:
    """The empirical distribution function, ``#{j : x_j <= x_i in every dimension, j != i} / (N - 1)``: deterministic,
    in any dimension, and right in the mean.

    Source: Magdon-Ismail, Atiya (2002), IEEE Transactions on Neural Networks 13, 497-520, sections II and VI.

    Example:
        >>> EmpiricalTargets()(torch.tensor([[0.0, 0.0], [1.0, 1.0], [2.0, -1.0]]))
        tensor([0.0000, 0.5000, 0.0000])
    """

    def __call__(self, x: Tensor) -> Tensor:
        below = (x[None] <= x[:, None]).all(-1).sum(1) - 1
        return below.to(x.dtype) / max(len(x) - 1, 1)


@dataclass(frozen=True)
class StochasticTargets:
    """Uniform numbers, drawn anew for each batch and given to its events in their order: what a distribution function
    in one dimension makes of events.

    Source: Magdon-Ismail, Atiya (2002), IEEE Transactions on Neural Networks 13, 497-520, section III, the stochastic
    learning of the cumulative.

    Example:
        >>> targets = StochasticTargets()(torch.tensor([[2.0], [0.0], [1.0]]))
        >>> bool(targets[1] < targets[2] < targets[0])
        True
    """

    def __call__(self, x: Tensor) -> Tensor:
        levels = rand(x, (len(x),), None).sort().values
        return levels[x[:, 0].argsort().argsort()]


@dataclass(frozen=True)
class CumulativeFit:
    r"""The mean of ``w_i (H(x_i) - y_i)^2`` with the targets ``y`` and the weights ``w`` of a batch, and ``penalty``
    times what ``H`` decreases.

    ``H`` is the distribution function of a flow's base, a :class:`~pushforward.distributions.CumulativeNetwork`. It is
    no likelihood: the density is the derivative of what is fitted.

    Attributes:
        targets: :class:`EmpiricalTargets`, or :class:`StochasticTargets` in one dimension.
        penalty: of decreases, for networks that can decrease.
        weights: :func:`anderson_darling`, or :func:`equal_weights`, which hardly see the tails.

    Raises:
        UsageError: if the flow's base is no network of a distribution function, or the targets are not for so many
            dimensions.

    Source: Magdon-Ismail, Atiya (2002), IEEE Transactions on Neural Networks 13, 497-520.

    Example:
        >>> import pushforward as pf
        >>> flow = pf.models.cdf_network(features=1)
        >>> x, objective = torch.randn(500, 1), CumulativeFit(StochasticTargets())
        >>> pf.fit(flow, x, objective=objective, max_steps=5, progress=False).steps
        5
    """

    targets: Targets = field(default_factory=EmpiricalTargets)
    penalty: float = 1.0
    weights: Weights = anderson_darling

    def check(self, flow: Flow) -> None:
        """Raise :class:`UsageError` if the flow cannot be trained so."""
        if not isinstance(flow.base, CumulativeNetwork) or len(flow.base.event_shape) != 1:
            raise UsageError("CumulativeFit expects a flow whose base is a CumulativeNetwork, as cdf-network has")
        if isinstance(self.targets, StochasticTargets) and flow.base.event_shape[0] != 1:
            raise UsageError("StochasticTargets expects one dimension, in which events have an order: EmpiricalTargets")

    def __call__(self, flow: Flow, x: Tensor, context: Tensor | None = None) -> Tensor:
        base = flow.base
        assert isinstance(base, CumulativeNetwork)
        x, _ = flow.check(x, context)
        z = flow.transform.encode(x)
        z = z.reshape(-1, z.shape[-1])
        values = base.cdf(z)
        error = (self.weights(values.detach()) * (values - self.targets(z)).square()).mean()
        return error + self.penalty * base.decrease(z)
