"""Whole numbers as the middles of the cells that dequantization spreads them over."""

from __future__ import annotations

from torch import Tensor

from pushforward.parts import ModulePart


class CellMiddles(ModulePart):
    """Integers ``0 ... levels - 1`` as numbers between 0 and 1: ``(x + 1/2) / levels``.

    Args:
        levels: how many values the integers take.

    Example:
        >>> import torch
        >>> CellMiddles(2)(torch.tensor([0.0, 1.0]))
        tensor([0.2500, 0.7500])
    """

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels

    def forward(self, x: Tensor) -> Tensor:
        return (x + 0.5) / self.levels
