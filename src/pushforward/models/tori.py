"""Flows of angles, on tori."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from pushforward.distributions import UniformCircles
from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.models.contexts import conditioning
from pushforward.models.registry import model
from pushforward.models.vectors.autoregressive import autoregressive_layers
from pushforward.networks.context import Context
from pushforward.scalar import CircularRationalQuadraticSpline, Composition, ConvexCombination, Moebius
from pushforward.spaces import Circle, Space
from pushforward.transforms import Radians


@model("torus")
def torus(
    features: int = 2,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 2,
    hidden: int | Sequence[int] = (64, 64),
    components: int = 8,
    bins: int = 8,
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
        space: circles of other units than radians from -pi to pi: ``Circle((2,), 0, 24)``, or a product of several.

    Raises:
        UsageError: if an option does not fit.

    Source: Rezende, Papamakarios, Racaniere, Albergo, Kanwar, Shanahan, Cranmer (2020), arXiv:2002.02428.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.torus(features=2, space=pf.spaces.Circle((2,), 0, 24))
        >>> flow.log_prob(torch.tensor([[0.0, 7.5], [24.0, 7.5]])).shape
        torch.Size([2])
    """
    circles = Circle((features,)) if space is None else space
    if tuple(circles.shape) != (features,):
        raise UsageError(f"torus expects a space of {features} circles, as features= says, got {circles}")
    given = conditioning(context, embedding)
    scalar = Composition(ConvexCombination(Moebius(), copies=components), CircularRationalQuadraticSpline(bins))
    parts = autoregressive_layers(features, scalar, given, layers, hidden)
    return given.flow([Radians(circles), *parts], UniformCircles(Circle((features,))))
