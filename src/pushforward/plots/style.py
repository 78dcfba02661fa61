"""What all pictures share: colours, figures without a window, files, and the look of axes."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pushforward.extras import requires
from pushforward.files import atomic_path, choose_writer

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DATA = "#5b6b7f"
MODEL = "#d1495b"
LATENT = "#2e7d8c"
PALE = "#c9d1da"
DENSITY_MAP = "magma"
BASE_MAP = "Greys"
CHARACTERS_TO_AN_INCH = 13


def save(figure: Figure, path: str | os.PathLike[str], *, dpi: int = 150) -> None:
    """Write a figure; the file's ending chooses the format (png, pdf, svg). A killed run leaves no half file.

    Raises:
        FileError: if the file cannot be written.
        UsageError: for an ending that is no format of matplotlib.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "empty.svg"
        >>> save(new_figure(2, 1), path)
        >>> "<svg" in path.read_text()
        True
    """
    choose_writer(path, tuple(f".{ending}" for ending in figure.canvas.get_supported_filetypes()))
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=dpi)


def new_figure(width: float, height: float) -> Figure:
    """A figure that belongs to no window."""
    with requires("plots", purpose="a figure"):
        from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def wrapped(name: str, inches: float) -> str:
    """A name in lines that are no longer than so many inches."""
    return "\n".join(textwrap.wrap(name, max(6, int(CHARACTERS_TO_AN_INCH * inches)), break_long_words=True)) or name


def dot_size(count: int) -> float:
    """The area of each of so many dots: few of them are large enough to be seen."""
    return min(24.0, max(3.0, 1500.0 / max(count, 1)))


def headroom(axes: Axes) -> None:
    """Leave room for a legend above what is drawn."""
    axes.set_ylim(0, 1.2 * axes.get_ylim()[1])
    tidy(axes)


def tidy(axes: Axes) -> None:
    """Take away the upper and the right frame line."""
    axes.spines[["top", "right"]].set_visible(False)


def plane(axes: Axes, bounds: tuple[float, float, float, float], title: str, names: Sequence[str] = ()) -> None:
    """Set the limits of a plane with equal scales, a few round numbers along both axes, and their names."""
    axes.set(xlim=bounds[:2], ylim=bounds[2:], aspect="equal")
    few_ticks(axes, 4)
    if title:
        axes.set_title(title, fontsize=10)
    if names:
        axes.set_xlabel(names[0], fontsize=9)
        axes.set_ylabel(names[1], fontsize=9)


def few_ticks(axes: Axes, most: int, size: float = 8) -> None:
    """Put at most so many steps between round numbers along both axes."""
    with requires("plots", purpose="a figure"):
        from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(most))
    axes.yaxis.set_major_locator(MaxNLocator(most))
    axes.tick_params(labelsize=size)


def colour_bar(axes: Axes, image: Any, label: str) -> None:
    """Put what the colours of an image mean on its right, within the image's own share of the figure."""
    bar = axes.figure.colorbar(image, cax=axes.inset_axes((1.04, 0.0, 0.05, 1.0)))
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=7)
    bar.outline.set_visible(False)


def swatch(colour: str, *, filled: bool) -> Any:
    """A mark for a legend."""
    with requires("plots", purpose="a figure"):
        from matplotlib.patches import Patch

    return Patch(facecolor=colour if filled else "none", edgecolor=colour)
