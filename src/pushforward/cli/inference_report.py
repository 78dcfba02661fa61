"""What ``pushforward infer`` shows: the posterior beside the prior, and what speaks for and against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from pushforward.plots import against_chance, corner, coverage, ranks, save
from pushforward.report import Report, Table

if TYPE_CHECKING:
    from pushforward.cli.inference import Request, Simulations, Tests

_MOST_COLUMNS = 12
_SUSPICIOUS = 0.01
_DRAWN = 5000

CAPTIONS = {
    "posterior.png": "Draws of the posterior (lines) over simulations of the prior (grey).",
    "ranks.png": "Ranks of true parameters among draws of their posteriors: flat where it is calibrated, a hump where "
    "it is too wide, a bowl where it is too narrow. The band holds 95 % of calibrated posteriors as a whole.",
    "coverage.png": "How often credible regions hold the truth: below the diagonal they are too small.",
    "observation.png": "Tests at the observation (lines) beside what chance gives (grey).",
}


def write_report(
    path: Path,
    request: Request,
    training: Simulations,
    held_out: int,
    drawn: Tensor,
    truth: Tensor | None,
    summary: Sequence[tuple[object, ...]],
    tests: Tests,
) -> None:
    """Draw the pictures beside ``path`` and write the page there."""
    source = "a simulation, which was kept out of the training" if request.observed is None else str(request.observed)
    text = (
        f"A neural posterior of {len(training.theta):,} simulations of {request.simulations}, tested on {held_out:,} "
        f"others, and {len(drawn):,} draws of it for row {request.row} of {source}. {verdict(tests.named())}"
    )
    prior = [("mean of the prior", training.theta.mean(0)), ("its deviation", training.theta.std(0))]
    known = [*prior, *([] if truth is None else [("truth", truth)])]
    rows = [[*row, *(values[index].item() for _, values in known)] for index, row in enumerate(summary)]
    headings = ["parameter", "mean", "deviation", "5 %", "95 %", *(name for name, _ in known)]
    results = [[name, str(result), result.p_value] for name, result in tests.named().items()]
    Report(
        title="The posterior, and whether to believe it",
        text=text,
        tables=[Table(headings, rows, "Posterior"), Table(["test", "result", "p"], results, "Tests")],
        pictures=_pictures(path.parent, training, drawn, tests),
        configuration={name: value for name, value in vars(request).items() if value not in (None, ())},
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


def _pictures(folder: Path, training: Simulations, drawn: Tensor, tests: Tests) -> list[tuple[Path, str]]:
    names = training.parameters[:_MOST_COLUMNS]
    shown = len(names)
    figures = {
        "posterior.png": corner(training.theta[:_DRAWN, :shown], drawn[:_DRAWN, :shown], names),
        "ranks.png": ranks(tests.calibration, training.parameters),
        "coverage.png": coverage({"highest density": tests.coverage, "random points": tests.random_points}),
        "observation.png": against_chance(
            {"local two-sample test": tests.local, "misspecification": tests.misspecification}
        ),
    }
    for name, figure in figures.items():
        save(figure, folder / name, dpi=110)
    return [(folder / name, CAPTIONS[name]) for name in figures]
