"""Whole numbers and the middles of the cells that dequantization spreads them over."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.numerics import at_least_single
from pushforward.parts import ModulePart


def cell_of(z: Tensor, levels: int) -> Tensor:
    """The integer ``0 ... levels - 1`` in whose cell of ``[0, 1]`` each number lies; beyond, that of the nearest end.

    Example:
        >>> cell_of(torch.tensor([0.1, 0.4, 0.9, 1.3]), 2)
        tensor([0., 0., 1., 1.])
    """
    return torch.floor(at_least_single(z) * levels).clamp(0, levels - 1).to(z.dtype)


class CellMiddles(ModulePart):
    """Integers ``0 ... levels - 1`` as numbers between 0 and 1: ``(x + 1/2) / levels``.

    Args:
        levels: how many values the integers take.

    Shapes: element by element, of any shape.

    Raises:
        nothing.

    Source: Theis, van den Oord, Bethge (2016), A note on the evaluation of generative models, arXiv:1511.01844, for the
    cells.

    Example:
        >>> CellMiddles(2)(torch.tensor([0.0, 1.0]))
        tensor([0.2500, 0.7500])
    """

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels

    def forward(self, x: Tensor) -> Tensor:
        return (x + 0.5) / self.levels


class NearestCellMiddle(ModulePart):
    """Numbers without the noise of dequantization, each the middle of the cell that it lies in:
    ``(floor(levels * z) + 1/2) / levels``; numbers beyond 0 and 1 belong to the cells at the ends.

    No gradient passes.

    Args:
        levels: how many cells there are.

    Shapes: element by element, of any shape.

    Raises:
        nothing.

    Source: Theis, van den Oord, Bethge (2016), A note on the evaluation of generative models, arXiv:1511.01844, for the
    cells.

    Example:
        >>> NearestCellMiddle(2)(torch.tensor([0.1, 0.4, 0.9, 1.3]))
        tensor([0.2500, 0.2500, 0.7500, 0.7500])
    """

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.middles = CellMiddles(levels)

    def forward(self, z: Tensor) -> Tensor:
        return self.middles(cell_of(z, self.middles.levels))
