"""Links that lead out of the site have a form that can lead somewhere; whether they do is not asked of the network."""

from __future__ import annotations

from addresses import well_formed
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

log = logging.getLogger(__name__)


def check_links(app: Sphinx, document: nodes.document, page: str) -> None:
    """Warn of each address of a page that is not."""
    for link in document.findall(nodes.reference):
        address = link.get("refuri", "")
        if ":" in address.split("/")[0] and not well_formed(address):
            log.warning("no address of the web: %s", address, location=link, type="link")


def setup(app: Sphinx) -> dict[str, bool]:
    """Join the build."""
    app.connect("doctree-resolved", check_links)
    return {"parallel_read_safe": True}
