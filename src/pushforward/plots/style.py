"""What all pictures share: colours, figures without a window, files, and the look of axes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from pushforward.extras import requires
from pushforward.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DATA = "#5b6b7f"
MODEL = "#d1495b"
LATENT = "#2e7d8c"
PALE = "#c9d1da"
DENSITY_MAP = "magma"


def save(figure: Figure, path: str | os.PathLike[str], *, dpi: int = 150) -> None:
    """Write a figure; the file's ending chooses the format (png, pdf, svg). A killed run leaves no half file."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=dpi)


def new_figure(width: float, height: float) -> Figure:
    """A figure that belongs to no window."""
    with requires("plots", purpose="a figure"):
        from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def headroom(axes: Axes) -> None:
    """Leave room for a legend above what is drawn."""
    axes.set_ylim(0, 1.2 * axes.get_ylim()[1])
    tidy(axes)


def tidy(axes: Axes) -> None:
    """Take away the upper and the right frame line."""
    axes.spines[["top", "right"]].set_visible(False)


def plane(axes: Axes, bounds: tuple[float, float, float, float], title: str) -> None:
    """Set the limits of a plane with equal scales and no ticks."""
    axes.set(xlim=bounds[:2], ylim=bounds[2:], xticks=[], yticks=[], aspect="equal")
    if title:
        axes.set_title(title, fontsize=10)


def swatch(colour: str, *, filled: bool) -> Any:
    """A mark for a legend."""
    with requires("plots", purpose="a figure"):
        from matplotlib.patches import Patch

    return Patch(facecolor=colour if filled else "none", edgecolor=colour)
