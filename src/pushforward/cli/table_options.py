"""The options of the command line that say what a table's columns are."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pushforward.cli.values import parse_value
from pushforward.errors import UsageError

Interval = tuple[float | None, float | None]


@dataclass(frozen=True)
class TableOptions:
    """What is said of a table's columns.

    Attributes:
        columns, drop: those that are taken, all by default, and those that are not.
        targets: those that are modelled given the others; none for the joint density of all.
        kinds: of columns of which the values do not tell it.
        bounds: the interval that a column's values are in.
        circular: the interval whose ends are the same point.
    """

    columns: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    context: tuple[str, ...] = ()
    kinds: tuple[tuple[str, str], ...] = ()
    bounds: tuple[tuple[str, Interval], ...] = ()
    circular: tuple[tuple[str, Interval], ...] = ()

    @classmethod
    def parse(
        cls,
        *,
        columns: str | None,
        drop: str | None,
        target: str | None,
        context: str | None,
        kinds: dict[str, str | None],
        bounds: Iterable[str] | None,
        circular: Iterable[str] | None,
    ) -> TableOptions:
        """Read the options as they stand on the command line.

        Raises:
            UsageError: an interval is none, or targets and contexts are told both.
        """
        if target and context:
            raise UsageError("--target and --context say the same thing from its two ends: give one of them")
        kept = [(name, kind) for kind, listed in kinds.items() for name in column_list(listed)]
        return cls(
            column_list(columns),
            column_list(drop),
            column_list(target),
            column_list(context),
            tuple(kept),
            tuple(parse_interval("--bounds", text) for text in bounds or ()),
            tuple(parse_circle("--circular", text) for text in circular or ()),
        )

    def given(self) -> list[str]:
        """The names of the options that say something."""
        return [f"--{name}" for name, value in vars(self).items() if value]


def column_list(text: str | None) -> tuple[str, ...]:
    """Names between commas; one with a comma in it stands in quotes.

    Example:
        >>> column_list('a, b,"c,d"'), column_list(None)
        (('a', 'b', 'c,d'), ())
    """
    if not text:
        return ()
    return tuple(name.strip() for name in next(csv.reader([text], skipinitialspace=True)) if name.strip())


def parse_interval(option: str, text: str) -> tuple[str, Interval]:
    """A column and an interval, either end of which may be open.

    Raises:
        UsageError: it is written otherwise, or its ends are in the wrong order.

    Example:
        >>> parse_interval("--bounds", "age=0:")
        ('age', (0.0, None))
    """
    name, equals, ends = text.rpartition("=")
    low, colon, high = ends.partition(":")
    if not name or not equals or not colon:
        raise UsageError(f"{option} takes COLUMN=LOW:HIGH, either of which may be left out, got {text or 'nothing'}")
    interval = _end(option, name, low), _end(option, name, high)
    if interval[0] is not None and interval[1] is not None and interval[0] >= interval[1]:
        raise UsageError(f"{option} {name} expects a lower end below the upper one, got {low}:{high}")
    return name, interval


def parse_circle(option: str, text: str) -> tuple[str, Interval]:
    """A column and the numbers at which a circle begins and ends; a period alone begins at 0.

    Raises:
        UsageError: it is written otherwise, or its ends are in the wrong order.

    Example:
        >>> parse_circle("--circular", "angle=-180:180"), parse_circle("--circular", "hour=24")
        (('angle', (-180.0, 180.0)), ('hour', (0.0, 24.0)))
    """
    name, _, ends = text.rpartition("=")
    low, _, high = ends.partition(":") if ":" in ends else ("0", ":", ends)
    if not name or not low.strip() or not high.strip():
        raise UsageError(f"{option} takes COLUMN=LOW:HIGH or COLUMN=PERIOD, got {text or 'nothing'}")
    return parse_interval(option, f"{name}={low}:{high}")


def _end(option: str, name: str, text: str) -> float | None:
    value: Any = parse_value(f"{option} {name}", text.strip(), float) if text.strip() else None
    return value
