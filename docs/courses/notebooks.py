"""The lessons as notebooks: each ``.py`` of a course, its cells parted by ``# %%``, becomes an ``.ipynb``.

    python docs/courses/notebooks.py build/courses

The source is the percent format that editors and jupytext know: plain Python, so that a change is seen in a diff and
ruff reads it, and so that it runs without a kernel. What a notebook holds besides is made here. Its file is JSON of
five keys (nbformat 4.5), for which no package is needed.
"""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COURSES = Path(__file__).parent
MARKER = re.compile(r'^# %%(?P<markdown> \[markdown\])?(?P<answer> tags=\["answer"\])?$', re.MULTILINE)


@dataclass(frozen=True)
class Cell:
    """One cell: text in markdown or code, of the lesson or of the answer to its exercise.

    Attributes:
        line: where its source begins in the lesson's file, counted from 1.
    """

    source: str
    markdown: bool
    answer: bool
    line: int


def lessons() -> list[Path]:
    """The lessons of all courses, in their order."""
    return sorted(COURSES.glob("*/*.py"))


def cells(text: str) -> list[Cell]:
    """Part a lesson into its cells.

    Raises:
        ValueError: if something stands before the first cell, or text in markdown is not a comment.
    """
    markers = list(MARKER.finditer(text))
    if not markers or text[: markers[0].start()].strip():
        raise ValueError("a lesson begins with a line '# %% [markdown]'")
    ends = [marker.start() for marker in markers[1:]] + [len(text)]
    return [_cell(text, marker, end) for marker, end in zip(markers, ends)]


def notebook(parts: list[Cell]) -> dict[str, Any]:
    """The notebook of some cells, as JSON; answers are folded, and figures shown in the page."""
    inline = Cell("%matplotlib inline", markdown=False, answer=False, line=0)
    return {
        "cells": [_as_json(cell, number) for number, cell in enumerate([parts[0], inline, *parts[1:]])],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def write_notebooks(folder: Path) -> list[Path]:
    """Write the notebook of every lesson below a folder, and return where."""
    written = []
    for lesson in lessons():
        path = folder / lesson.relative_to(COURSES).with_suffix(".ipynb")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(notebook(cells(lesson.read_text())), indent=1, ensure_ascii=False) + "\n")
        written.append(path)
    return written


def _cell(text: str, marker: re.Match[str], end: int) -> Cell:
    source = text[marker.end() + 1 : end]
    line = text.count("\n", 0, marker.end()) + 2
    markdown = marker["markdown"] is not None
    return Cell(_uncommented(source) if markdown else source.strip("\n"), markdown, marker["answer"] is not None, line)


def _uncommented(source: str) -> str:
    lines = source.strip("\n").splitlines()
    if not all(re.match(r"#( |$)", line) for line in lines):
        raise ValueError(f"text in markdown stands in comments, got {source!r}")
    return "\n".join(line[2:] for line in lines)


def _as_json(cell: Cell, number: int) -> dict[str, Any]:
    common: dict[str, Any] = {"id": f"cell-{number}", "metadata": {"tags": ["answer"]} if cell.answer else {}}
    if cell.markdown:
        folded = f"<details><summary>Answer</summary>\n\n{cell.source}\n\n</details>"
        return {"cell_type": "markdown", **common, "source": folded if cell.answer else cell.source}
    if cell.answer:
        common["metadata"]["jupyter"] = {"source_hidden": True}
    return {"cell_type": "code", **common, "execution_count": None, "outputs": [], "source": cell.source}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the notebooks go, in a folder for each course")
    for path in write_notebooks(parser.parse_args().folder):
        print(path)


if __name__ == "__main__":
    main()
