"""Flows of angles, on tori."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

from torch import nn

from pushforward.distributions import UniformCircles
from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.models.contexts import conditioning
from pushforward.models.registry import model
from pushforward.models.vectors.autoregressive import autoregressive_layers
from pushforward.models.vectors.coupling import coupling_layers
from pushforward.networks import ResidualVelocity
from pushforward.networks.context import Context
from pushforward.scalar import CircularRationalQuadraticSpline, Composition, ConvexCombination, Moebius, ScalarBijection
from pushforward.spaces import Circle, Space, product_of
from pushforward.transforms import Continuous, DormandPrince, Radians

Ends = float | Sequence[float]
"""Where circles begin or end: one number for all, or one for each."""


@model("torus")
def torus(
    features: int = 2,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 2,
    hidden: int | Sequence[int] = (64, 64),
    components: int = 8,
    bins: int = 8,
    low: float | Sequence[float] = -math.pi,
    high: float | Sequence[float] = math.pi,
    space: Space | None = None,
) -> Flow:
    """Autoregressive flow of angles: densities on tori with no seam.

    Each angle changes by a convex combination of Moebius maps and a circular spline after it, as the cosines and sines
    of the angles before it decide, onto a uniform base. Data need no standardisation.

    Args:
        features: the number of angles.
        context: the context: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        layers: how many autoregressive layers.
        hidden: widths of the masked networks' hidden layers; one number stands for two layers.
        components: the Moebius maps of each combination.
        bins: the pieces of each spline.
        low: where the numbers of a circle begin, radians from -pi to pi by default: ``low=0, high=24`` are hours. One
            number for all angles, or one for each.
        high: where they end, at the point where they begin; as ``low``.
        space: the circles as a space, in place of ``low`` and ``high``.

    Raises:
        UsageError: if an option does not fit.

    Source: Rezende, Papamakarios, Racaniere, Albergo, Kanwar, Shanahan, Cranmer (2020), arXiv:2002.02428.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.torus(features=2, low=0, high=[24, 360])
        >>> flow.log_prob(torch.tensor([[0.0, 75.0], [24.0, 75.0]])).shape
        torch.Size([2])
    """
    circles, given = _circles("torus", features, low, high, space), conditioning(context, embedding)
    parts = autoregressive_layers(features, _map(components, bins), given, layers, hidden)
    return given.flow([Radians(circles), *parts], UniformCircles(Circle((features,))))


@model("torus-coupling")
def torus_coupling(
    features: int = 2,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 6,
    hidden: int | Sequence[int] = (64, 64),
    components: int = 8,
    bins: int = 8,
    low: float | Sequence[float] = -math.pi,
    high: float | Sequence[float] = math.pi,
    space: Space | None = None,
) -> Flow:
    """Coupling flow of angles: the maps of ``torus``, with samples of many angles in a few roots.

    Every other angle changes, in turn, as the cosines and sines of the others decide.

    Args:
        features: the number of angles, at least 2.
        context: the context: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        layers: how many couplings.
        hidden: widths of the networks' hidden layers; one number stands for two layers.
        components: the Moebius maps of each combination.
        bins: the pieces of each spline.
        low: where the numbers of a circle begin, radians from -pi to pi by default: ``low=0, high=24`` are hours. One
            number for all angles, or one for each.
        high: where they end, at the point where they begin; as ``low``.
        space: the circles as a space, in place of ``low`` and ``high``.

    Raises:
        UsageError: if an option does not fit.

    Source: Rezende, Papamakarios, Racaniere, Albergo, Kanwar, Shanahan, Cranmer (2020), arXiv:2002.02428.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.torus_coupling(features=3, layers=2, low=0, high=360)
        >>> flow.log_prob(torch.tensor([[0.0, 75.0, 180.0], [360.0, 75.0, 180.0]])).shape
        torch.Size([2])
    """
    circles, given = _circles("torus-coupling", features, low, high, space), conditioning(context, embedding)
    parts = coupling_layers(features, _map(components, bins), given, layers, hidden)
    return given.flow([Radians(circles), *parts], UniformCircles(Circle((features,))))


@model("torus-cnf")
def torus_cnf(
    features: int = 2,
    context: Context = 0,
    embedding: nn.Module | None = None,
    hidden: int | Sequence[int] = 128,
    tolerance: float = 1e-5,
    low: float | Sequence[float] = -math.pi,
    high: float | Sequence[float] = math.pi,
    space: Space | None = None,
) -> Flow:
    """Continuous flow of angles trained by Riemannian flow matching: free-form, with exact likelihood.

    A velocity field, which sees the cosine and the sine of each angle, carries a uniform base to the data. `fit` trains
    it on lines from latents to data the short way round, which solves no equation; likelihoods and samples come from
    solving it.

    Args:
        features: the number of angles.
        context: the context: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        hidden: widths of the velocity's residual blocks; one number stands for three.
        tolerance: of the solver, for each step.
        low: where the numbers of a circle begin, radians from -pi to pi by default: ``low=0, high=24`` are hours. One
            number for all angles, or one for each.
        high: where they end, at the point where they begin; as ``low``.
        space: the circles as a space, in place of ``low`` and ``high``.

    Raises:
        UsageError: if an option does not fit.

    Source: Chen, Lipman (2023), arXiv:2302.03660.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.torus_cnf(features=1, low=0, high=24)
        >>> round(flow.log_prob(torch.tensor([7.5])).exp().item() * 24, 4)
        1.0
    """
    circles, given = _circles("torus-cnf", features, low, high, space), conditioning(context, embedding)
    velocity, angles = partial(ResidualVelocity, hidden=hidden), Circle((features,))
    layer = Continuous(velocity, angles, DormandPrince(tolerance), context=given.taken)
    return given.flow([Radians(circles), layer], UniformCircles(angles))


def _map(components: int, bins: int) -> ScalarBijection:
    """How an angle changes."""
    return Composition(ConvexCombination(Moebius(), copies=components), CircularRationalQuadraticSpline(bins))


def _circles(owner: str, features: int, low: Ends, high: Ends, space: Space | None) -> Space:
    """The circles of a model's angles."""
    if space is None:
        pairs = zip(_each(owner, "low", low, features), _each(owner, "high", high, features))
        return product_of([Circle((), *ends) for ends in pairs])
    if (low, high) != (-math.pi, math.pi):
        raise UsageError(f"{owner} takes the circles by low= and high= or by space=, got both: leave one out")
    if not isinstance(space, Space) or tuple(space.shape) != (features,):
        raise UsageError(f"{owner} expects a space of vectors of {features} circles, as features= says, got {space!r}")
    return space


def _each(owner: str, name: str, ends: Ends, features: int) -> list[float]:
    """One end for each angle."""
    each = list(ends) if isinstance(ends, Sequence) else [ends] * features
    if len(each) != features:
        raise UsageError(f"{owner} expects one {name}, or {features} as features= says, got {name}={ends!r}")
    return each
