r"""The two tails of a standard normal in log space: how rare a value is, and which value is so rare.

The **excess** of a value is ``E(z) = -log P(|Z| > |z|) = -log erfc(|z| / sqrt 2)`` in nats: 0 in the middle, about
``z^2 / 2`` far out. Probabilities of 1 - 1e-7 and nearer to 1 are the same number in single precision; their excesses
are not.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

NEAR = 1.5
"""Up to this excess the error function's inverse is as accurate as its type; beyond, Newton steps in log space are."""

SEARCH_STEPS = 3
"""Newton steps to all digits of a double; two more carry first and second derivatives."""


def log_mills(z: Tensor) -> Tensor:
    r"""``log (P(Z > z) / phi(z))``, the logarithm of Mills' ratio, for ``z >= 0``: ``dz / dE``.

    Example:
        >>> round(log_mills(torch.tensor(100.0)).exp().item() * 100, 3)
        1.0
    """
    return torch.log(torch.special.erfcx(z / math.sqrt(2.0))) + 0.5 * math.log(math.pi / 2.0)


def normal_excess(z: Tensor) -> Tensor:
    r"""``-log erfc(z / sqrt 2)`` for ``z >= 0``, however large.

    Example:
        >>> round(normal_excess(torch.tensor(1.96)).neg().exp().item(), 4)
        0.05
    """
    return 0.5 * z.square() - torch.log(torch.special.erfcx(z / math.sqrt(2.0)))


def normal_of_excess(excess: Tensor) -> Tensor:
    r"""The ``z >= 0`` with ``-log erfc(z / sqrt 2) = excess``: the inverse of :func:`normal_excess`.

    Example:
        >>> normal_of_excess(normal_excess(torch.tensor([0.0, 1.0, 30.0]))).round(decimals=4)
        tensor([ 0.,  1., 30.])
    """
    near = math.sqrt(2.0) * torch.erfinv(-torch.expm1(-excess.clamp(max=NEAR)))
    return torch.where(excess < NEAR, near, _far(excess.clamp(min=NEAR)))


def _far(excess: Tensor) -> Tensor:
    with torch.no_grad():
        twice = 2.0 * excess
        z = torch.sqrt(twice - torch.log1p(twice))
        for _ in range(SEARCH_STEPS):
            z = _newton(z, excess)
    # From the root: values stay, and each step has derivatives of one more order.
    return _newton(_newton(z, excess), excess)


def _newton(z: Tensor, excess: Tensor) -> Tensor:
    return z - (normal_excess(z) - excess) * torch.exp(log_mills(z))
