"""Squeeze: pixels in the plane become channels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.errors import ShapeError
from pushforward.numerics import no_log_det
from pushforward.spaces import ANY, Anything
from pushforward.transforms.base import Bijection


class Squeeze(Bijection):
    r"""Every 2 x 2 square of pixels becomes four channels, ``(C, H, W) -> (4C, H/2, W/2)``; ``log_det = 0``.

    The new channels are ordered top left, top right, bottom left, bottom right, each with all the old channels
    (Dinh, Sohl-Dickstein, Bengio 2016, arXiv:1605.08803).

    Raises:
        ShapeError: if height or width is odd (forward), or the channels are no multiple of 4 (inverse).

    Example:
        >>> z, _ = Squeeze()(torch.arange(1, 17).reshape(1, 4, 4))
        >>> z[:, 0, 0]
        tensor([1, 2, 5, 6])
    """

    def __init__(self) -> None:
        super().__init__()
        self.domain = self.codomain = Anything((ANY, ANY, ANY))

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(x, context, self.domain)
        channels, height, width = self.forward_shape(x.shape[-3:])
        blocks = x.unflatten(-1, (width, 2)).unflatten(-3, (height, 2))
        # (..., C, H/2, 2, W/2, 2) -> (..., 2, 2, C, H/2, W/2)
        z = blocks.movedim((-3, -1), (-5, -4)).reshape(*x.shape[:-3], channels, height, width)
        return z, no_log_det(x, 3)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(z, context, self.codomain)
        channels, height, width = self.inverse_shape(z.shape[-3:])
        blocks = z.unflatten(-3, (2, 2, channels)).movedim((-5, -4), (-3, -1))
        return blocks.reshape(*z.shape[:-3], channels, height, width), no_log_det(z, 3)

    def forward_shape(self, shape: Sequence[int]) -> torch.Size:
        if ANY in shape:
            return torch.Size([ANY, ANY, ANY])
        if len(shape) != 3 or shape[1] % 2 or shape[2] % 2:
            raise ShapeError(f"Squeeze expects (C, H, W) with even height and width, got {tuple(shape)}: pad or crop")
        return torch.Size([4 * shape[0], shape[1] // 2, shape[2] // 2])

    def inverse_shape(self, shape: Sequence[int]) -> torch.Size:
        if ANY in shape:
            return torch.Size([ANY, ANY, ANY])
        if len(shape) != 3 or shape[0] % 4:
            raise ShapeError(f"Squeeze's inverse expects (C, H, W) with C a multiple of 4, got {tuple(shape)}")
        return torch.Size([shape[0] // 4, 2 * shape[1], 2 * shape[2]])
