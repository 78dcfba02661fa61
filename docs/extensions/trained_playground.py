"""The playground without a server, on the site where it was built: ``make playground`` writes it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

PAGE = "playground"
BUILT = Path(__file__).parents[2] / "build" / PAGE
_SHOWN = """
## Here

Flows that were trained beforehand, run by this browser itself;
<a href="playground/index.html">on a page of its own</a>.

<iframe src="playground/index.html" title="The playground" loading="lazy" width="100%" height="1150"></iframe>
"""


def built() -> bool:
    """Whether it is there, whole."""
    return (BUILT / "models.json").is_file()


def show(app: Sphinx, name: str, source: list[str]) -> None:
    """Put it on its page."""
    if name == PAGE and built():
        source[0] += _SHOWN


def copy(app: Sphinx, error: Exception | None) -> None:
    """Lay its files beside the pages."""
    if error is not None or app.builder.name != "html":
        return
    if built():
        shutil.copytree(BUILT, Path(app.outdir) / PAGE, dirs_exist_ok=True)
    else:
        print("the site is without the playground: make playground builds it, with npm", file=sys.stderr)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("source-read", show)
    app.connect("build-finished", copy)
    return {"parallel_read_safe": True}
