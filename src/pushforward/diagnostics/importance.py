"""What importance weights tell: how many samples they are worth, and the normaliser of what they were weighed by."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from pushforward.errors import DataError, ShapeError


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error.

    Attributes:
        value: the estimate.
        error: its standard error, by the delta method; too small where few of the weights are large.

    Example:
        >>> print(Estimate(-1.23456, 0.0123))
        -1.235 +- 0.012
    """

    value: float
    error: float

    def __str__(self) -> str:
        return f"{self.value:.4g} +- {self.error:.2g}"


def effective_sample_size(log_weights: ArrayLike) -> float:
    r"""How many samples of the target itself the weighted ones are worth, ``(sum w)^2 / sum w^2``.

    Args:
        log_weights: of samples, ``(n,)``, as ``flow.log_weight`` gives them; of another shape they count as one set,
            so that with several contexts each has its own column to ask for.

    Raises:
        DataError: if there are none, one is NaN or infinite, or all are zero.

    Source: Kish (1965), Survey sampling; Kong, Liu, Wong (1994), JASA 89.

    Example:
        >>> effective_sample_size(torch.tensor([0.0, 0.0, -torch.inf, -torch.inf]))
        2.0
    """
    weights, _ = scaled_weights(log_weights)
    return (weights.sum().square() / weights.square().sum()).item()


def log_normaliser(log_weights: ArrayLike) -> Estimate:
    r"""The logarithm of the target's normaliser, ``log Z = log 1/n sum w``, in nats.

    The standard error is ``std(w) / (sqrt(n) mean(w))``. The estimate of ``Z`` is unbiased, and that of its logarithm
    low by about half of the squared error.

    Args:
        log_weights: of independent samples, as ``flow.log_weight`` gives them.

    Raises:
        DataError: as `effective_sample_size`.

    Example:
        >>> weights = torch.tensor([1.0, 3.0]).log()
        >>> estimate = log_normaliser(weights)
        >>> round(estimate.value, 4) == round(math.log(2.0), 4), round(estimate.error, 4)
        (True, 0.5)
    """
    weights, largest = scaled_weights(log_weights)
    mean = weights.mean()
    deviation = (weights / mean - 1).square().sum().sqrt() / max(len(weights) * (len(weights) - 1), 1) ** 0.5
    error = deviation.item() if len(weights) > 1 else math.inf
    return Estimate(largest + mean.log().item(), error)


def free_energy(log_weights: ArrayLike, region: ArrayLike | None = None) -> Estimate:
    r"""The free energy of a region ``A``, ``F_A = -log int_A f(x) dx``, in units of the temperature (nats).

    Args:
        log_weights: of independent samples, as ``flow.log_weight`` gives them.
        region: which of the samples lie in it, booleans of the weights' shape; all by default, ``-log Z``.

    Raises:
        DataError: as `effective_sample_size`, or if no sample with a weight lies in the region.
        ShapeError: if the region is not of the weights' shape.

    Example:
        >>> x, log_weights = torch.tensor([-1.0, 1.0]), torch.zeros(2)
        >>> round(free_energy(log_weights, x > 0).value, 4) == round(math.log(2.0), 4)
        True
    """
    inside = log_weights if region is None else _within(log_weights, region)
    estimate = log_normaliser(inside)
    return Estimate(-estimate.value, estimate.error)


def free_energy_difference(log_weights: ArrayLike, first: ArrayLike, second: ArrayLike) -> Estimate:
    r"""``F_A - F_B`` of two regions, ``log (sum_B w / sum_A w)``, in units of the temperature (nats).

    The standard error counts that both sums are of the same samples: ``sqrt(sum w^2 (1_A / S_A - 1_B / S_B)^2)``.

    Args:
        log_weights: of independent samples, as ``flow.log_weight`` gives them; zeros for samples of the target itself.
        first, second: which of the samples lie in ``A`` and in ``B``, booleans of the weights' shape.

    Raises:
        DataError: as `effective_sample_size`, or if no sample with a weight lies in one of the regions.
        ShapeError: if a region is not of the weights' shape.

    Example:
        >>> x = torch.tensor([-1.0, 1.0, 2.0, 3.0])
        >>> round(free_energy_difference(torch.zeros(4), x < 0, x > 0).value, 4) == round(math.log(3.0), 4)
        True
    """
    (one, top_one), (other, top_other) = (scaled_weights(_within(log_weights, region)) for region in (first, second))
    shares = one / one.sum(), other / other.sum()
    difference = top_other - top_one + (other.sum() / one.sum()).log().item()
    return Estimate(difference, (shares[0] - shares[1]).square().sum().sqrt().item())


def _within(log_weights: ArrayLike, region: ArrayLike) -> Tensor:
    log_weights, region = torch.as_tensor(log_weights), torch.as_tensor(region)
    if region.shape != log_weights.shape or region.dtype != torch.bool:
        raise ShapeError(
            f"a region is booleans of the weights' shape {tuple(log_weights.shape)}, got {region.dtype} of shape "
            f"{tuple(region.shape)}"
        )
    return torch.where(region, log_weights, -torch.inf)


def scaled_weights(log_weights: ArrayLike) -> tuple[Tensor, float]:
    """Return the weights over the largest one, in float64, and its logarithm.

    Raises:
        DataError: if there are none, one is NaN or infinite, or all are zero.
    """
    values = torch.as_tensor(log_weights).detach().flatten().double()
    if not len(values) or bool((values.isnan() | (values == torch.inf)).any()) or bool((values == -torch.inf).all()):
        raise DataError(
            f"expected logarithms of weights, finite or minus infinity and not all of them that, got {len(values)}, of "
            f"which {int(values.isnan().sum())} are NaN and {int(values.isfinite().sum())} finite"
        )
    largest = values.max()
    return (values - largest).exp(), largest.item()
