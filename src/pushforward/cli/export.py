"""A trained model as a graph for other programs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pushforward.cli.configuration import is_table_run
from pushforward.cli.options import Json, Quiet, RunFolder, given_path
from pushforward.cli.terminal import report_file
from pushforward.errors import UsageError


class MethodName(StrEnum):
    """What is exported of a model."""

    LOG_PROB = "log_prob"
    SAMPLE = "sample"
    ENCODE = "encode"
    DECODE = "decode"


def register(app: typer.Typer) -> None:
    """Add the command to a command line."""
    app.command()(export)


def export(
    folder: RunFolder,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="PATH",
            parser=given_path,
            help=".onnx, or .pt2 for torch.export.load.",
            show_default=False,
        ),
    ],
    method: Annotated[MethodName, typer.Option(help="What the graph computes.")] = MethodName.LOG_PROB,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write a method of a trained model as a graph that onnxruntime, a browser or torch runs without Pushforward.

    Samples are made of random numbers that the graph takes, so that it is deterministic.
    """
    if is_table_run(folder):
        raise UsageError(
            "export is for flows of images and arrays, and this is a run of a table, whose columns are of several "
            "kinds: `pushforward sample` writes its rows"
        )
    from pushforward.cli.runs import open_run
    from pushforward.exporting import export as write

    run, flow = open_run(folder)
    signature = write(flow, out, method.value, columns=run.columns)
    facts = {
        "method": signature.method,
        "inputs": {port.name: ["batch", *port.shape] for port in signature.inputs},
        "outputs": {port.name: ["batch", *port.shape] for port in signature.outputs},
        **({"columns": list(signature.columns)} if signature.columns else {}),
        "bytes": out.stat().st_size,
    }
    report_file(out, facts, quiet, as_json)
