"""Residual, continuous and stochastic flows, and training in constant memory: what was asked, beside what came out.

    python benchmarks/unrestricted.py                        # every row, with the budgets that are named: hours
    python benchmarks/unrestricted.py toys digits            # some of them
    python benchmarks/unrestricted.py toys --seconds 30      # trainings of 30 seconds, to see that a row runs
    python benchmarks/unrestricted.py continuous --data FOLDER --out rows.json

Each row is a file of `benchmarks/unrestricted_rows/`, whose head says what is compared with what. Ours and the other
library take turns in one run on the same machine; times are meant as ratios. FOLDER holds ``uci/`` with the tables of
the UCI repository, for the rows that need them.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

ROWS = Path(__file__).parent / "unrestricted_rows"
NAMES = sorted(path.stem for path in ROWS.glob("[a-z]*.py"))


def main() -> None:
    """Measure the rows that are named, show each as a table and write all of them as JSON."""
    options = parser().parse_args()
    sys.path.insert(0, str(ROWS.parent))
    results: dict[str, list[dict[str, Any]]] = {}
    for name in options.rows or NAMES:
        began = time.monotonic()
        row = importlib.import_module(f"unrestricted_rows.{name}")
        results[name] = row.run(options.seconds, options.data)
        print(table(name, results[name], time.monotonic() - began), flush=True)
        if options.out is not None:
            options.out.write_text(json.dumps(results, indent=2) + "\n")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("rows", nargs="*", choices=[[], *NAMES], metavar="ROW", help=f"of {', '.join(NAMES)}")
    made.add_argument("--seconds", type=float, help="of each training, instead of the budgets that are named")
    made.add_argument("--data", type=Path, default=Path("../shared/data"), help="the folder that holds uci/")
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


COLUMNS = ("what", "ours", "other", "asked")

if __name__ == "__main__":
    main()
