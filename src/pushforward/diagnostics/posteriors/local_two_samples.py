"""Whether a posterior is right at one observation, told by a classifier that has seen others."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.diagnostics.posteriors.chance import p_value
from pushforward.diagnostics.posteriors.draws import Given, check_pairs, posterior_draws
from pushforward.diagnostics.posteriors.label_classifiers import fit_classifiers
from pushforward.diagnostics.posteriors.sentence import Sentence
from pushforward.diagnostics.posteriors.standardised import standardised_rows
from pushforward.diagnostics.posteriors.uniformity import seeds
from pushforward.errors import ShapeError
from pushforward.scalar.arguments import check_counts

WIDEST = 100


@dataclass(frozen=True, repr=False)
class LocalTest(Sentence):
    """How far a classifier's probabilities are from one half at an observation, and how far chance puts them.

    Attributes:
        value: the mean of ``(d - 1/2)^2`` over draws of the posterior there: 0 where it is right.
        null: the same of classifiers of shuffled labels, ``(trials,)``.
        probabilities: what the classifier gives each draw to be the truth, ``(n,)``.
        draws: of the posterior at the observation, ``(n, D)``.

    Example:
        >>> chance = torch.tensor([0.01, 0.02, 0.05])
        >>> LocalTest(0.04, chance, torch.tensor([0.7, 0.7]), torch.zeros(2, 1)).p_value
        0.5
    """

    value: float
    null: Tensor
    probabilities: Tensor
    draws: Tensor

    @property
    def p_value(self) -> float:
        """The share of shuffled labels that do as well; small where the posterior is wrong."""
        return p_value(self.null, self.value)

    def __str__(self) -> str:
        return f"{self.value:.4g} (chance {float(self.null.mean()):.4g}), p = {self.p_value:.3g}"


def local_c2st(
    posterior: Given,
    theta: Tensor,
    x: Tensor,
    observed: Tensor,
    *,
    draws: int = 1000,
    trials: int = 100,
    steps: int = 300,
    seed: int = 0,
) -> LocalTest:
    r"""Test a posterior at one observation without knowing the right one (local classifier two-sample test).

    A classifier learns to tell pairs ``(theta, x)`` from ``(theta_q, x)`` with ``theta_q`` drawn of the posterior at
    ``x``; where it gives draws at ``observed`` other odds than even, the posterior is wrong there. Under the null
    hypothesis the two members of a pair may change places, so that classifiers of such labels tell what chance gives;
    all of them are trained together.

    Args:
        posterior: with ``sample(n, x)``, a conditional flow for instance; an estimator with ``posterior(x)``; or a
            function of ``n`` and ``x``.
        theta: parameters ``(N, D)`` of the prior, that the posterior was not trained on.
        x: an observation for each, ``(N, ...)``.
        observed: one observation, ``(...)``.
        draws: of the posterior there.
        trials: how many shuffled labels.
        steps: of training.
        seed: of the draws, the labels and the training.

    Raises:
        UsageError: if a number of draws, trials or steps is none.
        ShapeError: if shapes do not fit.
        DataError: if parameters or draws are not finite.

    Source: Linhart, Gramfort, Rodrigues (2023), arXiv:2306.03580; here one draw stands beside each truth.

    Example:
        >>> theta = torch.randn(400, 1, generator=torch.Generator().manual_seed(0))
        >>> x = theta + torch.randn(400, 1, generator=torch.Generator().manual_seed(1))
        >>> prior = lambda n, x: torch.randn(n, *x.shape)
        >>> local_c2st(prior, theta, x, torch.tensor([2.0]), trials=19, steps=100).p_value
        0.05
    """
    check_counts("local_c2st", draws=draws, trials=trials, steps=steps)
    check_pairs("local_c2st", theta, x)
    if observed.shape != x.shape[1:]:
        raise ShapeError(
            f"local_c2st expects one observation of shape {tuple(x.shape[1:])}, got {tuple(observed.shape)}"
        )
    first, second, third, fourth = seeds(seed, 4)
    beside = posterior_draws("local_c2st", posterior, 1, x, first, theta.shape[1])[0]
    here = posterior_draws("local_c2st", posterior, draws, observed[None], second, theta.shape[1])[:, 0]
    given = standardised_rows(x, x)
    rows = torch.cat([_pairs(theta, given, theta), _pairs(beside, given, theta)])
    probability = fit_classifiers(
        rows, _labels(len(theta), trials, third), width=min(10 * rows.shape[1], WIDEST), steps=steps, seed=fourth
    )
    place = standardised_rows(observed[None], x).expand(len(here), -1)
    found = probability(_pairs(here, place, theta))
    values = (found - 0.5).square().mean(1)
    return LocalTest(float(values[0]), values[1:], found[0], here)


def _pairs(theta: Tensor, given: Tensor, reference: Tensor) -> Tensor:
    return torch.cat([standardised_rows(theta, reference), given], 1)


def _labels(count: int, trials: int, seed: int) -> Tensor:
    """Whether each of the rows is a truth, ``(1 + trials, 2 count)``: as it is, then with members of pairs that changed
    places by chance."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.rand(1 + trials, count, generator=generator) < 0.5
    truth[0] = True
    return torch.cat([truth, ~truth], 1)
