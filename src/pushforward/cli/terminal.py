"""What is printed and where: results on standard output, what is said about the work on the error stream."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from pushforward.extras import requires

#: Exit codes.
FAILURE, USAGE, INTERRUPTED = 1, 2, 130


class Advance(Protocol):
    """Tells a progress bar how much is done, and of how much where that was not known before."""

    def __call__(self, done: int, total: int | None = None) -> None: ...


def say(text: str, quiet: bool = False) -> None:
    """Say something about the work, unless the user wants it ``quiet``."""
    if not quiet:
        print(text, file=sys.stderr)


def fail(message: str, code: int) -> int:
    """Say in one line what went wrong and return the exit code."""
    print("pushforward: " + " ".join(message.split()), file=sys.stderr)
    return code


def print_json(value: Mapping[str, Any]) -> None:
    """Print a result as one JSON object on one line."""
    print(json.dumps(value, default=str))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> None:
    """Print a result as a table."""
    with requires("cli", purpose="a table on the terminal"):
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

    table = Table(*headings, title=None if title is None else Text(title), title_justify="left")
    for row in rows:
        # As text, since a bracket in a cell is no markup.
        table.add_row(*(Text(str(cell)) for cell in row))
    Console().print(table)


def report_file(out: object, facts: Mapping[str, Any], quiet: bool, as_json: bool) -> None:
    """Tell that a file was written and what it holds."""
    if as_json:
        print_json({"out": str(out), **facts})
        return
    told = ", ".join(f"{name.replace('_', ' ')} {_rounded(value)}" for name, value in facts.items())
    say(f"wrote {out}: {told}", quiet)


def _rounded(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Show warnings as lines like all others, without the place in the program that they come from."""
    before = warnings.formatwarning
    warnings.formatwarning = lambda message, *place, **more: f"pushforward: warning: {message}\n"
    try:
        yield
    finally:
        warnings.formatwarning = before


@contextmanager
def progress(quiet: bool, total: int | None, text: str) -> Iterator[Advance]:
    """Show a bar on a terminal's error stream; yields what tells it how far the work is."""
    with requires("cli", purpose="the progress bar"):
        from rich.console import Console
        from rich.progress import Progress

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda done, total=None: None
        return
    with Progress(console=console, transient=True, refresh_per_second=4) as bar:
        task = bar.add_task(text, total=total)
        yield lambda done, total=None: bar.update(task, completed=done, total=total)
