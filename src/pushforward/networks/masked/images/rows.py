"""Causal convolutions one pixel after the other: what a pixel takes from the rows above is computed once for its row.

At pixel ``j`` there is left to do one product with the few pixels to its left. Nothing is overwritten, so that
gradients pass.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from pushforward.networks.masked.convolution import MaskedConvolution

Column = Callable[[Tensor], Tensor]
"""A map of the channels of a pixel, ``(rows, C)`` to ``(rows, C')``."""


class CausalRow:
    """A causal convolution at one pixel of a row after the other.

    Args:
        weight: the kernel ``(C', C, up + 1, k)`` of ``up`` rows above and the pixel's own; what the own row's taps say
            of pixels to the right is left out.
        left: how many pixels to its left a pixel sees.
        rows, width: how many images, and how wide.
    """

    def __init__(self, weight: Tensor, left: int, rows: int, width: int) -> None:
        self.channels, self.left, self.right = weight.shape[1], left, weight.shape[3] - 1 - left
        self.above = weight[:, :, :-1]
        self.own = weight[:, :, -1, : left + 1].permute(2, 1, 0).reshape(-1, weight.shape[0])
        self.nothing = weight.new_zeros(rows, self.channels)
        self.line = [self.nothing] * (left + width)
        self.previous = weight.new_zeros(rows, self.channels, self.above.shape[2], width)

    def begin(self, term: Tensor) -> None:
        """Begin a row, to whose results ``term``, which broadcasts to ``(rows, C', 1, W)``, is added."""
        if self.above.shape[2]:
            term = term + F.conv2d(F.pad(self.previous, (self.left, self.right)), self.above)
        width = self.previous.shape[-1]
        self.terms = term.expand(-1, -1, 1, width).squeeze(2).permute(2, 0, 1).contiguous().unbind()
        self.line = [self.nothing] * len(self.line)

    def write(self, j: int, pixel: Tensor) -> None:
        """Set the channels ``(rows, C)`` of pixel ``j``."""
        self.line[self.left + j] = pixel

    def read(self, j: int) -> Tensor:
        """Return the result ``(rows, C')`` at pixel ``j``, given the pixels written so far."""
        return torch.addmm(self.terms[j], torch.cat(self.line[j : j + self.left + 1], 1), self.own)

    def at(self, j: int) -> Column:
        """The layer at pixel ``j``: what comes in is written, and the result read."""

        def apply(pixel: Tensor) -> Tensor:
            self.write(j, pixel)
            return self.read(j)

        return apply

    def end(self) -> Tensor:
        """Keep the row for those below, and return it, ``(rows, C, 1, W)``."""
        row = torch.stack(self.line[self.left :], 2)[:, :, None]
        if self.above.shape[2]:
            self.previous = torch.cat([self.previous[:, :, 1:], row], 2)
        return row


class RowsAbove:
    """A convolution that sees rows above (and its own, all of it), one row after the other.

    Args:
        weight: the kernel ``(C', C, height, k)``, ``k`` odd.
        bias: ``(C',)``.
        above: how many rows above the last that it sees are kept.
        rows, width: how many images, and how wide.
        stride: of the pixels of a row that there are results for.
    """

    def __init__(self, weight: Tensor, bias: Tensor, above: int, rows: int, width: int, stride: int = 1) -> None:
        self.weight, self.bias, self.stride = weight, bias, stride
        self.previous = weight.new_zeros(rows, weight.shape[1], above, width)

    def read(self) -> Tensor:
        """Return the results ``(rows, C', 1, W)`` of the rows kept."""
        sides = self.weight.shape[-1] // 2
        return F.conv2d(F.pad(self.previous, (sides, sides)), self.weight, self.bias, self.stride)

    def write(self, row: Tensor) -> None:
        """Keep a row ``(rows, C, 1, W)``, and forget the first."""
        self.previous = torch.cat([self.previous[:, :, 1:], row], 2)

    def __call__(self, row: Tensor) -> Tensor:
        """Return the results of a row and those above."""
        self.write(row)
        return self.read()


def masked_row(layer: MaskedConvolution, rows: int, width: int) -> CausalRow:
    """A masked convolution, one pixel after the other; its bias is left to the row's term."""
    reach = layer.kernel_size[0] // 2
    return CausalRow(layer.masked_weight[:, :, : reach + 1], reach, rows, width)


def column(layer: MaskedConvolution) -> Column:
    """A 1x1 convolution as a map of the channels of a pixel."""
    weight, bias = layer.masked_weight[:, :, 0, 0].t().contiguous(), layer.bias
    return lambda pixel: torch.addmm(bias, pixel, weight)  # type: ignore[arg-type]


def plane_term(bias: Tensor | None, term: Tensor) -> Tensor:
    """A bias and a condition's term as one."""
    return term if bias is None else term + bias[:, None, None]
