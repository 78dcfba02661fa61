"""The command line: ``pushforward VERB ...``.

Everything heavy is imported inside the commands, so that ``--help`` answers at once. Commands of other subjects
register themselves on `app`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pushforward.cli.codec import register as register_codec
from pushforward.errors import PushforwardError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from pushforward.cli.runs import Run
    from pushforward.flows.flow import Flow

FAILURE, USAGE, INTERRUPTED = 1, 2, 130

app = typer.Typer(
    help="Normalizing flows: train, evaluate, sample, score.",
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a training.", show_default=False)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print results only, no progress.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
DataSpec = Annotated[
    str | None,
    typer.Option(
        "--data",
        "-d",
        help="digits, a toy density (moons, rings, ...), mnist:FOLDER, cifar10:FOLDER, picture:FILE, or a path: "
        ".npz, .npy, .csv, .parquet, an IDX file, a folder of pictures.",
        show_default=False,
    ),
]
ImportanceSamples = Annotated[
    int, typer.Option("--importance-samples", "-m", min=1, help="Draws that tighten the bound of a dequantized flow.")
]
Seed = Annotated[int | None, typer.Option(help="Seed of the random numbers.", show_default=False)]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, ...; by default a GPU where there is one.")]


def main() -> None:
    """Run the command line and exit: 0 done, 1 failure, 2 usage, 130 interrupted; never with a traceback."""
    # Before torch is there: its threads must sleep while they wait, not spin. On a machine that does other work too,
    # spinning makes small steps several times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the command line on these arguments and return its exit code."""
    try:
        # Not standalone, so that the errors of the parser come out in one line like all others.
        code = app(arguments or ["--help"], prog_name="pushforward", standalone_mode=False)
        sys.stdout.flush()
        # The parser turns Ctrl-C into this code without a word.
        return _fail("interrupted", INTERRUPTED) if code == INTERRUPTED else code if isinstance(code, int) else 0
    except UsageError as error:
        return _fail(str(error), USAGE)
    except PushforwardError as error:
        return _fail(str(error), FAILURE)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has gone; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except MemoryError:
        return _fail("out of memory; try a smaller batch", FAILURE)
    except Exception as error:
        if hasattr(error, "format_message"):
            return _fail(f"{error.format_message()} (see --help)", getattr(error, "exit_code", USAGE))
        if os.environ.get("PUSHFORWARD_DEBUG"):
            raise
        return _fail(f"unexpected {type(error).__name__}: {error} (PUSHFORWARD_DEBUG=1 shows where)", FAILURE)


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the run and its report go.")] = Path("runs/demo"),
    max_time: Annotated[str, typer.Option(help="How long to train, HH:MM:SS.")] = "00:03:00",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train the default image flow on the embedded digits and show how good it is."""
    from pushforward.cli.demo import run as run_demo

    result = run_demo(out, max_time, progress=not (quiet or as_json))
    if as_json:
        _print_json(result)
        return
    rows = [(name, f"{value:.3f}") for name, value in result["test bits/dim"].items()]
    _print_table(("", "test bits/dim"), rows)
    _say(f"Everything is in {out}: start with {out / 'report.html'}", quiet)


@app.command()
def train(
    model: Annotated[str | None, typer.Argument(help="A model's name; see: pushforward models.")] = None,
    data: DataSpec = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The run's folder, made if need be.", show_default=False)
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="An option of the model; can be repeated.", show_default=False),
    ] = None,
    context: Annotated[
        str | None, typer.Option(help="Columns of a table that the others depend on: a,b.", show_default=False)
    ] = None,
    levels: Annotated[
        int | None, typer.Option(min=2, help="How many values the data take.", show_default=False)
    ] = None,
    max_time: Annotated[str | None, typer.Option(help="Stop after HH:MM:SS, or 90s, 20m, 2h.")] = None,
    max_epochs: Annotated[int | None, typer.Option(help="Stop after so many epochs.")] = None,
    max_steps: Annotated[int | None, typer.Option(help="Stop after so many steps.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Rows in a batch, over all processes.")] = None,
    learning_rate: Annotated[float | None, typer.Option("--learning-rate", "--lr", help="The full rate.")] = None,
    optimizer: Annotated[str | None, typer.Option(help="adam or adamw.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Weight decay.")] = None,
    schedule: Annotated[str | None, typer.Option(help="constant, cosine or exponential.")] = None,
    warmup_steps: Annotated[int | None, typer.Option(help="Steps in which the rate rises.")] = None,
    shift: Annotated[int | None, typer.Option(min=0, help="Pixels by which half of the images move.")] = None,
    clip: Annotated[float | None, typer.Option(help="Largest gradient norm per dimension; 0 for none.")] = None,
    ema: Annotated[float | None, typer.Option(help="Decay of the averaged weights; 0 for none.")] = None,
    patience: Annotated[int | None, typer.Option(help="Stop after so many validations without a gain.")] = None,
    validate_every: Annotated[int | None, typer.Option(help="Steps between validations.")] = None,
    log_every: Annotated[int | None, typer.Option(help="Steps between rows of metrics.csv.")] = None,
    checkpoint_seconds: Annotated[float | None, typer.Option(help="Seconds between checkpoints.")] = None,
    precision: Annotated[str | None, typer.Option(help="32, 64 or bf16-mixed.")] = None,
    compile: Annotated[bool | None, typer.Option("--compile/--no-compile", help="Compile the flow's parts.")] = None,
    accelerator: Annotated[str | None, typer.Option(help="auto, cpu, gpu, ...")] = None,
    devices: Annotated[str | None, typer.Option(help="How many devices, or which.")] = None,
    strategy: Annotated[str | None, typer.Option(help="auto, ddp, ...")] = None,
    num_nodes: Annotated[int | None, typer.Option(help="How many machines.")] = None,
    seed: Seed = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint of the run.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over a run that is already there.")] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train a model on data; with --resume, go on with the run in --out."""
    options = {
        "max_time": max_time,
        "max_epochs": max_epochs,
        "max_steps": max_steps,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "optimizer": optimizer,
        "weight_decay": weight_decay,
        "schedule": schedule,
        "warmup_steps": warmup_steps,
        "clip": clip,
        "ema": ema,
        "shift": shift,
        "patience": patience,
        "validate_every": validate_every,
        "log_every": log_every,
        "checkpoint_seconds": checkpoint_seconds,
        "precision": precision,
        "compile": compile,
        "accelerator": accelerator,
        "devices": devices,
        "strategy": strategy,
        "num_nodes": num_nodes,
        "seed": seed,
    }
    given = {name: value for name, value in options.items() if value is not None}
    if out is None:
        raise UsageError("train needs --out, the folder of the run")
    columns = tuple(name.strip() for name in context.split(",")) if context else ()
    choice = _Choice(model, data, _parse_settings(settings or []), columns, levels)
    if resume:
        _resume(out, choice, given, quiet, as_json)
    else:
        _start(out, choice, given, force, quiet, as_json)


