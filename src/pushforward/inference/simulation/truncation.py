"""The prior where a posterior has its mass, to simulate more of there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.distributions import Distribution

from pushforward.distributions.inputs import as_batch
from pushforward.errors import ConvergenceError, UsageError
from pushforward.inference.simulation.prior import Prior

_DRAWS = 10_000
# Candidates for one sample, beyond which the posterior's region is not found any more.
_PATIENCE = 2_000
_BATCH = 20_000

Posterior = TypeVar("Posterior", bound=Distribution)


class TruncatedPrior:
    r"""The prior restricted to the posterior's region of highest density, ``p(theta) 1[q(theta | x) > tau]``.

    ``tau`` is a low quantile of the posterior's densities, so the region holds all but that share of its mass. Since
    within the region the proposal is the prior, a posterior fitted to its simulations needs no correction. Candidates
    come from the prior in the smallest box around the posterior's samples, where the parameters are independent.

    Args:
        prior: the prior.
        posterior: of one observation, with ``sample`` and ``log_prob``.
        quantile: the share of the posterior's mass that is left out.

    Raises:
        UsageError: if the prior is none.
        ConvergenceError: by ``sample``, if 2000 candidates for each sample were not enough.

    Source: Deistler, Goncalves, Macke (2022), arXiv:2210.04815.

    Example:
        >>> from torch.distributions import Independent, Normal, Uniform
        >>> posterior = Independent(Normal(torch.tensor([0.3]), 0.01), 1)
        >>> theta = TruncatedPrior(Uniform(torch.zeros(1), torch.ones(1)), posterior).sample((500,))
        >>> theta.shape, bool(((theta - 0.3).abs() < 0.05).all())
        (torch.Size([500, 1]), True)
    """

    def __init__(self, prior: Any, posterior: Any, quantile: float = 1e-4) -> None:
        self._prior, self._posterior = Prior.of(prior), posterior
        samples = posterior.sample((_DRAWS,))
        with torch.no_grad():
            self._threshold = torch.quantile(posterior.log_prob(samples), quantile)
        self._box = _box(self._prior, samples)

    @torch.no_grad()
    def sample(self, sample_shape: int | Sequence[int] = ()) -> Tensor:
        """Draw parameters, ``sample_shape + (D,)``.

        Raises:
            ConvergenceError: if 2000 candidates for each sample were not enough.
        """
        shape = as_batch(sample_shape)
        wanted, tried, found = shape.numel(), 0, [torch.empty(0, self._prior.features)]
        while sum(map(len, found)) < wanted:
            if tried >= _PATIENCE * wanted + _BATCH:
                raise ConvergenceError(
                    f"the truncated prior found {sum(map(len, found))} of {wanted} samples among {tried} candidates: "
                    f"the posterior is too narrow for its prior; simulate fewer rounds"
                )
            candidates = self._candidates(_BATCH)
            found.append(candidates[self._posterior.log_prob(candidates) > self._threshold])
            tried += _BATCH
        return torch.cat(found)[:wanted].reshape(*shape, -1)

    def _candidates(self, count: int) -> Tensor:
        if self._box is None:
            return self._prior.sample(count)
        low, high = self._box
        theta = self._prior.icdf(low + (high - low) * torch.rand(count, self._prior.features, dtype=low.dtype))
        assert theta is not None
        return self._prior.inside(theta.to(torch.get_default_dtype()))


def single(posterior: Posterior) -> Posterior:
    """Return the posterior of one observation as it is.

    Raises:
        UsageError: if it is of several.
    """
    if posterior.batch_shape.numel() != 1:
        raise UsageError(
            f"what to simulate next is asked of a single observation, got a batch {tuple(posterior.batch_shape)}"
        )
    return posterior


def _box(prior: Prior, samples: Tensor) -> tuple[Tensor, Tensor] | None:
    """Where the samples are, with a margin, in the prior's cumulative probabilities; None where there are none."""
    # In double precision, which the shares of a normal's tails need.
    shares = prior.cdf(samples.double())
    if shares is None or prior.icdf(shares[:1]) is None:
        return None
    low, high = shares.amin(0), shares.amax(0)
    margin = 0.05 * (high - low)
    return (low - margin).clamp_min(0.0), (high + margin).clamp_max(1.0)
