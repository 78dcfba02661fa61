"""What the command line says to people: messages, errors and progress, all on the error stream."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def say(text: str, quiet: bool = False) -> None:
    """Print a message; standard output is for results."""
    if not quiet:
        print(text, file=sys.stderr)


def fail(message: str, code: int) -> int:
    """Print an error in one line and return the exit code."""
    print("pushforward: " + " ".join(message.split()), file=sys.stderr)
    return code


@contextmanager
def progress(quiet: bool, total: int | None, text: str) -> Iterator[Callable[..., None]]:
    """A bar on the terminal; yields ``advance(done, total=None)``, which says how far things are and, where that was
    not known before, how far they go."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda done, total=None: None
        return
    with Progress(console=console, transient=True, refresh_per_second=4) as bar:
        task = bar.add_task(text, total=total)
        yield lambda done, total=None: bar.update(task, completed=done, total=total)
