"""What each frame sees of those before it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def frames_before(clip: Tensor, memory: int, count: int) -> Tensor:
    """Return, for each of the last ``count`` frames of a clip ``(..., N, C, H, W)``, the ``memory`` frames before it as
    channels, ``(..., count, memory * (C + 1), H, W)``: the latest first, each with a channel of ones behind it, or
    zeros all through where the clip had not begun.

    Example:
        >>> clip = torch.tensor([5.0, 6.0, 7.0]).reshape(3, 1, 1, 1)
        >>> frames_before(clip, 2, 3).flatten(1)
        tensor([[0., 0., 0., 0.],
                [5., 1., 0., 0.],
                [6., 1., 5., 1.]])
    """
    told = torch.cat([clip, torch.ones_like(clip[..., :1, :, :])], -3)
    padded = F.pad(told, (0, 0, 0, 0, 0, 0, memory, 0))
    first = clip.shape[-4] - count + memory
    return torch.cat([padded.narrow(-4, first - lag, count) for lag in range(1, memory + 1)], -3)
