"""A page about a run on the command line."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from pushforward.cli.options import DataSpec, Json, Quiet, RunFolder, Seed, given_path
from pushforward.cli.terminal import plain_warnings, report_file, say
from pushforward.errors import UsageError

_ENDINGS = (".html", ".htm")
# Bytes of a page within which it says what wrote it.
_HEAD = 2000


def register(app: typer.Typer) -> None:
    """Add the command to a command line."""
    app.command()(report)


def report(
    folder: RunFolder,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="PATH", parser=given_path, help="By default RUN/report.html.", show_default=False
        ),
    ] = None,
    data: DataSpec = None,
    seed: Seed = 0,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write one page about a run, which stands alone: how good the model is on test data, and what it has learned.

    Tables: columns, pairs, calibration, the least likely rows. Images and clips: samples, what comes back of latents,
    bits per dimension; of whole numbers also what a codec makes of them. Of pushforward infer: the tests made again.
    """
    from pushforward.cli.run_report import report_of
    from pushforward.files import choose_writer

    place = out or folder / "report.html"
    choose_writer(place, _ENDINGS)
    refuse_other_page(place)
    with plain_warnings():
        page = report_of(folder, data, seed or 0, partial(say, quiet=quiet or as_json))
    page.write(place)
    sections = ", ".join(section.title.lower() for section in page.sections)
    report_file(place, {"sections": sections, "bytes": place.stat().st_size}, quiet, as_json)


def refuse_other_page(place: Path) -> None:
    """Check, before any work, that no page of somebody else stands where a report goes.

    Raises:
        UsageError: one does.
        FileError: nothing can be written there.
    """
    from pushforward.files import check_folder
    from pushforward.reports.page import GENERATOR

    check_folder(place.parent)
    if place.is_dir() or (place.is_file() and place.stat().st_size and not _has(place, GENERATOR)):
        raise UsageError(f"{place} is there already and is no report of pushforward; choose another name")


def _has(place: Path, mark: str) -> bool:
    """Whether a file's beginning has the mark."""
    with place.open("rb") as file:
        return mark.encode() in file.read(_HEAD)
