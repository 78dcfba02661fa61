"""What each frame sees of those before it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def frames_before(clip: Tensor, memory: int, count: int) -> Tensor:
    """Return what the last ``count`` frames of a longer clip see, ``(..., count, memory * (C + 1), H, W)``.

    The ``memory`` frames before each are channels, the latest first, each with a channel of ones behind it, or zeros
    all through where the clip had not begun.

    Args:
        clip: all frames but the last, ``(..., N, C, H, W)``; ``N`` is at least ``count - 1``.
        memory: how many frames before are seen.
        count: how many frames see.

    Example:
        >>> clip = torch.tensor([5.0, 6.0]).reshape(2, 1, 1, 1)
        >>> frames_before(clip, 2, 3).flatten(1)
        tensor([[0., 0., 0., 0.],
                [5., 1., 0., 0.],
                [6., 1., 5., 1.]])
    """
    told = torch.cat([clip, torch.ones_like(clip[..., :1, :, :])], -3)
    padded = F.pad(told, (0, 0, 0, 0, 0, 0, memory, 0))
    first = padded.shape[-4] - count + 1
    return torch.cat([padded.narrow(-4, first - lag, count) for lag in range(1, memory + 1)], -3)
