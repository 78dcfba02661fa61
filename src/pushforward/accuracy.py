"""How exact a log-density is, and which direction of a transform draws random numbers."""

from __future__ import annotations

import enum
from collections.abc import Iterable


class Accuracy(enum.IntEnum):
    """What a log-determinant or a log-density is; of several parts together, the worst.

    Attributes:
        EXACT: the quantity itself.
        LOWER_BOUND: in the mean not above it (dequantization, an ELBO); importance weighting tightens it.
        ESTIMATE: right in the mean, and no bound (a stochastic trace); importance weighting is refused.

    Example:
        >>> worst([Accuracy.EXACT, Accuracy.LOWER_BOUND]).describe()
        'lower bound'
    """

    EXACT = 0
    LOWER_BOUND = 1
    ESTIMATE = 2

    def describe(self) -> str:
        """Return the name as people write it."""
        return self.name.lower().replace("_", " ")

    def __str__(self) -> str:
        return self.describe()


class Draws(enum.Flag):
    """Which directions of a transform draw random numbers, for values or for log-determinants.

    Example:
        >>> Draws.FORWARD.turned(), Draws.FORWARD | Draws.INVERSE
        (<Draws.INVERSE: 2>, <Draws.BOTH: 3>)
    """

    NEVER = 0
    FORWARD = 1
    INVERSE = 2
    BOTH = 3

    def turned(self) -> Draws:
        """Return the same for the transform run backwards."""
        return {Draws.FORWARD: Draws.INVERSE, Draws.INVERSE: Draws.FORWARD}.get(self, self)


def worst(parts: Iterable[Accuracy]) -> Accuracy:
    """Return the accuracy of a sum of log-densities and log-determinants."""
    return max(parts, default=Accuracy.EXACT)
