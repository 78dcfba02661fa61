"""Squeeze: pixels in the plane become channels."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.errors import ShapeError
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

    event_dims = 3

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        channels, height, width = self.forward_shape(x.shape[-3:])
        blocks = x.unflatten(-1, (width, 2)).unflatten(-3, (height, 2))
        # (..., C, H/2, 2, W/2, 2) -> (..., 2, 2, C, H/2, W/2)
        z = blocks.movedim((-3, -1), (-5, -4)).reshape(*x.shape[:-3], channels, height, width)
        return z, _zero_log_det(x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        channels, height, width = self.inverse_shape(z.shape[-3:])
        blocks = z.unflatten(-3, (2, 2, channels)).movedim((-5, -4), (-3, -1))
        return blocks.reshape(*z.shape[:-3], channels, height, width), _zero_log_det(z)

    def forward_shape(self, shape: torch.Size) -> torch.Size:
        if len(shape) != 3 or shape[1] % 2 or shape[2] % 2:
            raise ShapeError(f"Squeeze expects (C, H, W) with even height and width, got {tuple(shape)}: pad or crop")
        return torch.Size([4 * shape[0], shape[1] // 2, shape[2] // 2])

    def inverse_shape(self, shape: torch.Size) -> torch.Size:
        if len(shape) != 3 or shape[0] % 4:
            raise ShapeError(f"Squeeze's inverse expects (C, H, W) with C a multiple of 4, got {tuple(shape)}")
        return torch.Size([shape[0] // 4, 2 * shape[1], 2 * shape[2]])


def _zero_log_det(x: Tensor) -> Tensor:
    dtype = x.dtype if x.is_floating_point() else torch.get_default_dtype()
    return torch.zeros(x.shape[:-3], dtype=dtype, device=x.device)
