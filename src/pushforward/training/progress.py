"""The live line that a training shows."""

from __future__ import annotations

import math
import time
from typing import Any

from pushforward.extras import requires

# Drawing costs more than a small flow's step.
_REDRAW_SECONDS = 0.25


class ProgressLine:
    """A bar with the loss, the best validation and the time left, redrawn at most four times a second.

    Images are shown in bits per dimension, everything else in nats.
    """

    def __init__(self, event_shape: tuple[int, ...], visible: bool) -> None:
        self._images = len(event_shape) == 3
        self._dimensions = math.prod(event_shape)
        self._visible = visible
        self._bar: Any = None
        self._task: Any = None
        self._drawn = -math.inf

    def start(self) -> None:
        """Show the bar, where it can be seen."""
        if not self._visible:
            return
        with requires("train", purpose="the progress bar"):
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        console = Console(stderr=True)
        if not console.is_terminal:
            return
        columns = (
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[text]}"),
        )
        self._bar = Progress(*columns, console=console, auto_refresh=False, transient=True)
        self._task = self._bar.add_task("", total=1.0, text="starting")
        self._bar.start()

    def update(self, progress: float, step: int, loss: float, best: float | None) -> None:
        """Tell how far it has come; most calls draw nothing."""
        if self._bar is None or time.monotonic() - self._drawn < _REDRAW_SECONDS:
            return
        self._drawn = time.monotonic()
        text = f"step {step}  loss {self.format(loss)}"
        if best is not None:
            text += f"  best validation {self.format(best)}"
        self._bar.update(self._task, completed=progress, text=text, refresh=True)

    def format(self, loss: float) -> str:
        """A loss with its unit."""
        if self._images:
            return f"{loss / (math.log(2) * self._dimensions):.4f} bits/dim"
        return f"{loss:.4f} nats"

    def stop(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
