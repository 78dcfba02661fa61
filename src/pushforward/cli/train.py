"""Training on the command line: train, and go on with a run."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward.cli.options import (
    Bounds,
    Categorical,
    Circular,
    Columns,
    ContextColumns,
    Continuous,
    DataSpec,
    Drop,
    Json,
    Ordinal,
    Quiet,
    Seed,
    Target,
    given_path,
)
from pushforward.cli.table_options import TableOptions
from pushforward.cli.terminal import plain_warnings, print_json, say
from pushforward.cli.training_options import parse_training, with_training_options
from pushforward.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the command to a command line."""
    app.command("train", cls=with_training_options(train), help=train.__doc__)(lambda: None)


def train(
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="A model's name; see: pushforward models.", show_default=False)
    ] = None,
    data: DataSpec = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="PATH",
            parser=given_path,
            help="The run's folder, made if need be.",
            show_default=False,
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="An option of the model (see: pushforward models MODEL); can be repeated.",
            show_default=False,
        ),
    ] = None,
    columns: Columns = None,
    drop: Drop = None,
    target: Target = None,
    context: ContextColumns = None,
    categorical: Categorical = None,
    ordinal: Ordinal = None,
    continuous: Continuous = None,
    bounds: Bounds = None,
    circular: Circular = None,
    levels: Annotated[
        int | None, typer.Option(min=2, help="How many values the data take.", show_default=False)
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint of the run.")] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace a run that is already there; it is kept until the new one has ended."),
    ] = False,
    restore: Annotated[
        bool,
        typer.Option("--restore", help="Bring back the run that an unfinished --force keeps, in place of its own."),
    ] = False,
    accept_changed_data: Annotated[
        bool, typer.Option("--accept-changed-data", help="With --resume: go on though the data are not the same.")
    ] = False,
    seed: Seed = None,
    quiet: Quiet = False,
    as_json: Json = False,
    **training: Any,
) -> None:
    """Train a model on data; with --resume, go on with the run in --out.

    MODEL is a name from pushforward models, or table, for tables with columns of any kind. Models of real vectors take
    tables too, with the same columns and defaults.
    """
    from pushforward.cli.resuming import resumed
    from pushforward.cli.starting import refuse_run, started
    from pushforward.cli.work import Request, first_process
    from pushforward.training.runs import leftover, locked, put_back, repair

    table = TableOptions.parse(
        columns=columns,
        drop=drop,
        target=target,
        context=context,
        kinds={"categorical": categorical, "ordinal": ordinal, "continuous": continuous},
        bounds=bounds,
        circular=circular,
    )
    given = parse_training(training) | ({} if seed is None else {"seed": seed})
    if out is None:
        raise UsageError("train needs --out, the folder of the run")
    talk = first_process() and not quiet and not as_json
    if restore:
        put_back(out)
        say(f"{out} is the run again that stood there before", quiet or as_json)
        return
    if out.is_dir() and first_process():
        repair(out)
        kept = leftover(out)
        if talk and kept is not None:
            say(kept)
    request = Request(out, model, data, settings or [], table, levels, given)
    work = resumed(request, accept_changed_data) if resume else started(request, force)
    with plain_warnings(), locked(out) if first_process() else nullcontext():
        # Another one may have begun and ended while the data were read.
        if not resume and not force:
            refuse_run(out)
        if talk:
            say(work.describe())
        outcome = work.fit(resume=resume, progress=talk)
    if not first_process():
        return
    if as_json:
        print_json(outcome.facts)
    else:
        say(outcome.summary, quiet)
