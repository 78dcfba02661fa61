"""Puts the playground that needs no server into the site, where ``make playground`` has written it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

WRITTEN = Path(__file__).resolve().parents[2] / "build" / "playground"
LINK = '<p><a class="reference internal" href="playground/index.html">Open it here, with flows that are trained</a></p>'


def is_written() -> bool:
    """Whether it is there, and whole: the list of its models is written last."""
    return (WRITTEN / "models.json").is_file()


def link_it(app: Sphinx, page: str, template: str, context: dict[str, Any], tree: nodes.document | None) -> None:
    """Link to it below the title of its page."""
    if page == "playground" and is_written():
        context["body"] = context["body"].replace("</h1>", f"</h1>\n{LINK}", 1)


def copy_it(app: Sphinx, error: Exception | None) -> None:
    """Copy its files beside the pages."""
    if error is None and app.builder.format == "html" and is_written():
        shutil.copytree(WRITTEN, Path(app.outdir) / "playground", dirs_exist_ok=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Join the build."""
    app.connect("html-page-context", link_it)
    app.connect("build-finished", copy_it)
    return {"parallel_read_safe": True}