class _Choice:
    """What is trained on what, as far as the command line says."""

    def __init__(
        self,
        model: str | None,
        data: str | None,
        settings: dict[str, Any],
        context: tuple[str, ...],
        levels: int | None,
    ) -> None:
        self.model, self.data, self.settings, self.context, self.levels = model, data, settings, context, levels


def _start(out: Path, choice: _Choice, training: dict[str, Any], force: bool, quiet: bool, as_json: bool) -> None:
    from pushforward.cli.runs import plan_run
    from pushforward.data import load_data
    from pushforward.files import make_folder
    from pushforward.training.checkpoints import LAST, MODEL

    if choice.model is None or choice.data is None:
        raise UsageError("train needs a MODEL and --data, or --resume")
    # A configuration alone is what an attempt leaves that failed before its first step.
    if any((out / name).exists() for name in (MODEL, LAST)) and not force and _first_process():
        raise UsageError(f"{out} already holds a run; --resume it, choose another --out, or --force to write over it")
    loaded = load_data(choice.data, choice.levels)
    training = {"seed": 0, **training}
    run = plan_run(choice.model, choice.settings, loaded, choice.data, choice.context, training)
    flow = _seeded_flow(run)
    make_folder(out)
    if _first_process():
        # A model of an earlier run would not go with the new configuration.
        (out / MODEL).unlink(missing_ok=True)
        run.write(out)
    _train(run, flow, out, run.parts(loaded), False, quiet, as_json)


