"""What events are written as, and whether they fit what they are for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pushforward.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from pushforward.cli.runs import Run
    from pushforward.flows.flow import Flow


def check_sample_file(out: Path) -> None:
    """Check that samples can be written under this name, before there are any.

    Raises:
        UsageError: nothing that samples can be has this ending.
    """
    from pushforward.data.export import ARRAY_ENDINGS, TABLE_ENDINGS
    from pushforward.files import choose_writer
    from pushforward.plots.films import FILM_ENDING
    from pushforward.plots.pictures import PICTURE_ENDINGS

    if str(out) != "-":
        choose_writer(out, (*PICTURE_ENDINGS, FILM_ENDING, *ARRAY_ENDINGS, *TABLE_ENDINGS))


def check_fits(out: Path, shape: tuple[int, ...]) -> None:
    """Check that events of this shape can be written under this name, before they are drawn."""
    from pushforward.data.export import TABLE_ENDINGS
    from pushforward.plots.films import FILM_ENDING
    from pushforward.plots.pictures import PICTURE_ENDINGS

    ending = out.suffix.lower()
    if ending == FILM_ENDING and len(shape) != 4:
        raise UsageError(f"{out}: a film is made of clips, these events are {shape}; choose .npz, .npy or .png")
    if ending in PICTURE_ENDINGS and len(shape) == 1 and shape != (2,):
        raise UsageError(f"{out}: a picture is made of images or of points in the plane, these events are {shape}")
    if len(shape) != 1 and (str(out) == "-" or ending in TABLE_ENDINGS):
        film = f", {FILM_ENDING}" if len(shape) == 4 else ""
        raise UsageError(f"{out}: a table takes vectors, these events are {shape}; choose .npz, .npy{film} or .png")


def check_shape(flow: Flow, x: Tensor, name: str) -> None:
    if tuple(x.shape[1:]) != tuple(flow.event_shape):
        shapes = f"expected events of shape {tuple(flow.event_shape)}, got {tuple(x.shape[1:])}"
        raise UsageError(f"{name} does not fit this run: {shapes}")


def write_samples(out: Path, events: Tensor, run: Run, columns: int | None = None) -> None:
    from pushforward.data.export import write_events
    from pushforward.plots.films import FILM_ENDING, film, strips
    from pushforward.plots.pictures import PICTURE_ENDINGS, image_grid

    maximum = None if run.levels is None else run.levels - 1
    if out.suffix.lower() == FILM_ENDING:
        film(events, out, maximum=maximum)
    elif out.suffix.lower() in PICTURE_ENDINGS and events.ndim == 5:
        strips(events, out, maximum=maximum)
    elif out.suffix.lower() in PICTURE_ENDINGS and tuple(events.shape[1:]) == (2,):
        from pushforward.plots import save, scatter_2d

        save(scatter_2d(events, run.columns), out)
    elif out.suffix.lower() in PICTURE_ENDINGS:
        image_grid(events, out, maximum=maximum, columns=columns)
    else:
        write_events(out, events, run.levels, run.columns)
