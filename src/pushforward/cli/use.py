"""Using a trained flow on the command line: evaluate, sample, interpolate, score."""

from __future__ import annotations

from collections.abc import Mapping
from glob import has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pushforward.cli.configuration import is_table_run
from pushforward.cli.impute import check_table_file
from pushforward.cli.options import (
    BatchSize,
    DataSpec,
    Device,
    EngineName,
    ImportanceSamples,
    Json,
    OutPlace,
    Quiet,
    Resume,
    RunFolder,
    Scheduler,
    Seed,
    given_text,
)
from pushforward.cli.table_options import column_list
from pushforward.cli.terminal import print_json, print_table, progress, report_file, say
from pushforward.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from pushforward.cli.runs import Run
    from pushforward.flows.flow import Flow


DRAWS = 64
Draws = Annotated[
    int | None,
    typer.Option(
        "--importance-samples",
        "-m",
        min=1,
        help="Draws that tighten the bound of a dequantized flow.",
        show_default=str(DRAWS),
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to a command line."""
    for command in (evaluate, sample, interpolate, score):
        app.command()(command)


def evaluate(
    folder: RunFolder,
    importance_samples: Draws = None,
    data: DataSpec = None,
    part: Annotated[str, typer.Option(help="Which part of the data: train, validation or test.")] = "test",
    batch_size: BatchSize = None,
    seed: Seed = 0,
    device: Device = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Measure the negative log-likelihood of held-out data: bits per dimension of images, nats of anything else."""
    if part not in ("train", "validation", "test"):
        raise UsageError(f"--part must be train, validation or test, got {part!r}")
    if is_table_run(folder):
        from pushforward.cli.table_use import evaluate_table

        if importance_samples is not None:
            say("a table's model has no bound to tighten: --importance-samples changes nothing", quiet or as_json)
        evaluate_table(folder, data, part, as_json)
        return
    from pushforward.accuracy import Accuracy
    from pushforward.cli.run_data import run_data
    from pushforward.cli.runs import open_run
    from pushforward.training import evaluate as measure
    from pushforward.training import negative_log_likelihood
    from pushforward.training.units import Unit

    run, flow = open_run(folder, device)
    x = run_data(run, data).parts()[part]
    _check_shape(flow, x, data or run.data)
    accuracy, unit = flow.accuracy, Unit.of(flow, negative_log_likelihood)
    bound = accuracy is Accuracy.LOWER_BOUND
    if not bound and importance_samples is not None:
        reason = f"log p(x) of this flow is {'exact' if accuracy is Accuracy.EXACT else 'an estimate'}, not a bound"
        say(f"{reason}: --importance-samples changes nothing", quiet or as_json)
    found: dict[str, dict[str, float]] = {}
    for draws in dict.fromkeys([1, importance_samples or DRAWS] if bound else [1]):
        with progress(quiet or as_json, len(x), f"{draws} draw{'s' * (draws > 1)}") as advance:
            value = measure(
                flow,
                x,
                importance_samples=draws,
                batch_size=batch_size,
                seed=seed or 0,
                progress=advance,
            )
        found[str(draws)] = {
            unit.name: unit.value(-value.log_prob),
            f"{unit.name}_error": unit.value(value.log_prob_error),
        }
    if as_json:
        facts = {"run": str(folder), "part": part, "events": len(x), "accuracy": accuracy.describe()}
        print_json({**facts, **found[max(found, key=int)], "importance_samples": found})
        return
    # What bounds the log-density from below bounds its negative from above.
    what = {Accuracy.EXACT: "", Accuracy.LOWER_BOUND: ", upper bound", Accuracy.ESTIMATE: ", estimate"}[accuracy]
    rows = [
        (draws, f"{value[unit.name]:.4f} ± {value[f'{unit.name}_error']:.4f}{unit.suffix}")
        for draws, value in found.items()
    ]
    heading = f"negative log-likelihood{what}"
    print_table(("draws", heading), rows, title=f"{run.model} on {len(x):,} events ({part}) of {data or run.data}")


def sample(
    folder: RunFolder,
    out: Annotated[
        str,
        typer.Option(
            "--out",
            "-o",
            metavar="PATH",
            parser=given_text,
            help=".png, .npz, .npy, .csv, .tsv, .parquet, or - for csv on standard output; with --engine a folder of "
            "parquet files, here or at an address (s3://...)",
            show_default=False,
        ),
    ],
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="How many.")] = 64,
    temperature: Annotated[float, typer.Option(help="Spread of the base; below 1 is nearer to the mode.")] = 1.0,
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--given",
            metavar="COLUMN=VALUE",
            help="A value that is known; can be repeated.",
            show_default=False,
        ),
    ] = None,
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
        _check_for_many({"--scheduler": scheduler, "--resume": resume})
        _sample_file(folder, Path(out), count, temperature, given or [], batch_size, seed, device, quiet, as_json)
        return
    from pushforward.cli.partitions import Workers, sample_folder

    if out == "-" or Path(out).suffix:
        raise UsageError(f"--engine draws into a folder, --out {out} is none")
    if temperature != 1.0:
        raise UsageError("--temperature is for files, and --engine draws into a folder")
    workers = Workers(engine, scheduler, resume)
    facts = sample_folder(folder, out, count, given or [], seed, workers, quiet or as_json)
    report_file(out, facts, quiet, as_json)


