"""Using a trained flow on the command line: evaluate, sample, interpolate, score."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pushforward.cli.options import BatchSize, DataSpec, Device, ImportanceSamples, Json, Quiet, RunFolder, Seed
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
    from pushforward.accuracy import Accuracy
    from pushforward.cli.run_data import run_data
    from pushforward.cli.runs import open_run
    from pushforward.training import evaluate as measure
    from pushforward.training.units import Unit

    run, flow = open_run(folder, device)
    if part not in ("train", "validation", "test"):
        raise UsageError(f"--part must be train, validation or test, got {part!r}")
    x, context = run.parts(run_data(run, data))[part]
    _check_shape(flow, x, data or run.data)
    accuracy, unit = flow.accuracy, Unit.of(flow, run.objective)
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
                context,
                importance_samples=draws,
                batch_size=batch_size,
                seed=seed or 0,
                progress=advance,
            )
        found[str(draws)] = {
            unit.name: unit.value(run.log_volume - value.log_prob),
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
    out: Annotated[Path, typer.Option("--out", "-o", help=".png, .npz, .npy, .csv or .parquet", show_default=False)],
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="How many.")] = 64,
    temperature: Annotated[float, typer.Option(help="Spread of the base; below 1 is nearer to the mode.")] = 1.0,
    given: Annotated[
        list[str] | None,
        typer.Option("--given", metavar="COLUMN=VALUE", help="A context's value; can be repeated.", show_default=False),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Events at a time.")] = 256,
    seed: Seed = None,
    device: Device = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Draw events from a trained flow into a picture, an array or a table."""
    import torch

    from pushforward.cli.runs import open_run
    from pushforward.data.export import ARRAY_ENDINGS, TABLE_ENDINGS
    from pushforward.files import choose_writer
    from pushforward.plots.pictures import PICTURE_ENDINGS

    choose_writer(out, (*PICTURE_ENDINGS, *ARRAY_ENDINGS, *TABLE_ENDINGS))
    # Written so that not a number fails too.
    if not 0 < temperature < float("inf"):
        raise UsageError(f"--temperature must be a number above 0, got {temperature}")
    run, flow = open_run(folder, device)
    context = _given_context(run, given or [])
    if seed is not None:
        torch.manual_seed(seed)
    like = next(flow.parameters())
    condition = None if context is None else context.to(like)
    drawn = []
    with progress(quiet or as_json, count, "drawing") as advance:
        for start in range(0, count, batch_size):
            size = min(batch_size, count - start)
            drawn.append(flow.sample(size, condition, temperature=temperature).cpu())
            advance(start + size)
    events = torch.cat(drawn)
    if run.events is not None:
        events = run.events.undo(events)
    _write(out, events, run)
    report_file(out, {"events": count, "shape": list(events.shape)}, quiet, as_json)


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
    x, context = run.parts(run_data(run, data))["test"]
    if context is not None:
        raise UsageError("this flow has contexts, and there is no straight line between events of different ones")
    _check_shape(flow, x, data or run.data)
    if len(x) < 2 * pairs:
        raise UsageError(f"{pairs} pairs need {2 * pairs} test events, and there are {len(x)}")
    torch.manual_seed(seed or 0)
    chosen = x[torch.randperm(len(x))[: 2 * pairs]].to(next(flow.parameters()))
    walks = walk(flow, chosen[:pairs], chosen[pairs:], steps).cpu()
    if run.events is not None:
        walks = run.events.undo(walks)
    _write(out, walks.flatten(0, 1), run, columns=steps)
    report_file(out, {"pairs": pairs, "steps": steps}, quiet, as_json)


def score(
    folder: RunFolder,
    table: Annotated[
        Path, typer.Argument(metavar="TABLE", help=".csv, .csv.gz, .parquet, .npy or .npz", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="A csv file, or - for standard output.")] = Path("-"),
    importance_samples: ImportanceSamples = 1,
    batch_size: BatchSize = None,
    device: Device = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write the log-density of every row of a table, of any length, a chunk at a time."""
    from pushforward.cli.runs import open_run
    from pushforward.cli.scoring import score_table
    from pushforward.files import choose_writer

    to_stdout = str(out) == "-"
    if to_stdout and as_json:
        raise UsageError("--json prints on standard output, where the scores go: give them a file with --out")
    if not to_stdout:
        choose_writer(out, (".csv",))
    run, flow = open_run(folder, device)
    if len(flow.event_shape) != 1:
        raise UsageError(f"score takes flows of vectors, this one's events are {tuple(flow.event_shape)}; use evaluate")
    with progress(quiet or as_json or to_stdout, None, "rows") as advance:
        rows, mean = score_table(
            run,
            flow,
            table,
            out,
            importance_samples=importance_samples,
            batch_size=batch_size,
            progress=advance,
        )
    if not to_stdout:
        facts = {"rows": rows, "mean_log_prob": mean, "accuracy": flow.accuracy.describe()}
        report_file(out, facts, quiet, as_json)


def _given_context(run: Run, given: list[str]) -> Tensor | None:
    import torch

    from pushforward.cli.values import parse_value

    names = run.context.columns if run.context else ()
    values = {key: value for key, _, value in (item.partition("=") for item in given)}
    if set(values) != set(names):
        wanted = " ".join(f"--given {name}=VALUE" for name in names) or "no --given"
        raise UsageError(f"this flow needs {wanted}, got {', '.join(values) or 'none'}")
    if run.context is None:
        return None
    return run.context.apply(torch.tensor([parse_value(f"--given {name}", values[name], float) for name in names]))


def _check_shape(flow: Flow, x: Tensor, name: str) -> None:
    if tuple(x.shape[1:]) != tuple(flow.event_shape):
        shapes = f"expected events of shape {tuple(flow.event_shape)}, got {tuple(x.shape[1:])}"
        raise UsageError(f"{name} does not fit this run: {shapes}")


def _write(out: Path, events: Tensor, run: Run, columns: int | None = None) -> None:
    from pushforward.data.export import write_events
    from pushforward.plots.pictures import PICTURE_ENDINGS, image_grid

    if out.suffix.lower() in PICTURE_ENDINGS:
        image_grid(events, out, maximum=None if run.levels is None else run.levels - 1, columns=columns)
    else:
        write_events(out, events, run.levels, run.columns)
