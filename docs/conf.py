"""How the site is built: ``make docs``, without a network, warnings being errors."""

import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS / "extensions"), str(DOCS.parent / "src")]

project = "Pushforward"
html_title = "Pushforward"
html_theme = "furo"
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
html_last_updated_fmt = None

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "api_pages",
    "papers",
    "measured_tables",
    "link_forms",
    "mathml",
]
exclude_patterns = ["extensions/*", "gallery/*", "courses/*"]
# The gallery settings hold functions; and until there are scripts, there are no pages of them.
suppress_warnings = ["config.cache", "toc.empty_glob"]

myst_enable_extensions = ["dollarmath"]
# Headings have the anchors that they have where the pages are read as plain files.
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True

html_math_renderer = "mathml"

if any((DOCS / "gallery").glob("*.py")):
    extensions.append("sphinx_gallery.gen_gallery")
    sphinx_gallery_conf = {
        "examples_dirs": "gallery",
        "gallery_dirs": "gallery_pages",
        "filename_pattern": r"\.py$",
        "image_scrapers": ("figure_scraper",),
        "abort_on_example_error": True,
        "show_memory": False,
    }
