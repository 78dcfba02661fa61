"""What a training shows of itself: a live line on a terminal, a plain line now and then anywhere else."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Protocol

from pushforward.extras import requires
from pushforward.training.units import Unit

# Drawing costs more than a small flow's step.
_REDRAW_SECONDS = 0.25


class Display(Protocol):
    """Where a training's progress is shown."""

    def show(self, share: float, text: Callable[[], str]) -> None:
        """Show how far it has come; most calls do nothing."""

    def close(self) -> None:
        """Leave the place as it was."""


class ProgressLine:
    """The step, the loss, the best validation and the time left, where and as often as they can be read.

    Args:
        unit: of the loss.
        visible: whether anything is to be shown.
        seconds: the longest time between two lines where there is no terminal.
    """

    def __init__(self, unit: Unit, visible: bool, seconds: float) -> None:
        self._unit, self._visible, self._seconds = unit, visible, seconds
        self._display: Display | None = None
        self._began, self._share = 0.0, 0.0

    def start(self, share: float) -> None:
        """Begin at this share of the training, which is more than 0 where it was resumed."""
        if not self._visible:
            return
        self._began, self._share = time.monotonic(), share
        self._display = _display(self._seconds)

    def update(self, share: float, step: int, loss: float, best: float | None) -> None:
        """Tell how far it has come."""
        if self._display is not None:
            self._display.show(share, lambda: self._text(share, step, loss, best))

    def stop(self) -> None:
        """Show nothing any more."""
        if self._display is not None:
            self._display.close()
            self._display = None

    def _text(self, share: float, step: int, loss: float, best: float | None) -> str:
        text = f"step {step:,}, train {self._unit.format(loss)}"
        if best is not None:
            text += f", best validation {self._unit.format(best)}"
        gone = share - self._share
        if gone > 0:
            left = (time.monotonic() - self._began) * (1 - share) / gone
            text += f", {timedelta(seconds=round(left))} left"
        return text


def _display(seconds: float) -> Display:
    with requires("train", purpose="the progress bar"):
        from rich.console import Console

    console = Console(stderr=True)
    # A notebook's output is no terminal, and whoever reads it later wants lines.
    return _Bar(console) if console.is_terminal and not console.is_jupyter else Lines(seconds)


class _Bar:
    """A bar on a terminal, redrawn at most four times a second and gone at the end."""

    def __init__(self, console: Any) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[text]}"),
        )
        self._bar = Progress(*columns, console=console, auto_refresh=False, transient=True)
        self._task = self._bar.add_task("", total=1.0, text="starting")
        self._bar.start()
        self._drawn = -math.inf

    def show(self, share: float, text: Callable[[], str]) -> None:
        if time.monotonic() - self._drawn < _REDRAW_SECONDS:
            return
        self._drawn = time.monotonic()
        self._bar.update(self._task, completed=share, text=text(), refresh=True)

    def close(self) -> None:
        self._bar.stop()


class Lines:
    """Plain lines on the error stream: at the start, then after twice the time each, at most ``seconds`` apart."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began = time.monotonic()
        self._next, self._wait = self._began, 1.0

    def show(self, share: float, text: Callable[[], str]) -> None:
        """Print a line, where it is time for one."""
        now = time.monotonic()
        if now < self._next:
            return
        self._wait = min(2 * self._wait, self._seconds)
        self._next = now + self._wait
        elapsed = timedelta(seconds=round(now - self._began))
        print(f"{elapsed} {share:4.0%} {text()}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Nothing is left open."""
