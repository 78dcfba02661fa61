"""Images that a model draws, beside images of the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from pushforward.errors import ShapeError
from pushforward.plots.pictures import even_columns, page_of
from pushforward.plots.style import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def images_beside(
    data: Tensor, samples: Tensor, *, maximum: float | None = None, titles: tuple[str, str] = ("data", "samples")
) -> Figure:
    """Draw images ``(N, C, H, W)`` of the data and samples of a model in two squares, side by side.

    Args:
        data, samples: grey (C = 1) or coloured (C = 3) images of one shape.
        maximum: the value that is white; None stretches the range of each side over all greys.
        titles: what stands above the two squares.

    Raises:
        ShapeError: these are no grey or coloured images of one shape.

    Example:
        >>> import torch
        >>> figure = images_beside(torch.zeros(4, 1, 8, 8), torch.zeros(4, 1, 8, 8), maximum=1.0)
        >>> [axes.get_title() for axes in figure.axes]
        ['data', 'samples']
    """
    if data.ndim != 4 or data.shape[1] not in (1, 3) or data.shape[1:] != samples.shape[1:]:
        raise ShapeError(
            f"images_beside expects images (N, 1 or 3, H, W) of one shape, got {tuple(data.shape)} and "
            f"{tuple(samples.shape)}"
        )
    figure = new_figure(width=8.6, height=4.5)
    for axes, title, images in zip(figure.subplots(1, 2), titles, (data, samples), strict=True):
        page = page_of(images, maximum, columns=even_columns(len(images)))
        axes.imshow(page.squeeze(-1) if page.shape[-1] == 1 else page, cmap="gray", vmin=0, vmax=255)
        axes.set_title(title)
        # Axes that are switched off have no room for a title in the layout.
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    return figure
