"""Simulation-based calibration: the ranks of true parameters among draws of their posteriors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.diagnostics.posteriors.draws import Given, check_pairs, plain, posterior_draws, ranks_of
from pushforward.diagnostics.posteriors.sentence import Sentence
from pushforward.diagnostics.posteriors.uniformity import Uniformity, seeds, uniformity
from pushforward.errors import ShapeError
from pushforward.scalar.arguments import check_counts

Quantity = Callable[[Tensor, Tensor], Tensor]
"""Of parameters ``(..., N, D)`` and observations ``(N, ...)``: ``(..., N)``."""


@dataclass(frozen=True, repr=False)
class RankCalibration(Sentence):
    """The ranks of the truth among draws of the posterior, and whether they are uniform.

    Attributes:
        ranks: ``(N, Q)``, of each parameter and each quantity, from 0 to ``draws``.
        draws: how many draws the truth is ranked among.
        test: bands and p-values.

    Example:
        >>> theta = torch.randn(200, 1, generator=torch.Generator().manual_seed(0))
        >>> narrow = 0.2 * torch.randn(99, 200, 1, generator=torch.Generator().manual_seed(1))
        >>> found = sbc(narrow, theta, torch.zeros(200, 1))
        >>> found.ranks.shape, found.draws, found.p_value < 0.01
        (torch.Size([200, 1]), 99, True)
    """

    ranks: Tensor
    draws: int
    test: Uniformity

    @property
    def p_value(self) -> float:
        """Of all ranks together; small where the posterior is not calibrated."""
        return self.test.p_value

    def __str__(self) -> str:
        return f"ranks of {len(self.ranks)} truths among {self.draws} draws: p = {self.p_value:.3g}"


def sbc(
    posterior: Given | Tensor,
    theta: Tensor,
    x: Tensor,
    *,
    draws: int = 199,
    quantity: Quantity | None = None,
    seed: int = 0,
) -> RankCalibration:
    r"""Test by ranks whether a posterior is calibrated (simulation-based calibration).

    Where ``theta ~ p(theta)``, ``x ~ p(x | theta)`` and ``theta_1, ..., theta_n ~ p(theta | x)``, the rank of each
    parameter of ``theta`` among the draws is uniform. Ranks in the middle too often say that the posterior is too
    wide, at both ends that it is too narrow, at one end that it is shifted. A posterior that ignores ``x``, the prior,
    passes: the ranks of a ``quantity`` that involves ``x`` tell it, a log-likelihood for instance, as do `tarp` and
    `local_c2st`.

    Args:
        posterior: with ``sample(n, x)``, a conditional flow for instance; an estimator with ``posterior(x)``; a
            function of ``n`` and ``x``; or draws ``(n, N, D)``, independent ones: thin those of a Markov chain.
        theta: parameters ``(N, D)`` of the prior.
        x: an observation for each, ``(N, ...)``.
        draws: for each observation.
        quantity: a function of parameters and observations that is ranked too.
        seed: of the draws and of the test.

    Raises:
        ShapeError: if shapes do not fit.
        DataError: if parameters or draws are not finite.

    Source: Talts et al. (2018), arXiv:1804.06788; Modrák et al. (2023), arXiv:2211.02383, on quantities.

    Example:
        >>> theta = torch.randn(300, 1, generator=torch.Generator().manual_seed(0))
        >>> x = theta + torch.randn(300, 1, generator=torch.Generator().manual_seed(1))
        >>> right = lambda n, x: x / 2 + 0.5**0.5 * torch.randn(n, *x.shape)
        >>> narrow = lambda n, x: x / 2 + 0.3 * torch.randn(n, *x.shape)
        >>> sbc(right, theta, x).p_value > 0.05, sbc(narrow, theta, x).p_value < 0.01
        (True, True)
    """
    check_counts("sbc", draws=draws)
    check_pairs("sbc", theta, x)
    first, second, third = seeds(seed, 3)
    drawn = posterior_draws("sbc", posterior, draws, x, first, theta.shape[1])
    truth, others = (_ranked(each, x, quantity) for each in (theta, drawn))
    ranks = ranks_of(truth, others, second)
    return RankCalibration(ranks, len(drawn), uniformity(ranks, len(drawn), seed=third))


@torch.no_grad()
def _ranked(theta: Tensor, x: Tensor, quantity: Quantity | None) -> Tensor:
    """What is ranked of parameters ``(..., N, D)``: they themselves and the quantity of them."""
    if quantity is None:
        return plain(theta)
    values = quantity(theta, x)
    if values.shape != theta.shape[:-1]:
        raise ShapeError(
            f"sbc expects a quantity to be one number for each of {tuple(theta.shape[:-1])}, got {tuple(values.shape)}"
        )
    return torch.cat([plain(theta), plain(values).unsqueeze(-1)], -1)