def _resume(out: Path, choice: _Choice, training: dict[str, Any], quiet: bool, as_json: bool) -> None:
    from dataclasses import replace

    from pushforward.cli.runs import Run, run_data

    run = Run.read(out)
    for name, asked, stored in (("MODEL", choice.model, run.model), ("--data", choice.data, run.data)):
        if asked is not None and asked != stored:
            raise UsageError(f"{out} is a run with {name} {stored}, not {asked}; train that in another folder")
    if any(run.options.get(name, value) != value for name, value in choice.settings.items()):
        raise UsageError(f"{out} is a run with options {run.options}; train other ones in another folder")
    run = replace(run, training={**run.training, **training})
    if _first_process():
        run.write(out)
    _train(run, _seeded_flow(run), out, run.parts(run_data(run)), True, quiet, as_json)


def _train(run: Run, flow: Flow, out: Path, parts: dict[str, Any], resume: bool, quiet: bool, as_json: bool) -> None:
    from pushforward.diagnostics.summary import count_parameters
    from pushforward.training import fit

    options = dict(run.training)
    for name in ("clip", "ema"):
        if options.get(name) == 0:
            options[name] = None
    if str(options.get("devices", "")).isdigit():
        options["devices"] = int(options["devices"])
    talk = _first_process() and not quiet and not as_json
    if talk:
        rows, shape = len(parts["train"][0]), tuple(flow.event_shape)
        _say(f"{run.model}, {count_parameters(flow):,} parameters, on {run.data}: {rows:,} events of shape {shape}")
    result = fit(flow, parts["train"], parts["validation"], out=out, resume=resume, progress=talk, **options)
    if not _first_process():
        return
    summary = {
        "run": str(out),
        "steps": result.steps,
        "seconds": round(result.seconds, 2),
        "stopped": result.stopped,
        "best_validation_nats": None if result.best_validation is None else result.best_validation + run.log_volume,
    }
    if as_json:
        _print_json(summary)
    elif not quiet:
        best = "" if result.best_validation is None else f", best validation {_loss(result.best_validation, run, flow)}"
        _say(f"{result.steps:,} steps in {result.seconds:.0f} s (stopped by {result.stopped}){best}; saved in {out}")


