"""A flow's layers as one sees them: where each takes points of the plane, and how much it stretches space there."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from pushforward.flows import Flow
from pushforward.transforms import Chain

# Lines of the grid each way, the points that a line is drawn through, and where the outermost lie.
LINES = 17
POINTS = 65
EDGE = 3.2
#: Pixels of the density's picture, each way.
PIXELS = 64


def grid() -> Tensor:
    """The lines of a grid over the latent plane, ``(2 * LINES, POINTS, 2)``: the upright ones, then the level ones."""
    along, across = torch.linspace(-EDGE, EDGE, POINTS), torch.linspace(-EDGE, EDGE, LINES)
    upright = torch.stack(torch.broadcast_tensors(across[:, None], along), -1)
    return torch.cat([upright, upright.flip(-1)])


def bend(flow: Flow, latents: Tensor) -> tuple[Tensor, Tensor]:
    r"""Take latents ``(n, 2)`` to the data, layer by layer.

    Returns:
        Where the points are before the first layer and behind each, ``(layers + 1, n, 2)``, and
        :math:`\log |\det dx / dz|` up to there, ``(layers + 1, n)``.
    """
    places, log_dets = [latents], [latents.new_zeros(len(latents))]
    for layer in reversed(layers(flow)):
        place, log_det = layer.inverse(places[-1])
        places.append(place)
        log_dets.append(log_dets[-1] + log_det)
    return torch.stack(places), torch.stack(log_dets)


def layers(flow: Flow) -> Chain:
    """The layers of a flow of the plane, in the order from data to latent."""
    return cast(Chain, flow.transform)


def layer_names(flow: Flow) -> list[str]:
    """What the layers are, in the order from latent to data."""
    return [type(layer).__name__ for layer in reversed(list(layers(flow)))]


def pixels(bounds: tuple[float, float]) -> Tensor:
    """The centres of the pixels of a square's picture, ``(PIXELS ** 2, 2)``, row by row from the top."""
    low, high = bounds
    centres = low + (torch.arange(PIXELS) + 0.5) * (high - low) / PIXELS
    y, x = torch.meshgrid(centres.flip(0), centres, indexing="ij")
    return torch.stack([x, y], -1).reshape(-1, 2)
