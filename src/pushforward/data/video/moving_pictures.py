"""Small pictures that move over a dark plane and turn back at its edges."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.errors import ShapeError, UsageError


def moving_pictures(
    pictures: Tensor,
    count: int,
    frames: int = 10,
    size: int = 64,
    together: int = 2,
    speed: float = 3.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return clips ``(count, frames, C, size, size)`` of pictures drawn from ``(N, C, h, w)``, the lighter in front.

    Args:
        pictures: what moves, such as digits.
        count: how many clips.
        frames: frames of a clip.
        size: height and width of a frame.
        together: how many pictures are in a clip.
        speed: in pixels by frame.
        generator: of the pictures, their places and directions.

    Raises:
        ShapeError: these are no pictures.
        UsageError: if a picture is larger than a frame.

    Source: Srivastava, Mansimov, Salakhutdinov (2015), arXiv:1502.04681.

    Example:
        >>> moving_pictures(torch.ones(3, 1, 2, 2), 5, frames=4, size=6, together=1).sum((-3, -2, -1)).unique()
        tensor([4.])
    """
    if pictures.ndim != 4 or not pictures.numel():
        raise ShapeError(f"moving_pictures expects pictures (N, C, h, w), at least one, got {tuple(pictures.shape)}")
    pictures = pictures.to(torch.get_default_dtype())
    room = torch.tensor([size - side for side in pictures.shape[-2:]])
    if bool((room < 0).any()) or together < 1 or frames < 1:
        raise UsageError(
            f"moving_pictures expects frames of at least {max(pictures.shape[-2:])} pixels, one frame and one picture, "
            f"got {size}, {frames} and {together}"
        )
    clip = torch.zeros(count, frames, pictures.shape[1], size, size)
    for _ in range(together):
        chosen = pictures[torch.randint(len(pictures), (count,), generator=generator)]
        start = room * torch.rand(count, 2, generator=generator)
        angle = 2 * torch.pi * torch.rand(count, generator=generator)
        velocity = speed * torch.stack([angle.cos(), angle.sin()], -1)
        times = torch.arange(frames)[:, None]
        places = _turned_back(start[:, None] + velocity[:, None] * times, room).round().long()
        clip = torch.maximum(clip, _placed(chosen, places, size))
    return clip


def _turned_back(places: Tensor, room: Tensor) -> Tensor:
    """Places on a line folded into ``0 ... room``."""
    return (room - (places.remainder(2 * room.clamp(min=1)) - room).abs()).clamp(min=0)


def _placed(pictures: Tensor, places: Tensor, size: int) -> Tensor:
    """Each picture ``(N, C, h, w)`` on dark frames at its places ``(N, T, 2)``."""
    count, frames, _ = places.shape
    channels, height, width = pictures.shape[1:]
    rows = places[..., 0, None] + torch.arange(height)
    columns = places[..., 1, None] + torch.arange(width)
    clip = torch.zeros(count, frames, channels, size, size)
    clip[
        torch.arange(count)[:, None, None, None, None],
        torch.arange(frames)[:, None, None, None],
        torch.arange(channels)[:, None, None],
        rows[:, :, None, :, None],
        columns[:, :, None, None, :],
    ] = pictures[:, None].expand(-1, frames, -1, -1, -1)
    return clip
