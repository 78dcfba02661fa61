"""Stochastic movement: a shape that moves in one of eight directions."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.errors import UsageError

#: The directions, rows and columns by frame.
DIRECTIONS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
_SHAPES = torch.tensor(
    [
        [[1, 1, 1], [1, 1, 1], [1, 1, 1]],
        [[0, 1, 0], [1, 1, 1], [0, 1, 0]],
        [[1, 0, 1], [0, 1, 0], [1, 0, 1]],
        [[1, 1, 1], [1, 0, 1], [1, 1, 1]],
    ],
    dtype=torch.float32,
)


def stochastic_movement(count: int, frames: int = 3, size: int = 8, generator: torch.Generator | None = None) -> Tensor:
    """Return clips ``(count, frames, 1, size, size)`` of zeros and ones: one of four shapes of 3 x 3 pixels, anywhere
    whence it stays in sight, moves by one pixel a frame in one of the `DIRECTIONS`, each as likely.

    Given the first frame a clip costs ``log2 8 = 3`` bits.

    Raises:
        UsageError: if there is no frame, or frames are so small that nothing stays in sight.

    Source: after Babaeizadeh, Finn, Erhan, Campbell, Levine (2018), arXiv:1710.11252.

    Example:
        >>> stochastic_movement(5, frames=3).sum((-3, -2, -1)).unique(dim=1).shape
        torch.Size([5, 1])
    """
    if frames < 1:
        raise UsageError(f"stochastic_movement expects at least 1 frame, got {frames}")
    steps, side = frames - 1, _SHAPES.shape[-1]
    room = size - side - 2 * steps + 1
    if room < 1:
        raise UsageError(
            f"stochastic_movement expects frames of at least {side + 2 * steps} pixels for {frames} frames, got {size}"
        )

    def choices(among: int, *shape: int) -> Tensor:
        return torch.randint(among, (count, *shape), generator=generator)

    first = torch.zeros(count, 1, size, size)
    start = steps + choices(room, 2)
    rows, columns = ((start[:, axis, None] + torch.arange(side)) for axis in (0, 1))
    first[torch.arange(count)[:, None, None], 0, rows[:, :, None], columns[:, None, :]] = _SHAPES[choices(len(_SHAPES))]
    moved = futures(first, steps)
    later = moved[torch.arange(count), choices(len(DIRECTIONS))]
    return torch.cat([first[:, None], later], 1)


def futures(first: Tensor, steps: int) -> Tensor:
    """Return what follows first frames ``(..., 1, H, W)`` in each direction, ``(..., 8, steps, 1, H, W)``.

    Example:
        >>> futures(torch.zeros(5, 1, 8, 8), 2).shape
        torch.Size([5, 8, 2, 1, 8, 8])
    """
    if not steps:
        return first.new_zeros(*first.shape[:-3], len(DIRECTIONS), 0, *first.shape[-3:])
    ways = [
        torch.stack([first.roll((time * row, time * column), (-2, -1)) for time in range(1, steps + 1)], -4)
        for row, column in DIRECTIONS
    ]
    return torch.stack(ways, -5)
