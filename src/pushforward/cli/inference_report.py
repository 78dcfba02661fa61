"""What ``pushforward infer`` shows: the posterior beside the prior, and what speaks for and against it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pushforward.plots import against_chance, corner, coverage, ranks, save
from pushforward.report import Report, Table

if TYPE_CHECKING:
    from pushforward.cli.inference import Inference, Request

_MOST_COLUMNS = 12
_SUSPICIOUS = 0.01
_DRAWN = 5000

CAPTIONS = {
    "posterior.png": "Draws of the posterior (lines) over simulations of the prior (grey); dashed the truth, where it "
    "is known.",
    "ranks.png": "Ranks of true parameters among draws of their posteriors: flat where it is calibrated, a hump where "
    "it is too wide, a bowl where it is too narrow. The band holds 95 % of calibrated posteriors as a whole.",
    "coverage.png": "How often credible regions hold the truth: below the diagonal they are too small.",
    "observation.png": "Tests at the observation (lines) beside what chance gives (grey).",
}


def write_report(path: Path, request: Request, inference: Inference) -> None:
    """Draw the pictures beside ``path`` and write the page there."""
    theta, truth = inference.training.theta, inference.truth
    source = "a simulation, which was kept out of the training" if request.observed is None else str(request.observed)
    text = (
        f"A neural posterior of {len(theta):,} simulations of {request.simulations}, tested on "
        f"{len(inference.held_out.theta):,} others, and {len(inference.draws):,} draws of it for row {request.row} of "
        f"{source}. {verdict(inference.tests.named())}"
    )
    known = {"mean of the prior": theta.mean(0), "its deviation": theta.std(0)}
    known |= {} if truth is None else {"truth": truth}
    rows = [
        [*row, *(values[index].item() for values in known.values())] for index, row in enumerate(inference.summary())
    ]
    tests = [[name, str(result), result.p_value] for name, result in inference.tests.named().items()]
    Report(
        title="The posterior, and whether to believe it",
        text=text,
        tables=[
            Table(["parameter", "mean", "deviation", "5 %", "95 %", *known], rows, "Posterior"),
            Table(["parameter", "low", "high", "bounds"], inference.bounds.rows(), "Bounds, which no draw leaves"),
            Table(["test", "result", "p"], tests, "Tests"),
        ],
        pictures=_pictures(path.parent, inference),
        configuration={name: value for name, value in vars(request).items() if value not in (None, (), {})},
    ).write(path)


def verdict(results: Mapping[str, Any]) -> str:
    """A sentence of what the tests say together.

    Example:
        >>> from types import SimpleNamespace
        >>> verdict({"coverage": SimpleNamespace(p_value=0.001), "ranks": SimpleNamespace(p_value=0.4)})
        'Doubtful by coverage (p below 0.01).'
    """
    failed = [name for name, result in results.items() if result.p_value < _SUSPICIOUS]
    if failed:
        return f"Doubtful by {', '.join(failed)} (p below {_SUSPICIOUS})."
    return f"No test speaks against it (all p above {_SUSPICIOUS})."


def _pictures(folder: Path, inference: Inference) -> list[tuple[Path, str]]:
    names, tests = inference.training.parameters, inference.tests
    shown = names[:_MOST_COLUMNS]
    prior, posterior = (each[:_DRAWN, : len(shown)] for each in (inference.training.theta, inference.draws))
    truth = None if inference.truth is None else inference.truth[: len(shown)]
    figures = {
        "posterior.png": corner(prior, posterior, shown, legend=("prior", "posterior"), marked=truth),
        "ranks.png": ranks(tests.calibration, names),
        "coverage.png": coverage({"highest density": tests.coverage, "random points": tests.random_points}),
        "observation.png": against_chance(
            {"local two-sample test": tests.local, "misspecification": tests.misspecification}
        ),
    }
    for name, figure in figures.items():
        save(figure, folder / name, dpi=110)
    return [(folder / name, CAPTIONS[name]) for name in figures]