def _sample_file(
    folder: Path,
    out: Path,
    count: int,
    temperature: float,
    given: list[str],
    batch_size: int,
    seed: int | None,
    device: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    to_stdout = str(out) == "-"
    if to_stdout and as_json:
        raise UsageError("--json prints on standard output, where the samples go: give them a file with --out")
    # Written so that not a number fails too.
    if not 0 < temperature < float("inf"):
        raise UsageError(f"--temperature must be a number above 0, got {temperature}")
    check_sample_file(out)
    silent = quiet or as_json or to_stdout
    if is_table_run(folder):
        from pushforward.cli.table_use import sample_table

        if temperature != 1.0:
            raise UsageError("--temperature is for flows of images and arrays, and this is a run of a table")
        facts = sample_table(folder, out, count, given, seed, silent)
    else:
        if given:
            raise UsageError("--given is for runs of tables, and this flow has no columns to give")
        facts = _sample_flow(folder, out, count, temperature, batch_size, seed, device, silent)
    if not to_stdout:
        report_file(out, facts, quiet, as_json)


def check_sample_file(out: Path) -> None:
    """Check that samples can be written under this name, before there are any.

    Raises:
        UsageError: nothing that samples can be has this ending.
    """
    from pushforward.data.export import ARRAY_ENDINGS, TABLE_ENDINGS
    from pushforward.files import choose_writer
    from pushforward.plots.pictures import PICTURE_ENDINGS

    if str(out) != "-":
        choose_writer(out, (*PICTURE_ENDINGS, *ARRAY_ENDINGS, *TABLE_ENDINGS))


def _sample_flow(
    folder: Path,
    out: Path,
    count: int,
    temperature: float,
    batch_size: int,
    seed: int | None,
    device: str | None,
    silent: bool,
) -> dict[str, Any]:
    import torch

    from pushforward.cli.runs import open_run

    run, flow = open_run(folder, device)
    _check_fits(out, tuple(flow.event_shape))
    if seed is not None:
        torch.manual_seed(seed)
    drawn = []
    with progress(silent, count, "drawing") as advance:
        for start in range(0, count, batch_size):
            size = min(batch_size, count - start)
            drawn.append(flow.sample(size, temperature=temperature).cpu())
            advance(start + size)
    events = torch.cat(drawn)
    _write(out, events, run)
    return {"events": count, "shape": list(events.shape)}


def interpolate(
    folder: RunFolder,
    out: Annotated[Path, typer.Option("--out", "-o", help=".png, .npz or .npy", show_default=False)],
    pairs: Annotated[int, typer.Option(min=1, help="How many pairs of test events.")] = 4,
    steps: Annotated[int, typer.Option(min=2, help="Events from one to the other, both included.")] = 8,
    data: DataSpec = None,
    seed: Seed = 0,
    device: Device = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Walk between pairs of test events through the latents of every level, into a picture or an array."""
    import torch

    from pushforward.cli.run_data import run_data
    from pushforward.cli.runs import open_run
    from pushforward.data.export import ARRAY_ENDINGS
    from pushforward.diagnostics.interpolation import interpolate as walk
    from pushforward.files import choose_writer
    from pushforward.plots.pictures import PICTURE_ENDINGS

    choose_writer(out, (*PICTURE_ENDINGS, *ARRAY_ENDINGS))
    run, flow = open_run(folder, device)
    x = run_data(run, data).test
    _check_shape(flow, x, data or run.data)
    if len(x) < 2 * pairs:
        raise UsageError(f"{pairs} pairs need {2 * pairs} test events, and there are {len(x)}")
    torch.manual_seed(seed or 0)
    chosen = x[torch.randperm(len(x))[: 2 * pairs]].to(next(flow.parameters()))
    walks = walk(flow, chosen[:pairs], chosen[pairs:], steps).cpu()
    _write(out, walks.flatten(0, 1), run, columns=steps)
    report_file(out, {"pairs": pairs, "steps": steps}, quiet, as_json)


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
    _check_for_many({"--scheduler": scheduler, "--resume": resume})
    _score_file(folder, table, Path(out), kept, importance_samples, batch_size, device, quiet, as_json)


def _is_many(source: str) -> bool:
    """Whether this names a folder, a glob or an address, and not one file here."""
    return "://" in source or has_magic(source) or Path(source).is_dir()


def _check_for_many(options: Mapping[str, Any]) -> None:
    """Check that none is given of the options that are for folders of files.

    Raises:
        UsageError: one is.
    """
    for name, value in options.items():
        if value:
            raise UsageError(f"{name} is for folders of files: give --engine local or dask with it")


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


def _check_fits(out: Path, shape: tuple[int, ...]) -> None:
    """Check that events of this shape can be written under this name, before they are drawn."""
    from pushforward.data.export import TABLE_ENDINGS
    from pushforward.plots.pictures import PICTURE_ENDINGS

    ending = out.suffix.lower()
    if ending in PICTURE_ENDINGS and len(shape) == 1 and shape != (2,):
        raise UsageError(f"{out}: a picture is made of images or of points in the plane, these events are {shape}")
    if len(shape) != 1 and (str(out) == "-" or ending in TABLE_ENDINGS):
        raise UsageError(f"{out}: a table takes vectors, these events are {shape}; choose .npz, .npy or .png")


def _check_shape(flow: Flow, x: Tensor, name: str) -> None:
    if tuple(x.shape[1:]) != tuple(flow.event_shape):
        shapes = f"expected events of shape {tuple(flow.event_shape)}, got {tuple(x.shape[1:])}"
        raise UsageError(f"{name} does not fit this run: {shapes}")


def _write(out: Path, events: Tensor, run: Run, columns: int | None = None) -> None:
    from pushforward.data.export import write_events
    from pushforward.plots.pictures import PICTURE_ENDINGS, image_grid

    if out.suffix.lower() in PICTURE_ENDINGS and tuple(events.shape[1:]) == (2,):
        from pushforward.plots import save, scatter_2d

        save(scatter_2d(events, run.columns), out)
    elif out.suffix.lower() in PICTURE_ENDINGS:
        image_grid(events, out, maximum=None if run.levels is None else run.levels - 1, columns=columns)
    else:
        write_events(out, events, run.levels, run.columns)
