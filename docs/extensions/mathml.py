"""Formulas as MathML, which browsers set themselves: no script, and nothing from the network."""

from __future__ import annotations

import re

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

log = logging.getLogger(__name__)

OTHERWISE = {r"\dots": r"\ldots", r"\texttt": r"\mathrm", r"\Big": "", r"\textstyle": ""}
"""What the translator does not know, in what it does; sizes are the browser's affair."""

COMMAND = re.compile("|".join(re.escape(command) + "(?![a-z])" for command in OTHERWISE))


def typeset(formula: nodes.math | nodes.math_block, as_block: bool) -> str:
    """A formula in MathML; a warning where it is none, and what was written in its place."""
    try:
        return tex2mathml(COMMAND.sub(lambda found: OTHERWISE[found[0]], formula.astext()), as_block=as_block)
    except MathError as error:
        log.warning("no formula: %s", error, location=formula, type="math")
        return f"<code>{nodes.Text(formula.astext())}</code>"


def inline(translator: HTML5Translator, formula: nodes.math) -> None:
    """A formula in a line."""
    translator.body.append(typeset(formula, as_block=False))
    raise nodes.SkipNode


def block(translator: HTML5Translator, formula: nodes.math_block) -> None:
    """A formula by itself."""
    translator.body.append(f'<div class="math">{typeset(formula, as_block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Join the build."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True}
