r"""The maximum mean discrepancy: how far the means of two samples are from each other, of all functions of a space that
a kernel makes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.diagnostics.posteriors.chance import p_value
from pushforward.diagnostics.posteriors.sentence import Sentence
from pushforward.diagnostics.posteriors.standardised import check_samples, standardised_rows
from pushforward.errors import UsageError
from pushforward.numerics import squared_distances
from pushforward.scalar.arguments import check_counts
from pushforward.seeds import check_seed

SCALES = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Widths of the Gaussian kernels, in medians of the distances."""


@dataclass(frozen=True, repr=False)
class Discrepancy(Sentence):
    """A discrepancy and what chance gives where there is none.

    Attributes:
        value: the squared discrepancy, 0 in the mean where the two are the same (and then below 0 as often as above).
        null: the same of events that changed samples by chance, ``(permutations,)``.

    Example:
        >>> found = Discrepancy(0.3, torch.tensor([-0.1, 0.0, 0.1]))
        >>> round(found.error, 3), found.p_value
        (0.1, 0.25)
    """

    value: float
    null: Tensor

    @property
    def error(self) -> float:
        """The standard deviation that chance gives where the two are the same."""
        return float(self.null.std())

    @property
    def p_value(self) -> float:
        """The share of permutations with as much; small where the two differ."""
        return p_value(self.null, self.value)

    def __str__(self) -> str:
        return f"{self.value:.4g} +- {self.error:.2g}, p = {self.p_value:.3g}"


def mmd(
    samples: Tensor,
    reference: Tensor,
    *,
    scales: Sequence[float] = SCALES,
    permutations: int = 500,
    seed: int = 0,
) -> Discrepancy:
    r"""The squared maximum mean discrepancy, ``E k(x, x') + E k(y, y') - 2 E k(x, y)``, without bias.

    The kernel is the mean of Gaussian ones whose widths are multiples of the median distance, of events standardised
    by the reference. Memory and time grow with the square of the number of events: a few thousand are plenty.

    Args:
        samples: ``(n, D)``.
        reference: ``(m, D)``.
        scales: widths of the kernels, in medians of the distances.
        permutations: of the test.
        seed: of the permutations.

    Raises:
        UsageError: if a scale is not positive, or there is no permutation.
        ShapeError: if the features differ.
        DataError: if there are fewer than two events, or one is not finite.

    Source: Gretton et al. (2012), JMLR 13, 723-773.

    Example:
        >>> first, second = torch.randn(2, 200, 2, generator=torch.Generator().manual_seed(0))
        >>> mmd(first, second).p_value > 0.05, mmd(first + 1, second).p_value < 0.01
        (True, True)
    """
    check_counts("mmd", permutations=permutations)
    check_scales("mmd", scales)
    check_seed("seed", seed)
    check_samples("mmd", samples, reference)
    rows = torch.cat([standardised_rows(each, reference) for each in (samples, reference)])
    squares = squared_distances(rows, rows)
    kernel = gaussian_kernels(squares, median_square(squares), scales).fill_diagonal_(0.0)
    values = _discrepancies(kernel, _members(len(samples), len(reference), permutations, seed))
    return Discrepancy(float(values[0]), values[1:])


def check_scales(owner: str, scales: Sequence[float]) -> None:
    """Raise UsageError unless there are scales, and all of them positive and finite."""
    if not scales or not all(0 < scale < math.inf for scale in scales):
        raise UsageError(f"{owner} expects one or more positive, finite scales, got {tuple(scales)}")


def median_square(squares: Tensor) -> Tensor:
    """The median of the squared distances of different rows, 1 where that is 0."""
    apart = squares[squares > 0]
    return apart.median() if len(apart) else squares.new_ones(())


def gaussian_kernels(squares: Tensor, median: Tensor, scales: Sequence[float]) -> Tensor:
    """The mean of ``exp(-d^2 / (2 s^2 median))`` over the scales ``s``."""
    return torch.stack([(-squares / (2 * scale**2 * median)).exp() for scale in scales]).mean(0)


def _members(first: int, second: int, permutations: int, seed: int) -> Tensor:
    """Which events are of the first sample, ``(1 + permutations, first + second)``: as it is, then by chance."""
    generator = torch.Generator().manual_seed(seed)
    places = torch.rand(1 + permutations, first + second, generator=generator).argsort(1)
    places[0] = torch.arange(first + second)
    return (places < first).double()


def _discrepancies(kernel: Tensor, members: Tensor) -> Tensor:
    """The discrepancy of each division of the events, ``(P, n + m)``, by a kernel matrix without its diagonal."""
    n = members[0].sum()
    m = members.shape[1] - n
    towards = members @ kernel
    within = (towards * members).sum(1)
    between = (towards * (1 - members)).sum(1)
    others = kernel.sum() - within - 2 * between
    return within / (n * (n - 1)) + others / (m * (m - 1)) - 2 * between / (n * m)
