"""Images as sequences of patches, and events of any shape as vectors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.errors import ShapeError
from pushforward.numerics import no_log_det
from pushforward.spaces import Anything
from pushforward.transforms.base import Bijection


class Patches(Bijection):
    r"""Images as vectors, patch by patch in raster order, ``(C, H, W) -> (H W C,)``; ``log_det = 0``.

    The ``C p^2`` numbers of a patch stand together, channel by channel, so that a network of tokens of that size sees
    patches (Dosovitskiy et al. 2020, arXiv:2010.11929).

    Args:
        event_shape: the images' shape ``(C, H, W)``.
        size: the sides ``p`` of a patch.

    Raises:
        ShapeError: for another shape, or if the patches do not fill the plane.

    Example:
        >>> Patches((1, 2, 4), 2)(torch.arange(8.0).reshape(1, 2, 4))[0]
        tensor([0., 1., 4., 5., 2., 3., 6., 7.])
    """

    def __init__(self, event_shape: Sequence[int], size: int) -> None:
        super().__init__()
        if len(event_shape) != 3 or size < 1 or event_shape[1] % size or event_shape[2] % size:
            raise ShapeError(
                f"Patches expects a shape (channels, height, width) whose height and width are multiples of {size}, "
                f"got {tuple(event_shape)}: choose another size, or pad or crop"
            )
        channels, height, width = event_shape
        self.domain, self.codomain = Anything(event_shape), Anything((channels * height * width,))
        # (C, H / p, p, W / p, p), of which the patches come first.
        self.split = torch.Size([channels, height // size, size, width // size, size])

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(x, context, self.domain)
        blocks = x.reshape(*x.shape[:-3], *self.split)
        return blocks.movedim((-4, -2), (-5, -4)).flatten(-5), no_log_det(x, 3)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(z, context, self.codomain)
        channels, rows, size, columns, _ = self.split
        blocks = z.unflatten(-1, (rows, columns, channels, size, size))
        x = blocks.movedim((-5, -4), (-4, -2)).reshape(*z.shape[:-1], *self.event_shape)
        return x, no_log_det(z, 1)

    def forward_shape(self, shape: Sequence[int]) -> torch.Size:
        return self.codomain.shape

    def inverse_shape(self, shape: Sequence[int]) -> torch.Size:
        return self.domain.shape


class Flatten(Bijection):
    r"""Events as vectors, their last dimension fastest: a series ``(T, D)`` moment by moment; ``log_det = 0``.

    Args:
        event_shape: the events' shape.

    Shapes: ``x`` is ``(..., T, D)`` for a series, ``z`` is ``(..., T D)``; ``log_det`` is ``(...)``.

    Raises:
        ShapeError: if the input does not end in ``event_shape``, or backwards in its number of elements.

    Source: Dinh, Krueger, Bengio (2014), NICE, arXiv:1410.8516, whose images are vectors.

    Example:
        >>> Flatten((2, 3))(torch.arange(6.0).reshape(2, 3))[0]
        tensor([0., 1., 2., 3., 4., 5.])
    """

    def __init__(self, event_shape: Sequence[int]) -> None:
        super().__init__()
        self.domain = Anything(event_shape)
        self.codomain = Anything((torch.Size(event_shape).numel(),))

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(x, context, self.domain)
        batch = x.shape[: x.dim() - self.event_dims]
        return x.reshape(*batch, *self.codomain.shape), no_log_det(x, self.event_dims)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(z, context, self.codomain)
        return z.reshape(*z.shape[:-1], *self.event_shape), no_log_det(z, 1)

    def forward_shape(self, shape: Sequence[int]) -> torch.Size:
        return self.codomain.shape

    def inverse_shape(self, shape: Sequence[int]) -> torch.Size:
        return self.domain.shape
