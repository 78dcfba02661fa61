"""A generalised linear model of spikes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

_BINS, _FILTER = 100, 9


class BernoulliGLM:
    r"""Spikes ``y_t ~ Bernoulli(sigmoid(V theta)_t)`` of a neuron that filters a stimulus of white noise.

    The parameters are an offset and a filter of nine weights, smooth under the prior. The observation is the sufficient
    statistic ``V^T y``: how many spikes, and the stimulus before them, summed.

    Source: Goncalves et al. (2020), eLife 9; task T.5 of Lueckmann et al. (2021), arXiv:2101.04653.

    Example:
        >>> BernoulliGLM()(torch.zeros(3, 10)).shape
        torch.Size([3, 10])
    """

    def __init__(self) -> None:
        self.prior = MultivariateNormal(torch.zeros(_FILTER + 1), precision_matrix=_precision())
        # The published stimulus, which is the same in all simulations.
        stimulus = np.random.RandomState(42).randn(_BINS).astype(np.float32)
        delayed = [np.concatenate([np.zeros(lag, np.float32), stimulus[: _BINS - lag]]) for lag in range(_FILTER)]
        self.design = torch.from_numpy(np.stack([np.ones(_BINS, np.float32), *delayed], 1))

    def __call__(self, theta: Tensor) -> Tensor:
        rate = torch.sigmoid(theta @ self.design.T)
        return (torch.rand_like(rate) < rate).to(theta) @ self.design


def _precision() -> Tensor:
    """Of the prior: the offset by itself, and second differences of the filter that are small."""
    difference = torch.eye(_FILTER) - torch.diag(torch.ones(_FILTER - 1), -1)
    smooth = difference @ difference + torch.diag(torch.arange(_FILTER) / _FILTER).sqrt()
    precision = torch.zeros(_FILTER + 1, _FILTER + 1)
    precision[0, 0] = 0.5
    precision[1:, 1:] = smooth.T @ smooth
    return precision
