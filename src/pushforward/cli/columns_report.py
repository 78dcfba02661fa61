"""Reports of models of columns: vectors and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pandas.api.types import is_datetime64_any_dtype
from torch import Tensor

from pushforward.cli.codec_report import codec_sections
from pushforward.cli.plot_subjects import FlowSubject, TableSubject
from pushforward.cli.report_parts import picture_section, score_section
from pushforward.cli.table_runs import TableRun
from pushforward.reports import Report, Section, Table, marginal_table, share_table, unlikely_rows
from pushforward.spaces import Sphere
from pushforward.training.evaluate import log_probs
from pushforward.transforms import GeographicCoordinates

if TYPE_CHECKING:
    import pandas as pd

_PAIRS = {
    "pairs": (
        "Test data (grey) and samples (lines that hold 20, 50, 80 and 95 % of their mass), each pair of columns.",
        "A triangle of panels: histograms of each column on its diagonal, scatter plots of each pair of columns below.",
    )
}
_DENSITY = {
    "density": (
        "The density that was learned.",
        "A map of the plane of two columns, bright where the density is high.",
    )
}
_MAP = {"map": ("The density that was learned, with test data.", "A map of the sphere, bright where density is high.")}
_CALIBRATION = {
    "calibration": (
        "Above, where F(y) of test data falls: even where the model is right. Below, how often the data lie under what "
        "the model says they lie under: on the diagonal where it is right. Grey bands hold 95 % of what chance gives.",
        "For each column a histogram of F(y) with a band around one, and a curve with a band around the diagonal.",
    )
}


def report_of_vectors(subject: FlowSubject, x: Tensor, source: str) -> Report:
    """The report of a flow of vectors with test data ``x`` that come from ``source``; its pictures are of the subject's
    share of them."""
    run, flow, names = subject.run, subject.flow, subject.names
    scores = log_probs(flow, x, seed=subject.seed).numpy()
    return Report(
        title=f"{run.model} on {source}",
        text=f"A flow of {len(names)} columns, tested on {len(x):,} rows that it was not trained on.",
        sections=[
            score_section(flow, x, None, subject.seed),
            Section("Columns", content=[marginal_table(subject.values(), subject.samples(), names)]),
            *picture_section("Pairs of columns", subject.draw, _PAIRS | _extra(subject)),
            *picture_section("Calibration", subject.draw, _CALIBRATION),
            Section("Unlikely rows", content=[unlikely_rows(scores, x.numpy(), names)]),
            *codec_sections(flow, subject.data, run.levels),
        ],
        configuration={"model": run.model, "data": source, **run.options, **run.training},
    )


def _extra(subject: FlowSubject) -> dict[str, tuple[str, str]]:
    """Pictures that only some models have."""
    if subject.flow.support == Sphere(2) or GeographicCoordinates.of(subject.flow.support) is not None:
        return _MAP
    return _DENSITY if len(subject.names) == 2 and subject.run.levels is None else {}


def report_of_table(subject: TableSubject, frame: pd.DataFrame, source: str) -> Report:
    """The report of a fitted table with test rows ``frame`` that come from ``source``; its pictures are of the
    subject's share of them."""
    fitted = subject.fitted
    run, estimator = fitted.run, fitted.estimator
    scores = fitted(frame)
    mean, error = -float(scores.mean()), float(scores.std() / np.sqrt(len(scores)))
    numbers = [
        (f"negative log-likelihood of {', '.join(run.modelled)}", f"{mean:.4f} ± {error:.4f} nats"),
        ("which is", fitted.accuracy),
        ("rows", f"{len(frame):,}"),
    ]
    kinds = Table(
        estimator.columns_.HEADINGS, [each.cells for each in estimator.columns_], "What columns were taken for"
    )
    shown = frame[list(run.columns)]
    return Report(
        title=f"{run.model} on {source}",
        text=f"A model of {', '.join(run.modelled)}{_given(run.features)}, tested on {len(frame):,} rows that it was "
        "not fitted to.",
        sections=[
            Section("Score", "Lower is better; nats in the table's units.", [Table(("on test data", ""), numbers)]),
            Section("Columns", content=[kinds, *_marginals(subject)]),
            *picture_section("Pairs of columns", subject.draw, _PAIRS),
            *picture_section("Calibration", subject.draw, _CALIBRATION),
            Section("Unlikely rows", content=[unlikely_rows(scores, shown.to_numpy(), run.columns)]),
        ],
        configuration={"model": run.model, "data": source, **_told(run), **run.options, **run.training},
    )


def _told(run: TableRun) -> dict[str, object]:
    """What the user said of the columns."""
    told = {"target": run.targets, "kinds": run.kinds, "bounds": run.bounds, "circular": run.circular}
    return {name: value for name, value in told.items() if value}


def _marginals(subject: TableSubject) -> list[Table]:
    """A table of the columns of numbers, and one of each column of categories."""
    data, samples, names = subject.values(), subject.samples(), subject.names
    values = {place: subject.categories(name) for place, name in enumerate(names)}
    numeric = [place for place, known in values.items() if known is None]
    dates = {name for name in names if is_datetime64_any_dtype(subject.frame[name].dtype)}
    tables = [marginal_table(data[:, numeric], samples[:, numeric], [names[place] for place in numeric], dates)]
    shares = [
        share_table(data[:, place], samples[:, place], known, names[place])
        for place, known in values.items()
        if known is not None
    ]
    return [*(tables if numeric else []), *shares]


def _given(features: tuple[str, ...]) -> str:
    return f" given {', '.join(features)}" if features else ""
