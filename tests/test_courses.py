"""The lessons of the courses run in short mode, and become notebooks."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from lessons import COURSES, load_notebooks, run_lesson

LESSONS = sorted(COURSES.glob("*/*.py"))
SLOW = {
    "lecture/1_one_dimension",
    "lecture/3_two_dimensions",
    "lecture/5_partitions",
    "lecture/7_many_small_steps",
    "notes/7_one_after_the_other",
    "notes/8_inverse_autoregressive",
    "notes/9_inverse_problems",
    "notes/10_glow_and_clips",
    "notes/11_copulas",
    "notes/12_forerunners",
    "tutorial/2_bounds",
    "tutorial/5_training_and_walking",
}
"""Lessons that take more than four seconds in short mode."""


def name(lesson: Path) -> str:
    return f"{lesson.parent.name}/{lesson.stem}"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "lesson",
    [
        pytest.param(lesson, marks=pytest.mark.slow if name(lesson) in SLOW else (), id=name(lesson))
        for lesson in LESSONS
    ],
)
def test_a_lesson_says_what_is_so(lesson: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSHFORWARD_SHORT", "1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "reader", sys)
    run_lesson(lesson)


@pytest.mark.parametrize("lesson", LESSONS, ids=name)
def test_a_lesson_has_a_title_claims_that_are_checked_and_an_exercise_with_its_answer(lesson: Path) -> None:
    cells = load_notebooks().cells(lesson.read_text())
    assert cells[0].markdown and cells[0].source.startswith("# ")
    assert any("assert " in cell.source for cell in cells if not cell.markdown)
    first = next(number for number, cell in enumerate(cells) if cell.answer)
    assert cells[first - 1].markdown and "**Exercise" in cells[first - 1].source


def test_every_lesson_is_in_the_index() -> None:
    index = (COURSES / "index.md").read_text()
    missing = [name(lesson) for lesson in LESSONS if f"({name(lesson)}.py)" not in index]
    assert not missing and index.count(".py)") == len(LESSONS)


def test_lessons_become_notebooks_whose_answers_are_folded(tmp_path: Path) -> None:
    written = load_notebooks().write_notebooks(tmp_path)
    assert len(written) == len(LESSONS)
    for path, lesson in zip(written, LESSONS):
        notebook = json.loads(path.read_text())
        assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
        first, inline, *rest = notebook["cells"]
        assert first["cell_type"] == "markdown" and inline["source"] == "%matplotlib inline"
        for cell in rest:
            if "answer" in cell["metadata"].get("tags", ()):
                folded = cell["source"].startswith("<details>") or cell["metadata"]["jupyter"]["source_hidden"]
                assert folded, f"{name(lesson)} gives an answer away"
