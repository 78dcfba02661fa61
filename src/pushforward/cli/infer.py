"""Posteriors of a simulator's parameters on the command line: a table of simulations in, draws and a report out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pushforward.cli.options import Json, Quiet, Seed, TableFile, given_path, given_text
from pushforward.cli.terminal import plain_warnings, print_json, print_table, say
from pushforward.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the command to a command line."""
    app.command()(infer)


def infer(
    simulations: TableFile,
    parameters: Annotated[
        str,
        typer.Option(
            "--parameters",
            "-p",
            metavar="A,B",
            parser=given_text,
            help="The columns that were drawn of the prior.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="PATH",
            parser=given_path,
            help="A folder for the model, the draws, the pictures and report.html.",
            show_default=False,
        ),
    ],
    observations: Annotated[
        str | None,
        typer.Option(
            "--observations",
            metavar="C,D",
            help="The columns that the simulator gave; by default all others.",
            show_default=False,
        ),
    ] = None,
    bounds: Annotated[
        str | None,
        typer.Option(
            "--bounds",
            metavar="A=LOW:HIGH,B=LOW:",
            parser=given_text,
            help="The prior's bounds, which no draw leaves; an empty side has none. By default those of the table's "
            "parameters.",
            show_default=False,
        ),
    ] = None,
    observed: Annotated[
        Path | None,
        typer.Option(
            "--observed",
            metavar="TABLE",
            parser=given_path,
            help="A table with what was observed; by default a simulation is taken in its place, which is then kept "
            "out of the training.",
            show_default=False,
        ),
    ] = None,
    row: Annotated[int, typer.Option(min=0, help="Which row of --observed, or of the simulations, from 0 on.")] = 0,
    draws: Annotated[int, typer.Option(min=100, help="How many draws of the posterior.")] = 10_000,
    held_out: Annotated[
        int, typer.Option(min=50, help="How many simulations calibrate; at most a fifth of them.")
    ] = 500,
    members: Annotated[
        int | None,
        typer.Option(
            min=1, help="How many flows to average; by default the more the fewer simulations.", show_default=False
        ),
    ] = None,
    max_time: Annotated[str, typer.Option(help="How long to train: HH:MM:SS, or like 90s, 20m, 2h.")] = "00:05:00",
    max_steps: Annotated[int | None, typer.Option(min=1, help="How many steps at most.", show_default=False)] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what a run has left in --out.")] = False,
    seed: Seed = 0,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Learn the posterior of parameters from simulations, draw it for an observation, and test whether to believe it.

    The table has a simulation in each row: parameters of the prior and what the simulator gave for them.
    """
    from pushforward.cli.bounds import parse_bounds
    from pushforward.cli.inference import FILES, REPORT, infer_posterior
    from pushforward.cli.inference_report import write_report
    from pushforward.cli.inference_request import Request
    from pushforward.training.plan import parse_duration

    present = [name for name in FILES if (out / name).exists()]
    if present and not force:
        raise UsageError(f"{out} holds {present[0]} already: choose another folder, or give --force to replace it")
    request = Request(
        simulations,
        _names(parameters),
        _names(observations or ""),
        parse_bounds(bounds or "", _names(parameters)),
        observed,
        row,
        draws,
        held_out,
        members,
        parse_duration(max_time),
        max_steps,
        seed or 0,
    )
    with plain_warnings():
        inference = infer_posterior(request, out, progress=not (quiet or as_json))
    write_report(out / REPORT, request, inference)
    if as_json:
        print_json({"out": str(out), **inference.facts()})
        return
    headings = ("parameter", "mean", "deviation", "5 %", "95 %")
    print_table(headings, [(name, *(f"{value:.4g}" for value in row)) for name, *row in inference.summary()])
    print_table(("parameter", "low", "high", "bounds"), inference.bounds.rows())
    print_table(("test", "result"), list(inference.tests.named().items()))
    say(f"Everything is in {out}: start with {out / REPORT}", quiet)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
