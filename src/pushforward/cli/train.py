"""Training on the command line: train, and go on with a run."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pushforward.cli.options import DataSpec, Json, Quiet, Seed
from pushforward.cli.terminal import print_json, say
from pushforward.cli.training_options import parse_training, training_options, with_training_options
from pushforward.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from pushforward.cli.runs import Run
    from pushforward.data import Dataset
    from pushforward.flows.flow import Flow
    from pushforward.training import FitResult


def register(app: typer.Typer) -> None:
    """Add the command to a command line."""
    app.command("train", cls=with_training_options(train), help=train.__doc__)(lambda: None)


def train(
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="A model's name; see: pushforward models.", show_default=False)
    ] = None,
    data: DataSpec = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The run's folder, made if need be.", show_default=False)
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
    context: Annotated[
        str | None, typer.Option(help="Columns of a table that the others depend on: a,b.", show_default=False)
    ] = None,
    levels: Annotated[
        int | None, typer.Option(min=2, help="How many values the data take.", show_default=False)
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint of the run.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over a run that is already there.")] = False,
    seed: Seed = None,
    quiet: Quiet = False,
    as_json: Json = False,
    **training: Any,
) -> None:
    """Train a model on data; with --resume, go on with the run in --out."""
    given = parse_training(training) | ({} if seed is None else {"seed": seed})
    if out is None:
        raise UsageError("train needs --out, the folder of the run")
    columns = tuple(name.strip() for name in context.split(",")) if context else ()
    request = _Request(out, model, data, settings or [], columns, levels, given)
    work = _resumed(request) if resume else _started(request, force)
    talk = _first_process() and not quiet and not as_json
    if talk:
        say(work.describe())
    result = work.fit(resume=resume, progress=talk)
    if not _first_process():
        return
    if as_json:
        print_json(work.facts(result))
    else:
        say(work.summary(result), quiet)


@dataclass(frozen=True)
class _Request:
    """What is trained on what and how, as far as the command line says."""

    out: Path
    model: str | None
    data: str | None
    settings: list[str]
    context: tuple[str, ...]
    levels: int | None
    training: dict[str, Any]


@dataclass(frozen=True)
class _Work:
    """A run with all that its training takes."""

    run: Run
    flow: Flow
    data: Dataset
    out: Path

    def fit(self, resume: bool, progress: bool) -> FitResult:
        from pushforward.training import fit

        parts = self.run.parts(self.data)
        return fit(
            self.flow,
            parts["train"],
            parts["validation"],
            out=self.out,
            resume=resume,
            progress=progress,
            **self.run.training,
        )

    def describe(self) -> str:
        from pushforward.diagnostics.summary import count_parameters

        run, rows, shape = self.run, len(self.data.train), tuple(self.flow.event_shape)
        return (
            f"{run.model}, {count_parameters(self.flow):,} parameters, on {run.data}: {rows:,} events of shape {shape}"
        )

    def facts(self, result: FitResult) -> dict[str, Any]:
        best = result.best_validation
        return {
            "run": str(self.out),
            "steps": result.steps,
            "seconds": round(result.seconds, 2),
            "stopped": result.stopped,
            "best_validation_nats": None if best is None else best + self.run.log_volume,
        }

    def summary(self, result: FitResult) -> str:
        if 0 < result.steps == result.earlier_steps:
            return (
                f"nothing was left to do: {self.out} ended by {result.stopped} after {result.steps:,} steps in "
                f"{result.seconds:.0f} s; limits count from its beginning, so give it a larger one, such as --max-time"
            )
        loss = result.best_validation
        best = "" if loss is None else f", best validation {self.run.describe_loss(loss, self.flow)}"
        return (
            f"{result.steps:,} steps in {result.seconds:.0f} s (stopped by {result.stopped}){best}; saved in {self.out}"
        )


def _started(request: _Request, force: bool) -> _Work:
    from pushforward.cli.runs import plan_run
    from pushforward.cli.settings import parse_settings
    from pushforward.data import load_data
    from pushforward.files import make_folder
    from pushforward.flows.saving import MODEL
    from pushforward.training.checkpoints import LAST

    if request.model is None or request.data is None:
        raise UsageError("train needs a MODEL and --data, or --resume")
    out = request.out
    # A configuration alone is what an attempt leaves that failed before its first step.
    if any((out / name).exists() for name in (MODEL, LAST)) and not force and _first_process():
        raise UsageError(f"{out} already holds a run; --resume it, choose another --out, or --force to write over it")
    settings = parse_settings(request.model, request.settings)
    data = load_data(request.data, request.levels)
    run = plan_run(request.model, settings, data, request.data, request.context, {"seed": 0, **request.training})
    flow = _seeded_flow(run)
    make_folder(out)
    if _first_process():
        # A model of an earlier run would not go with the new configuration.
        (out / MODEL).unlink(missing_ok=True)
        run.write(out)
    return _Work(run, flow, data, out)


def _resumed(request: _Request) -> _Work:
    from pushforward.cli.runs import Run, run_data
    from pushforward.cli.settings import parse_settings

    out = request.out
    run = Run.read(out)
    for name, asked, stored in (("MODEL", request.model, run.model), ("--data", request.data, run.data)):
        if asked is not None and asked != stored:
            raise UsageError(f"{out} is a run with {name} {stored}, not {asked}; train that in another folder")
    settings = parse_settings(run.model, request.settings)
    if any(run.options.get(name, value) != value for name, value in settings.items()):
        raise UsageError(f"{out} is a run with options {run.options}; train other ones in another folder")
    unknown = set(run.training) - set(training_options()) - {"seed"}
    if unknown:
        raise CheckpointError(f"{out}: this version of pushforward has no option {', '.join(sorted(unknown))} of a run")
    run = replace(run, training={**run.training, **request.training})
    if _first_process():
        run.write(out)
    return _Work(run, _seeded_flow(run), run_data(run), out)


def _seeded_flow(run: Run) -> Flow:
    import torch

    torch.manual_seed(run.training.get("seed", 0))
    return run.flow()


def _first_process() -> bool:
    """Whether this is the process that speaks and writes; others are started by the distributed strategies."""
    return int(os.environ.get("LOCAL_RANK", "0")) == 0 and int(os.environ.get("NODE_RANK", "0")) == 0
