"""Continuous flows that are trained by flow matching, for vectors and for images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import nn

from pushforward.flows.flow import Flow
from pushforward.models.contexts import conditioning
from pushforward.models.images.continuous import continuous_images
from pushforward.models.kinds import LEVELS, only_shape, vector_features
from pushforward.models.registry import model
from pushforward.models.vectors.standardised import vector_flow
from pushforward.networks import ConcatSquashConvNet, ResidualVelocity
from pushforward.networks.context import Context
from pushforward.transforms import Continuous, DormandPrince


@model("cnf")
def cnf(
    features: int | None = None,
    shape: Sequence[int] | None = None,
    levels: int | None = None,
    context: Context = 0,
    embedding: nn.Module | None = None,
    hidden: int | Sequence[int] | None = None,
    tolerance: float = 1e-5,
) -> Flow:
    """Continuous normalizing flow trained by flow matching: fast to train, exact likelihood, for vectors or images.

    A velocity field carries a normal to the data. `fit` trains it by flow matching, with optimal-transport pairing,
    which solves no equation; likelihoods and samples come from solving it. Vectors are standardised first, images
    dequantized, taken through a logit and normalised; the likelihood of images is an estimate, by a stochastic trace.

    Args:
        features: the number of dimensions of a vector; give this or ``shape``.
        shape: channels, height and width of an image of integers.
        levels: how many values a pixel takes, 256 by default.
        context: the context: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        hidden: widths of the velocity's residual blocks, three of 128 by default, or channels of its layers for images,
            two of 64.
        tolerance: of the solver, for each step.

    Raises:
        UsageError: if an option does not fit, or not exactly one of ``features`` and ``shape`` is given.

    Source: Lipman et al. (2023), arXiv:2210.02747; Tong et al. (2023), arXiv:2302.00482.

    Example:
        >>> import torch, pushforward as pf
        >>> pf.models.cnf(features=3).log_prob(torch.zeros(4, 3)).shape
        torch.Size([4])
        >>> pf.models.cnf(shape=(1, 8, 8), levels=17, hidden=8).sample(2).shape
        torch.Size([2, 1, 8, 8])
    """
    given, solver = conditioning(context, embedding), DormandPrince(tolerance)
    if shape is not None:
        network = partial(ConcatSquashConvNet, hidden=64 if hidden is None else hidden, activation="silu")
        return continuous_images(only_shape(shape, features), levels or LEVELS, network, 1, given, solver)
    features = vector_features(features, levels)
    velocity = partial(ResidualVelocity, hidden=128 if hidden is None else hidden)
    return vector_flow(features, [Continuous(velocity, features, solver, context=given.taken)], given)
