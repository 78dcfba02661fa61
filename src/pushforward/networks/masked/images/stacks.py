"""Convolutions of the rows above a pixel, and of the pixels to its left."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pushforward.errors import UsageError
from pushforward.networks.masked.convolution import raster_mask
from pushforward.networks.masked.images.rows import CausalRow, RowsAbove


def check_kernels(*sides: int) -> None:
    """Raise :class:`UsageError` unless kernels have a centre and something beside it."""
    if any(side < 3 or side % 2 == 0 for side in sides):
        raise UsageError(f"convolutions of rows above and beside expect odd kernels of at least 3, got {sides}")


class VerticalConvolution(nn.Conv2d):
    """A convolution that sees the rows above and, where it is not strict, its own; with a stride of 2, at every other
    pixel of every other row."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, strict: bool, stride: int = 1) -> None:
        self.above = kernel // 2
        super().__init__(inputs, outputs, (self.above + (not strict), kernel), stride=stride)
        self.cut = int(strict)

    def forward(self, x: Tensor) -> Tensor:
        sides = self.kernel_size[1] // 2
        return F.conv2d(F.pad(x, (sides, sides, self.above, -self.cut)), self.weight, self.bias, self.stride)

    def rows(self, rows: int, width: int) -> RowsAbove:
        """The layer, one row after the other."""
        assert self.bias is not None
        return RowsAbove(self.weight, self.bias, self.kernel_size[0], rows, width, self.stride[1])


class HorizontalConvolution(nn.Conv2d):
    """A convolution that sees the pixels to the left and, of its own, what its degrees allow."""

    mask: Tensor

    def __init__(self, in_degrees: Sequence[int], out_degrees: Sequence[int], kernel: int, *, strict: bool) -> None:
        self.left = kernel // 2
        super().__init__(len(in_degrees), len(out_degrees), (1, self.left + 1))
        mask = raster_mask(in_degrees, out_degrees, 1, strict=strict)
        mask = torch.cat([torch.ones_like(mask).expand(-1, -1, 1, self.left), mask], -1)
        self.register_buffer("mask", mask.to(self.weight.dtype), persistent=False)

    @property
    def masked_weight(self) -> Tensor:
        """``W * M``."""
        return self.weight * self.mask

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (self.left, 0)), self.masked_weight, self.bias)

    def row(self, rows: int, width: int) -> CausalRow:
        """The layer, one pixel after the other; its bias is left to the row's term."""
        return CausalRow(self.masked_weight, self.left, rows, width)


class CornerConvolution(nn.Conv2d):
    """A convolution of 2 x 2 pixels that sees a pixel, and those to the left, above and left above; with a stride of 2,
    at every other pixel of every other row."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__(inputs, outputs, 2, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (1, 0, 1, 0)), self.weight, self.bias, self.stride)

    def row(self, rows: int, width: int) -> CausalRow:
        """The layer at every pixel, one after the other; its bias is left to the row's term."""
        return CausalRow(self.weight, 1, rows, width)
