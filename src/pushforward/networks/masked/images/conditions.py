"""What a causal network of images is told besides the pixels: where it is, and the context."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

WAVES = 4
"""How many cosines of each coordinate tell where a pixel is."""


@dataclass(frozen=True)
class Condition:
    """Planes that every layer sees, in which nothing depends on the pixels' values.

    Attributes:
        places: cosines of the coordinates, ``(1, 2 * WAVES, H, W)``.
        context: the context's planes ``(N, K, H, W)``, of a vector ``(N, K, 1, 1)``; None where there is none.
    """

    places: Tensor
    context: Tensor | None

    def row(self, i: int) -> Condition:
        """The condition of one row of pixels."""
        whole = self.context is None or self.context.shape[-2] == 1
        return Condition(
            self.places[..., i : i + 1, :],
            self.context if whole else self.context[..., i : i + 1, :],  # type: ignore[index]
        )

    def coarser(self) -> Condition:
        """The condition of every other pixel of every other row."""
        return Condition(self.places[..., ::2, ::2], None if self.context is None else self.context[..., ::2, ::2])


def places(height: int, width: int, like: Tensor) -> Tensor:
    """Return ``cos(pi k (i + 1/2) / H)`` and the same of the columns, for ``k = 1 ... WAVES``, ``(1, 2 WAVES, H, W)``.

    Example:
        >>> places(2, 3, torch.zeros(())).shape
        torch.Size([1, 8, 2, 3])
    """
    waves = torch.arange(1, WAVES + 1, dtype=like.dtype, device=like.device)[:, None]
    down, across = (
        torch.cos(math.pi * waves * (torch.arange(side, dtype=like.dtype, device=like.device) + 0.5) / side)
        for side in (height, width)
    )
    planes = [down[:, :, None].expand(-1, -1, width), across[:, None, :].expand(-1, height, -1)]
    return torch.cat(planes)[None]


class ConditionTerm(nn.Module):
    """What the condition adds to the channels of a layer: the sum of two 1x1 convolutions.

    Args:
        outputs: the layer's channels.
        context: the context's channels, 0 for none.
    """

    def __init__(self, outputs: int, context: int) -> None:
        super().__init__()
        self.places = nn.Conv2d(2 * WAVES, outputs, 1, bias=False)
        self.context = nn.Conv2d(context, outputs, 1, bias=False) if context else None

    def forward(self, condition: Condition) -> Tensor:
        """Return a term that broadcasts to ``(N, outputs, H, W)``."""
        term = self.places(condition.places)
        if self.context is None or condition.context is None:
            return term
        return term + self.context(condition.context)
