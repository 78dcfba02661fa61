"""Neural autoregressive distribution estimators: each variable's distribution as the variables before it decide."""

from __future__ import annotations

from functools import partial

from torch import nn

from pushforward.distributions import (
    AutoregressiveDistribution,
    BernoulliMass,
    CategoricalMass,
    GaussianMixtureConditional,
    LaplaceMixtureConditional,
)
from pushforward.distributions.autoregressive.mixtures import MixtureConditional
from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.models.contexts import conditioning
from pushforward.models.registry import model
from pushforward.models.vectors.standardised import vector_flow
from pushforward.networks import NADE, CategoricalNADE, RescaledNADE
from pushforward.networks.context import Context
from pushforward.transforms import Integers

MIXTURES: dict[str, type[MixtureConditional]] = {
    "gaussian": GaussianMixtureConditional,
    "laplace": LaplaceMixtureConditional,
}
"""The mixtures of one variable, by name."""


@model("nade")
def nade(
    features: int = 2,
    classes: int = 2,
    context: Context = 0,
    embedding: nn.Module | None = None,
    hidden: int = 500,
) -> Flow:
    """NADE: binary variables or categories one after the other, with hidden weights that all share; an exact mass.

    Args:
        features: the number of variables.
        classes: how many values each takes, ``0 ... classes - 1``.
        context: the context: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        hidden: the hidden units of each variable.

    Raises:
        UsageError: if an option does not fit.

    Source: Uria, Cote, Gregor, Murray, Larochelle (2016), arXiv:1605.02226.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.nade(features=4, hidden=8)
        >>> flow.log_prob(torch.tensor([[0, 1, 1, 0]])).exp().item()
        0.0625
    """
    given = conditioning(context, embedding)
    if classes == 2:
        base = AutoregressiveDistribution(features, BernoulliMass(), partial(NADE, hidden=hidden), given.taken)
    else:
        network = partial(CategoricalNADE, classes=classes, hidden=hidden)
        base = AutoregressiveDistribution(features, CategoricalMass(classes), network, given.taken)
    return given.flow([Integers(classes)], base)


@model("rnade")
def rnade(
    features: int = 2,
    context: Context = 0,
    embedding: nn.Module | None = None,
    mixture: str = "gaussian",
    components: int = 10,
    hidden: int = 128,
) -> Flow:
    """RNADE: real variables one after the other, mixtures whose parameters come from hidden weights that all share.

    Args:
        features: the number of dimensions.
        context: the context: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        mixture: of what, ``"gaussian"`` or ``"laplace"``.
        components: how many distributions each mixture is of.
        hidden: the hidden units of each variable.

    Raises:
        UsageError: if an option does not fit.

    Source: Uria, Murray, Larochelle (2013), arXiv:1306.0186.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.rnade(features=3, mixture="laplace")
        >>> flow.log_prob(torch.zeros(4, 3)).shape, flow.sample(2).shape
        (torch.Size([4]), torch.Size([2, 3]))
    """
    if mixture not in MIXTURES:
        raise UsageError(f"mixture expects one of {', '.join(MIXTURES)}, got {mixture!r}")
    given = conditioning(context, embedding)
    conditional = MIXTURES[mixture](components)
    base = AutoregressiveDistribution(features, conditional, partial(RescaledNADE, hidden=hidden), given.taken)
    return vector_flow(features, [], given, base)
