"""Unnormalised densities that stochastic layers relax towards: given, on the way to a given one, or learned."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pushforward.accuracy import Accuracy
from pushforward.distributions.base import Distribution
from pushforward.errors import ShapeError, UsageError
from pushforward.networks.context import Context, vector_context
from pushforward.networks.factory import NetworkFactory, make_network
from pushforward.networks.mlp import MLP
from pushforward.numerics import batch_shape, finite_square
from pushforward.parts import ModulePart


class Annealed(ModulePart):
    r"""The geometric path from a base to a target, ``log f(x) = (1 - share) log base(x) + share log target(x)``.

    Called with events ``(..., D)`` it returns ``(...)``, in nats up to a constant.

    Args:
        base: where the path begins, a distribution or a log-density.
        target: where it ends, the same.
        share: how far along the path, above 0 and at most 1.

    Raises:
        UsageError: if the share is not in ``(0, 1]``, or one of the two is no log-density.

    Source: Neal (2001), Annealed importance sampling, Statistics and Computing 11, arXiv:physics/9803008.

    Example:
        >>> import torch
        >>> from pushforward.distributions import StandardNormal
        >>> half = Annealed(StandardNormal((1,)), lambda x: -2.5 * x.square().sum(-1), 0.5)
        >>> (half(torch.ones(1)) - half(torch.zeros(1))).item()
        -1.5
    """

    def __init__(self, base: Any, target: Any, share: float) -> None:
        super().__init__()
        if not 0 < share <= 1:
            raise UsageError(f"Annealed expects a share above 0 and at most 1, got {share}: 0 is the base itself")
        check_exact(base, "Annealed")
        check_exact(target, "Annealed")
        self.base, self.target, self.share = base, target, share

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        base = log_density_of(self.base, x, context if getattr(self.base, "context", None) is not None else None)
        return (1 - self.share) * base + self.share * log_density_of(self.target, x, context)


class TiltedNormal(ModulePart):
    r"""A learned unnormalised density, ``log f(x) = -|x|^2 / 2 + network(x, context)``.

    A standard normal tilted by a network: one that grows at most linearly, as an MLP does, leaves it integrable
    whatever its weights. Called with events ``(..., D)`` it returns ``(...)``.

    Args:
        features: the number of dimensions ``D``.
        network: a network factory, called as ``network(D, 1, context)``; smooth, since its gradient is a force.
        context: a number of features or a space of vectors, 0 for none.

    Raises:
        ShapeError: if the context is missing or does not fit.

    Source: Xie, Lu, Zhu, Wu (2016), A Theory of Generative ConvNet, arXiv:1602.03264, for a normal tilted by a network.

    Example:
        >>> import torch
        >>> TiltedNormal(2)(torch.ones(3, 2))
        tensor([-1., -1., -1.], grad_fn=<AddBackward0>)
    """

    def __init__(self, features: int, network: NetworkFactory | nn.Module = MLP, context: Context = 0) -> None:
        super().__init__()
        self.context = vector_context(context, "TiltedNormal")
        self.network = make_network(network, features, 1, self.context, "TiltedNormal")

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return -0.5 * finite_square(x).sum(-1) + self.network(x, context)[..., 0]


def check_log_density(target: Any, owner: str) -> None:
    """Raise :class:`UsageError` unless this is a function, a module, or what has a ``log_prob``."""
    if isinstance(target, type) or not (callable(target) or hasattr(target, "log_prob")):
        what = f"the class {target.__name__}" if isinstance(target, type) else type(target).__name__
        raise UsageError(
            f"{owner} expects a log-density, a function of events (..., D) that returns (...), or a distribution, got "
            f"{what}"
        )


def check_exact(target: Any, owner: str) -> None:
    """Raise :class:`UsageError` unless this is a log-density, and, as far as it tells, an exact one."""
    check_log_density(target, owner)
    # The log_prob of a flow is as exact as the flow.
    told = getattr(target, "__self__", target)
    accuracy = getattr(told, "accuracy", Accuracy.EXACT)
    if isinstance(accuracy, Accuracy) and accuracy is not Accuracy.EXACT:
        raise UsageError(
            f"{owner} expects a target whose log-density is exact, got {type(told).__name__}, whose log_prob is "
            f"{'an' if accuracy is Accuracy.ESTIMATE else 'a'} {accuracy}"
        )


def sees_context(target: Any) -> bool:
    """Whether a log-density is called with a context, where there is one: functions are, and what says that it takes
    one."""
    if isinstance(target, torch.distributions.Distribution):
        return False
    return getattr(target, "context", target) is not None


def log_density_of(target: Any, x: Tensor, context: Tensor | None, event_dims: int = 1) -> Tensor:
    """Return the log-density of events, of their batch's shape.

    Raises:
        ShapeError: if the target returns something of another shape.
    """
    given = () if context is None else (context,)
    if isinstance(target, Distribution):
        value = target.score(x, *given)
    else:
        value = target.log_prob(x, *given) if hasattr(target, "log_prob") else target(x, *given)
    batch = batch_shape(x, event_dims)
    if not isinstance(value, Tensor) or value.shape != batch:
        got = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise ShapeError(
            f"a log-density returns one number for each event, of the batch's shape {tuple(batch)}, got {got}"
        )
    return value
