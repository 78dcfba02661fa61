"""Measuring a trained model on held-out data."""

from __future__ import annotations

from typing import Annotated

import typer

from pushforward.cli.configuration import is_table_run
from pushforward.cli.options import BatchSize, DataSpec, Device, Json, Quiet, RunFolder, Seed
from pushforward.cli.samples import check_shape
from pushforward.cli.terminal import print_json, print_table, progress, say
from pushforward.errors import UsageError

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
    """Add the command to a command line."""
    app.command()(evaluate)


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
    check_shape(flow, x, data or run.data)
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
