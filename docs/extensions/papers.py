"""Papers that docstrings and pages cite by their numbers on arXiv."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

NUMBER = re.compile(r"arXiv:((?:[a-z-]+/\d{7})|(?:\d{4}\.\d{4,5}))")


def cited(text: str) -> list[str]:
    """The numbers that a text cites, each once, in its order."""
    return list(dict.fromkeys(NUMBER.findall(text)))


class Linked(SphinxTransform):
    """Make each citation a link to the paper."""

    default_priority = 800

    def apply(self, **options: Any) -> None:
        kept = nodes.reference | nodes.literal | nodes.literal_block
        for text in list(self.document.findall(nodes.Text)):
            if NUMBER.search(text) and not isinstance(text.parent, kept):
                text.parent.replace(text, linked(str(text)))


def linked(text: str) -> list[nodes.Node]:
    """A text with links in the place of its citations."""
    pieces: list[nodes.Node] = []
    end = 0
    for found in NUMBER.finditer(text):
        pieces.append(nodes.Text(text[end : found.start()]))
        pieces.append(nodes.reference("", found[0], refuri=f"https://arxiv.org/abs/{found[1]}"))
        end = found.end()
    return [*pieces, nodes.Text(text[end:])]


def setup(app: Sphinx) -> dict[str, bool]:
    """Join the build."""
    app.add_transform(Linked)
    return {"parallel_read_safe": True}
