"""What ``measured.toml`` holds: numbers that stand on the pages, with where and when they were measured."""

from __future__ import annotations

import datetime
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Measured:
    """What was measured, and where that stands."""

    page: str
    anchor: str
    quoted: tuple[str, ...]
    """Pieces of lines of the page, or of what it includes, that the numbers are from."""

    @property
    def address(self) -> str:
        """The link to where the numbers stand."""
        return f"{self.page}#{self.anchor}"


@dataclass(frozen=True)
class Choice(Measured):
    """A model for a kind of data and a need."""

    data: str
    need: str
    model: str
    accuracy: str
    cost: str
    measured: str

    @property
    def name(self) -> str:
        """What the row is of."""
        return f"{self.model} for {self.need}"


@dataclass(frozen=True)
class Comparison(Measured):
    """A number of ours beside that of another library, of one run."""

    what: str
    ours: str
    other: str
    library: str
    better: str
    date: datetime.date
    command: str

    @property
    def name(self) -> str:
        """What the row is of."""
        return f"{self.what} beside {self.library}"


def choices() -> list[Choice]:
    """The rows of the chooser."""
    return [Choice(**_typed(row)) for row in _read()["choice"]]


def comparisons() -> list[Comparison]:
    """The rows of the comparison."""
    return [Comparison(**_typed(row)) for row in _read()["comparison"]]


def _read() -> dict[str, list[dict[str, Any]]]:
    return tomllib.loads((DOCS / "measured.toml").read_text())


def _typed(row: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
