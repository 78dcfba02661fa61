"""Images say in words what they show, and how large they are, so that no text moves when they arrive."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from docutils import nodes
from PIL import Image
from sphinx.application import Sphinx
from sphinx.util import logging

IMAGE = re.compile(r"<img\b[^>]*>")
ATTRIBUTE = re.compile(r'([\w-]+)="([^"]*)"')
THUMBNAIL = "_thumb.png"
"""What the names of pictures end with that stand beside their titles, and need no words."""

log = logging.getLogger(__name__)


@cache
def size(path: Path) -> tuple[int, int]:
    """Width and height of a picture, in pixels."""
    if path.suffix == ".svg":
        _, drawing = next(ElementTree.iterparse(path, events=["start"]))
        return _pixels(drawing.attrib["width"]), _pixels(drawing.attrib["height"])
    with Image.open(path) as image:
        return image.size


def _pixels(length: str) -> int:
    """A length of a drawing, which is in points, of which three are four pixels."""
    return round(float(length.removesuffix("pt")) * (4 / 3 if length.endswith("pt") else 1))


def steady(tag: str, files: dict[str, Path]) -> str:
    """The tag of an image with its size, where its file is known and nobody has said another."""
    said = dict(ATTRIBUTE.findall(tag))
    path = files.get(said.get("src", "").rsplit("/", 1)[-1])
    if path is None or said.keys() & {"width", "height", "style"}:
        return tag
    width, height = size(path)
    return tag.replace("<img", f'<img width="{width}" height="{height}" loading="lazy"', 1)


def steady_images(app: Sphinx, page: str, template: str, context: dict[str, Any], tree: nodes.document | None) -> None:
    """Say the sizes of a page's images, and warn of each that has no words for who does not see it."""
    if "body" not in context:
        return
    files = {name: Path(app.srcdir) / source for source, (_, name) in app.env.images.items()}
    files |= {path.name: path for path in Path(app.srcdir).glob("gallery_pages/images/**/*.png")}
    context["body"] = IMAGE.sub(lambda found: steady(found[0], files), context["body"])
    for tag in IMAGE.findall(context["body"]):
        said = dict(ATTRIBUTE.findall(tag))
        if not said.get("alt", "").strip() and not said.get("src", "").endswith(THUMBNAIL):
            log.warning("an image has no words: %s", tag, location=page, type="image")


def setup(app: Sphinx) -> dict[str, bool]:
    """Join the build."""
    app.connect("html-page-context", steady_images)
    return {"parallel_read_safe": True}
