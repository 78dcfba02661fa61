"""An affine map with a bump on it, invertible by constraint."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.kernels.iteration import separate
from pushforward.numerics import bounded
from pushforward.scalar.base import ScalarBijection
from pushforward.scalar.root import TOLERANCE, Increasing, invert, solve

MAX_LOG_SLOPE = 5.0
MAX_LOG_FREQUENCY = 3.0
MAX_STRENGTH = 0.95
"""Share of the largest bump that the slope allows; the derivative stays above ``(1 - MAX_STRENGTH) a``."""

STEEPEST = 9.0 / (8.0 * math.sqrt(3.0))
"""The largest value of ``2 v / (1 + v^2)^2``, at ``v = 1 / sqrt(3)``."""


class PerturbedAffine(ScalarBijection):
    r"""An affine map with a higher-order perturbation, ``z = a x + b + c / (1 + (d x + e)^2)`` (Ziegler, Rush 2019,
    Latent Normalizing Flows for Discrete Sequences, arXiv:1901.10548).

    It increases where ``a > 9 / (8 sqrt(3)) |c| d`` and ``d > 0``; the parametrisation cannot leave that region, for
    either sign of ``c``.

    Parameters per element, 5 in this order: log ``a`` (bounded), ``b``, the strength of the bump (``c`` relative to the
    largest allowed), log ``d`` (bounded), ``e``. Zeros give the identity. The inverse is iterative, see ``tolerance``;
    gradients through it are by implicit differentiation.

    Example:
        >>> bijection = PerturbedAffine()
        >>> parameters = torch.tensor([[0.0, 0.0, 5.0, 0.0, 0.0]])
        >>> z, _ = bijection.forward(torch.tensor([1.0]), parameters)
        >>> x, _ = bijection.inverse(z, parameters)
        >>> bool((x - 1.0).abs() < 1e-5)
        True
    """

    num_parameters = 5
    tolerance = TOLERANCE

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return _map(x, *_constrain(parameters))

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return invert(*_equation(z, parameters))

    def decode(self, z: Tensor, parameters: Tensor) -> Tensor:
        return solve(*_equation(z, parameters))


def _equation(z: Tensor, parameters: Tensor) -> tuple[Increasing, Tensor, Tensor, Tensor]:
    """The function, what it should reach, and numbers below and above the root."""
    log_a, b, strength, d, e = separate(_constrain(parameters))
    with torch.no_grad():
        # The bump lies between 0 and its height, so the root lies between two roots of the affine map.
        without = (z - b) * torch.exp(-log_a)
        height = strength / (STEEPEST * d)
        low, high = without - height.clamp_min(0.0), without - height.clamp_max(0.0)
    return lambda x: _map(x, log_a, b, strength, d, e), z, low, high


def _constrain(parameters: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    log_a, b, strength, log_d, e = parameters.unbind(-1)
    log_a, log_d = bounded(log_a, MAX_LOG_SLOPE), bounded(log_d, MAX_LOG_FREQUENCY)
    return log_a, b, bounded(strength, MAX_STRENGTH), torch.exp(log_d), e


def _map(x: Tensor, log_a: Tensor, b: Tensor, strength: Tensor, d: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
    a, v = torch.exp(log_a), d * x + e
    bump = 1.0 / (1.0 + v * v)
    z = a * (x + strength / (STEEPEST * d) * bump) + b
    return z, log_a + torch.log1p(-strength * (2.0 / STEEPEST) * v * bump * bump)
