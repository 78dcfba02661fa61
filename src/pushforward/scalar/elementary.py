"""Elementary increasing functions without parameters: sigmoid, logit, exp, softplus, tanh, leaky ReLU.

Where rounding would put a value on the end of an open interval (``sigmoid(100)`` is 1 in float32), it is moved to the
nearest number inside, so that what follows stays finite; the log-derivatives are those of the true functions and do
not saturate.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from pushforward.scalar.arguments import check_positive
from pushforward.scalar.base import ScalarBijection
from pushforward.spaces import Interval


class Sigmoid(ScalarBijection):
    r"""``z = 1 / (1 + exp(-x))``, from the reals onto ``(0, 1)``. No parameters.

    Shapes: element by element, ``x`` and ``z`` are ``(...)``, parameters ``(..., P)`` with ``P = 0``.

    Source: Dinh, Sohl-Dickstein, Bengio (2016), RealNVP, arXiv:1605.08803, section 4.1, which maps latents to pixels
    so.

    Example:
        >>> z, log_dz = Sigmoid().forward(torch.tensor([0.0, -200.0]), torch.empty(2, 0))
        >>> z[0].item(), log_dz[1].item()
        (0.5, -200.0)
    """

    num_parameters = 0
    codomain = Interval(0.0, 1.0)

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return self.encode(x, parameters), logsigmoid(x) + logsigmoid(-x)

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        z = into_unit_interval(z)
        log_z, log_rest = torch.log(z), torch.log1p(-z)
        return log_z - log_rest, -log_z - log_rest

    def encode(self, x: Tensor, parameters: Tensor) -> Tensor:
        return into_unit_interval(torch.sigmoid(x))


class Logit(ScalarBijection):
    r"""``z = log(x / (1 - x))``, from ``(0, 1)`` onto the reals: the inverse of :class:`Sigmoid`. No parameters.

    Source: Dinh, Sohl-Dickstein, Bengio (2016), RealNVP, arXiv:1605.08803, section 4.1, for pixels.

    Example:
        >>> z, log_dz = Logit().forward(torch.tensor([0.5, 0.0]), torch.empty(2, 0))
        >>> z[0].item(), bool(z[1].isfinite())
        (0.0, True)
    """

    num_parameters = 0
    domain = Interval(0.0, 1.0)

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return Sigmoid().inverse(x, parameters)

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return Sigmoid().forward(z, parameters)

    def decode(self, z: Tensor, parameters: Tensor) -> Tensor:
        return Sigmoid().encode(z, parameters)


class Exp(ScalarBijection):
    r"""``z = exp(x)``, from the reals onto the positive numbers. No parameters.

    Shapes: element by element, ``x`` and ``z`` are ``(...)``, parameters ``(..., P)`` with ``P = 0``.

    Source: Kucukelbir, Tran, Ranganath, Gelman, Blei (2017), Automatic Differentiation Variational Inference,
    arXiv:1603.00788, whose transform of positive numbers is the inverse, the logarithm.

    Example:
        >>> z, log_dz = Exp().forward(torch.tensor([0.0, 1e6]), torch.empty(2, 0))
        >>> z[0].item(), bool(z[1].isfinite()), log_dz[1].item()
        (1.0, True, 1000000.0)
    """

    num_parameters = 0
    codomain = Interval(0.0, math.inf)

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        info = torch.finfo(x.dtype)
        # A hair inside, because exp of the rounded logarithm of the largest number may overflow.
        return torch.exp(x.clamp(math.log(info.tiny) + 1e-4, math.log(info.max) - 1e-4)), x

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.log(_positive(z))
        return x, -x


class Softplus(ScalarBijection):
    r"""``z = log(1 + exp(x))``, from the reals onto the positive numbers. No parameters.

    Shapes: element by element, ``x`` and ``z`` are ``(...)``, parameters ``(..., P)`` with ``P = 0``.

    Source: Dugas, Bengio, Belisle, Nadeau, Garcia (2001), Incorporating Second-Order Functional Knowledge for Better
    Option Pricing, NIPS 13.

    Example:
        >>> z, log_dz = Softplus().forward(torch.tensor([0.0, 1e6]), torch.empty(2, 0))
        >>> round(z[0].item(), 4), z[1].item(), log_dz[1].item()
        (0.6931, 1000000.0, 0.0)
    """

    num_parameters = 0
    codomain = Interval(0.0, math.inf)

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return self.encode(x, parameters), logsigmoid(x)

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        z = _positive(z)
        log_slope = torch.log(-torch.expm1(-z))
        return z + log_slope, -log_slope

    def encode(self, x: Tensor, parameters: Tensor) -> Tensor:
        # Not torch's softplus, which is the identity above 20: that is 2e-9 off.
        return _positive(-logsigmoid(-x))


class Tanh(ScalarBijection):
    r"""``z = tanh(x)``, from the reals onto ``(-1, 1)``. No parameters.

    Shapes: element by element, ``x`` and ``z`` are ``(...)``, parameters ``(..., P)`` with ``P = 0``.

    Source: Haarnoja, Zhou, Abbeel, Levine (2018), Soft Actor-Critic, arXiv:1801.01290, appendix C, for bounded actions.

    Example:
        >>> z, log_dz = Tanh().forward(torch.tensor([0.0, 1e6]), torch.empty(2, 0))
        >>> z[0].item(), bool(z[1] < 1), bool(log_dz[1].isfinite())
        (0.0, True, True)
    """

    num_parameters = 0
    codomain = Interval(-1.0, 1.0)

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return self.encode(x, parameters), math.log(4.0) + logsigmoid(2.0 * x) + logsigmoid(-2.0 * x)

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        z = _into_signed_interval(z)
        log_above, log_below = torch.log1p(z), torch.log1p(-z)
        return 0.5 * (log_above - log_below), -log_above - log_below

    def encode(self, x: Tensor, parameters: Tensor) -> Tensor:
        return _into_signed_interval(torch.tanh(x))


class LeakyReLU(ScalarBijection):
    r"""``z = x`` for ``x >= 0`` and ``z = slope * x`` below. No parameters.

    Args:
        slope: the slope on the negative side, positive.

    Shapes: element by element, ``x`` and ``z`` are ``(...)``, parameters ``(..., P)`` with ``P = 0``.

    Raises:
        UsageError: a slope that is not positive.

    Source: Maas, Hannun, Ng (2013), Rectifier nonlinearities improve neural network acoustic models, ICML workshop.

    Example:
        >>> LeakyReLU(0.5).forward(torch.tensor([3.0, -2.0]), torch.empty(2, 0))[0]
        tensor([ 3., -1.])
    """

    num_parameters = 0

    def __init__(self, slope: float = 0.01) -> None:
        check_positive("LeakyReLU", slope=slope)
        self.slope = slope

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return self.encode(x, parameters), self._log_slope(x)

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return self.decode(z, parameters), -self._log_slope(z)

    def encode(self, x: Tensor, parameters: Tensor) -> Tensor:
        return torch.where(x < 0, self.slope * x, x)

    def decode(self, z: Tensor, parameters: Tensor) -> Tensor:
        return torch.where(z < 0, z / self.slope, z)

    def _log_slope(self, value: Tensor) -> Tensor:
        return torch.where(value < 0, torch.full_like(value, math.log(self.slope)), torch.zeros_like(value))


def into_unit_interval(z: Tensor) -> Tensor:
    """The nearest number strictly between 0 and 1."""
    info = torch.finfo(z.dtype)
    return z.clamp(info.tiny, 1.0 - 0.5 * info.eps)


def _into_signed_interval(z: Tensor) -> Tensor:
    inside = 1.0 - 0.5 * torch.finfo(z.dtype).eps
    return z.clamp(-inside, inside)


def _positive(z: Tensor) -> Tensor:
    return z.clamp_min(torch.finfo(z.dtype).tiny)
