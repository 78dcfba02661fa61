"""How wrong the posteriors of an inverse problem are: their coverage, and what is observed of their draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from pushforward.diagnostics.posteriors.sentence import Sentence
from pushforward.distributions.inputs import as_batch
from pushforward.errors import ShapeError
from pushforward.scalar.arguments import check_counts


class Solver(Protocol):
    """What gives a posterior of observations."""

    def posterior(self, y: Tensor, /) -> torch.distributions.Distribution:
        """The distribution of the parameters at observations ``(N, ...)``."""


@dataclass(frozen=True, repr=False)
class Calibration(Sentence):
    """The calibration of the marginal posteriors.

    Attributes:
        levels: of the central credible intervals, ``(L,)``.
        inside: the share of true values inside of them, for each parameter ``(L, D)``; that of calibrated posteriors
            is the level.
    """

    levels: Tensor
    inside: Tensor

    @property
    def error(self) -> float:
        """The median over the levels of ``|inside - level|``, all parameters together: 0 is calibrated."""
        return float((self.inside.mean(-1) - self.levels).abs().median())

    @property
    def error_per_parameter(self) -> Tensor:
        """The same of each parameter, ``(D,)``."""
        return (self.inside - self.levels[:, None]).abs().median(0).values

    def __str__(self) -> str:
        return f"error {self.error:.3g} over {len(self.levels)} levels"


def calibration(solver: Solver, x: Tensor, y: Tensor, *, draws: int = 500, levels: int = 100) -> Calibration:
    """Compare how often true parameters lie in central credible intervals with the intervals' levels.

    Args:
        solver: with ``posterior(y)``.
        x: true parameters ``(N, D)``.
        y: their observations, ``(N, ...)``.
        draws: of each posterior.
        levels: how many intervals, evenly from 0 to 1.

    Raises:
        ShapeError: if there are not as many parameters as observations.
        UsageError: if a number is none of its kind.

    Source: Ardizzone et al. (2019), arXiv:1808.04730, section 4.

    Example:
        >>> class Prior:
        ...     def posterior(self, y):
        ...         return torch.distributions.Normal(torch.zeros(len(y), 1), 1.0)
        >>> generator = torch.Generator().manual_seed(0)
        >>> calibration(Prior(), torch.randn(5000, 1, generator=generator), torch.zeros(5000)).error < 0.01
        True
    """
    check_counts("calibration", draws=draws, levels=levels)
    if len(x) != len(y):
        raise ShapeError(f"calibration expects as many parameters as observations, got {len(x)} and {len(y)}")
    drawn = solver.posterior(y).sample(as_batch(draws))
    # The middle of the ranks that a true value among as many draws could have: uniform where all is well.
    place = ((drawn < x).sum(0) + 0.5) / (draws + 1)
    spread = 2 * (place - 0.5).abs()
    level = (torch.arange(levels, dtype=x.dtype) + 0.5) / levels
    return Calibration(level, (spread <= level[:, None, None]).to(x.dtype).mean(1))


def resimulation_error(solver: Solver, simulate: Callable[[Tensor], Tensor], y: Tensor, *, draws: int = 500) -> float:
    """The mean of ``|s(x) - y|^2`` over draws ``x`` of the posteriors of observations ``(N, E)``.

    Source: Kruse et al. (2021), arXiv:2101.10763, equation 11.

    Example:
        >>> class Wide:
        ...     def posterior(self, y):
        ...         return torch.distributions.Normal(y, 2.0)
        >>> torch.manual_seed(0) and round(resimulation_error(Wide(), lambda x: x, torch.zeros(1000, 1)), 1)
        4.0
    """
    check_counts("resimulation_error", draws=draws)
    drawn = solver.posterior(y).sample(as_batch(draws))
    return float((simulate(drawn) - y).square().sum(-1).mean())
