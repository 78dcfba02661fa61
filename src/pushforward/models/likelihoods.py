"""Likelihoods of pixels by name: the distribution of one number given what a network emits for it."""

from __future__ import annotations

from collections.abc import Callable

from pushforward.distributions import BernoulliMass, CategoricalMass, DiscretizedLogisticMixture, MassFunction
from pushforward.errors import UsageError


def bernoulli(levels: int) -> MassFunction:
    """A black or white pixel."""
    if levels != 2:
        raise UsageError(f"likelihood='bernoulli' is for pixels of 2 levels, got levels={levels}")
    return BernoulliMass()


def logistic(levels: int) -> MassFunction:
    """A logistic that is rounded to the levels, whose edges take the tails."""
    middle = (levels - 1) / 2
    return DiscretizedLogisticMixture(1, center=middle, unit=middle, low=0, high=levels - 1)


LIKELIHOODS: dict[str, Callable[[int], MassFunction]] = {
    "bernoulli": bernoulli,
    "categorical": CategoricalMass,
    "logistic": logistic,
}
"""Of pixels, by name."""


def pixel_likelihood(name: str | None, levels: int) -> MassFunction:
    """Return the distribution of a pixel of so many levels; without a name Bernoulli for two, else logistic.

    Raises:
        UsageError: if there is none of the name, or it is not one of such pixels.

    Example:
        >>> pixel_likelihood(None, 2), pixel_likelihood("categorical", 3)
        (BernoulliMass(), CategoricalMass(classes=3))
    """
    if name is None:
        name = "bernoulli" if levels == 2 else "logistic"
    if name not in LIKELIHOODS:
        raise UsageError(f"likelihood expects one of {', '.join(LIKELIHOODS)} for images, got {name!r}")
    return LIKELIHOODS[name](levels)
