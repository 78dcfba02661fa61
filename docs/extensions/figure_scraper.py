"""Hands the gallery the figures of its scripts, which belong to no window, so that sphinx-gallery does not see them.

In ``conf.py``, with this folder on ``sys.path``: ``sphinx_gallery_conf = {"image_scrapers": ("figure_scraper",)}``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from weakref import WeakSet

from matplotlib.figure import Figure

DPI = 110
_written: WeakSet[Figure] = WeakSet()


def figures_of(names: dict[str, Any]) -> dict[str, Figure]:
    """The figures among a script's names, in the order in which they were made."""
    return {name: value for name, value in names.items() if isinstance(value, Figure)}


def scrape(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Write what figures a block of a script has made, and return the text that shows them."""
    from sphinx_gallery.scrapers import figure_rst

    fresh = [figure for figure in figures_of(block_vars["example_globals"]).values() if figure not in _written]
    paths = []
    for figure, path in zip(fresh, block_vars["image_path_iterator"]):
        figure.savefig(path, dpi=DPI)
        _written.add(figure)
        paths.append(str(Path(path)))
    return figure_rst(paths, gallery_conf["src_dir"])


def _get_sg_image_scraper() -> Any:
    """What sphinx-gallery asks a module for that is named as a scraper."""
    return scrape
