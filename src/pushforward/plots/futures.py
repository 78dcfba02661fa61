"""What a model of clips expects: the truth in a row, and futures of the same first frames below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pushforward.errors import ShapeError
from pushforward.plots.pictures import page_of
from pushforward.plots.style import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def futures_of(
    clip: Tensor, futures: Tensor, *, given: int = 1, maximum: float | None = None, label: str = "sample"
) -> Figure:
    """Draw a clip ``(T, C, H, W)`` and, below it, futures ``(N, T - given, C, H, W)`` behind its first frames.

    Args:
        clip: grey (C = 1) or coloured (C = 3).
        futures: frames that follow the given ones, as a model draws them.
        given: how many frames of the clip are given.
        maximum: the value that is white; None stretches the range over all greys.
        label: what a future is called.

    Raises:
        ShapeError: the futures are none of the clip.

    Example:
        >>> figure = futures_of(torch.zeros(4, 1, 8, 8), torch.zeros(3, 3, 1, 8, 8), maximum=1.0)
        >>> len(figure.axes)
        1
    """
    if futures.ndim != 5 or futures.shape[1:] != clip[given:].shape:
        raise ShapeError(
            f"futures_of expects futures of shape (N, {', '.join(map(str, clip[given:].shape))}), got "
            f"{tuple(futures.shape)}"
        )
    first = clip[:given].to(futures).expand(len(futures), *clip[:given].shape)
    rows = torch.cat([clip[None].to(futures), torch.cat([first, futures], 1)])
    page = page_of(rows.flatten(0, 1), maximum, columns=len(clip))
    figure = new_figure(width=1.2 * len(clip) + 0.8, height=1.2 * len(rows))
    axes = figure.subplots()
    axes.imshow(page, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    height = page.shape[0] / len(rows)
    axes.set_yticks([height * (row + 0.5) for row in range(len(rows))], ["truth", *[label] * len(futures)])
    middles = [page.shape[1] / len(clip) * (frame + 0.5) for frame in range(len(clip))]
    axes.set_xticks(middles, [str(frame) for frame in range(1, len(clip) + 1)])
    axes.set_xlabel(f"frame, the first {given} given" if given else "frame")
    axes.tick_params(length=0)
    return figure
