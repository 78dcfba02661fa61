"""Ctrl-C in a training."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def interruptible(interrupt: Callable[[], bool]) -> Iterator[None]:
    """Call ``interrupt`` at the first Ctrl-C, to end the training after the step; a second one ends it at once.

    Args:
        interrupt: asks the training to end, and returns False if it had been asked before.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: Any) -> None:
        if not interrupt():
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    except SystemExit as error:
        # Lightning's answer to KeyboardInterrupt.
        raise KeyboardInterrupt from error
    finally:
        signal.signal(signal.SIGINT, before)
