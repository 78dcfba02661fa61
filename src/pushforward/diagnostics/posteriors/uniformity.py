r"""Whether ranks are uniform: bands that an empirical distribution function stays within as a whole, and a p-value.

Of ``N`` ranks that are uniform on ``0, ..., n`` the number below a threshold ``c`` is binomial, with probability ``z =
c / (n + 1)``. The least of its two-sided tail probabilities over all thresholds says how odd the ranks are; its own
distribution, found by simulation, says how odd that is by chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.diagnostics.posteriors.sentence import Sentence
from pushforward.extras import requires
from pushforward.seeds import check_seed

MOST_THRESHOLDS = 99
SIMULATIONS = 2000

Array = NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class Uniformity(Sentence):
    """The empirical distribution functions of ranks, what chance leaves of uniform ones, and p-values.

    Attributes:
        levels: ``(K,)``, the share of uniform ranks below each threshold.
        shares: ``(K, Q)``, the share of these ranks, for each quantity.
        low, high: ``(K,)``, between which 95 % of uniform ranks lie at all thresholds at once.
        p_values: ``(Q,)``, of each quantity.
    """

    levels: Array
    shares: Array
    low: Array
    high: Array
    p_values: Array

    @property
    def p_value(self) -> float:
        """Of all quantities together, ``1 - (1 - p)^Q`` with the least of theirs (Šidák): uniform as they are where
        quantities are independent."""
        return 1.0 - (1.0 - float(self.p_values.min())) ** len(self.p_values)

    def __str__(self) -> str:
        return f"{self.shares.shape[1]} quantities: p = {self.p_value:.3g}"


def uniformity(ranks: Tensor, draws: int, *, seed: int = 0, band: float = 0.95) -> Uniformity:
    """Test whether ranks are uniform on ``0, ..., draws``.

    Args:
        ranks: ``(N, Q)``.
        draws: the largest rank that there can be.
        seed: of the simulations of uniform ranks.
        band: the share of uniform ranks that stay within the band.

    Source: Säilynoja, Bürkner, Vehtari (2022), arXiv:2103.10522; discrete ranks here, at their own thresholds.

    Example:
        >>> ranks = torch.randint(0, 101, (500, 1), generator=torch.Generator().manual_seed(0))
        >>> uniformity(ranks, 100).p_value > 0.05, uniformity(ranks // 2, 100).p_value < 0.001
        (True, True)
    """
    with requires("diagnostics", purpose="the test of ranks"):
        from scipy.stats import binom

    count = len(ranks)
    thresholds = np.unique(np.linspace(1, draws, min(draws, MOST_THRESHOLDS)).round())
    levels = thresholds / (draws + 1)
    below = (ranks[None].numpy() < thresholds[:, None, None]).sum(1)
    random = np.random.default_rng(seed)
    steps = random.multinomial(count, np.diff(levels, prepend=0.0, append=1.0), size=SIMULATIONS)
    chance = _least_tail(steps[:, :-1].cumsum(1), count, levels)
    found = _least_tail(below.T, count, levels)
    # Tails of the same counts may differ in the last digit.
    as_odd = (chance <= found[:, None] * (1 + 1e-9)).sum(1)
    tail = np.quantile(chance, 1 - band) / 2
    low, high = binom.ppf(tail, count, levels), binom.ppf(1 - tail, count, levels)
    return Uniformity(levels, below / count, low / count, high / count, (1 + as_odd) / (1 + SIMULATIONS))


def _least_tail(below: NDArray[np.int64], count: int, levels: Array) -> Array:
    """The least two-sided tail probability of counts ``(..., K)`` below the thresholds."""
    with requires("diagnostics", purpose="the test of ranks"):
        from scipy.stats import binom

    tails = np.minimum(binom.cdf(below, count, levels), binom.sf(below - 1, count, levels))
    return 2 * tails.min(-1)


def seeds(seed: int, count: int) -> list[int]:
    """Seeds of independent streams, made of one.

    Example:
        >>> len(set(seeds(0, 3)))
        3
    """
    generator = torch.Generator().manual_seed(check_seed("seed", seed))
    return torch.randint(2**31, (count,), generator=generator).tolist()
