r"""What a variational fit minimises: divergences between the flow ``q`` and ``p = f / Z``, estimated from its samples.

Each returns a scalar whose gradient is an estimate of the divergence's. With ``w = f / q``, the path gradient leaves
out the part of ``d log q`` that is zero in the mean, so that its variance vanishes where ``q`` is ``p``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real

import torch
from torch import Tensor

from pushforward.accuracy import Accuracy
from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.transforms import Inverse, Transform
from pushforward.transforms.retracing import leaves

LogDensity = Callable[[Tensor], Tensor]

Divergence = Callable[[Flow, LogDensity, int], Tensor]
"""Of a flow, a log-density and a number of samples: the loss, a scalar."""


@dataclass(frozen=True)
class ReverseKL:
    r"""``KL(q || p) - log Z = E_q [log q(x) - log f(x)]``, with the gradient of the whole.

    It works for every flow whose samples carry gradients. Along paths through stochastic layers it is an upper bound.

    Source: Rezende, Mohamed (2015), arXiv:1505.05770.

    Example:
        >>> import pushforward as pf
        >>> flow = pf.Flow([pf.transforms.Planar(2)], pf.distributions.StandardNormal((2,)))
        >>> ReverseKL()(flow, lambda x: -0.5 * x.square().sum(-1), 16).shape
        torch.Size([])
    """

    def __call__(self, flow: Flow, log_density: LogDensity, draws: int) -> Tensor:
        return -flow.log_weight(log_density, draws)[1].mean()


@dataclass(frozen=True)
class StickingTheLanding:
    r"""``KL(q || p) - log Z`` with the path gradient, ``E [d(log q - log f)/dx dx/dtheta]``.

    Raises:
        UsageError: if the flow's ``log_prob`` is not exact.

    Source: Roeder, Wu, Duvenaud (2017), arXiv:1703.09194; of flows Vaitl, Nicoli, Nakajima, Kessel (2022),
    arXiv:2206.09016.

    Example:
        >>> import pushforward as pf
        >>> layer = pf.transforms.Elementwise(pf.scalar.Affine(), (2,))
        >>> flow = pf.Flow([layer], pf.distributions.StandardNormal((2,)))
        >>> StickingTheLanding()(flow, lambda x: -0.5 * x.square().sum(-1), 16).backward()
        >>> max(weight.grad.abs().max().item() for weight in flow.parameters())  # p is q already
        0.0
    """

    def __call__(self, flow: Flow, log_density: LogDensity, draws: int) -> Tensor:
        x, log_weight, slope = _paths(flow, log_density, draws)
        return _loss(-log_weight.mean(), -(slope * x).sum() / draws)


@dataclass(frozen=True)
class AlphaDivergence:
    r"""The negative variational Renyi bound, ``-1 / (1 - alpha) log E_q [w^(1 - alpha)]``.

    It is the Renyi divergence ``D_alpha(q || p) - log Z``: towards ``alpha = 1`` the reverse divergence, at 0 that of
    importance weighting, below 0 it covers ever more of ``p``. The gradient is that of paths,
    ``sum_i (alpha v_i + (1 - alpha) v_i^2) d log w_i / dx_i dx_i / dtheta`` with ``v`` the shares of
    ``w^(1 - alpha)``.

    Attributes:
        alpha: the order, not 1.

    Raises:
        UsageError: if ``alpha`` is 1 or not finite, or the flow's ``log_prob`` is not exact.

    Source: Li, Turner (2016), arXiv:1602.02311; the gradient of Tucker, Lawson, Gu, Maddison (2019), arXiv:1810.04152,
    here for any order.

    Example:
        >>> import pushforward as pf
        >>> flow = pf.Flow([pf.transforms.Planar(2)], pf.distributions.StandardNormal((2,)))
        >>> AlphaDivergence(0.5)(flow, lambda x: -0.5 * x.square().sum(-1), 16).shape
        torch.Size([])
    """

    alpha: float = 0.5

    def __post_init__(self) -> None:
        if not isinstance(self.alpha, Real) or self.alpha == 1 or not math.isfinite(self.alpha):
            raise UsageError(
                f"AlphaDivergence expects a finite alpha other than 1, got {self.alpha!r}: 1 is StickingTheLanding()"
            )

    def __call__(self, flow: Flow, log_density: LogDensity, draws: int) -> Tensor:
        x, log_weight, slope = _paths(flow, log_density, draws)
        order = 1 - self.alpha
        bound = (torch.logsumexp(order * log_weight, 0) - math.log(draws)) / order
        share = torch.softmax(order * log_weight, 0)
        factor = self.alpha * share + order * share.square()
        return _loss(-bound, -(factor[:, None] * (slope * x).flatten(1)).sum())


@dataclass(frozen=True)
class ForwardKL:
    r"""``KL(p || q)`` up to a constant, ``-E_p [log q(x)]``, by importance sampling from the flow as it is.

    The flow is its own proposal and adapts from step to step. Weights above ``sqrt(n)`` times their mean are cut off
    there. It needs no gradient of ``log f`` and covers all of ``p`` that the samples have met.

    Source: Cappe, Douc, Guillin, Marin, Robert (2008), arXiv:0710.4242; Jerfel et al. (2021), arXiv:2106.15980; the
    truncation of Ionides (2008), J. Comput. Graph. Stat. 17.

    Example:
        >>> import pushforward as pf
        >>> flow = pf.Flow([pf.transforms.Planar(2)], pf.distributions.StandardNormal((2,)))
        >>> ForwardKL()(flow, lambda x: -0.5 * x.square().sum(-1), 16).shape
        torch.Size([])
    """

    def __call__(self, flow: Flow, log_density: LogDensity, draws: int) -> Tensor:
        with torch.no_grad():
            x, log_weight = flow.log_weight(log_density, draws)
            most = torch.logsumexp(log_weight, 0) - 0.5 * math.log(draws)
            share = torch.softmax(log_weight.minimum(most), 0)
        return -(share * flow.log_prob(x)).sum()


def reverse_divergence(flow: Flow) -> Divergence:
    """Return the reverse divergence with the gradient that suits a flow: that of paths, whose variance vanishes at the
    optimum, where the flow is exact and has its latents in one pass, which path gradients take beside the samples'."""
    quick = flow.accuracy is Accuracy.EXACT and not any(_slow_to_latent(part) for part in leaves([flow.transform]))
    return StickingTheLanding() if quick else ReverseKL()


def _slow_to_latent(part: Transform) -> bool:
    inner = [module for module in part.modules() if isinstance(module, Transform)]
    return isinstance(part, Inverse) and any(each.sequential or each.tolerance is not None for each in inner)


def _paths(flow: Flow, log_density: LogDensity, draws: int) -> tuple[Tensor, Tensor, Tensor]:
    """Samples whose paths carry gradients, their log-weights, and the slopes of these at fixed parameters."""
    if flow.accuracy is not Accuracy.EXACT:
        raise UsageError(f"a path gradient expects a flow whose log_prob is exact, got a {flow.accuracy}: ReverseKL()")
    x = flow.rsample(draws)
    place = x.detach().requires_grad_()
    log_weight = log_density(place) - flow.log_prob(place)
    (slope,) = torch.autograd.grad(log_weight.sum(), place)
    return x, log_weight.detach(), slope


def _loss(value: Tensor, carrier: Tensor) -> Tensor:
    """A scalar of this value with the gradient of ``carrier``."""
    return value.detach() + (carrier - carrier.detach())
