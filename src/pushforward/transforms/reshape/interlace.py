"""Interlacing: all pixels of a small image become channels of one pixel, from coarse to fine."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.errors import ShapeError
from pushforward.kernels.selection import reorder
from pushforward.numerics import no_log_det
from pushforward.spaces import Anything
from pushforward.transforms.base import Bijection


def interlaced_order(height: int, width: int) -> list[int]:
    """The pixels, numbered row by row, from coarse to fine: those on every ``2^k``-th row and column come before those
    on every ``2^(k-1)``-th; of the new ones, those in the middle of four old ones come first.

    Example:
        >>> interlaced_order(3, 3)
        [0, 8, 2, 6, 4, 1, 7, 3, 5]
    """

    def rank(pixel: int) -> tuple[int, int, int]:
        row, column = divmod(pixel, width)
        both = row | column
        step = both & -both if both else height * width * 2
        odd_row, odd_column = row & step > 0, column & step > 0
        return -step, {(True, True): 0, (False, True): 1, (True, False): 2}.get((odd_row, odd_column), 0), pixel

    return sorted(range(height * width), key=rank)


class Interlace(Bijection):
    r"""Images as the channels of one pixel, ``(C, H, W) -> (H W C, 1, 1)``, pixels from coarse to fine (see
    :func:`interlaced_order`), the channels of a pixel together; ``log_det = 0``.

    A base that takes channels in groups, one after the other, then models the image from coarse to fine.

    Args:
        event_shape: the images' shape ``(C, H, W)``.

    Raises:
        ShapeError: for another shape.

    Source: Reed et al. (2017), Parallel Multiscale Autoregressive Density Estimation, arXiv:1703.03664, for pixels from
    coarse to fine.

    Example:
        >>> Interlace((1, 2, 2))(torch.arange(4.0).reshape(1, 2, 2))[0].flatten()
        tensor([0., 3., 1., 2.])
    """

    order: Tensor
    inverse_order: Tensor

    def __init__(self, event_shape: Sequence[int]) -> None:
        super().__init__()
        if len(event_shape) != 3:
            raise ShapeError(f"Interlace expects a shape (channels, height, width), got {tuple(event_shape)}")
        channels, height, width = event_shape
        self.domain, self.codomain = Anything(event_shape), Anything((channels * height * width, 1, 1))
        pixels = torch.tensor(interlaced_order(height, width))
        order = (pixels[:, None] + height * width * torch.arange(channels)).flatten()
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("inverse_order", torch.argsort(order), persistent=False)

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(x, context, self.domain)
        z = reorder(x.flatten(-3), self.order, self.inverse_order, -1)
        return z[..., None, None], no_log_det(x, 3)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(z, context, self.codomain)
        x = reorder(z.flatten(-3), self.inverse_order, self.order, -1)
        return x.unflatten(-1, self.event_shape), no_log_det(z, 3)

    def forward_shape(self, shape: Sequence[int]) -> torch.Size:
        return self.codomain.shape

    def inverse_shape(self, shape: Sequence[int]) -> torch.Size:
        return self.domain.shape
