"""Flows that apply cumulative distribution functions: onto a uniform base, or Gaussianization."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import nn

from pushforward.distributions import Uniform
from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.models.contexts import Conditioning, conditioning
from pushforward.models.registry import model
from pushforward.models.vectors.autoregressive import autoregressive_layers
from pushforward.models.vectors.standardised import HIDDEN, vector_flow, widths
from pushforward.networks import MLP
from pushforward.networks.context import Context
from pushforward.scalar import GaussianMixtureCDF, MixtureCDF, ScalarBijection
from pushforward.transforms import ConditionalElementwise, Elementwise, Householder, Transform


@model("cdf-1d")
def cdf_1d(
    features: int = 1,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 1,
    hidden: int | Sequence[int] = HIDDEN,
    components: int = 5,
) -> Flow:
    """CDF flow in one dimension: the CDF of a mixture of Gaussians onto a uniform base, so the density is the mixture.

    Args:
        features: 1.
        context: the context: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        layers: how many maps; those before the last are mixture CDFs followed by a logit.
        hidden: widths of the networks that make the mixtures of a context; one number stands for two layers.
        components: the Gaussians of each mixture.

    Raises:
        UsageError: if an option does not fit.

    Source: Abbeel, Yan, Frans, Wu (2024), CS294-158 Deep Unsupervised Learning, lecture 3.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.cdf_1d(components=3)
        >>> bool((flow.encode(torch.randn(4, 1)) < 1).all())
        True
    """
    if features != 1:
        raise UsageError(f"cdf-1d expects features=1, got {features}: cdf-2d is for two, nsf for more")
    given = conditioning(context, embedding)
    inner = [_marginal(MixtureCDF("gaussian", components), 1, given, hidden) for _ in range(layers - 1)]
    last = _marginal(GaussianMixtureCDF(components), 1, given, hidden)
    return vector_flow(1, [*inner, last], given, Uniform((1,)))


@model("cdf-2d")
def cdf_2d(
    features: int = 2,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 1,
    hidden: int | Sequence[int] = HIDDEN,
    components: int = 5,
) -> Flow:
    """CDF flow in two dimensions: mixtures of Gaussians, the second given the first, onto a uniform base.

    Args:
        features: 2.
        context: the context: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        layers: how many maps; those before the last are mixture CDFs followed by a logit.
        hidden: widths of the masked networks' hidden layers; one number stands for two layers.
        components: the Gaussians of each mixture.

    Raises:
        UsageError: if an option does not fit.

    Source: Abbeel, Yan, Frans, Wu (2024), CS294-158 Deep Unsupervised Learning, lecture 3.

    Example:
        >>> import torch, pushforward as pf
        >>> pf.models.cdf_2d(components=3).log_prob(torch.zeros(4, 2)).shape
        torch.Size([4])
    """
    if features != 2:
        raise UsageError(f"cdf-2d expects features=2, got {features}: cdf-1d is for one, nsf for more")
    given = conditioning(context, embedding)
    inner = autoregressive_layers(2, MixtureCDF("gaussian", components), given, layers - 1, hidden)
    last = autoregressive_layers(2, GaussianMixtureCDF(components), given, 1, hidden)
    return vector_flow(2, [*inner, *last], given, Uniform((2,)))


@model("gaussianization")
def gaussianization(
    features: int = 2,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 8,
    hidden: int | Sequence[int] = HIDDEN,
    components: int = 8,
) -> Flow:
    """Gaussianization flow: each dimension by itself through mixture CDFs, then a learned rotation, in turn.

    Args:
        features: the number of dimensions.
        context: the context: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        layers: how many pairs of a map of each dimension and a rotation.
        hidden: widths of the networks that make the mixtures of a context; one number stands for two layers.
        components: the logistics of each mixture.

    Raises:
        UsageError: if an option does not fit.

    Source: Meng, Song, Song, Ermon (2020), arXiv:2003.01941.

    Example:
        >>> import torch, pushforward as pf
        >>> pf.models.gaussianization(features=3, layers=2).log_prob(torch.zeros(4, 3)).shape
        torch.Size([4])
    """
    given, scalar = conditioning(context, embedding), MixtureCDF("logistic", components)
    pairs = [(_marginal(scalar, features, given, hidden), Householder(features)) for _ in range(layers)]
    return vector_flow(features, [part for pair in pairs for part in pair], given)


def _marginal(scalar: ScalarBijection, features: int, given: Conditioning, hidden: int | Sequence[int]) -> Transform:
    """Each dimension by itself, with parameters that are learned or that the context decides."""
    if not given.taken:
        return Elementwise(scalar, (features,))
    return ConditionalElementwise(scalar, features, partial(MLP, hidden=widths(hidden)), given.taken)
