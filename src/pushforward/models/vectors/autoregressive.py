"""Autoregressive flows: each dimension changes as the dimensions before it decide."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import nn

from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.models.contexts import Conditioning, conditioning
from pushforward.models.registry import checked, model
from pushforward.models.vectors.standardised import HIDDEN, vector_flow, widths
from pushforward.networks import MADE, NetworkFactory
from pushforward.networks.context import Context
from pushforward.scalar import Affine, DeepSigmoidal, IntegralNetwork, RationalQuadraticSpline, ScalarBijection
from pushforward.spaces import Reals
from pushforward.transforms import Autoregressive, Inverse, Transform


@checked
def autoregressive(
    features: int,
    scalar: ScalarBijection,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 5,
    hidden: int | Sequence[int] = HIDDEN,
) -> Flow:
    """Autoregressive flow of any scalar bijection, ``z_i = h(x_i; theta_i(x_<i, context))`` in every layer.

    A standardisation, then layers whose order is reversed from one to the next, each with a masked network (MADE), onto
    a standard normal base. ``maf``, ``nsf``, ``naf`` and ``umnn`` are instances.

    Args:
        features: the number of dimensions.
        scalar: the scalar bijection ``h`` of every dimension, from the reals onto the reals.
        context: the context: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        layers: how many autoregressive layers.
        hidden: widths of the masked networks' hidden layers; one number stands for two layers.

    Raises:
        UsageError: if an option does not fit.

    Source: Papamakarios, Nalisnick, Rezende, Mohamed, Lakshminarayanan (2021), arXiv:1912.02762, section 3.1.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.autoregressive(features=3, scalar=pf.scalar.OddPolynomial(), hidden=16)
        >>> flow.log_prob(torch.zeros(4, 3)).shape
        torch.Size([4])
    """
    given = conditioning(context, embedding)
    real_line("autoregressive", scalar)
    return vector_flow(features, autoregressive_layers(features, scalar, given, layers, hidden), given)


@model("maf")
def maf(
    features: int = 2,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 5,
    hidden: int | Sequence[int] = HIDDEN,
) -> Flow:
    """Masked autoregressive flow: affine maps whose shifts and scales the dimensions before decide.

    Args:
        features: the number of dimensions.
        context: the context: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        layers: how many autoregressive layers.
        hidden: widths of the masked networks' hidden layers; one number stands for two layers.

    Raises:
        UsageError: if an option does not fit.

    Source: Papamakarios, Pavlakou, Murray (2017), arXiv:1705.07057.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.maf(features=3, context=2)
        >>> flow.log_prob(torch.zeros(4, 3), torch.zeros(4, 2)).shape
        torch.Size([4])
    """
    return autoregressive(features, Affine(), context, embedding, layers, hidden)


@model("iaf")
def iaf(
    features: int = 2,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 5,
    hidden: int | Sequence[int] = HIDDEN,
) -> Flow:
    """Inverse autoregressive flow: samples in one pass, densities one dimension after the other.

    The layers of ``maf``, each run backwards.

    Args:
        features: the number of dimensions.
        context: the context: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        layers: how many autoregressive layers.
        hidden: widths of the masked networks' hidden layers; one number stands for two layers.

    Raises:
        UsageError: if an option does not fit.

    Source: Kingma, Salimans, Jozefowicz, Chen, Sutskever, Welling (2016), arXiv:1606.04934.

    Example:
        >>> import torch, pushforward as pf
        >>> pf.models.iaf(features=3).sample(4).shape
        torch.Size([4, 3])
    """
    given = conditioning(context, embedding)
    forwards = autoregressive_layers(features, Affine(), given, layers, hidden)
    return vector_flow(features, [Inverse(layer) for layer in forwards], given)


@model("nsf")
def nsf(
    features: int = 2,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 5,
    hidden: int | Sequence[int] = HIDDEN,
    bins: int = 8,
    bound: float = 5.0,
) -> Flow:
    """Autoregressive neural spline flow: rational-quadratic splines inside ``(-bound, bound)``, the identity outside.

    Args:
        features: the number of dimensions.
        context: the context: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        layers: how many autoregressive layers.
        hidden: widths of the masked networks' hidden layers; one number stands for two layers.
        bins: the pieces of each spline.
        bound: how far the splines reach, in standard deviations of the data.

    Raises:
        UsageError: if an option does not fit.

    Source: Durkan, Bekasov, Murray, Papamakarios (2019), arXiv:1906.04032.

    Example:
        >>> import torch, pushforward as pf
        >>> summary = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 5))
        >>> flow = pf.models.nsf(features=3, context=(1, 8, 8), embedding=summary)
        >>> flow.sample(4, torch.zeros(10, 1, 8, 8)).shape
        torch.Size([4, 10, 3])
    """
    return autoregressive(features, RationalQuadraticSpline(bins, bound), context, embedding, layers, hidden)


@model("naf")
def naf(
    features: int = 2,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 3,
    hidden: int | Sequence[int] = HIDDEN,
    units: int = 8,
) -> Flow:
    """Neural autoregressive flow: each dimension passes a monotone network of ``units`` sigmoids.

    Args:
        features: the number of dimensions.
        context: the context: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        layers: how many autoregressive layers.
        hidden: widths of the masked networks' hidden layers; one number stands for two layers.
        units: the sigmoids of each monotone network.

    Raises:
        UsageError: if an option does not fit.

    Source: Huang, Krueger, Lacoste, Courville (2018), arXiv:1804.00779.

    Example:
        >>> import torch, pushforward as pf
        >>> pf.models.naf(features=3, units=4).log_prob(torch.zeros(4, 3)).shape
        torch.Size([4])
    """
    return autoregressive(features, DeepSigmoidal(units, layers=1), context, embedding, layers, hidden)


@model("umnn")
def umnn(
    features: int = 2,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 3,
    hidden: int | Sequence[int] = HIDDEN,
    units: int = 8,
) -> Flow:
    """Unconstrained monotonic neural networks: each dimension passes the integral of a positive network.

    Args:
        features: the number of dimensions.
        context: the context: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        layers: how many autoregressive layers.
        hidden: widths of the masked networks' hidden layers; one number stands for two layers.
        units: the hidden units of each positive network.

    Raises:
        UsageError: if an option does not fit.

    Source: Wehenkel, Louppe (2019), arXiv:1908.05164.

    Example:
        >>> import torch, pushforward as pf
        >>> pf.models.umnn(features=3, units=4).log_prob(torch.zeros(4, 3)).shape
        torch.Size([4])
    """
    return autoregressive(features, IntegralNetwork(units), context, embedding, layers, hidden)


def autoregressive_layers(
    features: int, scalar: ScalarBijection, given: Conditioning, layers: int, hidden: int | Sequence[int]
) -> list[Transform]:
    """Autoregressive layers with masked networks, whose order is reversed from one to the next."""
    return alternating_layers(features, scalar, partial(MADE, hidden=widths(hidden)), given.taken, layers)


def alternating_layers(
    features: int, scalar: ScalarBijection, network: NetworkFactory, context: Context, layers: int
) -> list[Transform]:
    """Autoregressive layers whose order is reversed from one to the next."""
    there = torch.arange(features)
    orders = [there if layer % 2 == 0 else there.flip(0) for layer in range(layers)]
    return [Autoregressive(features, scalar, network, context, order) for order in orders]


def real_line(owner: str, scalar: ScalarBijection) -> None:
    """Raise :class:`UsageError` unless the scalar bijection leads from the reals onto the reals."""
    if not isinstance(scalar, ScalarBijection):
        raise UsageError(f"{owner} expects a scalar bijection such as pf.scalar.Affine(), got {scalar!r}")
    if scalar.domain != Reals() or scalar.codomain != Reals():
        raise UsageError(
            f"{owner} expects a scalar bijection from the reals onto the reals, got {scalar}, from "
            f"{scalar.domain} onto {scalar.codomain}: put the flow together by hand"
        )
