"""Measuring a trained model on held-out data."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from pushforward.cli.configuration import is_table_run
from pushforward.cli.options import BatchSize, DataSpec, Device, Json, Quiet, RunFolder, Seed
from pushforward.cli.samples import check_shape
from pushforward.cli.terminal import print_json, print_table, progress, say
from pushforward.errors import UsageError

if TYPE_CHECKING:
    from pushforward.flows import Flow
    from pushforward.training import Evaluation
    from pushforward.training.units import Unit

SAMPLES = 64
ImportanceSamples = Annotated[
    int | None,
    typer.Option(
        "--importance-samples",
        "-m",
        min=1,
        help="Draws that tighten the bound of a dequantized flow.",
        show_default=str(SAMPLES),
    ),
]
Draws = Annotated[
    int | None,
    typer.Option(
        min=2,
        help="Draws that are averaged where the likelihood is an estimate; their standard error is told.",
        show_default="8",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command to a command line."""
    app.command()(evaluate)


def evaluate(
    folder: RunFolder,
    importance_samples: ImportanceSamples = None,
    draws: Draws = None,
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
    from pushforward.cli.given_frames import in_pair
    from pushforward.cli.given_labels import scored_parts
    from pushforward.cli.run_data import run_data
    from pushforward.cli.runs import open_run
    from pushforward.training import evaluate as measure
    from pushforward.training import negative_log_likelihood
    from pushforward.training.evaluate import DRAWS
    from pushforward.training.units import Unit

    run, flow = open_run(folder, device)
    parts = scored_parts(run, flow, run_data(run, data), data or run.data)
    x, given = in_pair(parts[part])
    check_shape(flow, x, data or run.data)
    accuracy, unit = flow.accuracy, Unit.of(flow, negative_log_likelihood)
    bound, estimate = accuracy is Accuracy.LOWER_BOUND, accuracy is Accuracy.ESTIMATE
    kind = accuracy.describe() if accuracy is Accuracy.EXACT else f"a{'n' * estimate} {accuracy.describe()}"
    if not bound and importance_samples is not None:
        say(f"log p(x) of this flow is {kind}, not a bound: --importance-samples changes nothing", quiet or as_json)
    if not estimate and draws is not None:
        say(f"log p(x) of this flow is {kind}, not an estimate: --draws changes nothing", quiet or as_json)
    values: dict[int, Evaluation] = {}
    for samples in dict.fromkeys([1, importance_samples or SAMPLES] if bound else [1]):
        with progress(quiet or as_json, len(x), f"{samples} draw{'s' * (samples > 1)}") as advance:
            values[samples] = measure(
                flow,
                x,
                given,
                importance_samples=samples,
                draws=draws or DRAWS,
                batch_size=batch_size,
                seed=seed or 0,
                progress=advance,
            )
    if any(value.log_prob == -math.inf for value in values.values()):
        say(f"the density of some of these events is zero{_instead(flow)}", quiet or as_json)
    if as_json:
        facts = {"run": str(folder), "part": part, "events": len(x), "accuracy": accuracy.describe()}
        found = {str(samples): _numbers(value, unit) for samples, value in values.items()}
        print_json({**facts, **found[str(max(values))], "importance_samples": found})
        return
    # What bounds the log-density from below bounds its negative from above.
    what = {Accuracy.EXACT: "", Accuracy.LOWER_BOUND: ", upper bound", Accuracy.ESTIMATE: ", estimate"}[accuracy]
    rows = [(max(samples, value.draws), _text(value, unit)) for samples, value in values.items()]
    heading = f"negative log-likelihood{what}"
    print_table(("draws", heading), rows, title=f"{run.model} on {len(x):,} events ({part}) of {data or run.data}")


def _instead(flow: Flow) -> str:
    """What to use where the density of data is zero, if there is something."""
    from pushforward.models.vectors.deep_density import decoder_and_base

    try:
        decoder_and_base(flow)
    except UsageError:
        return ""
    return ", as a deep density model reaches few: pushforward.models.reconstruction_log_prob scores them instead"


def _numbers(value: Evaluation, unit: Unit) -> dict[str, float]:
    """The score with its standard error over the events, and of an estimate over the draws."""
    found = {unit.name: unit.value(-value.log_prob), f"{unit.name}_error": unit.value(value.log_prob_error)}
    if value.draws == 1:
        return found
    return {**found, f"{unit.name}_draws_error": unit.value(value.log_prob_draws_error), "draws": value.draws}


def _text(value: Evaluation, unit: Unit) -> str:
    score, error, of_draws = map(unit.value, (-value.log_prob, value.log_prob_error, value.log_prob_draws_error))
    drawn = "" if value.draws == 1 else f" (± {of_draws:.4f} over the draws)"
    return f"{score:.4f} ± {error:.4f}{unit.suffix}{drawn}"
