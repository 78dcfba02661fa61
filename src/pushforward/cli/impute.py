"""Filling in what is missing in a table, on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from pushforward.cli.configuration import is_table_run
from pushforward.cli.options import Json, OutFile, Quiet, RunFolder, Seed, TableFile
from pushforward.cli.terminal import progress, report_file
from pushforward.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the command to a command line."""
    app.command()(impute)


def impute(
    folder: RunFolder,
    table: TableFile,
    out: OutFile = Path("-"),
    method: Annotated[
        Literal["draw", "fill"],
        typer.Option(help="draw: from the conditional; fill: its median, or the most probable category."),
    ] = "draw",
    seed: Seed = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Fill in the missing values of a table, given what each row has."""
    to_stdout = str(out) == "-"
    if to_stdout and as_json:
        raise UsageError("--json prints on standard output, where the rows go: give them a file with --out")
    check_table_file(out)
    if not is_table_run(folder):
        raise UsageError(f"impute takes runs of tables, and {folder} is none")
    from pushforward.cli.table_use import impute_table

    with progress(quiet or as_json or to_stdout, None, "rows") as advance:
        facts = impute_table(folder, table, out, method, seed, advance)
    if not to_stdout:
        report_file(out, facts, quiet, as_json)


def check_table_file(out: Path) -> None:
    """Check that a table can be written under this name, before there is anything to write.

    Raises:
        UsageError: it has another ending.
    """
    from pushforward.data.export import STANDARD_OUTPUT, TABLE_ENDINGS
    from pushforward.files import choose_writer

    if str(out) != STANDARD_OUTPUT:
        choose_writer(out, TABLE_ENDINGS)
