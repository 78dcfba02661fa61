"""How far the partitions are, line by line, and what became of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pushforward.partitions.writing import Outcome

#: What takes a line that is to be read by people.
Say = Callable[[str], None]
_SECONDS_BETWEEN_LINES = 5.0


@dataclass(frozen=True)
class Report:
    """What became of the partitions.

    Attributes:
        rows, partitions: done now.
        skipped: partitions that were done before.
        seconds: how long it took.
        failures: a sentence for each partition or file that could not be done.

    Example:
        >>> Report(rows=1_000_000, partitions=4, skipped=0, seconds=20.0, failures=()).rows_per_second
        50000.0
    """

    rows: int
    partitions: int
    skipped: int
    seconds: float
    failures: tuple[str, ...]

    @property
    def rows_per_second(self) -> float:
        """The speed of what was done now."""
        return self.rows / self.seconds if self.seconds else 0.0


def follow(outcomes: Iterable[Outcome], total: int, skipped: int, failures: Iterable[str], say: Say) -> Report:
    """Go through the outcomes and say now and then how far they are.

    Args:
        outcomes: of the partitions as they come.
        total: how many rows all of them have.
        skipped: how many partitions were done before.
        failures: what is known to be wrong already.
        say: takes a line.
    """
    began = said = time.monotonic()
    rows, partitions, tried, failed = 0, 0, 0, list(failures)
    for outcome in outcomes:
        tried += outcome.partition.rows
        if outcome.failure is None:
            rows, partitions = rows + outcome.partition.rows, partitions + 1
        else:
            failed.append(outcome.failure)
            say(outcome.failure)
        now = time.monotonic()
        if now - said >= _SECONDS_BETWEEN_LINES:
            said = now
            say(progress_line(tried, total, now - began))
    return Report(rows, partitions, skipped, time.monotonic() - began, tuple(failed))


def progress_line(rows: int, total: int, seconds: float) -> str:
    """How far, how fast, how long still.

    Example:
        >>> progress_line(500_000, 2_000_000, 10.0)
        '500,000 of 2,000,000 rows, 50,000 rows/s, 0:00:30 left'
    """
    left = round(seconds * (total - rows) / max(rows, 1))
    clock = f"{left // 3600}:{left // 60 % 60:02}:{left % 60:02}"
    return f"{rows:,} of {total:,} rows, {rows / max(seconds, 1e-9):,.0f} rows/s, {clock} left"
