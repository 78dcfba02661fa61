"""How wrong the posteriors of an inverse problem are: their coverage, and what is observed of their draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.diagnostics.posteriors.draws import Estimator, check_pairs, plain, posterior_draws, ranks_of
from pushforward.diagnostics.posteriors.sentence import Sentence
from pushforward.diagnostics.posteriors.uniformity import seeds
from pushforward.errors import ShapeError
from pushforward.scalar.arguments import check_counts


@dataclass(frozen=True, repr=False)
class Calibration(Sentence):
    """The calibration of the marginal posteriors.

    Attributes:
        levels: of the central credible intervals, ``(L,)``.
        inside: the share of true values inside of them, for each parameter ``(L, D)``; that of calibrated posteriors
            is the level.

    Example:
        >>> found = Calibration(torch.tensor([0.5]), torch.tensor([[0.4, 0.8]]))
        >>> found.error_per_parameter, round(found.error, 2)
        (tensor([0.1000, 0.3000]), 0.2)
    """

    levels: Tensor
    inside: Tensor

    @property
    def error(self) -> float:
        """The mean of `error_per_parameter`: 0 is calibrated. A parameter whose posteriors are too narrow does not make
        up for one whose are too wide."""
        return float(self.error_per_parameter.mean())

    @property
    def error_per_parameter(self) -> Tensor:
        """The median over the levels of ``|inside - level|``, for each parameter ``(D,)``."""
        return (self.inside - self.levels[:, None]).abs().median(0).values

    def __str__(self) -> str:
        return f"error {self.error:.3g} over {len(self.levels)} levels"


def calibration(
    solver: Estimator, x: Tensor, y: Tensor, *, draws: int = 500, levels: int = 100, seed: int = 0
) -> Calibration:
    """Compare how often true parameters lie in central credible intervals with the intervals' levels.

    Args:
        solver: with ``posterior(y)``.
        x: true parameters ``(N, D)``.
        y: their observations, ``(N, ...)``.
        draws: of each posterior.
        levels: how many intervals, evenly from 0 to 1.
        seed: of the draws, and of the order of those that are equal to the truth.

    Raises:
        UsageError: if a number of draws or levels is none.
        ShapeError: if there are not as many parameters as observations, or the draws are of another shape.
        DataError: if parameters or draws are not finite.

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
    check_pairs("calibration", x, y)
    first, second = seeds(seed, 2)
    drawn = posterior_draws("calibration", solver, draws, y, first, x.shape[1])
    # The middle of the ranks that a true value among as many draws could have: uniform where all is well.
    place = (ranks_of(plain(x), plain(drawn), second).double() + 0.5) / (draws + 1)
    spread = 2 * (place - 0.5).abs()
    level = (torch.arange(levels, dtype=torch.float64) + 0.5) / levels
    return Calibration(level, (spread <= level[:, None, None]).double().mean(1))


def resimulation_error(
    solver: Estimator, simulate: Callable[[Tensor], Tensor], y: Tensor, *, draws: int = 500, seed: int = 0
) -> float:
    """The mean of ``|s(x) - y|^2`` over draws ``x`` of the posteriors of observations ``(N, E)``.

    Raises:
        UsageError: if there is no draw.
        ShapeError: if the simulations are not of the observations' shape, or those no vectors.
        DataError: if a draw is not finite.

    Source: Kruse et al. (2021), arXiv:2101.10763, equation 11.

    Example:
        >>> class Wide:
        ...     def posterior(self, y):
        ...         return torch.distributions.Normal(y, 2.0)
        >>> round(resimulation_error(Wide(), lambda x: x, torch.zeros(1000, 1)), 1)
        4.0
    """
    check_counts("resimulation_error", draws=draws)
    simulated = simulate(posterior_draws("resimulation_error", solver, draws, y, seed))
    if y.dim() != 2 or simulated.shape != (draws, *y.shape):
        raise ShapeError(
            f"resimulation_error expects observations (N, E) and simulations of {draws} draws for each, got "
            f"{tuple(y.shape)} and {tuple(simulated.shape)}"
        )
    return float((simulated - y).square().sum(-1).mean())
