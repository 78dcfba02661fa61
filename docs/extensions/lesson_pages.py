"""The lessons of the courses as pages: their text and their code, answers folded, and the file itself to take along."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from docutils import nodes
from myst_parser.parsers.sphinx_ import MystParser
from sphinx.application import Sphinx
from sphinx.directives.other import TocTree

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "courses"))
from notebooks import Cell, cells

FOLDED = ["<details>", "<summary>Answer</summary>", ""], ["", "</details>"]


class LessonParser(MystParser):
    """Reads a lesson as the Markdown that it stands for."""

    supported = ("lesson",)

    def parse(self, inputstring: str, document: nodes.document) -> None:
        """Read a lesson; its name is that of the file."""
        super().parse(as_markdown(inputstring, Path(document["source"]).name), document)


def as_markdown(text: str, name: str) -> str:
    """A lesson as a page in Markdown."""
    title, *rest = cells(text)
    offer = f"{{download}}`The lesson as a file <{name}>` runs as it stands."
    shown = [_page_cell(title), offer]
    for answer, group in groupby(rest, lambda cell: cell.answer):
        before, after = FOLDED if answer else ([], [])
        shown.append("\n".join([*before, "\n\n".join(map(_page_cell, group)), *after]))
    return "\n\n".join(shown)


def _page_cell(cell: Cell) -> str:
    return cell.source if cell.markdown else f"```python\n{cell.source}\n```"


class Lessons(TocTree):
    """A tree of the lessons in a folder beside the page, in the order of their numbers."""

    def run(self) -> list[nodes.Node]:
        here = Path(self.env.doc2path(self.env.docname)).parent
        folder = here / self.arguments[0]
        self.content = ordered(f"{folder.name}/{path.stem}" for path in folder.glob("*.py"))  # type: ignore[assignment]
        return super().run()

    required_arguments = 1


def ordered(names: Iterable[str]) -> list[str]:
    """Names in the order of the numbers in them: the tenth after the ninth."""
    return sorted(names, key=lambda name: [int(number) for number in re.findall(r"\d+", name)])


def setup(app: Sphinx) -> dict[str, bool]:
    """Join the build."""
    app.add_source_suffix(".py", "lesson")
    app.add_source_parser(LessonParser)
    app.add_directive("lessons", Lessons)
    return {"parallel_read_safe": True}
