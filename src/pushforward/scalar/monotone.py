"""Monotone networks of one number: the deep sigmoidal flows of neural autoregressive flows."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from pushforward.kernels.iteration import separate
from pushforward.numerics import bounded
from pushforward.scalar.arguments import check_counts
from pushforward.scalar.base import ScalarBijection
from pushforward.scalar.root import TOLERANCE, Increasing, invert, solve

MAX_LOG_SLOPE = 4.0
"""Bound on the logarithm of a unit's slope ``a``."""

Layer = tuple[Tensor, Tensor, Tensor, Tensor]
"""Log ``u`` (..., units, inputs), log ``a`` (..., units), ``b`` (..., units), log ``w`` (..., outputs, units)."""


class DeepDenseSigmoidal(ScalarBijection):
    r"""A network of one number in which every path increases: the deep dense sigmoidal flow (Huang, Krueger, Lacoste,
    Courville 2018, Neural Autoregressive Flows, arXiv:1804.00779).

    Each layer is ``h' = logit(w sigmoid(a * (u h) + b))``, where the rows of the matrices ``u`` and ``w`` are convex
    weights and ``a > 0``; the first takes ``x``, the last gives one number, and between them are ``width`` numbers.
    With ``width=1`` it is the deep sigmoidal flow, a composition of ``logit(sum_k w_k sigmoid(a_k x + b_k))``. All is
    computed in log space, so that no sigmoid saturates.

    Parameters per element, layer by layer and in this order: the logits of ``u`` row by row, the log-slopes ``a``
    (bounded), the offsets ``b``, the logits of ``w`` row by row. At zeros the offsets are spread a little, so that the
    units differ, and the map is close to the identity. The inverse is iterative, see ``tolerance``, in a bracket
    computed backwards through the layers; gradients through it are by implicit differentiation.

    Args:
        units: the sigmoids of a layer.
        layers: the number of layers.
        width: the numbers between two layers.

    Shapes: element by element, ``x`` and ``z`` are ``(...)``, parameters ``(..., P)``.

    Raises:
        UsageError: one of the sizes is below 1.

    Example:
        >>> network = DeepDenseSigmoidal(units=4, layers=2)
        >>> parameters = torch.randn(3, network.num_parameters)
        >>> x = torch.tensor([-2.0, 0.0, 1.0])
        >>> z, _ = network.forward(x, parameters)
        >>> bool(torch.allclose(network.inverse(z, parameters)[0], x, atol=1e-4))
        True
    """

    tolerance = TOLERANCE

    def __init__(self, units: int = 8, layers: int = 2, width: int = 8) -> None:
        check_counts(type(self).__name__, units=units, layers=layers, width=width)
        self.units = units
        self.layers = layers
        self.width = width
        between = [1] + [width] * (layers - 1) + [1]
        self._sizes = list(itertools.pairwise(between))
        self.num_parameters = sum(units * (inputs + 2 + outputs) for inputs, outputs in self._sizes)
        self._spread = [2.0 * k / (units - 1) - 1.0 for k in range(units)] if units > 1 else [0.0]
        # The slope at which a mixture of sigmoids spread like this has the variance of one sigmoid.
        self._slope = 1.0 / math.sqrt(1.0 - 3.0 * sum(value**2 for value in self._spread) / units / math.pi**2)

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return _network(x, self._constrain(parameters))

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return invert(*self._equation(z, parameters))

    def encode(self, x: Tensor, parameters: Tensor) -> Tensor:
        hidden = x.unsqueeze(-1)
        for layer in self._constrain(parameters):
            lower, upper, _, _ = _tails(hidden, layer)
            hidden = torch.logsumexp(lower, -1) - torch.logsumexp(upper, -1)
        return hidden.squeeze(-1)

    def decode(self, z: Tensor, parameters: Tensor) -> Tensor:
        return solve(*self._equation(z, parameters))

    def _equation(self, z: Tensor, parameters: Tensor) -> tuple[Increasing, Tensor, Tensor, Tensor]:
        """The function, what it should reach, and numbers below and above the root."""
        layers = separate(self._constrain(parameters))
        return lambda x: _network(x, layers), z, *_bracket(z, layers)

    def _constrain(self, parameters: Tensor) -> list[Layer]:
        spread = torch.tensor(self._spread, dtype=parameters.dtype, device=parameters.device) * self._slope
        layers = []
        own = parameters.split([self.units * (inputs + 2 + outputs) for inputs, outputs in self._sizes], -1)
        for (inputs, outputs), values in zip(self._sizes, own):
            u, a, b, w = values.split([self.units * inputs, self.units, self.units, self.units * outputs], -1)
            layers.append(
                (
                    torch.log_softmax(u.unflatten(-1, (self.units, inputs)), -1),
                    bounded(a, MAX_LOG_SLOPE) + math.log(self._slope),
                    b + spread,
                    torch.log_softmax(w.unflatten(-1, (outputs, self.units)), -1),
                )
            )
        return layers


