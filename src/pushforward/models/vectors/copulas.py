"""Flows whose marginals and copula are apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from torch import nn

from pushforward.distributions import Distribution, GaussianCopula, StandardNormal, StudentCopula, VineCopula
from pushforward.errors import UsageError
from pushforward.flows.ex_post import ExPostFlow
from pushforward.flows.flow import Flow
from pushforward.models.contexts import Conditioning, conditioning
from pushforward.models.registry import model
from pushforward.models.vectors.autoregressive import autoregressive_layers
from pushforward.models.vectors.standardised import HIDDEN, vector_flow, widths
from pushforward.networks import MLP
from pushforward.networks.context import Context
from pushforward.scalar import MixtureCDF, RationalQuadraticSpline, ScalarBijection
from pushforward.transforms import ConditionalElementwise, Elementwise, ExtremeValueTails, NormalScores, Transform

BINS, BOUND = 8, 5.0
COMPONENTS = 8


def ex_post_vine(features: int) -> Distribution:
    """A standard normal, and once the training has ended empirical marginals and a vine copula of the latents."""
    return ExPostFlow([NormalScores(features)], VineCopula(features))


COPULAS: dict[str, Callable[[int], Distribution]] = {
    "independence": lambda features: StandardNormal((features,)),
    "gaussian": GaussianCopula,
    "student": StudentCopula,
    "vine": ex_post_vine,
}
"""By name, normal in each dimension; ``"flow"`` is a neural spline flow."""

MARGINALS = ("tails", "splines", "mixtures")


@model("copula")
def copula(
    features: int = 2,
    context: Context = 0,
    embedding: nn.Module | None = None,
    marginals: str | nn.Module = "tails",
    copula: str | nn.Module = "gaussian",
    layers: int = 3,
    hidden: int | Sequence[int] = HIDDEN,
) -> Flow:
    """Copula and marginal flow: each dimension by itself onto a normal, then a copula of the normal scores.

    The density is ``c(F_1(x_1), ..., F_D(x_D)) prod_i f_i(x_i)``. Of the copulas with a closed form each dimension is
    standard normal whatever their parameters, so the marginals are those of the transform alone: ``pf.Flow(
    flow.transform, StandardNormal((features,)))`` is their product.

    Args:
        features: the number of dimensions.
        context: the context, which decides the marginals, and a copula that is a flow: a number of features, a shape or
            a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        marginals: ``"tails"`` (extreme-value tails of estimated indices, and splines), for light tails ``"splines"``
            (linear beyond five scales) or ``"mixtures"`` (distribution functions of mixtures), or a transform of
            vectors onto the reals, dimension by dimension.
        copula: ``"independence"``, ``"gaussian"``, ``"student"``, ``"flow"`` (a neural spline flow, whose dimensions
            are normal as far as it learns it, and exactly so beyond 5), ``"vine"`` (independence while the marginals
            are trained, and then a vine of pair copulas behind what the data show the marginals to lack, which ``fit``
            estimates at its end; the extra ``vines``), or a distribution of normal scores.
        layers: how many autoregressive layers a copula that is a flow has.
        hidden: widths of the networks' hidden layers; one number stands for two layers.

    Raises:
        UsageError: if an option does not fit.

    Source: Wiese, Knobloch, Korn (2019), Copula and marginal flows, arXiv:1907.03361; Sklar (1959).

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.copula(features=3, marginals="splines", copula="student")
        >>> flow.log_prob(torch.zeros(4, 3)).shape, flow.base.correlations().shape
        (torch.Size([4]), torch.Size([3, 3]))
    """
    given = conditioning(context, embedding)
    parts = marginal_transforms(marginals, features, given, hidden)
    if copula == "flow":
        parts += autoregressive_layers(features, RationalQuadraticSpline(), given, layers, hidden)
        return vector_flow(features, parts, given)
    return vector_flow(features, parts, given, copula_named(copula, features))


def marginal_transforms(
    kind: str | nn.Module, features: int, given: Conditioning, hidden: int | Sequence[int]
) -> list[Transform]:
    """The transforms of each dimension by itself, by their name, or the one given.

    Raises:
        UsageError: if there are none of the name.
    """
    if isinstance(kind, Transform):
        return [kind]
    if kind not in MARGINALS:
        raise UsageError(f"marginals expects one of {', '.join(MARGINALS)} or a transform, got {kind!r}")
    scalar: ScalarBijection = RationalQuadraticSpline(BINS, BOUND)
    if kind == "mixtures":
        scalar = MixtureCDF("gaussian", COMPONENTS)
    tails: list[Transform] = [ExtremeValueTails(features)] if kind == "tails" else []
    if not given.taken:
        return [*tails, Elementwise(scalar, (features,))]
    return [*tails, ConditionalElementwise(scalar, features, partial(MLP, hidden=widths(hidden)), given.taken)]


def copula_named(kind: str | nn.Module, features: int) -> Distribution:
    """The copula of a name, or the one given.

    Raises:
        UsageError: if there is none of the name.
    """
    if isinstance(kind, Distribution):
        return kind
    if kind not in COPULAS:
        raise UsageError(f"copula expects one of {', '.join(COPULAS)}, flow, or a distribution, got {kind!r}")
    return COPULAS[kind](features)  # type: ignore[index]
