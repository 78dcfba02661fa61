"""Networks that make a vector of an observation: of a set, a series or an image."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.parts import ModulePart


class SetSummary(ModulePart):
    r"""A permutation-invariant summary of sets of any size, ``rho(mean_i phi(x_i), log n)``.

    A member whose values are all missing (see `padded`) is none, so that sets of several sizes go together.

    Args:
        shape: of one set, ``(members, features)``, the indicators of missing values included.
        indicators: how many of the features are indicators.
        outputs: features of the summary.
        hidden: width of the two networks' hidden layers.

    Raises:
        UsageError: if the shape is not that of a set.

    Source: Zaheer et al. (2017), arXiv:1703.06114; Chan et al. (2018), arXiv:1802.06153.

    Example:
        >>> network, x = SetSummary((5, 2)), torch.randn(3, 5, 2)
        >>> torch.allclose(network(x), network(x.flip(1)), atol=1e-6)
        True
    """

    def __init__(self, shape: Sequence[int], indicators: int = 0, outputs: int = 16, hidden: int = 64) -> None:
        super().__init__()
        if len(shape) != 2:
            raise UsageError(f"SetSummary expects observations of shape (members, features), got {tuple(shape)}")
        self.indicators = indicators
        self.member = nn.Sequential(
            nn.Linear(shape[1], hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, hidden)
        )
        self.whole = nn.Sequential(nn.Linear(hidden + 1, hidden), nn.SiLU(), nn.Linear(hidden, outputs))

    def forward(self, x: Tensor) -> Tensor:
        there = self._there(x)
        count = there.sum(-1, keepdim=True)
        mean = torch.einsum("...n, ...nh -> ...h", there, self.member(x)) / count.clamp_min(1.0)
        return self.whole(torch.cat([mean, torch.log1p(count)], -1))

    def _there(self, x: Tensor) -> Tensor:
        """1 for members, 0 for places that are empty."""
        if not self.indicators:
            return torch.ones_like(x[..., 0])
        return 1.0 - x[..., -self.indicators :].amin(-1)


class SeriesSummary(ModulePart):
    """A summary of time series by three strided convolutions and the mean over what they give.

    Args:
        shape: of one series, ``(times, features)``, the indicators of missing values included.
        indicators: how many of the features are indicators; they are inputs like the others.
        outputs: features of the summary.
        hidden: channels of the convolutions.

    Raises:
        UsageError: if the shape is not that of a series.

    Example:
        >>> SeriesSummary((50, 2))(torch.randn(3, 50, 2)).shape
        torch.Size([3, 16])
    """

    def __init__(self, shape: Sequence[int], indicators: int = 0, outputs: int = 16, hidden: int = 32) -> None:
        super().__init__()
        if len(shape) != 2:
            raise UsageError(f"SeriesSummary expects observations of shape (times, features), got {tuple(shape)}")
        channels = [shape[1], hidden, hidden, hidden]
        self.convolutions = _strided(nn.Conv1d, channels, nn.AdaptiveAvgPool1d(4))
        self.last = nn.Linear(4 * hidden, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.convolutions(x.transpose(-1, -2)).flatten(-2))


class ImageSummary(ModulePart):
    """A summary of images by three strided convolutions and averages over a grid of 4 by 4 fields.

    Args:
        shape: of one image, ``(channels, height, width)``, the indicators of missing values included.
        indicators: how many of the channels are indicators; they are inputs like the others.
        outputs: features of the summary.
        hidden: channels of the convolutions.

    Raises:
        UsageError: if the shape is not that of an image.

    Example:
        >>> ImageSummary((1, 16, 16))(torch.randn(3, 1, 16, 16)).shape
        torch.Size([3, 16])
    """

    def __init__(self, shape: Sequence[int], indicators: int = 0, outputs: int = 16, hidden: int = 32) -> None:
        super().__init__()
        if len(shape) != 3:
            raise UsageError(
                f"ImageSummary expects observations of shape (channels, height, width), got {tuple(shape)}"
            )
        channels = [shape[0], hidden, hidden, hidden]
        self.convolutions = _strided(nn.Conv2d, channels, nn.AdaptiveAvgPool2d(4))
        self.last = nn.Linear(16 * hidden, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.convolutions(x).flatten(-3))


def padded(sets: Sequence[Tensor]) -> Tensor:
    """Return sets ``(n_i, features)`` of several sizes as one tensor, empty places filled with NaN.

    Raises:
        RuntimeError: if there is no set, or sets have different features.

    Example:
        >>> padded([torch.ones(1, 2), torch.ones(3, 2)]).isnan().sum((1, 2))
        tensor([4, 0])
    """
    return nn.utils.rnn.pad_sequence(list(sets), batch_first=True, padding_value=torch.nan)


def _strided(kind: type[nn.Module], channels: Sequence[int], pool: nn.Module) -> nn.Sequential:
    layers: list[nn.Module] = []
    for index, (before, after) in enumerate(pairwise(channels)):
        layers += [kind(before, after, 3, stride=2 if index else 1, padding=1), nn.SiLU()]
    return nn.Sequential(*layers, pool)
