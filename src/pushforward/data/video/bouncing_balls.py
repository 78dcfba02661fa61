"""Balls that bounce off the walls and off each other."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.errors import UsageError

_SUBSTEPS = 4


def bouncing_balls(
    count: int,
    frames: int = 10,
    size: int = 16,
    balls: int = 2,
    radius: float = 0.14,
    speed: float = 0.08,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return clips ``(count, frames, 1, size, size)`` of whole numbers 0 ... 255: balls of equal mass in a box.

    Args:
        count: how many clips.
        frames: frames of a clip.
        size: height and width in pixels.
        balls: how many there are.
        radius: of a ball, where the box is 1 wide.
        speed: of a ball when the clip begins, in widths of the box by frame.
        generator: of the places and directions that they begin with.

    Raises:
        UsageError: if the balls do not fit into the box.

    Source: Sutskever, Hinton, Taylor (2008), The recurrent temporal restricted Boltzmann machine.

    Example:
        >>> bouncing_balls(2, frames=3, size=8).shape
        torch.Size([2, 3, 1, 8, 8])
    """
    if not 0 < radius < 0.5 or balls < 1 or frames < 1:
        raise UsageError(
            f"bouncing_balls expects at least one ball and one frame and a radius from 0 to 0.5, got {balls}, {frames} "
            f"and {radius}"
        )
    places = radius + (1 - 2 * radius) * torch.rand(count, balls, 2, generator=generator)
    angles = 2 * torch.pi * torch.rand(count, balls, generator=generator)
    velocities = speed / _SUBSTEPS * torch.stack([angles.cos(), angles.sin()], -1)
    clip = []
    for _ in range(frames):
        clip.append(_picture(places, size, radius))
        for _ in range(_SUBSTEPS):
            places, velocities = _moved(places, velocities, radius)
    return torch.stack(clip, 1)


def _moved(places: Tensor, velocities: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """A short time later: straight on, off the walls, and off each other by what two equal masses exchange."""
    places = places + velocities
    outward = torch.where(places > 1 - radius, -velocities.abs(), velocities)
    inward = torch.where(places < radius, velocities.abs(), outward)
    apart = places[:, :, None] - places[:, None]
    distance = apart.norm(dim=-1, keepdim=True)
    along = apart / distance.clamp(min=1e-6)
    closing = ((inward[:, :, None] - inward[:, None]) * along).sum(-1, keepdim=True)
    meets = (distance < 2 * radius) & (closing < 0)
    return places.clamp(radius, 1 - radius), inward - (torch.where(meets, closing, 0.0) * along).sum(2)


def _picture(places: Tensor, size: int, radius: float) -> Tensor:
    """Balls with soft edges ``(count, 1, size, size)``."""
    middles = (torch.arange(size) + 0.5) / size
    rows, columns = places[..., 0, None, None] - middles[:, None], places[..., 1, None, None] - middles
    light = torch.exp(-(((rows**2 + columns**2) / radius**2) ** 2)).sum(1, keepdim=True)
    return (255 * light.clamp(max=1.0)).round()