class DeepSigmoidal(DeepDenseSigmoidal):
    r"""The deep sigmoidal flow: a composition of layers ``h(x) = logit(sum_k w_k sigmoid(a_k x + b_k))`` (Huang,
    Krueger, Lacoste, Courville 2018, Neural Autoregressive Flows, arXiv:1804.00779).

    It is :class:`DeepDenseSigmoidal` with one number between the layers.

    Args:
        units: the sigmoids of a layer, ``K``.
        layers: the number of layers.

    Shapes: element by element, ``x`` and ``z`` are ``(...)``, parameters ``(..., P)``.

    Raises:
        UsageError: one of the sizes is below 1.

    Example:
        >>> network = DeepSigmoidal(units=4, layers=2)
        >>> z, log_dz = network.forward(torch.zeros(1), torch.zeros(1, network.num_parameters))
        >>> bool(z.abs() < 0.05), bool(log_dz.abs() < 0.2)
        (True, True)
    """

    def __init__(self, units: int = 8, layers: int = 2) -> None:
        super().__init__(units, layers, width=1)


def _tails(hidden: Tensor, layer: Layer) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The weighted sigmoids of a layer and of its negative, and the sigmoids, as logarithms."""
    log_u, log_a, b, log_w = layer
    inner = torch.exp(log_a) * (torch.exp(log_u) * hidden.unsqueeze(-2)).sum(-1) + b
    log_on, log_off = logsigmoid(inner).unsqueeze(-2), logsigmoid(-inner).unsqueeze(-2)
    return log_w + log_on, log_w + log_off, log_on, log_off


def _network(x: Tensor, layers: list[Layer]) -> tuple[Tensor, Tensor]:
    """The output and its log-derivative, carried forward along with the values."""
    hidden, log_slopes = x.unsqueeze(-1), torch.zeros_like(x).unsqueeze(-1)
    for layer in layers:
        log_u, log_a, _, _ = layer
        lower, upper, log_on, log_off = _tails(hidden, layer)
        log_inner_slopes = log_a + torch.logsumexp(log_u + log_slopes.unsqueeze(-2), -1)
        hidden = torch.logsumexp(lower, -1) - torch.logsumexp(upper, -1)
        # d logit(F) = dF / F + dF / (1 - F): means over the units, weighted with their shares of either side.
        shares = torch.logaddexp(
            torch.log_softmax(lower, -1) + log_off,
            torch.log_softmax(upper, -1) + log_on,
        )
        log_slopes = torch.logsumexp(shares + log_inner_slopes.unsqueeze(-2), -1)
    return hidden.squeeze(-1), log_slopes.squeeze(-1)


@torch.no_grad()
def _bracket(z: Tensor, layers: list[Layer]) -> tuple[Tensor, Tensor]:
    """Numbers below and above the root: a mean is reached between the smallest and the largest of its terms."""
    low = high = z
    for _, log_a, b, _ in reversed(layers):
        low = ((low.unsqueeze(-1) - b) * torch.exp(-log_a)).amin(-1)
        high = ((high.unsqueeze(-1) - b) * torch.exp(-log_a)).amax(-1)
    return low, high
