"""Sampling a density without gradients: tempering from the prior, then chains that move by each other's differences."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

LogDensity = Callable[[Tensor], Tensor]
"""From points ``(n, B, D)`` to ``(n, B)``, for ``B`` densities at once."""

# Between modes as far as from each other: steps of the whole difference, now and then.
_JUMPS = 0.3
_JITTER = 1e-3
_MOVES = 4
_MOST_TEMPERATURES = 200
# Halvings of a step of the temperature, which may be as small as likelihoods are large.
_HALVINGS = 80


@dataclass(frozen=True)
class ChainDiagnostics:
    """Whether chains have reached their density, the worst over all parameters.

    Attributes:
        r_hat: the split R-hat; near 1 is good, above 1.1 not to be believed.
        effective_sample_size: how many independent samples the chains are worth.
        acceptance: the share of moves that were accepted.

    Example:
        >>> normal = lambda z: -0.5 * z.square().sum(-1)
        >>> samples, found = chains(torch.randn(100, 1, 2), normal, burn=20, draws=50, thin=2)
        >>> samples.shape, found.r_hat < 1.1, found.acceptance > 0.2
        (torch.Size([50, 100, 1, 2]), True, True)
    """

    r_hat: float
    effective_sample_size: float
    acceptance: float


def tempered(start: Tensor, log_prior: LogDensity, log_likelihood: LogDensity) -> Tensor:
    r"""Particles of ``prior x likelihood`` from particles of the prior, by a path ``prior x likelihood^beta``.

    ``beta`` rises from 0 to 1 by steps after which half of the particles are still effective; at each the particles
    are drawn anew by their weights and moved (Del Moral, Doucet, Jasra 2006).

    Args:
        start: samples of the prior, ``(n, B, D)``, ``n`` even.
        log_prior, log_likelihood: of such points.
    """
    z, beta = start, torch.zeros(start.shape[1])
    likelihood = log_likelihood(z)
    for _ in range(_MOST_TEMPERATURES):
        if bool((beta >= 1).all()):
            break
        higher = _next_temperature(likelihood, beta)
        weights = torch.softmax((higher - beta) * likelihood, 0)
        chosen = torch.multinomial(weights.T, len(z), replacement=True).T
        z, beta = z.gather(0, chosen[..., None].expand_as(z)), higher
        target = _annealed(log_prior, log_likelihood, beta)
        value = target(z)
        for _ in range(_MOVES):
            z, value, _ = moved(z, value, target)
        likelihood = log_likelihood(z)
    return z


def chains(start: Tensor, log_density: LogDensity, burn: int, draws: int, thin: int) -> tuple[Tensor, ChainDiagnostics]:
    """Run ``n`` chains from ``start`` and return ``(draws, n, B, D)`` with what they tell of themselves.

    Args:
        start: where they begin, ``(n, B, D)``, ``n`` even.
        log_density: the density, up to a constant.
        burn: moves before the first draw.
        draws: of each chain.
        thin: moves from one draw to the next.
    """
    z, value, kept, accepted = start, log_density(start), [], []
    for step in range(1, burn + draws * thin + 1):
        z, value, share = moved(z, value, log_density)
        accepted.append(share)
        if step > burn and (step - burn) % thin == 0:
            kept.append(z)
    samples = torch.stack(kept)
    worst = split_r_hat(samples).max().item() if draws >= 4 else math.nan
    worth = effective_draws(samples).min().item() if draws >= 4 else math.nan
    return samples, ChainDiagnostics(worst, worth, sum(accepted) / len(accepted))


def moved(z: Tensor, value: Tensor, log_density: LogDensity) -> tuple[Tensor, Tensor, float]:
    r"""One move of every chain, ``z' = z + gamma (z_a - z_b) + e``, and the share that was accepted.

    The partners ``a`` and ``b`` are of the other half of the chains, which stands still meanwhile. The step is the best
    one for a normal density, ``2.38 / sqrt(2 D)``, and 1 at times, which leads from mode to mode. Source: ter Braak
    (2006), Statistics and Computing 16.
    """
    half = len(z) // 2
    one, one_value, first = _half_moved(z[:half], value[:half], z[half:], log_density)
    two, two_value, second = _half_moved(z[half:], value[half:], one, log_density)
    return torch.cat([one, two]), torch.cat([one_value, two_value]), 0.5 * (first + second)


def _half_moved(z: Tensor, value: Tensor, others: Tensor, log_density: LogDensity) -> tuple[Tensor, Tensor, float]:
    count, batch, features = z.shape
    first = torch.randint(len(others), (count, batch))
    second = (first + 1 + torch.randint(len(others) - 1, (count, batch))) % len(others)
    between = _taken(others, first) - _taken(others, second)
    jump = torch.rand(count, 1, 1) < _JUMPS
    step = torch.where(jump, 1.0, 2.38 / math.sqrt(2 * features))
    proposed = z + step * between + _JITTER * others.std(0) * torch.randn_like(z)
    higher = log_density(proposed)
    # A density that is nowhere, or NaN, is not gone to.
    accepted = torch.rand(count, batch).log() < torch.nan_to_num(higher - value, nan=-torch.inf)
    z = torch.where(accepted[..., None], proposed, z)
    return z, torch.where(accepted, higher, value), accepted.float().mean().item()


def _taken(z: Tensor, index: Tensor) -> Tensor:
    return z.gather(0, index[..., None].expand(*index.shape, z.shape[-1]))


def _annealed(log_prior: LogDensity, log_likelihood: LogDensity, beta: Tensor) -> LogDensity:
    return lambda z: log_prior(z) + beta * log_likelihood(z)


def _next_temperature(likelihood: Tensor, beta: Tensor) -> Tensor:
    """For each density the temperature at which half of the particles are still effective, by bisection."""
    low, high = torch.zeros_like(beta), 1.0 - beta
    least = 0.5 * len(likelihood)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        enough = _effective(middle * likelihood) >= least
        low, high = torch.where(enough, middle, low), torch.where(enough, high, middle)
    whole = _effective((1.0 - beta) * likelihood) >= least
    return torch.where(whole, 1.0, beta + low)


def _effective(log_weights: Tensor) -> Tensor:
    return torch.exp(2 * torch.logsumexp(log_weights, 0) - torch.logsumexp(2 * log_weights, 0))


def split_r_hat(samples: Tensor) -> Tensor:
    """The split R-hat of draws ``(S, chains, ...)``: the root of the variance over that within half chains.

    Source: Gelman et al. (2013), Bayesian data analysis, 11.4.

    Example:
        >>> bool((split_r_hat(torch.randn(1000, 4)) - 1).abs() < 0.02)
        True
    """
    # In double precision, which the squares of small numbers need.
    samples = samples.double()
    length = len(samples) // 2
    halves = torch.cat([samples[:length], samples[length : 2 * length]], 1)
    within = halves.var(0).mean(0)
    between = halves.mean(0).var(0)
    return torch.sqrt((length - 1) / length + between / within.clamp_min(torch.finfo(samples.dtype).tiny))


def effective_draws(samples: Tensor) -> Tensor:
    """How many independent draws those of chains ``(S, chains, ...)`` are worth, by Geyer's initial positive sequence.

    Source: Gelman et al. (2013), Bayesian data analysis, 11.5.

    Example:
        >>> bool((effective_draws(torch.randn(1000, 4)) / 4000 - 1).abs() < 0.2)
        True
    """
    samples = samples.double()
    length, count = samples.shape[:2]
    centred = samples - samples.mean(0)
    lags = range(length - 1)
    covariance = torch.stack([(centred[: length - lag] * centred[lag:]).sum(0).mean(0) / length for lag in lags])
    within = samples.var(0).mean(0)
    total = (length - 1) / length * within + (samples.mean(0).var(0) if count > 1 else 0.0)
    correlation = 1 - (within - covariance * length / (length - 1)) / total
    even = 2 * ((length - 1) // 2)
    pairs = correlation[:even:2] + correlation[1:even:2]
    positive = (pairs > 0).cumprod(0)
    return length * count / (2 * (pairs * positive).sum(0) - 1).clamp_min(0.1)
