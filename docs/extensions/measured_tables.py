"""Tables of the site that are made of ``measured.toml``: the chooser of models and the comparison of libraries."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from docutils import nodes
from measured import Choice, Comparison, choices, comparisons
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

Lines = Iterable[str]


class MeasuredTable(SphinxDirective):
    """A table in Markdown, written anew at each build."""

    def lines(self) -> Lines:
        """The table's lines."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(self.env.srcdir / "measured.toml"))
        return self.parse_text_to_nodes("\n".join(self.lines()), allow_section_headings=False)


def table(head: list[str], rows: Iterable[list[str]]) -> Lines:
    """A table in Markdown."""
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)


class Chooser(MeasuredTable):
    """Kinds of data by needs: which model."""

    def lines(self) -> Lines:
        found = choices()
        needs = list(dict.fromkeys(choice.need for choice in found))
        return table(["data", *needs], ([kind, *cells(found, kind, needs)] for kind in kinds(found)))


def kinds(found: list[Choice]) -> list[str]:
    """The kinds of data, each once."""
    return list(dict.fromkeys(choice.data for choice in found))


def cells(found: list[Choice], kind: str, needs: list[str]) -> list[str]:
    """The models for a kind of data, need by need."""
    named = {(choice.data, choice.need): f"`{choice.model}`" for choice in found}
    return [named.get((kind, need), "") for need in needs]


class Choices(MeasuredTable):
    """What each choice costs and how good it was, as measured."""

    def lines(self) -> Lines:
        head = ["data", "need", "model", "what `log_prob` is", "cost", "measured"]
        return table(head, (choice_row(choice) for choice in choices()))


def choice_row(choice: Choice) -> list[str]:
    """A choice as cells."""
    measured = f"{choice.measured} ([where]({choice.address}))"
    return [choice.data, choice.need, f"`{choice.model}`", choice.accuracy, choice.cost, measured]


class Compared(MeasuredTable):
    """Ours beside others, with the date."""

    def lines(self) -> Lines:
        head = ["what", "ours", "other", "", "better", "measured", "how"]
        return table(head, (comparison_row(each) for each in comparisons()))


def comparison_row(each: Comparison) -> list[str]:
    """A comparison as cells."""
    how = f"`{each.command}` ([page]({each.address}))"
    return [each.what, each.ours, each.other, each.library, each.better, f"{each.date:%Y-%m-%d}", how]


def setup(app: Sphinx) -> dict[str, bool]:
    """Join the build."""
    directives: dict[str, Callable[..., Any]] = {"chooser": Chooser, "choices": Choices, "compared": Compared}
    for name, directive in directives.items():
        app.add_directive(name, directive)
    return {"parallel_read_safe": True}
