"""Flows onto networks that learn distribution functions."""

from __future__ import annotations

from collections.abc import Callable

from pushforward.distributions import Distribution, IncreasingNetwork, PenalisedNetwork
from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.models.contexts import conditioning
from pushforward.models.registry import model
from pushforward.models.vectors.standardised import vector_flow

INCREASING: dict[str, Callable[[int, int], Distribution]] = {
    "construction": IncreasingNetwork,
    "penalty": PenalisedNetwork,
}
"""By what it is that keeps the network from decreasing."""


@model("cdf-network")
def cdf_network(features: int = 1, units: int = 16, increasing: str = "construction") -> Flow:
    """CDF network: a network is fitted to the distribution function of the data, and its derivative is the density.

    ``fit`` minimises ``pf.training.CumulativeFit``, the squared error of the distribution function.

    Args:
        features: the number ``D`` of dimensions; events are ``(D,)``.
        units: the hidden units of the network.
        increasing: by what the network increases: ``"construction"``, or, in one dimension, ``"penalty"``.

    Raises:
        UsageError: if an option does not fit.

    Source: Magdon-Ismail, Atiya (2002), Density estimation and random variate generation using multilayer networks,
    IEEE Transactions on Neural Networks 13, 497-520.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.cdf_network(features=2, units=8)
        >>> flow.log_prob(torch.zeros(4, 2)).shape
        torch.Size([4])
    """
    if increasing not in INCREASING:
        raise UsageError(f"increasing expects one of {', '.join(INCREASING)}, got {increasing!r}")
    return vector_flow(features, [], conditioning(0, None), INCREASING[increasing](features, units))
