"""How many terms of a series Russian roulette computes: distributions of a number of terms."""

from __future__ import annotations

import math

import torch

from pushforward.errors import UsageError
from pushforward.parts import Part


class TermCount(Part):
    """A distribution of whole numbers from 1, of which every one is possible."""

    def draw(self, uniform: float) -> int:
        """The number at a uniform number in (0, 1)."""
        count = 1
        while self.survival(count + 1) > uniform:
            count += 1
        return count

    def survival(self, count: int) -> float:
        """The probability of ``count`` terms or more."""
        raise NotImplementedError(f"{type(self).__name__} has no survival: a TermCount is abstract")


class GeometricTerms(TermCount):
    r"""A geometric number of terms, ``P(N >= k) = (1 - p)^(k - 1)`` (Chen et al. 2019, arXiv:1906.02735).

    Russian roulette's variance is finite where the square of the Jacobian's spectral radius is below ``1 - p``: 0.7 for
    the usual ``p = 0.5``. Networks whose bound is nearer to 1 reach it rarely; where they do, make ``p`` smaller.

    Args:
        p: the probability of stopping after each term, in (0, 1).

    Raises:
        UsageError: if ``p`` is not a probability in between.

    Example:
        >>> GeometricTerms(0.5).survival(3)
        0.25
    """

    def __init__(self, p: float = 0.5) -> None:
        if not 0.0 < p < 1.0:
            raise UsageError(f"GeometricTerms expects a probability between 0 and 1, got {p}")
        self.p = p

    def survival(self, count: int) -> float:
        return (1.0 - self.p) ** (count - 1)


class PoissonTerms(TermCount):
    r"""One term and a Poisson number of further ones, ``N - 1 ~ Poisson(rate)`` (Chen et al. 2019, arXiv:1906.02735).

    Its tail falls faster than any power ``rho^k``, by which the terms fall for a spectral radius ``rho`` of the
    Jacobian, so that late terms, hardly ever drawn, weigh much: Russian roulette is right in the mean, but its variance
    ``~ sum_k rho^(2k) / (k^2 P(N >= k))`` is infinite for every ``rho > 0``, and of few estimates the spread looks
    smaller than it is. Prefer `GeometricTerms`.

    Args:
        rate: the mean number of further terms, positive.

    Raises:
        UsageError: if the rate is not positive.

    Example:
        >>> round(PoissonTerms(2.0).survival(2), 4) == round(1 - math.exp(-2.0), 4)
        True
    """

    def __init__(self, rate: float = 2.0) -> None:
        if not 0.0 < rate < math.inf:
            raise UsageError(f"PoissonTerms expects a positive rate, got {rate}")
        self.rate = rate

    def survival(self, count: int) -> float:
        # The regularised incomplete gamma function, which keeps its digits in the tail where 1 - sum would not.
        if count <= 1:
            return 1.0
        shape = torch.tensor([count - 1.0, self.rate], dtype=torch.float64)
        return torch.special.gammainc(shape[0], shape[1]).item()
