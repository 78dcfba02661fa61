"""What the site shows beside its pages: numbers that stand on them, models that exist, every page within reach."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from addresses import well_formed
from measured import DOCS, Choice, Comparison, choices, comparisons
from model_helpers import small

import pushforward as pf
from pushforward import inference, sklearn, testing

INCLUDED = re.compile(r"```\{include\} (\S+)")
TREES = re.compile(r"```\{toctree\}\n(.*?)```", re.DOTALL)
WRITTEN = ("api/", "gallery_pages/")
"""Where pages are that the build writes."""

PAGES = [DOCS.parent / "README.md", *sorted(DOCS.rglob("*.md"))]
MEASURED = [*choices(), *comparisons()]


def text_of(page: Path) -> str:
    """A page with what it includes."""
    text = page.read_text()
    return "\n".join([text, *((page.parent / other).read_text() for other in INCLUDED.findall(text))])


def slug(heading: str) -> str:
    """The anchor of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("row", MEASURED, ids=lambda row: f"{row.page}, {row.name}")
def test_what_is_quoted_stands_where_the_row_says(row: Choice | Comparison) -> None:
    text = (DOCS / row.page).read_text()
    assert row.anchor in {slug(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}
    whole = " ".join(text_of(DOCS / row.page).split())
    for quoted in row.quoted:
        assert " ".join(quoted.split()) in whole, f"{row.page} no longer says {quoted}"


@pytest.mark.parametrize("row", MEASURED, ids=lambda row: f"{row.page}, {row.name}")
def test_the_numbers_of_a_row_are_those_that_it_quotes(row: Choice | Comparison) -> None:
    said = row.measured if isinstance(row, Choice) else f"{row.ours} {row.other}"
    quoted = " ".join(row.quoted)
    for number in re.findall(r"-?\d+\.\d+", said):
        assert number in quoted, f"{number} is not quoted from {row.page}"


@pytest.mark.parametrize("choice", choices(), ids=lambda choice: f"{choice.data}, {choice.need}")
def test_a_choice_can_be_made(choice: Choice) -> None:
    estimators = {"FlowDensity": sklearn.FlowDensity, "FlowRegressor": sklearn.FlowRegressor, "NPE": inference.NPE}
    assert choice.model in pf.list_models() or choice.model in estimators


def test_every_model_is_among_those_to_choose_from_with_what_its_density_is() -> None:
    told = dict(re.findall(r"^\| `([\w-]+)` \| [^|]* \| ([^|]*) \|", text_of(DOCS / "choose.md"), re.MULTILINE))
    assert told == {name: small(name).accuracy.describe() for name in pf.list_models()}


def test_every_law_has_one_page() -> None:
    laws = {*testing.TRANSFORM_LAWS, *testing.DISTRIBUTION_LAWS, *testing.SCALAR_LAWS}
    overview = text_of(DOCS / "concepts" / "laws.md")
    rows = re.findall(r"^\| \[[^]]*\]\((laws/[\w-]+\.md)\) \|.*\| ([^|]*) \|$", overview, re.MULTILINE)
    named = [name for _, names in rows for name in re.findall(r"`(\w+)`", names)]
    assert sorted(named) == sorted(laws)
    for page, names in rows:
        for name in re.findall(r"`(\w+)`", names):
            assert re.search(rf'check_{name}\b|"{name}"', text_of(DOCS / "concepts" / page)), f"{page}: {name}"


def test_what_others_words_are_called_here_exists() -> None:
    places = [
        pf,
        pf.transforms,
        pf.transforms.masks,
        pf.scalar,
        pf.networks,
        pf.distributions,
        pf.flows,
        pf.Flow,
        inference,
    ]
    others = text_of(DOCS / "glossary.md").split("## In others' words")[1]
    for row in re.findall(r"^\|.* \| (.*) \|$", others, re.MULTILINE):
        for name in re.findall(r"`(?:masks\.)?([A-Z]\w+|[a-z]+(?:-[a-z0-9]+)+)`", row):
            assert name in pf.list_models() or any(hasattr(place, name) for place in places), name


def test_every_page_can_be_reached_from_the_first() -> None:
    reached, waiting = set(), [DOCS / "index.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        lines = [line for tree in TREES.findall(page.read_text()) for line in tree.splitlines()]
        entries = [line for line in lines if line and line[0] != ":" and not line.startswith(WRITTEN)]
        found = [(page.parent / f"{entry}.md").resolve() for entry in entries]
        waiting += [other for other in found if other not in reached]
    assert reached == set(DOCS.rglob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS.parent)))
def test_links_have_the_form_of_addresses_and_pictures_have_words(page: Path) -> None:
    text = re.sub(r"^```.*?^```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for words, target in re.findall(r"!\[([^\]]*)\]\(([^)\s]+)\)", text):
        assert words.strip(), f"{target} has no words for who does not see it"
        assert (page.parent / target).is_file(), f"{target} is not there"
    for address in re.findall(r"\]\((\w+:[^)\s]+)\)", text):
        assert well_formed(address), f"{address} leads nowhere"


def test_a_lesson_becomes_a_page_whose_answers_are_folded() -> None:
    pytest.importorskip("myst_parser")
    from lesson_pages import as_markdown, ordered

    page = as_markdown('# %% [markdown]\n# # Title\n\n# %%\nx = 1\n\n# %% tags=["answer"]\nx = 2\n', "1_title.py")
    assert page.startswith("# Title") and "<1_title.py>" in page
    assert page.index("x = 1") < page.index("<details>") < page.index("x = 2") < page.index("</details>")
    assert ordered(["notes/10_c", "notes/2_b", "notes/1_a"]) == ["notes/1_a", "notes/2_b", "notes/10_c"]


def test_an_image_takes_its_place_before_it_arrives(tmp_path: Path) -> None:
    pytest.importorskip("sphinx")
    from PIL import Image
    from steady_images import steady

    Image.new("L", (30, 20)).save(tmp_path / "dot.png")
    files = {"dot.png": tmp_path / "dot.png"}
    assert 'width="30" height="20"' in steady('<img alt="A dot" src="../_images/dot.png" />', files)
    (tmp_path / "line.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="30pt" height="15.0pt"></svg>')
    files["line.svg"] = tmp_path / "line.svg"
    assert 'width="40" height="20"' in steady('<img alt="A line" src="line.svg" />', files)
    for kept in ('<img src="dot.png" width="3">', '<img src="other.png">'):
        assert steady(kept, files) == kept


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS.parent)))
def test_rows_of_a_table_have_as_many_cells_as_its_head(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        bars = {len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}
        assert len(bars) == 1, f"a bar within a cell is written \\|: {table.splitlines()[0]}"
