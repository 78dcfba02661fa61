"""What the codec's commands say of their work: sizes, warnings, and what is not kept."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pushforward.cli.terminal import say

if TYPE_CHECKING:
    from pushforward.codec.archive.formats import Opened


@contextmanager
def told_warnings(quiet: bool) -> Iterator[None]:
    """Say what is warned of inside as messages."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        say(f"warning: {warning.message}", quiet)


def tell_losses(data: bytes, opened: Sequence[Opened], quiet: bool) -> None:
    """Say what of the files is not kept; those whose own bytes were shorter than their pixels are whole."""
    from pushforward.codec.archive.description import describe

    whole = {entry["name"] for entry in describe(data)["entries"] if entry["kind"] == "file"}
    losers = [item for item in opened if item.lost and item.file.name not in whole]
    if losers:
        losses = sorted({loss for item in losers for loss in item.lost})
        say(f"the pixels alone of {len(losers)} of {len(opened)} files; not kept: {', '.join(losses)}", quiet)


def tell_left_out(places: list[Path], quiet: bool) -> None:
    """Say what of folders is not kept."""
    if places:
        say(f"not kept, as they are no files (empty folders, links to folders, devices): {label(places)}", quiet)


def entry_line(entry: Mapping[str, Any]) -> str:
    """What an entry of a compressed file is, what coded it, and its bytes; those out only where they are its own."""
    from pushforward.codec.archive.names import shown

    sizes = f"{entry['bytes_in']:,}" + ("" if entry["bytes_out"] is None else f" -> {entry['bytes_out']:,}")
    what = f"{entry['kind']}, {entry['dtype']} {tuple(entry['shape'])}"
    return f"{shown(entry['name']) or '(no name)'}: {what}, {sizes} bytes by {entry['method']}"


def share(part: int, whole: int) -> str:
    """How much of the whole a part is, in percent."""
    return f"{100 * part / max(whole, 1):.2f}%"


def label(paths: list[Path]) -> str:
    """The first names of several."""
    return ", ".join(map(str, paths[:3])) + (", ..." if len(paths) > 3 else "")
