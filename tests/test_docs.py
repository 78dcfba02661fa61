"""The examples of the README and of the pages in docs/ run, one after the other, as a reader would run them."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest
from pages import examples, run_examples

ROOT = Path(__file__).parents[1]
SCREEN = 40
"""Lines of code, empty ones aside, that are seen at once."""

SLOW = {
    "docs/latent-directions.md",
    "docs/posterior-diagnostics.md",
    "docs/residual-flows.md",
    "docs/scale.md",
    "docs/simulation-based-inference.md",
    "docs/spheres.md",
    "docs/tables.md",
    "docs/tori.md",
    "docs/transformer-flows.md",
}
"""Pages whose examples train for long, since they show what comes out; the parts have tests of their own."""

PAGES = ["README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))]


def text_of(page: str) -> str:
    return (ROOT / page).read_text()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=pytest.mark.slow if page in SLOW else ()) for page in PAGES if examples(text_of(page))],
)
def test_the_examples_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # The examples define a module of this name, which goes with the test.
    monkeypatch.setitem(sys.modules, "reader", sys)
    run_examples(text_of(page), page)


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_fit_on_a_screen(page: str) -> None:
    for number, example in enumerate(examples(text_of(page)), 1):
        lines = sum(bool(line.strip()) for line in example.splitlines())
        assert lines <= SCREEN, f"{page}, example {number} has {lines} lines"


@pytest.mark.parametrize("page", PAGES)
def test_the_rows_of_a_table_have_its_number_of_cells(page: str) -> None:
    prose = re.sub(r"^```.*?^```", "", text_of(page), flags=re.DOTALL | re.MULTILINE)
    for table in re.findall(r"(?:^\|.*\n)+", prose, re.MULTILINE):
        # A bar within code parts a cell too.
        bars = {len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}
        assert len(bars) == 1, f"{page}: {table.splitlines()[0]}"


@pytest.mark.parametrize("page", PAGES)
def test_links_within_the_repository_lead_somewhere(page: str) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)(#[^)]*)?\)", text_of(page)):
        linked = (ROOT / page).parent / target if target else ROOT / page
        if linked.parent.name == "api":
            # Written when the site is built: a page for each module.
            assert importlib.util.find_spec(linked.stem), f"{page} links to {target}, and there is no such module"
            continue
        assert linked.exists(), f"{page} links to {target}, which is not there"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", linked.read_text(), re.MULTILINE)
            found = {"#" + re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in found, f"{page} links to {target}{anchor}, and there is no such heading"
