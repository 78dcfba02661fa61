"""Scoring tables by a trained model."""

from __future__ import annotations

from glob import has_magic
from pathlib import Path
from typing import Annotated

import typer

from pushforward.cli.impute import check_table_file
from pushforward.cli.options import (
    BatchSize,
    Device,
    EngineName,
    ImportanceSamples,
    Json,
    OutPlace,
    Quiet,
    Resume,
    RunFolder,
    Scheduler,
    check_for_many,
    given_text,
)
from pushforward.cli.table_options import column_list
from pushforward.cli.terminal import progress, report_file
from pushforward.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the command to a command line."""
    app.command()(score)


def score(
    folder: RunFolder,
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE",
            parser=given_text,
            help=".csv, .tsv (also compressed), .parquet, .npy or .npz; or many: a folder, a glob in quotes, or an "
            "address (s3://...) of parquet files, with --out a folder",
            show_default=False,
        ),
    ],
    out: OutPlace = "-",
    importance_samples: ImportanceSamples = 1,
    keep: Annotated[
        str | None, typer.Option(help="Columns to write beside the scores: a,b.", show_default=False)
    ] = None,
    engine: EngineName = None,
    scheduler: Scheduler = None,
    resume: Resume = False,
    batch_size: BatchSize = None,
    device: Device = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write the log-density of every row of a table, of any length, a chunk at a time, or of many in a folder."""
    kept = column_list(keep)
    if _is_many(table) or engine is not None:
        from pushforward.cli.partitions import Workers, score_folder

        if out == "-" or Path(out).suffix:
            raise UsageError(f"the scores of many files go into a folder, --out {out} is none")
        workers = Workers(engine or "local", scheduler, resume)
        facts = score_folder(folder, table, out, kept, importance_samples, workers, quiet or as_json)
        report_file(out, facts, quiet, as_json)
        return
    check_for_many({"--scheduler": scheduler, "--resume": resume})
    _score_file(folder, table, Path(out), kept, importance_samples, batch_size, device, quiet, as_json)


def _is_many(source: str) -> bool:
    """Whether this names a folder, a glob or an address, and not one file here."""
    return "://" in source or has_magic(source) or Path(source).is_dir()


def _score_file(
    folder: Path,
    table: str,
    out: Path,
    keep: tuple[str, ...],
    importance_samples: int,
    batch_size: int | None,
    device: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    to_stdout = str(out) == "-"
    if to_stdout and as_json:
        raise UsageError("--json prints on standard output, where the scores go: give them a file with --out")
    check_table_file(out)
    from pushforward.cli.scoring import open_scorer, score_table

    scorer = open_scorer(folder, device, importance_samples, batch_size)
    with progress(quiet or as_json or to_stdout, None, "rows") as advance:
        rows, mean = score_table(scorer, table, out, advance, keep)
    if not to_stdout:
        facts = {"rows": rows, "mean_log_prob": mean, "accuracy": scorer.accuracy}
        report_file(out, facts, quiet, as_json)
