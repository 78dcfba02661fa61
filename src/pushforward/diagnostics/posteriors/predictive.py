"""Whether a posterior's parameters give what was observed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.diagnostics.posteriors.chance import p_value
from pushforward.diagnostics.posteriors.distances import Mahalanobis
from pushforward.diagnostics.posteriors.draws import Given, plain, posterior_draws
from pushforward.diagnostics.posteriors.sentence import Sentence
from pushforward.diagnostics.posteriors.standardised import standardised_rows
from pushforward.diagnostics.posteriors.uniformity import seeds
from pushforward.errors import DataError, ShapeError
from pushforward.scalar.arguments import check_counts


@dataclass(frozen=True, repr=False)
class PredictiveCheck(Sentence):
    """What the posterior's parameters give beside what was observed.

    Attributes:
        simulations: ``(n, F)``, of draws of the posterior.
        observed: ``(F,)``.
        value: the Mahalanobis distance of the observation from half of the simulations.
        null: those of the other half, ``(n // 2,)``.

    Example:
        >>> simulations = torch.tensor([[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]])
        >>> check = PredictiveCheck(simulations, torch.tensor([1.0, 9.0]), 8.0, torch.tensor([1.0, 2.0, 3.0]))
        >>> check.p_value, check.p_values
        (0.25, tensor([1.0000, 0.5000]))
    """

    simulations: Tensor
    observed: Tensor
    value: float
    null: Tensor

    @property
    def p_value(self) -> float:
        """The share of simulations as far out; small where the posterior does not give what was observed."""
        return p_value(self.null, self.value)

    @property
    def p_values(self) -> Tensor:
        """Of each feature alone, two-sided, ``(F,)``."""
        below, above = (each.sum(0) for each in (self.simulations <= self.observed, self.simulations >= self.observed))
        return (2.0 * (1 + torch.minimum(below, above)) / (1 + len(self.simulations))).clamp(max=1.0)

    def __str__(self) -> str:
        return f"distance {self.value:.3g} (simulations {float(self.null.median()):.3g}), p = {self.p_value:.3g}"


def posterior_predictive(
    posterior: Given,
    simulator: Callable[[Tensor], Tensor],
    observed: Tensor,
    *,
    draws: int = 1000,
    summary: Callable[[Tensor], Tensor] | None = None,
    seed: int = 0,
) -> PredictiveCheck:
    r"""Simulate with draws of the posterior at an observation, and say how far out the observation lies.

    Half of the simulations say what is usual, for the others and for the observation alike: simulations are nearer to
    a mean and a covariance that were found of themselves, with many features by far.

    Args:
        posterior: with ``sample(n, x)``, a conditional flow for instance; an estimator with ``posterior(x)``; or a
            function of ``n`` and ``x``.
        simulator: from parameters ``(n, D)`` to observations ``(n, ...)``.
        observed: one observation, ``(...)``.
        draws: of the posterior, two at least.
        summary: of observations ``(n, ...)``, ``(n, F)``, that is compared; by default all numbers of them.
        seed: of the draws and, where it draws by torch's global state, of the simulator.

    Raises:
        UsageError: if there are fewer draws.
        ShapeError: if the simulations are not of the observation's shape.
        DataError: if a simulation is not finite.

    Source: Gelman, Meng, Stern (1996), Statistica Sinica 6, 733-807.

    Example:
        >>> simulator = lambda theta: theta + torch.randn_like(theta)
        >>> right = lambda n, x: x / 2 + 0.5**0.5 * torch.randn(n, *x.shape)
        >>> far = lambda n, x: x + 9 + torch.randn(n, *x.shape)
        >>> observed = torch.tensor([1.0])
        >>> [posterior_predictive(each, simulator, observed).p_value > 0.05 for each in (right, far)]
        [True, False]
    """
    check_counts("posterior_predictive", least=2, draws=draws)
    first, second = seeds(seed, 2)
    theta = posterior_draws("posterior_predictive", posterior, draws, observed[None], first)[:, 0]
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(second)
        simulated = torch.as_tensor(simulator(theta))
    if simulated.shape != (draws, *observed.shape):
        raise ShapeError(
            f"posterior_predictive expects simulations of shape {(draws, *observed.shape)}, got "
            f"{tuple(simulated.shape)}"
        )
    rows, given = (_features(each, summary) for each in (simulated, observed[None]))
    wrong = int((~rows.isfinite()).sum() + (~given.isfinite()).sum())
    if wrong:
        raise DataError(f"posterior_predictive expects finite simulations and observations, got {wrong} other numbers")
    learned, others = rows.tensor_split(2)
    distance = Mahalanobis.of(standardised_rows(learned, learned))
    value, null = (distance(standardised_rows(each, learned)) for each in (given, others))
    return PredictiveCheck(rows, given[0], float(value[0]), null)


def _features(values: Tensor, summary: Callable[[Tensor], Tensor] | None) -> Tensor:
    with torch.no_grad():
        chosen = values if summary is None else summary(values)
    return plain(chosen).flatten(1)
