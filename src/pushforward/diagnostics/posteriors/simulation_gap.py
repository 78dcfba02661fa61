"""Whether observations are of the kind that a simulator gives, so that a posterior that learned from it can be
believed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.diagnostics.posteriors.chance import p_value, shares_as_large
from pushforward.diagnostics.posteriors.distances import Mahalanobis
from pushforward.diagnostics.posteriors.kernel_discrepancy import (
    SCALES,
    check_scales,
    gaussian_kernels,
    median_square,
)
from pushforward.diagnostics.posteriors.sentence import Sentence
from pushforward.diagnostics.posteriors.standardised import check_samples, check_shapes, standardised_rows
from pushforward.errors import DataError
from pushforward.numerics import squared_distances
from pushforward.scalar.arguments import check_counts
from pushforward.seeds import check_seed


@dataclass(frozen=True, repr=False)
class Misspecification(Sentence):
    """How far observations are from simulations, and how far simulations are from each other.

    Attributes:
        value: the maximum mean discrepancy between the observations and simulations.
        null: the same of as many simulations, drawn anew for each trial, ``(trials,)``.
        distances: of each observation, the Mahalanobis distance from the simulations, ``(M,)``.
        usual_distances: those of simulations.

    Example:
        >>> usual = torch.tensor([1.0, 2.0, 3.0])
        >>> found = Misspecification(0.9, torch.tensor([0.1, 0.2, 0.3]), torch.tensor([2.5, 9.0]), usual)
        >>> found.p_value, found.p_values.tolist()
        (0.25, [0.5, 0.25])
    """

    value: float
    null: Tensor
    distances: Tensor
    usual_distances: Tensor

    @property
    def p_value(self) -> float:
        """The share of sets of simulations as far out; small where the simulator does not give such observations."""
        return p_value(self.null, self.value)

    @property
    def p_values(self) -> Tensor:
        """Of each observation alone, by its distance, ``(M,)``."""
        return shares_as_large(self.usual_distances, self.distances)

    def __str__(self) -> str:
        return f"MMD {self.value:.3g} (simulations {float(self.null.median()):.3g}), p = {self.p_value:.3g}"


def misspecification(
    observed: Tensor,
    simulated: Tensor,
    *,
    summary: Callable[[Tensor], Tensor] | None = None,
    scales: Sequence[float] = SCALES,
    trials: int = 500,
    seed: int = 0,
) -> Misspecification:
    r"""Test whether observations are such as the simulator gives, in the space of their summaries.

    ``MMD^2 = 1/M^2 sum k(o, o') + 1/S^2 sum k(s, s') - 2/(MS) sum k(o, s)`` of the observations and half of the
    simulations, beside that of ``M`` of the other half; works for a single observation. Features are standardised by
    the simulations.

    Args:
        observed: ``(M, ...)``.
        simulated: ``(S, ...)`` of the prior and the simulator, a few thousand at most.
        summary: of observations; the ``embedding`` of a posterior, where it has one. By default all numbers of them.
        scales: widths of the Gaussian kernels, in medians of the simulations' distances.
        trials: how many sets of simulations.
        seed: of the halves and the sets.

    Raises:
        UsageError: if a scale is not positive, or there is no set.
        ShapeError: if observations and simulations differ in shape.
        DataError: if a number (of the summaries) is not finite, or there are fewer simulations than two for each
            observation.

    Source: Schmitt et al. (2021), arXiv:2112.08866.

    Example:
        >>> simulated = torch.randn(400, 3, generator=torch.Generator().manual_seed(0))
        >>> observed = torch.randn(1, 3, generator=torch.Generator().manual_seed(1))
        >>> [misspecification(each, simulated).p_value > 0.05 for each in (observed, observed + 5)]
        [True, False]
    """
    check_counts("misspecification", trials=trials)
    check_scales("misspecification", scales)
    check_seed("seed", seed)
    check_shapes("misspecification", observed, simulated, 1)
    if len(simulated) < max(4, 2 * len(observed)):
        raise DataError(
            f"misspecification expects at least two simulations for each of {len(observed)} observations, and four in "
            f"all, got {len(simulated)}"
        )
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        found, usual = (each if summary is None else summary(each) for each in (observed, simulated))
    check_samples("misspecification", found, usual, 1)
    rows, seen = standardised_rows(usual, usual), standardised_rows(found, usual)
    order = torch.randperm(len(rows), generator=generator)
    learned, others = rows[order].tensor_split(2)
    median = median_square(squared_distances(learned, learned))

    def kernel(first: Tensor, second: Tensor) -> Tensor:
        return gaussian_kernels(squared_distances(first, second), median, scales)

    chosen = torch.rand(trials, len(others), generator=generator).argsort(1)[:, : len(seen)]
    within = kernel(others, others)[chosen[:, :, None], chosen[:, None, :]].mean((1, 2))
    towards = kernel(learned, others).mean(0)[chosen].mean(1)
    own = kernel(learned, learned).mean()
    value = kernel(seen, seen).mean() + own - 2 * kernel(learned, seen).mean()
    distance = Mahalanobis.of(learned)
    return Misspecification(
        # Rounding may leave a tiny number below zero.
        _root(value).item(),
        _root(within + own - 2 * towards),
        distance(seen),
        distance(others),
    )


def _root(square: Tensor) -> Tensor:
    return square.clamp(min=0.0).sqrt()
