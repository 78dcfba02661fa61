"""What the benchmarks of several rows share: run those that are named, show each as a table, write all as JSON.

Each row is a file of a folder, whose head says what is compared with what, and whose ``run(seconds, data)`` returns
lines with the keys of `COLUMNS`; one that can train elsewhere than on the processor also takes ``accelerator``.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

COLUMNS = ("what", "ours", "other", "asked")


def main(folder: Path, description: str | None) -> None:
    """Measure the rows of a folder that are named on the command line."""
    names = sorted(path.stem for path in folder.glob("[a-z]*.py"))
    options = parser(names, description).parse_args()
    sys.path.insert(0, str(folder.parent))
    results: dict[str, list[dict[str, Any]]] = {}
    for name in options.rows or names:
        began = time.monotonic()
        row = importlib.import_module(f"{folder.name}.{name}")
        results[name] = row.run(options.seconds, options.data, **accelerated(row.run, options.accelerator))
        print(table(name, results[name], time.monotonic() - began), flush=True)
        if options.out is not None:
            options.out.write_text(json.dumps(results, indent=2) + "\n")


def accelerated(run: Callable[..., Any], accelerator: str) -> dict[str, str]:
    """The accelerator, for a row that can train on one."""
    return {"accelerator": accelerator} if "accelerator" in inspect.signature(run).parameters else {}


def parser(names: list[str], description: str | None) -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("rows", nargs="*", choices=[[], *names], metavar="ROW", help=f"of {', '.join(names)}")
    made.add_argument("--seconds", type=float, help="of each training, instead of the budgets that are named")
    made.add_argument("--data", type=Path, default=Path("../shared/data"), help="the folder that holds uci/ and mnist/")
    made.add_argument("--accelerator", default="cpu", help="where rows that can train on another do: cpu or cuda")
    made.add_argument("--out", type=Path, help="a file for the rows as JSON")
    return made


def table(name: str, rows: list[dict[str, Any]], seconds: float) -> str:
    """The rows of one subject in Markdown."""
    head = [f"\n{name} ({seconds:.0f} s)\n", "| | ours | other | asked |", "| --- | --- | --- | --- |"]
    return "\n".join(head + [f"| {' | '.join(shown(row.get(key)) for key in COLUMNS)} |" for row in rows])


def shown(value: Any) -> str:
    """A cell."""
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
