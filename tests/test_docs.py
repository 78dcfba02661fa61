"""The examples of the README and of the pages in docs/ run, one after the other, as a reader would run them."""

from __future__ import annotations

import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCREEN = 40
"""Lines of code, empty ones aside, that are seen at once."""
ELSEWHERE = "# In another process"
"""What an example begins with that stands for a program of its own."""

PAGES = ["README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))]


def examples(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("page", [page for page in PAGES if examples(page)])
def test_the_examples_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # A module, as a reader's file is one: what is compiled looks its globals up there.
    reader = types.ModuleType("reader")
    monkeypatch.setitem(sys.modules, "reader", reader)
    for number, example in enumerate(examples(page), 1):
        if example.startswith(ELSEWHERE):
            done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, f"{page}, example {number}: {done.stderr}"
        else:
            exec(compile(example, f"{page}, example {number}", "exec"), reader.__dict__)


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_fit_on_a_screen(page: str) -> None:
    for number, example in enumerate(examples(page), 1):
        lines = sum(bool(line.strip()) for line in example.splitlines())
        assert lines <= SCREEN, f"{page}, example {number} has {lines} lines"


@pytest.mark.parametrize("page", PAGES)
def test_links_within_the_repository_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    for target, anchor in re.findall(r"\]\(([^)#:]*)(#[^)]*)?\)", text):
        linked = (ROOT / page).parent / target if target else ROOT / page
        assert linked.exists(), f"{page} links to {target}, which is not there"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", linked.read_text(), re.MULTILINE)
            found = {"#" + re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in found, f"{page} links to {target}{anchor}, and there is no such heading"
