"""The curve of a training, from its record."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pushforward.plots.style import DATA, MODEL, new_figure, tidy
from pushforward.training.units import Unit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN = {"train": ("training", DATA), "validation": ("validation (averaged weights)", MODEL)}


def training_curve(metrics: Path) -> Figure | None:
    """Draw training and validation over the steps; None where nothing is recorded.

    Args:
        metrics: the run's ``metrics.csv``.

    Raises:
        KeyError, ValueError: if the file is no record of a training.

    Example:
        >>> import tempfile
        >>> metrics = Path(tempfile.mkdtemp()) / "metrics.csv"
        >>> _ = metrics.write_text("step,train_nats,validation_nats\\n1,3.0,\\n2,2.5,2.6\\n")
        >>> training_curve(metrics).axes[0].get_ylabel()
        'nats'
    """
    if not metrics.is_file():
        return None
    with metrics.open(newline="") as file:
        rows = list(csv.DictReader(file))
    recorded = {name: _points(rows, name) for name in _SHOWN}
    if not any(len(points) for _, points in recorded.values()):
        return None
    figure = new_figure(7, 3.5)
    axes = figure.subplots()
    for name, (unit, points) in recorded.items():
        label, colour = _SHOWN[name]
        if len(points):
            axes.plot(points[:, 0], points[:, 1], label=label, color=colour, marker="o" if len(points) == 1 else "")
            axes.set_ylabel(Unit(unit).suffix.strip() or unit)
    axes.set(xlabel="step", title="Training")
    # Steps are whole numbers, and there may be one alone.
    axes.locator_params(axis="x", integer=True, min_n_ticks=1)
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    tidy(axes)
    return figure


def _points(rows: list[dict[str, str]], name: str) -> tuple[str, np.ndarray]:  # type: ignore[type-arg]
    """The unit, and steps with values, of the column that begins with a name."""
    columns = [column for column in (rows[0] if rows else {}) if column.startswith(f"{name}_")]
    if not columns:
        return "", np.zeros((0, 2))
    points = [(float(row["step"]), float(row[columns[0]])) for row in rows if row[columns[0]]]
    return columns[0].removeprefix(f"{name}_"), np.array(points).reshape(-1, 2)
