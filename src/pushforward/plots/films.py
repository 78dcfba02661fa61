"""Pictures of clips: strips of their frames, and films that move."""

from __future__ import annotations

import os

from torch import Tensor

from pushforward.errors import ShapeError
from pushforward.extras import requires
from pushforward.files import atomic_path, choose_writer
from pushforward.plots.pictures import even_columns, image_grid, page_of

FILM_ENDING = ".gif"
_FRAME_MILLISECONDS = 200


def strips(clips: Tensor, path: str | os.PathLike[str], *, maximum: float | None = None) -> None:
    """Write clips ``(N, T, C, H, W)`` into one picture, a row of frames each.

    Args:
        clips: grey (C = 1) or coloured (C = 3), of values from 0 to ``maximum``, or of any range where that is None.
        path: where to, ``.png``, ``.jpg`` or ``.webp``.
        maximum: the value that is white.

    Raises:
        ShapeError: these are no clips of grey or coloured frames.
        UsageError: another ending.
        FileError: the file cannot be written.

    Example:
        >>> import tempfile, pathlib, torch
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "clips.png"
        >>> strips(torch.rand(2, 5, 1, 8, 8), path)
        >>> path.is_file()
        True
    """
    _check_clips(clips)
    image_grid(clips.flatten(0, 1), path, maximum=maximum, columns=clips.shape[1])


def film(clips: Tensor, path: str | os.PathLike[str], *, maximum: float | None = None) -> None:
    """Write clips ``(N, T, C, H, W)`` side by side as one animated ``.gif`` that begins again.

    Args:
        clips: as in `strips`.
        path: where to, ``.gif``.
        maximum: the value that is white.

    Raises:
        ShapeError: these are no clips of grey or coloured frames.
        UsageError: another ending.
        FileError: the file cannot be written.

    Example:
        >>> import tempfile, pathlib, torch
        >>> from PIL import Image
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "clips.gif"
        >>> film(torch.rand(2, 5, 1, 8, 8), path)
        >>> Image.open(path).n_frames
        5
    """
    with requires("plots", purpose="a film"):
        from PIL import Image

    choose_writer(path, (FILM_ENDING,))
    _check_clips(clips)
    columns = even_columns(len(clips))
    pages = [page_of(frame, maximum, columns) for frame in clips.transpose(0, 1)]
    first, *others = [Image.fromarray(page[..., 0] if page.shape[-1] == 1 else page) for page in pages]
    with atomic_path(path) as temporary:
        first.save(temporary, save_all=True, append_images=others, duration=_FRAME_MILLISECONDS, loop=0)


def _check_clips(clips: Tensor) -> None:
    if clips.ndim != 5 or clips.shape[2] not in (1, 3) or not clips.shape[0] * clips.shape[1]:
        raise ShapeError(f"a film is made of clips (N, T, 1 or 3, H, W), got {tuple(clips.shape)}; choose .npz instead")
