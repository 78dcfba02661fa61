"""Drawing from a trained model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pushforward.cli.configuration import is_table_run
from pushforward.cli.options import (
    Device,
    EngineName,
    Json,
    Quiet,
    Resume,
    RunFolder,
    Scheduler,
    Seed,
    check_for_many,
    given_text,
)
from pushforward.cli.samples import check_fits, check_sample_file, write_samples
from pushforward.cli.terminal import progress, report_file
from pushforward.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from pushforward.cli.runs import Run
    from pushforward.flows.flow import Flow


_NOTHING_GIVEN = "--data is for models of clips that are given first frames, and this one is given none"


def register(app: typer.Typer) -> None:
    """Add the command to a command line."""
    app.command()(sample)


def sample(
    folder: RunFolder,
    out: Annotated[
        str,
        typer.Option(
            "--out",
            "-o",
            metavar="PATH",
            parser=given_text,
            help=".png, .gif (of clips), .npz, .npy, .csv, .tsv, .parquet, or - for csv on standard output; with "
            "--engine a folder of parquet files, here or at an address (s3://...)",
            show_default=False,
        ),
    ],
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="How many.")] = 64,
    temperature: Annotated[float, typer.Option(help="Spread of the base; below 1 is nearer to the mode.")] = 1.0,
    denoise: Annotated[
        bool,
        typer.Option("--denoise", help="Take off the noise that the model was trained with, as by tarflow's noise=."),
    ] = False,
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--given",
            metavar="COLUMN=VALUE",
            help="A value that is known, of images label=VALUE; can be repeated.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            "-d",
            metavar="TEXT",
            parser=given_text,
            help="Clips whose first frames are given, as for train; by default those that the run was trained on.",
            show_default=False,
        ),
    ] = None,
    guidance: Annotated[
        float,
        typer.Option(
            help="How far past its label a sample is pushed; of models trained with --context and unconditional=."
        ),
    ] = 0.0,
    engine: EngineName = None,
    scheduler: Scheduler = None,
    resume: Resume = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Events at a time.")] = 256,
    seed: Seed = None,
    device: Device = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Draw events from a trained model into a picture, an array or a table, or very many into a folder."""
    if engine is None:
        check_for_many({"--scheduler": scheduler, "--resume": resume})
        draws = Draws(count, temperature, denoise, guidance, batch_size, seed, device, data)
        _sample_file(folder, Path(out), draws, given or [], quiet, as_json)
        return
    from pushforward.cli.partitions import Workers, sample_folder

    if out == "-" or Path(out).suffix:
        raise UsageError(f"--engine draws into a folder, --out {out} is none")
    asked = {"--temperature": temperature != 1.0, "--denoise": denoise, "--guidance": guidance, "--data": data}
    for name in (name for name, value in asked.items() if value):
        raise UsageError(f"{name} is for files, and --engine draws into a folder")
    workers = Workers(engine, scheduler, resume)
    facts = sample_folder(folder, out, count, given or [], seed, workers, quiet or as_json)
    report_file(out, facts, quiet, as_json)


@dataclass(frozen=True)
class Draws:
    """How events are drawn: how many, how, where, and given what."""

    count: int
    temperature: float
    denoise: bool
    guidance: float
    batch_size: int
    seed: int | None
    device: str | None
    data: str | None


def _sample_file(folder: Path, out: Path, draws: Draws, given: list[str], quiet: bool, as_json: bool) -> None:
    to_stdout = str(out) == "-"
    if to_stdout and as_json:
        raise UsageError("--json prints on standard output, where the samples go: give them a file with --out")
    # Written so that not a number fails too.
    if not 0 < draws.temperature < float("inf"):
        raise UsageError(f"--temperature must be a number above 0, got {draws.temperature}")
    check_sample_file(out)
    silent = quiet or as_json or to_stdout
    if is_table_run(folder):
        from pushforward.cli.table_use import sample_table

        asked = {"--temperature": draws.temperature != 1.0, "--denoise": draws.denoise, "--guidance": draws.guidance}
        for name in (name for name, given in asked.items() if given):
            raise UsageError(f"{name} is for flows of images and arrays, and this is a run of a table")
        if draws.data is not None:
            raise UsageError(_NOTHING_GIVEN)
        facts = sample_table(folder, out, draws.count, given, draws.seed, silent)
    else:
        facts = _sample_flow(folder, out, draws, given, silent)
    if not to_stdout:
        report_file(out, facts, quiet, as_json)


def _sample_flow(folder: Path, out: Path, draws: Draws, given: list[str], silent: bool) -> dict[str, Any]:
    import torch

    from pushforward.cli.given_frames import given_frames
    from pushforward.cli.given_labels import parse_label
    from pushforward.cli.runs import open_run
    from pushforward.flows import guided

    run, flow = open_run(folder, draws.device)
    check_fits(out, tuple(flow.event_shape))
    label = parse_label(run, given)
    if draws.guidance:
        flow = guided(flow, draws.guidance)
    if draws.seed is not None:
        torch.manual_seed(draws.seed)
    frames = given_frames(flow)
    if draws.data is not None and not frames:
        raise UsageError(_NOTHING_GIVEN)
    if draws.denoise and frames:
        raise UsageError("--denoise is for models that were trained with noise, and models of clips are not")
    # Futures of the clips that the model has not seen, begun anew where they end.
    first = _first_frames(run, flow, draws.data, frames) if frames else None
    drawn = []
    with progress(silent, draws.count, "drawing") as advance:
        for start in range(0, draws.count, draws.batch_size):
            size = min(draws.batch_size, draws.count - start)
            clips = None if first is None else first[torch.arange(start, start + size) % len(first)]
            drawn.append(_drawn(flow, clips, label, size, draws).cpu())
            advance(start + size)
    events = torch.cat(drawn)
    write_samples(out, events, run)
    return {"events": draws.count, "shape": list(events.shape)}


def _first_frames(run: Run, flow: Flow, spec: str | None, frames: int) -> Tensor:
    """The first frames of the test clips."""
    from pushforward.cli.run_data import run_data

    data = run_data(run, spec)
    frame = tuple(flow.event_shape[1:])
    if len(data.event_shape) != 4 or data.event_shape[0] < frames or tuple(data.event_shape[1:]) != frame:
        raise UsageError(
            f"{run.model} expects clips of at least {frames} frames of shape {frame}, and {data.name} holds events of "
            f"shape {tuple(data.event_shape)}"
        )
    return data.test[:, :frames]


def _drawn(flow: Flow, clips: Tensor | None, label: Tensor | None, size: int, draws: Draws) -> Tensor:
    """Events, of a label where there are labels, or a future of each clip, whose first frames are given."""
    from pushforward.cli.given_frames import whole
    from pushforward.flows import sample_denoised

    if clips is None:
        draw = sample_denoised if draws.denoise else type(flow).sample
        return draw(flow, size, label, temperature=draws.temperature)
    return whole(clips, flow.sample((), clips, temperature=draws.temperature))
