"""Whole numbers as the middles of the cells that dequantization spreads them over."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.parts import ModulePart


class CellMiddles(ModulePart):
    """Integers ``0 ... levels - 1`` as numbers between 0 and 1: ``(x + 1/2) / levels``.

    Args:
        levels: how many values the integers take.

    Example:
        >>> CellMiddles(2)(torch.tensor([0.0, 1.0]))
        tensor([0.2500, 0.7500])
    """

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels

    def forward(self, x: Tensor) -> Tensor:
        return (x + 0.5) / self.levels


class Cells(ModulePart):
    """Numbers between 0 and 1 without the noise of dequantization: the middle of the cell that each lies in.

    ``(floor(levels * z) + 1/2) / levels``; numbers beyond 0 and 1 belong to the cells at the ends.

    Args:
        levels: how many cells there are.

    Example:
        >>> Cells(2)(torch.tensor([0.1, 0.4, 0.9, 1.3]))
        tensor([0.2500, 0.2500, 0.7500, 0.7500])
    """

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels

    def forward(self, z: Tensor) -> Tensor:
        return (torch.floor(z * self.levels).clamp(0, self.levels - 1) + 0.5) / self.levels
