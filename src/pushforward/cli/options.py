"""The arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward.errors import UsageError


def given_text(text: str) -> str:
    """What was given, which an unset variable of a shell leaves empty.

    Raises:
        BadParameter: nothing was.
    """
    if text == "":
        raise typer.BadParameter("expected a name, got an empty one (a variable that is not set?)")
    return text


def given_path(text: str) -> Path:
    """A path that was given; raises what `given_text` does."""
    return Path(given_text(text))


RunFolder = Annotated[
    Path, typer.Argument(metavar="RUN", parser=given_path, help="The folder of a training.", show_default=False)
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print results only, no messages and no progress.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
DataSpec = Annotated[
    str | None,
    typer.Option(
        "--data",
        "-d",
        metavar="TEXT",
        parser=given_text,
        help="digits, a toy density (moons, rings, ...), clips (movement, balls, moving-digits), mnist:FOLDER, "
        "cifar10:FOLDER, folder:FOLDER (pictures), picture:FILE, clips:FOLDER (of .npy), moving-mnist:FOLDER, "
        "smiles:FILE (molecules, as graphs), or a path: .csv, .tsv (also .gz, .bz2, .xz, .zst, .zip), .parquet, .npy, "
        ".npz (or FILE.npz:NAME for one of several arrays), an IDX file, a folder of pictures.",
        show_default=False,
    ),
]
ImportanceSamples = Annotated[
    int, typer.Option("--importance-samples", "-m", min=1, help="Draws that tighten the bound of a dequantized flow.")
]
BatchSize = Annotated[
    int | None,
    typer.Option(min=1, help="Events at a time; by default so many that little memory is needed.", show_default=False),
]
Seed = Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="Seed of the random numbers.", show_default=False)]
Device = Annotated[
    str | None,
    typer.Option(help="cpu, cuda, cuda:1, ...; by default a GPU where there is one.", show_default=False),
]
EngineName = Annotated[
    str | None,
    typer.Option(
        help="Who does many files: local (this machine's processors) or dask (--scheduler, or a cluster on this "
        "machine).",
        show_default=False,
    ),
]
Scheduler = Annotated[str | None, typer.Option(help="The address of a dask scheduler.", show_default=False)]
Resume = Annotated[bool, typer.Option("--resume", help="Skip the files in --out that are done already.")]
OutPlace = Annotated[
    str,
    typer.Option(
        "--out",
        "-o",
        metavar="PATH",
        parser=given_text,
        help=".csv, .tsv, .parquet, or - for csv on standard output; of many files, a folder, here or at an address.",
    ),
]
TableFile = Annotated[
    str,
    typer.Argument(
        metavar="TABLE",
        parser=given_text,
        help=".csv, .tsv (also compressed), .parquet, .npy or .npz",
        show_default=False,
    ),
]
OutFile = Annotated[
    Path,
    typer.Option(
        "--out",
        "-o",
        metavar="PATH",
        parser=given_path,
        help="A table (.csv, .tsv, .parquet), or - for csv on standard output.",
        show_default=False,
    ),
]


def _table(flag: str, metavar: str, text: str) -> Any:
    return typer.Option(flag, metavar=metavar, help=text, show_default=False, rich_help_panel="Tables")


Columns = Annotated[str | None, _table("--columns", "A,B", "The columns that are taken; by default all.")]
Drop = Annotated[str | None, _table("--drop", "A,B", "Columns that are left out.")]
Target = Annotated[str | None, _table("--target", "A,B", "Columns that are modelled given the others.")]
ContextColumns = Annotated[
    str | None, _table("--context", "A,B", "Columns that the others depend on; of images that have labels: label.")
]
Categorical = Annotated[str | None, _table("--categorical", "A,B", "Columns of categories, whatever is in them.")]
Ordinal = Annotated[str | None, _table("--ordinal", "A,B", "Columns of counts and ranks.")]
Continuous = Annotated[str | None, _table("--continuous", "A,B", "Columns of measurements, be they whole numbers.")]
Bounds = Annotated[
    list[str] | None,
    _table("--bounds", "COLUMN=LOW:HIGH", "What a column can ever be, either end open (0:); can be repeated."),
]
Circular = Annotated[
    list[str] | None,
    _table(
        "--circular", "COLUMN=LOW:HIGH", "A column whose two ends are one point, or COLUMN=PERIOD; can be repeated."
    ),
]


def check_for_many(options: Mapping[str, Any]) -> None:
    """Check that none is given of the options that are for folders of files.

    Raises:
        UsageError: one is.
    """
    for name, value in options.items():
        if value:
            raise UsageError(f"{name} is for folders of files: give --engine local or dask with it")
