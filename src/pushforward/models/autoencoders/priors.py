"""Priors of variational autoencoders."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pushforward.distributions import Distribution, GaussianMixture, StandardNormal
from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.models.contexts import conditioning
from pushforward.models.vectors.autoregressive import autoregressive_layers
from pushforward.models.vectors.copulas import ex_post_vine
from pushforward.scalar import Affine

LAYERS = 4
"""Of the prior ``flow``."""

COMPONENTS = 50
"""Of the prior ``mixture``."""


def normal(latents: int, hidden: int | Sequence[int]) -> Distribution:
    """A standard normal."""
    return StandardNormal((latents,))


def flow(latents: int, hidden: int | Sequence[int]) -> Distribution:
    """A masked autoregressive flow, learned with the rest."""
    layers = autoregressive_layers(latents, Affine(), conditioning(0, None), LAYERS, hidden)
    return Flow(layers, StandardNormal((latents,)))


def mixture(latents: int, hidden: int | Sequence[int]) -> Distribution:
    """A mixture of Gaussians, learned with the rest."""
    return GaussianMixture((latents,), COMPONENTS)


def vine(latents: int, hidden: int | Sequence[int]) -> Distribution:
    """A standard normal, and once the training has ended empirical marginals and a vine copula of the latents."""
    return ex_post_vine(latents)


PRIORS: dict[str, Callable[[int, int | Sequence[int]], Distribution]] = {
    "normal": normal,
    "flow": flow,
    "mixture": mixture,
    "vine": vine,
}
"""By name."""


def prior_named(name: str, latents: int, hidden: int | Sequence[int]) -> Distribution:
    """Return the prior of a name.

    Raises:
        UsageError: if there is none.
    """
    if name not in PRIORS:
        raise UsageError(f"prior expects one of {', '.join(PRIORS)}, got {name!r}")
    return PRIORS[name](latents, hidden)
