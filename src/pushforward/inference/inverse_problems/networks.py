"""The networks of inverse problems: with the observation among the outputs, and with the observation as a context."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import nn

from pushforward.distributions import StandardNormal
from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.inference.inverse_problems.latent import ObservationAndLatent
from pushforward.models.contexts import conditioning
from pushforward.models.options import check_options
from pushforward.networks import MLP
from pushforward.networks.context import Context
from pushforward.networks.factory import NetworkFactory
from pushforward.scalar import Affine, ScalarBijection
from pushforward.scalar.arguments import check_counts, check_positive
from pushforward.transforms import Augmentation, Householder, Multipartite, Standardise, Transform, multipartite

HIDDEN = (64, 64)
"""The widths of the networks' hidden layers, by default."""
AFFINE = Affine(bound=2.0)
"""What couplings do by default."""


def two_way_coupling(
    features: int, network: NetworkFactory = MLP, context: Context = 0, scalar: ScalarBijection = AFFINE
) -> Multipartite:
    r"""A coupling that changes both halves ``u_1, u_2`` of a vector, the second as the changed first one decides,

    .. math:: v_1 = (u_1 + t_2(u_2)) \odot e^{s_2(u_2)}, \qquad v_2 = (u_2 + t_1(v_1)) \odot e^{s_1(v_1)},

    which is the paper's layer up to where its shift stands. With a context the networks see that too.

    Args:
        features: the number of dimensions, at least 2.
        network: a network factory, called for each half.
        context: a number of features, or a space of vectors; 0 for none.
        scalar: the scalar bijection, by default the affine one with log-scales up to 2.

    Raises:
        UsageError: if there is nothing to divide.

    Source: Ardizzone et al. (2019), arXiv:1808.04730, equations 5 and 6.

    Example:
        >>> two_way_coupling(5).parts
        (3, 2)
    """
    check_counts("two_way_coupling", least=2, features=features)
    return multipartite((features,), 2, scalar, network, context)


def invertible_flow(
    features: int,
    observation: Context,
    *,
    latent: int | None = None,
    width: int | None = None,
    layers: int = 6,
    hidden: int | Sequence[int] = HIDDEN,
    noise: float = 0.02,
) -> Flow:
    """Invertible network of an inverse problem: from parameters ``x`` to ``[y, z]``, the observation and a normal.

    It is a flow of ``x`` whose context is ``y``; the couplings do not see it, the base is `ObservationAndLatent`.
    Standardised parameters are padded with noise up to ``width``, then come two-way couplings, each with a learned
    reflection behind it where the paper has a random permutation.

    Args:
        features: the number of parameters.
        observation: what is observed: a number of features, or a space of vectors, or one of categories.
        latent: the dimensions of ``z``; by default what the observation leaves of the parameters, at least 1.
        width: of the couplings; by default as few as parameters, observation and latent need.
        layers: how many couplings.
        hidden: widths of the networks' hidden layers; one number stands for two layers.
        noise: the standard deviation of observations and of padding, in those of standardised data.

    Returns:
        The flow; its ``log_prob`` is exact without padding of the parameters, and with it a lower bound.

    Raises:
        UsageError: if a size does not fit.

    Source: Ardizzone et al. (2019), arXiv:1808.04730.

    Example:
        >>> import torch
        >>> flow = invertible_flow(4, 2, hidden=16)
        >>> flow.sample(10, torch.zeros(3, 2)).shape
        torch.Size([10, 3, 4])
    """
    check_counts("invertible_flow", features=features, layers=layers)
    given = conditioning(observation, None)
    if not isinstance(given.taken, int) or not given.taken:
        raise UsageError(f"invertible_flow expects an observation of one or more features, got {observation!r}")
    latent = max(features - given.taken, 1) if latent is None else latent
    check_counts("invertible_flow", latent=latent)
    check_positive("invertible_flow", noise=noise)
    least = max(features, given.taken + latent, 2)
    width = least if width is None else width
    check_counts("invertible_flow", width=width)
    if width < least:
        raise UsageError(
            f"invertible_flow expects a width of at least {least}, that of {features} parameters or of {given.taken} "
            f"observed and {latent} latent features, got {width}"
        )
    padding = [Augmentation(features, width - features, noise)] if width > features else []
    base = ObservationAndLatent(given.taken, latent, width - given.taken - latent, noise)
    return given.flow([Standardise(features), *padding, *_couplings(width, layers, hidden, 0, AFFINE)], base)


def conditional_invertible_flow(
    features: int,
    observation: Context,
    *,
    embedding: nn.Module | None = None,
    layers: int = 6,
    hidden: int | Sequence[int] = HIDDEN,
    scalar: ScalarBijection = AFFINE,
) -> Flow:
    """Conditional invertible network: a flow of the parameters whose couplings see the observation.

    Args:
        features: the number of parameters, at least 2.
        observation: what is observed: a number of features, a shape or a space; it is the flow's context.
        embedding: a network that makes a vector of the observation, as of an image, and is trained with the flow.
        layers: how many two-way couplings.
        hidden: widths of the networks' hidden layers; one number stands for two layers.
        scalar: the couplings' scalar bijection; a spline makes more of few layers.

    Raises:
        UsageError: if a size does not fit.

    Source: Ardizzone et al. (2019), arXiv:1907.02392; on inverse problems, Kruse et al. (2021), arXiv:2101.10763.

    Example:
        >>> import torch
        >>> flow = conditional_invertible_flow(4, 2, hidden=16)
        >>> flow.log_prob(torch.zeros(3, 4), torch.zeros(3, 2)).shape
        torch.Size([3])
    """
    check_counts("conditional_invertible_flow", layers=layers)
    given = conditioning(observation, embedding)
    parts = _couplings(features, layers, hidden, given.taken, scalar)
    return given.flow([Standardise(features), *parts], StandardNormal((features,)))


def _couplings(
    width: int, layers: int, hidden: int | Sequence[int], context: Context, scalar: ScalarBijection
) -> list[Transform]:
    check_options("the couplings' networks", _couplings, {"hidden": hidden}, {})
    network = partial(MLP, hidden=hidden)
    pairs = [(two_way_coupling(width, network, context, scalar), Householder(width, 1)) for _ in range(layers)]
    return [part for pair in pairs for part in pair]
