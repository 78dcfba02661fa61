"""The arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


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
        help="digits, a toy density (moons, rings, ...), mnist:FOLDER, cifar10:FOLDER, folder:FOLDER (pictures), "
        "picture:FILE, or a path: .npz, .npy, .csv, .csv.gz, .parquet, an IDX file, a folder of pictures.",
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
Seed = Annotated[int | None, typer.Option(help="Seed of the random numbers.", show_default=False)]
Device = Annotated[
    str | None,
    typer.Option(help="cpu, cuda, cuda:1, ...; by default a GPU where there is one.", show_default=False),
]
