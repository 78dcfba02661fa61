"""Continuous flows that are trained by maximum likelihood, for vectors and for images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import nn

from pushforward.flows.flow import Flow
from pushforward.models.contexts import conditioning
from pushforward.models.images.continuous import continuous_images
from pushforward.models.kinds import LEVELS, only_shape, vector_features
from pushforward.models.registry import model
from pushforward.models.vectors.standardised import vector_flow, widths
from pushforward.networks import ConcatSquashConvNet, ConcatSquashMLP
from pushforward.networks.context import Context
from pushforward.transforms import Continuous, DormandPrince, ExactTrace, Hutchinson
from pushforward.transforms.continuous.trace import Trace

CHEAP_LAYERS = 2
"""With no more hidden layers than these, the exact trace costs what one more layer does."""
FEW = 8
"""With more dimensions than these, and more layers, the trace is estimated."""


@model("ffjord")
def ffjord(
    features: int | None = None,
    shape: Sequence[int] | None = None,
    levels: int | None = None,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 1,
    hidden: int | Sequence[int] | None = None,
    tolerance: float = 1e-5,
) -> Flow:
    """FFJORD: continuous flows with a free velocity, trained by maximum likelihood, for vectors or images.

    Velocities are concatsquash networks. The log-density of vectors is exact, to the solver's tolerance, as long as
    the velocity has two hidden layers or the vectors eight dimensions; else, and for images, it is an estimate.
    Vectors are standardised first, images dequantized, taken through a logit and normalised.

    Args:
        features: the number of dimensions of a vector; give this or ``shape``.
        shape: channels, height and width of an image of integers.
        levels: how many values a pixel takes, 256 by default.
        context: the context: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        layers: continuous flows in turn.
        hidden: widths of the velocity's hidden layers, two of 64 by default, or channels of its layers for images, two
            of 32.
        tolerance: of the solver, for each step.

    Raises:
        UsageError: if an option does not fit, or not exactly one of ``features`` and ``shape`` is given.

    Source: Grathwohl, Chen, Bettencourt, Sutskever, Duvenaud (2019), arXiv:1810.01367.

    Example:
        >>> import torch, pushforward as pf
        >>> pf.models.ffjord(features=3).log_prob(torch.zeros(4, 3)).shape
        torch.Size([4])
        >>> pf.models.ffjord(shape=(1, 8, 8), levels=17, hidden=8).sample(2).shape
        torch.Size([2, 1, 8, 8])
    """
    given, solver = conditioning(context, embedding), DormandPrince(tolerance)
    if shape is not None:
        channels = 32 if hidden is None else hidden
        velocity = partial(ConcatSquashConvNet, hidden=channels)
        return continuous_images(only_shape(shape, features), levels or LEVELS, velocity, layers, given, solver)
    features, inner = vector_features(features, levels), widths(64 if hidden is None else hidden)
    trace = _trace(features, len(inner))
    network = partial(ConcatSquashMLP, hidden=inner)
    parts = [Continuous(network, features, solver, trace, context=given.taken) for _ in range(layers)]
    return vector_flow(features, parts, given)


def _trace(features: int, hidden_layers: int) -> Trace:
    """The exact one where it costs little."""
    return ExactTrace() if hidden_layers <= CHEAP_LAYERS or features <= FEW else Hutchinson()
