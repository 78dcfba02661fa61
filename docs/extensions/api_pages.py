"""Pages of the reference, one for each public package, of what its ``__all__`` names."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

from papers import cited
from sphinx.application import Sphinx

FRONT = "pushforward"
"""Offers what is described where it is at home."""

ROOMS = {
    FRONT: "What a program begins with",
    "pushforward.scalar": "Scalar bijections: what happens to one number",
    "pushforward.networks": "Networks: how parameters are computed",
    "pushforward.distributions": "Distributions: where a flow ends",
    "pushforward.transforms": "Transforms: which dimensions see which",
    "pushforward.flows": "Flows: a transform and a base together",
    "pushforward.models": "Models: the named recipes",
    "pushforward.spaces": "Spaces: where events lie",
    "pushforward.data": "Data: readers and toy densities",
    "pushforward.training": "Training",
    "pushforward.testing": "The laws as functions",
    "pushforward.diagnostics": "Diagnostics",
    "pushforward.inference": "Inference",
    "pushforward.tables": "Tables",
    "pushforward.sklearn": "Estimators of scikit-learn's kind",
    "pushforward.partitions": "Tables larger than one machine",
    "pushforward.codec": "Lossless compression",
    "pushforward.plots": "Plots",
    "pushforward.exporting": "Export to ONNX and to torch's programs",
    "pushforward.reports": "Reports",
    "pushforward.playground": "The playground",
    "pushforward.parts": "How parts are remembered and registered",
    "pushforward.accuracy": "How much a density can be believed",
    "pushforward.errors": "Errors",
}


def public(module: ModuleType) -> dict[str, Any]:
    """The classes and functions that a package offers: those of its ``__all__``, else those that it defines itself."""
    own = (name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__)
    names = getattr(module, "__all__", None) or [name for name in own if not name.startswith("_")]
    offered = {name: getattr(module, name) for name in sorted(names, key=str.lower)}
    return {name: value for name, value in offered.items() if inspect.isclass(value) or inspect.isroutine(value)}


def page(room: str, title: str) -> str:
    """The page of a package: what it says of itself, a table of what it has, and each of these in full."""
    found = public(importlib.import_module(room))
    lines = [title, "=" * len(title), "", f".. automodule:: {room}", "   :no-members:", "", *_contents(room, found)]
    for name, value in found.items() if room != FRONT else ():
        kind = "autoclass" if inspect.isclass(value) else "autofunction"
        options = ["   :members:", "   :show-inheritance:"] if kind == "autoclass" else []
        lines += [name, "-" * len(name), "", f".. {kind}:: {room}.{name}", *options, ""]
    return "\n".join(lines)


def _contents(room: str, found: dict[str, Any]) -> list[str]:
    head = [".. list-table::", "   :header-rows: 1", "   :widths: 25 55 20", "", "   * - name", "     - what it is"]
    rows = [row for name, value in found.items() for row in _row(room, name, value)]
    return [*head, "     - paper", *rows, ""] if found else []


def _row(room: str, name: str, value: Any) -> list[str]:
    text = inspect.getdoc(value) or ""
    first = " ".join(text.split("\n\n")[0].split())
    kind = "class" if inspect.isclass(value) else "func"
    papers = ", ".join(f"`{number} <https://arxiv.org/abs/{number}>`__" for number in cited(text))
    return [f"   * - :{kind}:`~{_home(room, value)}.{name}`", f"     - {first}", f"     - {papers}"]


def _home(room: str, value: Any) -> str:
    """The package that describes what a package offers: itself, but for what the front offers of others."""
    if room != FRONT:
        return room
    others = (other for other in ROOMS if other != FRONT)
    return next(other for other in others if value in public(importlib.import_module(other)).values())


def write_pages(app: Sphinx) -> None:
    """Write the pages that changed, before the sources are read."""
    folder = Path(app.srcdir) / "api"
    folder.mkdir(exist_ok=True)
    for left in [path for path in folder.glob("*.rst") if path.stem not in ROOMS]:
        left.unlink()
    for room, title in ROOMS.items():
        path, text = folder / f"{room}.rst", page(room, title)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def skip_requests(app: Sphinx, kind: str, name: str, value: Any, skipped: bool, options: Any) -> bool | None:
    """Leave out what scikit-learn gives every estimator, ``set_fit_request`` and the like: its words refer to its own
    glossary."""
    return True if name.startswith("set_") and name.endswith("_request") else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Join the build."""
    app.connect("builder-inited", write_pages)
    app.connect("autodoc-skip-member", skip_requests)
    return {"parallel_read_safe": True}
