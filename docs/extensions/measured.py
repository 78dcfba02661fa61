"""What ``measured.toml`` holds: numbers that stand on the pages, with where and when they were measured."""

from __future__ import annotations

import datetime
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1]


@dataclass(frozen=True)
class Choice:
    """A model for a kind of data and a need."""

    data: str
    need: str
    model: str
    accuracy: str
    cost: str
    measured: str
    quoted: tuple[str, ...]
    """Lines or parts of lines of the page that the numbers are from."""
    page: str
    anchor: str

    @property
    def address(self) -> str:
        """The link to where the numbers stand."""
        return f"{self.page}#{self.anchor}"


@dataclass(frozen=True)
class Comparison:
    """A number of ours beside that of another library, of one run."""

    what: str
    ours: str
    other: str
    library: str
    better: str
    date: datetime.date
    command: str
    quoted: tuple[str, ...]
    page: str
    anchor: str

    @property
    def address(self) -> str:
        """The link to where the numbers stand."""
        return f"{self.page}#{self.anchor}"


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
