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
    "lesson_pages",
    "steady_images",
    "trained_playground",
    "sphinx_gallery.gen_gallery",
]
# Of all Python beside the pages, the lessons alone are pages.
include_patterns = ["**.md", "**.rst", "courses/*/*.py"]
exclude_patterns = ["gallery/*"]
# The gallery's settings hold functions.
suppress_warnings = ["config.cache"]

myst_enable_extensions = ["dollarmath"]
# Headings have the anchors that they have where the pages are read as plain files.
myst_heading_anchors = 4

# What a docstring says of attributes are entries of lists, beside what the class itself describes.
napoleon_use_ivar = True

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"

html_math_renderer = "mathml"

# Scripts that have not changed since the last build are not run again.
sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "gallery_pages",
    "filename_pattern": r"\.py$",
    "image_scrapers": ("figure_scraper",),
    "abort_on_example_error": True,
    "write_computation_times": False,
    "show_memory": False,
    "parallel": 2,
}
