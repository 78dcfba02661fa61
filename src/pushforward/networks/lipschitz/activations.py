"""Activations with a Lipschitz constant of 1 and derivatives that do not jump."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pushforward.parts import ModulePart

MAX_LOG_RATE = 6.0
"""Rates of learned activations stay below ``exp(6) = 400``, and above one over it: sharper than any data need."""


class LipschitzELU(ModulePart):
    r"""The exponential linear unit, ``x`` above 0 and ``exp(x) - 1`` below: ``0 < f' <= 1``, and ``f'`` is continuous.

    Args:
        features: how many features, or channels of an image; any input is taken.
        event_dims: 1 for vectors, 3 for images.

    Shapes: element by element, ``(..., D)``, or ``(..., C, H, W)`` of images.

    Raises:
        nothing.

    Source: Clevert, Unterthiner, Hochreiter (2015), arXiv:1511.07289; in i-ResNets, arXiv:1811.00995.

    Example:
        >>> LipschitzELU(3)(torch.zeros(3))
        tensor([0., 0., 0.])
    """

    expansion = 1

    def __init__(self, features: int, event_dims: int = 1) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return F.elu(x)

    def along(self, x: Tensor, tangents: Tensor) -> tuple[Tensor, Tensor]:
        """Return the value and the derivatives along tangents."""
        value = F.elu(x)
        return value, torch.where(x > 0, 1.0, value + 1.0) * tangents


class _Rated(ModulePart):
    """What has a learned rate ``beta > 0`` for each feature, or channel of an image."""

    def __init__(self, features: int, event_dims: int, lowest: float, highest: float) -> None:
        super().__init__()
        # From low to high in equal ratios: features of every sharpness, whatever the scale of the data.
        start = torch.linspace(math.log(lowest), math.log(highest), features)
        self.log_rate = nn.Parameter(start.reshape(features, *[1] * (event_dims - 1)))

    @property
    def rate(self) -> Tensor:
        """The rates ``beta``, positive whatever was learned."""
        return self.log_rate.clamp(-MAX_LOG_RATE, MAX_LOG_RATE).exp()


class LipSwish(_Rated):
    r"""``x sigmoid(beta x) / 1.1`` with a learned ``beta > 0`` for each feature: ``|f'| < 1`` whatever it is,
    and smooth, so that a log-determinant has gradients everywhere.

    Args:
        features: how many features, or channels of an image.
        event_dims: 1 for vectors, 3 for images.
        lowest, highest: the range of ``beta`` at the start.

    Shapes: element by element, ``(..., D)``, or ``(..., C, H, W)`` of images.

    Raises:
        RuntimeError: from torch, if the input has not as many features or channels.

    Source: Chen, Behrmann, Duvenaud, Jacobsen (2019), Residual Flows, arXiv:1906.02735.

    Example:
        >>> LipSwish(3)(torch.zeros(3)).sum().item()
        0.0
    """

    expansion = 1

    def __init__(self, features: int, event_dims: int = 1, lowest: float = 1.0, highest: float = 20.0) -> None:
        super().__init__(features, event_dims, lowest, highest)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.rate * x) / 1.1

    def along(self, x: Tensor, tangents: Tensor) -> tuple[Tensor, Tensor]:
        """Return the value and the derivatives along tangents."""
        value, slope = _swish(x, self.rate)
        return value / 1.1, (slope / 1.1) * tangents


class CLipSwish(_Rated):
    r"""``[LipSwish(x), LipSwish(-x)] / 1.004``: twice the features, and where one half is flat the other has a slope.
    The two slopes ``a`` and ``1 - a`` have ``sqrt(a^2 + (1 - a)^2) / 1.1 <= 1.004``.

    Args:
        features: how many features, or channels of an image.
        event_dims: 1 for vectors, 3 for images.
        lowest, highest: the range of ``beta`` at the start.

    Raises:
        RuntimeError: from torch, if the input has not as many features or channels.

    Source: Perugachi-Diaz, Tomczak, Bhulai (2021), Invertible DenseNets with Concatenated LipSwish, arXiv:2102.02694.

    Example:
        >>> CLipSwish(3)(torch.zeros(3)).shape
        torch.Size([6])
    """

    expansion = 2

    def __init__(self, features: int, event_dims: int = 1, lowest: float = 1.0, highest: float = 20.0) -> None:
        super().__init__(features, event_dims, lowest, highest)
        self.event_dims = event_dims

    def forward(self, x: Tensor) -> Tensor:
        opened = torch.sigmoid(self.rate * x)
        return torch.cat([x * opened, x * (opened - 1.0)], -self.event_dims) / (1.1 * 1.004)

    def along(self, x: Tensor, tangents: Tensor) -> tuple[Tensor, Tensor]:
        """Return the value and the derivatives along tangents."""
        value, slope = _swish(x, self.rate)
        slopes = torch.cat([slope, slope - 1.0], -self.event_dims) / (1.1 * 1.004)
        values = torch.cat([value, value - x], -self.event_dims) / (1.1 * 1.004)
        return values, slopes * torch.cat([tangents, tangents], -self.event_dims)


class LipschitzSine(_Rated):
    r"""``sin(beta x) / beta`` with a learned ``beta > 0`` for each feature: ``f' = cos(beta x)`` does not fade far out.

    Args:
        features: how many features, or channels of an image.
        event_dims: 1 for vectors, 3 for images.
        lowest, highest: the range of ``beta`` at the start.

    Shapes: element by element, ``(..., D)``, or ``(..., C, H, W)`` of images.

    Raises:
        RuntimeError: from torch, if the input has not as many features or channels.

    Source: Sitzmann et al. (2020), arXiv:2006.09661, scaled to a Lipschitz constant of 1.

    Example:
        >>> LipschitzSine(3)(torch.zeros(3)).sum().item()
        0.0
    """

    expansion = 1

    def __init__(self, features: int, event_dims: int = 1, lowest: float = 1.0, highest: float = 20.0) -> None:
        super().__init__(features, event_dims, lowest, highest)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(self.rate * x) / self.rate

    def along(self, x: Tensor, tangents: Tensor) -> tuple[Tensor, Tensor]:
        """Return the value and the derivatives along tangents."""
        phase = self.rate * x
        return torch.sin(phase) / self.rate, torch.cos(phase) * tangents


def _swish(x: Tensor, rate: Tensor) -> tuple[Tensor, Tensor]:
    """``x sigmoid(beta x)`` and its slope."""
    opened = torch.sigmoid(rate * x)
    value = x * opened
    return value, opened + rate * value * (1.0 - opened)
