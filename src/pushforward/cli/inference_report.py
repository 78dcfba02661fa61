"""What ``pushforward infer`` shows: the posterior beside the prior, and what speaks for and against it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pushforward.files import atomic_write
from pushforward.plots import against_chance, corner, coverage, predictive, ranks
from pushforward.reports import Picture, Report, Section, Table

if TYPE_CHECKING:
    from pushforward.cli.inference import Inference
    from pushforward.cli.inference_request import Request

_MOST_COLUMNS = 12
_SUSPICIOUS = 0.01
_DRAWN = 5000

CAPTIONS = {
    "posterior": (
        "Draws of the posterior (lines) over simulations of the prior (grey); dashed the truth, where it is known.",
        "A triangle of panels: histograms of each parameter on its diagonal, contours of each pair below.",
    ),
    "ranks": (
        "Ranks of true parameters among draws of their posteriors: flat where it is calibrated, a hump where it is too "
        "wide, a bowl where it is too narrow. The band holds 95 % of calibrated posteriors as a whole.",
        "For each parameter a histogram of ranks, and its difference from an even one inside of a band.",
    ),
    "coverage": (
        "How often credible regions hold the truth: below the diagonal they are too small.",
        "Curves of the share of truths inside over the regions' credibility, beside the diagonal.",
    ),
    "observation": (
        "Tests at the observation (lines) beside what chance gives (grey).",
        "For each test a histogram of what chance gives, with the observation's value as a line.",
    ),
    "predictive": (
        "What the posterior's parameters give (grey) and what was observed (lines). There is no simulator here: for "
        "each draw stands the simulation whose parameters are nearest.",
        "For each feature a histogram of simulations with the observed value as a line.",
    ),
}


def write_report(path: Path, request: Request, inference: Inference) -> None:
    """Draw the pictures beside ``path`` and write the page there."""
    pictures = _pictures(inference)
    for name, picture in pictures.items():
        atomic_write(path.parent / f"{name}.png", picture.content)
    _report(request, inference, pictures).write(path)


def report_again(folder: Path, say: Callable[[str], None]) -> Report:
    """The report of what ``pushforward infer`` left in a folder, drawn and tested again.

    Raises:
        CheckpointError: there is no such folder, or a file is damaged.
        DataError: the simulations are no longer where they were.
    """
    from pushforward.cli.inference import infer_again

    request, inference = infer_again(folder, say)
    return _report(request, inference, _pictures(inference))


def _report(request: Request, inference: Inference, pictures: Mapping[str, Picture]) -> Report:
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
    results = inference.tests.named()
    if inference.predictive is not None:
        results["posterior predictive"] = inference.predictive
    tests = [[name, str(result), result.p_value] for name, result in results.items()]
    posterior: list[Table | Picture] = [
        Table(["parameter", "mean", "deviation", "5 %", "95 %", *known], rows),
        Table(["parameter", "low", "high", "bounds"], inference.bounds.rows(), "Bounds, which no draw leaves"),
        pictures["posterior"],
    ]
    of_tests = [picture for name, picture in pictures.items() if name != "posterior"]
    return Report(
        title="The posterior, and whether to believe it",
        text=text,
        sections=[
            Section("Posterior", content=posterior),
            Section("Tests", content=[Table(["test", "result", "p"], tests), *of_tests]),
        ],
        configuration={name: value for name, value in vars(request).items() if value not in (None, (), {})},
    )


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


def _pictures(inference: Inference) -> dict[str, Picture]:
    names, tests = inference.training.parameters, inference.tests
    shown = names[:_MOST_COLUMNS]
    prior, posterior = (each[:_DRAWN, : len(shown)] for each in (inference.training.theta, inference.draws))
    truth = None if inference.truth is None else inference.truth[: len(shown)]
    figures = {
        "posterior": corner(prior, posterior, shown, legend=("prior", "posterior"), marked=truth),
        "ranks": ranks(tests.calibration, names),
        "coverage": coverage({"highest density": tests.coverage, "random points": tests.random_points}),
        "observation": against_chance(
            {"local two-sample test": tests.local, "misspecification": tests.misspecification}
        ),
    }
    if inference.predictive is not None:
        figures["predictive"] = predictive(inference.predictive, inference.training.observations)
    return {name: Picture.of_figure(figure, *CAPTIONS[name]) for name, figure in figures.items()}
