"""What reports of several kinds of runs share: scores, and pictures of those kinds that a model has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pushforward.accuracy import Accuracy
from pushforward.errors import PushforwardError
from pushforward.flows.flow import Flow
from pushforward.reports import Picture, Section, Table
from pushforward.training import Evaluation, evaluate, negative_log_likelihood
from pushforward.training.units import Unit

if TYPE_CHECKING:
    from matplotlib.figure import Figure


# Draws of importance weighting, and of how many events: as many as take no longer than the rest of a report.
_DRAWS, _TIGHTENED = 16, 1000


def score_section(flow: Flow, x: Tensor, given: Tensor | None, seed: int) -> Section:
    """How good a flow is on events: the negative log-likelihood in the unit of such events, and how exact it is."""
    found = evaluate(flow, x, given, seed=seed)
    rows = [
        ("negative log-likelihood", _text(flow, found)),
        ("which is", _KINDS[found.accuracy]),
    ]
    if found.accuracy is Accuracy.LOWER_BOUND:
        some = slice(_TIGHTENED)
        tight = evaluate(flow, x[some], None if given is None else given[some], importance_samples=_DRAWS, seed=seed)
        of_some = f", of the first {tight.events:,} events" * (tight.events < found.events)
        rows += [
            ("importance-weighted", _text(flow, tight)),
            ("which is", f"an upper bound that is tighter, of {_DRAWS} draws for each event{of_some}"),
        ]
    rows += [
        ("events", f"{found.events:,}"),
        ("parameters of the model", f"{sum(parameter.numel() for parameter in flow.parameters()):,}"),
    ]
    return Section("Score", "Lower is better.", [Table(("on test data", ""), rows)])


def _text(flow: Flow, found: Evaluation) -> str:
    """A score with its standard error over the events, and of an estimate over the draws."""
    unit = Unit.of(flow, negative_log_likelihood)
    of_draws = f" (± {unit.value(found.log_prob_draws_error):.4f} over the draws)" * (found.draws > 1)
    return f"{unit.value(-found.log_prob):.4f} ± {unit.value(found.log_prob_error):.4f}{unit.suffix}{of_draws}"


_KINDS = {
    Accuracy.EXACT: "exact",
    Accuracy.LOWER_BOUND: "an upper bound, of one draw for each event",
    Accuracy.ESTIMATE: "an estimate",
}


def picture_section(title: str, draw: Callable[[str], Figure], wanted: Mapping[str, tuple[str, str]]) -> list[Section]:
    """A section of the pictures that can be drawn, and why the others cannot; no section where none can.

    Args:
        title: of the section.
        draw: makes the figure of a kind.
        wanted: the kinds with captions and descriptions.
    """
    pictures, reasons = [], []
    for kind, (caption, alt) in wanted.items():
        try:
            pictures.append(Picture.of_figure(draw(kind), caption, alt))
        except PushforwardError as error:
            reasons.append(f"No {kind}: {error}.")
    return [Section(title, " ".join(reasons), pictures)] if pictures or reasons else []


def seeded(seed: int, draw: Callable[[], Tensor]) -> Tensor:
    """What is drawn with a seed, without gradients."""
    torch.manual_seed(seed)
    with torch.no_grad():
        return draw()