@app.command()
def evaluate(
    folder: RunFolder,
    importance_samples: ImportanceSamples = 64,
    data: DataSpec = None,
    part: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    batch_size: Annotated[int, typer.Option(min=1, help="Events at a time.")] = 256,
    seed: Seed = 0,
    device: Device = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Measure the likelihood of held-out data: bits per dimension of images, nats of anything else."""
    from pushforward.cli.runs import run_data
    from pushforward.training import evaluate as measure

    run, flow = _open(folder, device)
    if part not in ("train", "validation", "test"):
        raise UsageError(f"--part must be train, validation or test, got {part!r}")
    x, context = run.parts(run_data(run, data))[part]
    _check_shape(flow, x, data or run.data)
    rows: dict[str, Any] = {}
    for draws in dict.fromkeys([1] if flow.exact else [1, importance_samples]):
        with _progress(quiet or as_json, len(x), f"{draws} draw{'s' * (draws > 1)}") as advance:
            rows[str(draws)] = measure(
                flow,
                x,
                context,
                importance_samples=draws,
                batch_size=batch_size,
                seed=seed or 0,
                progress=advance,
            )
    volume = run.log_volume
    found = {
        draws: {
            "log_prob": value.log_prob - volume,
            "log_prob_error": value.log_prob_error,
            "bits_per_dim": value.bits_per_dim + volume / _bit_unit(flow),
            "bits_per_dim_error": value.bits_per_dim_error,
        }
        for draws, value in rows.items()
    }
    if as_json:
        last = list(found.values())[-1]
        exact = {"run": str(folder), "part": part, "events": len(x), "exact": flow.exact}
        _print_json({**exact, **last, "importance_samples": found})
        return
    kind = "log p(x)" if flow.exact else "lower bound on log p(x)"
    _print_table(
        ("draws", f"{kind}, nats", "bits/dim" if flow.exact else "bits/dim, upper bound"),
        [
            (
                "exact" if flow.exact else draws,
                f"{value['log_prob']:.4f} ± {value['log_prob_error']:.4f}",
                f"{value['bits_per_dim']:.4f} ± {value['bits_per_dim_error']:.4f}",
            )
            for draws, value in found.items()
        ],
        title=f"{run.model} on {len(x):,} events ({part}) of {data or run.data}",
    )


@app.command()
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

    from pushforward.data.export import ARRAY_ENDINGS, TABLE_ENDINGS
    from pushforward.files import choose_writer
    from pushforward.plots.pictures import PICTURE_ENDINGS

    choose_writer(out, (*PICTURE_ENDINGS, *ARRAY_ENDINGS, *TABLE_ENDINGS))
    if not temperature > 0:
        raise UsageError(f"--temperature must be above 0, got {temperature}")
    run, flow = _open(folder, device)
    context = _given_context(run, given or [])
    if seed is not None:
        torch.manual_seed(seed)
    like = next(flow.parameters())
    drawn = []
    with _progress(quiet or as_json, count, "drawing") as advance:
        for start in range(0, count, batch_size):
            size = min(batch_size, count - start)
            drawn.append(
                flow.sample(size, None if context is None else context.to(like), temperature=temperature).cpu()
            )
            advance(start + size)
    events = torch.cat(drawn)
    if run.events is not None:
        events = run.events.undo(events)
    _write(out, events, run)
    _report_file(out, {"events": count, "shape": list(events.shape)}, quiet, as_json)


@app.command()
def interpolate(
    folder: RunFolder,
    out: Annotated[Path, typer.Option("--out", "-o", help=".png or .npz", show_default=False)],
    pairs: Annotated[int, typer.Option(min=1, help="How many pairs of test events.")] = 4,
    steps: Annotated[int, typer.Option(min=2, help="Events from one to the other, both included.")] = 8,
    data: DataSpec = None,
    seed: Seed = 0,
    device: Device = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Walk between pairs of test events through the latents of every level."""
    import torch

    from pushforward.cli.demo import interpolate as walk
    from pushforward.cli.runs import run_data
    from pushforward.data.export import ARRAY_ENDINGS
    from pushforward.files import choose_writer
    from pushforward.plots.pictures import PICTURE_ENDINGS

    choose_writer(out, (*PICTURE_ENDINGS, *ARRAY_ENDINGS))
    run, flow = _open(folder, device)
    x, context = run.parts(run_data(run, data))["test"]
    if context is not None:
        raise UsageError("this flow has contexts, and there is no straight line between events of different ones")
    _check_shape(flow, x, data or run.data)
    if len(x) < 2 * pairs:
        raise UsageError(f"{pairs} pairs need {2 * pairs} test events, and there are {len(x)}")
    torch.manual_seed(seed or 0)
    chosen = x[torch.randperm(len(x))[: 2 * pairs]].to(next(flow.parameters()))
    with torch.no_grad():
        walks = walk(flow, chosen[:pairs], chosen[pairs:], steps).cpu()
    if run.events is not None:
        walks = run.events.undo(walks)
    _write(out, walks.flatten(0, 1), run, columns=steps)
    _report_file(out, {"pairs": pairs, "steps": steps}, quiet, as_json)


@app.command()
def score(
    folder: RunFolder,
    table: Annotated[Path, typer.Argument(help=".csv, .csv.gz, .parquet, .npy or .npz", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="A csv file, or - for standard output.")] = Path("-"),
    importance_samples: ImportanceSamples = 1,
    batch_size: Annotated[int, typer.Option(min=1, help="Rows at a time.")] = 4096,
    device: Device = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write the log-density of every row of a table, of any length, a chunk at a time."""
    from pushforward.cli.scoring import score_table
    from pushforward.files import choose_writer

    to_stdout = str(out) == "-"
    if not to_stdout:
        choose_writer(out, (".csv",))
    run, flow = _open(folder, device)
    if len(flow.event_shape) != 1:
        raise UsageError(f"score takes flows of vectors, this one's events are {tuple(flow.event_shape)}; use evaluate")
    with _progress(quiet or as_json or to_stdout, None, "rows") as advance:
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
        _report_file(out, {"rows": rows, "mean_log_prob": mean, "exact": flow.exact}, quiet, as_json)


@app.command()
def models(
    name: Annotated[str | None, typer.Argument(help="Show the options of this one.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """List the models by name, or the options of one."""
    from pushforward.models import list_models, recipe_options

    def options(model: str) -> dict[str, Any]:
        return {key: _plain(option.default) for key, option in recipe_options(model).items()}

    if name is not None:
        found = options(name)
        if as_json:
            _print_json(found)
        else:
            _print_table(("option", "default"), [(key, json.dumps(value)) for key, value in found.items()], title=name)
    elif as_json:
        _print_json({model: {"about": about, "options": options(model)} for model, about in list_models().items()})
    else:
        _print_table(("model", "what it is"), list(list_models().items()))


@app.command()
def inspect(folder: RunFolder, as_json: Json = False) -> None:
    """Show what a trained flow is made of: parts, parameters, shapes, exact or a bound."""
    from dataclasses import asdict

    from pushforward.diagnostics.summary import anatomy, count_parameters

    run, flow = _open(folder, "cpu")
    parts = anatomy(flow)
    whole = {
        "model": run.model,
        "options": run.options,
        "data": run.data,
        "event_shape": list(flow.event_shape),
        "parameters": count_parameters(flow),
        "exact": flow.exact,
    }
    if as_json:
        _print_json({**whole, "parts": [asdict(part) for part in parts]})
        return
    rows = [
        (
            part.name,
            part.kind,
            f"{part.parameters:,}",
            "x".join(map(str, part.shape)),
            "exact" if part.exact else "bound",
            part.inverse,
        )
        for part in parts
    ]
    kind = "log p(x) is exact" if flow.exact else "log p(x) is a lower bound"
    title = f"{run.model} on {run.data}: {whole['parameters']:,} parameters, {kind}"
    _print_table(("part", "kind", "parameters", "output", "log-det", "inverse"), rows, title=title)


def _open(folder: Path, device: str | None) -> tuple[Run, Flow]:
    import torch

    from pushforward.cli.runs import open_run

    run, flow = open_run(folder)
    try:
        return run, flow.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"device {device} cannot be used here: {str(error).splitlines()[0]}") from error


def _seeded_flow(run: Run) -> Flow:
    import torch

    torch.manual_seed(run.training.get("seed", 0))
    return run.flow()


def _parse_settings(settings: list[str]) -> dict[str, Any]:
    pairs = [setting.partition("=") for setting in settings]
    for key, equals, _ in pairs:
        if not key or not equals:
            raise UsageError(f"--set takes KEY=VALUE, got {key or '='!r}")
    return {key: _parse_value(value) for key, _, value in pairs}


def _parse_value(text: str) -> Any:
    """A JSON value, a list of them with commas between, or the text itself."""
    for candidate in (text, f"[{text}]") if "," in text else (text,):
        try:
            return json.loads(candidate)
        except json.JSONDecodeError:
            continue
    return text


def _given_context(run: Run, given: list[str]) -> Tensor | None:
    import torch

    names = run.context.columns if run.context else ()
    values = {key: value for key, _, value in (item.partition("=") for item in given)}
    if set(values) != set(names):
        wanted = " ".join(f"--given {name}=VALUE" for name in names) or "no --given"
        raise UsageError(f"this flow needs {wanted}, got {', '.join(values) or 'none'}")
    if run.context is None:
        return None
    try:
        return run.context.apply(torch.tensor([float(values[name]) for name in names]))
    except ValueError as error:
        raise UsageError(f"--given takes numbers: {error}") from error


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


def _bit_unit(flow: Flow) -> float:
    import math

    return math.log(2) * math.prod(flow.event_shape)


def _loss(loss: float, run: Run, flow: Flow) -> str:
    if len(flow.event_shape) == 3:
        return f"{loss / _bit_unit(flow):.4f} bits/dim"
    return f"{loss + run.log_volume:.4f} nats"


def _first_process() -> bool:
    """Whether this is the process that speaks and writes; others are started by the distributed strategies."""
    return int(os.environ.get("LOCAL_RANK", "0")) == 0 and int(os.environ.get("NODE_RANK", "0")) == 0


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _print_json(value: dict[str, Any]) -> None:
    print(json.dumps(value, default=str))


def _print_table(heads: tuple[str, ...], rows: list[Any], title: str | None = None) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*heads, title=title, title_justify="left")
    for row in rows:
        table.add_row(*map(str, row))
    Console().print(table)


def _report_file(out: Path, facts: dict[str, Any], quiet: bool, as_json: bool) -> None:
    if as_json:
        _print_json({"out": str(out), **facts})
        return
    _say(f"wrote {out}: " + ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in facts.items()), quiet)


def _say(text: str, quiet: bool = False) -> None:
    if not quiet:
        print(text)


@contextmanager
def _progress(quiet: bool, total: int | None, text: str) -> Iterator[Callable[[int], None]]:
    """A bar on the terminal's error stream; yields what tells it how far things are."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda done: None
        return
    with Progress(console=console, transient=True, refresh_per_second=4) as bar:
        task = bar.add_task(text, total=total)
        yield lambda done: bar.update(task, completed=done)


def _fail(message: str, code: int) -> int:
    print("pushforward: " + " ".join(message.split()), file=sys.stderr)
    return code


register_codec(app)

if __name__ == "__main__":
    main()
