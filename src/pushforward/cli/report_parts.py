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
from pushforward.training import evaluate, negative_log_likelihood
from pushforward.training.units import Unit

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def score_section(flow: Flow, x: Tensor, given: Tensor | None, seed: int) -> Section:
    """How good a flow is on events: the negative log-likelihood in the unit of such events, and how exact it is."""
    found = evaluate(flow, x, given, seed=seed)
    unit = Unit.of(flow, negative_log_likelihood)
    errors = {"": found.log_prob_error} | ({"draws": found.log_prob_draws_error} if found.draws > 1 else {})
    told = "".join(f" ± {unit.value(error):.4f}" + f" (over the {what})" * bool(what) for what, error in errors.items())
    rows = [
        ("negative log-likelihood", f"{unit.value(-found.log_prob):.4f}{told}{unit.suffix}"),
        ("which is", _KINDS[found.accuracy]),
        ("events", f"{found.events:,}"),
        ("parameters of the model", f"{sum(parameter.numel() for parameter in flow.parameters()):,}"),
    ]
    return Section("Score", "Lower is better.", [Table(("on test data", ""), rows)])


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
