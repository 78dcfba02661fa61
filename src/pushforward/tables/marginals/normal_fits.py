"""The normal distribution of a sample, where nothing speaks against one."""

from __future__ import annotations

import numpy as np
from scipy.special import log_ndtr, ndtr

from pushforward.tables.columns import log_normal
from pushforward.tables.marginals.samples import Sample
from pushforward.tables.marginals.smooth import Smooth
from pushforward.tables.marginals.tail_fits import RAREST
from pushforward.tables.marginals.tails import OpenTail

TAIL_START = 2.0
"""Where the tails begin, in standard deviations."""
LARGEST_DISTANCE = 0.631
"""Anderson and Darling's statistic is larger for one normal sample in ten, mean and spread estimated."""


def looks_normal(sample: Sample) -> bool:
    r"""Whether a sample is as near to the normal distribution of its mean and spread as most normal samples are.

    ``A^2 = -n - 2 sum_i (r_i log F_i + (1 - r_i) log(1 - F_i))`` with the ranks ``r_i``, corrected for small samples.

    Source: Stephens (1974), Journal of the American Statistical Association 69.

    Example:
        >>> x = np.sort(np.random.default_rng(0).normal(size=500))
        >>> looks_normal(Sample(x, np.ones(500))), looks_normal(Sample(np.exp(x), np.ones(500)))
        (True, False)
    """
    center, spread = moments(sample)
    if not spread > 1e-12 * abs(center):
        return False
    z = (sample.values - center) / spread
    each = sample.ranks * log_ndtr(z) + (1.0 - sample.ranks) * log_ndtr(-z)
    distance = -sample.count - 2.0 * float(sample.rows @ each)
    return bool(distance * (1.0 + 0.75 / sample.count + 2.25 / sample.count**2) < LARGEST_DISTANCE)


def normal(sample: Sample) -> Smooth:
    """The normal distribution of a sample's mean and spread: two numbers, which cost one row's worth of nats.

    A tail's hazard and its slope at the start are the normal distribution's: ``h = phi / S`` and ``h' = h (h - z)``.
    """
    center, spread = moments(sample)
    knots = np.array([-TAIL_START, 0.0, TAIL_START])
    mass = float(ndtr(-TAIL_START))
    hazard = float(np.exp(log_normal(np.array(TAIL_START)))) / mass
    index = TAIL_START / hazard - 1.0
    lower, upper = (
        OpenTail(side * center + TAIL_START * spread, mass, spread / hazard, index, RAREST) for side in (-1.0, 1.0)
    )
    return Smooth(center + spread * knots, knots, np.array([1.0 / spread]), lower, upper)


def moments(sample: Sample) -> tuple[float, float]:
    """The mean and the standard deviation."""
    center = float(np.average(sample.values, weights=sample.rows))
    return center, float(np.sqrt(np.average(np.square(sample.values - center), weights=sample.rows)))
