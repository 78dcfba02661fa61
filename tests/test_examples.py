"""The programs in examples/ run, for a few steps."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "program, options, expected",
    [
        ("digit_styles.py", [], ["the class by likelihood: ", "along their own directions: "]),
        ("colourisation.py", ["--patches", "300"], ["colours", "from those of the photograph", "between two draws"]),
        ("realnvp_textbook.py", [], ["test, 64 draws: ", "(lower bound)", "samples: "]),
        ("idf_textbook.py", ["--parts", "2"], ["bits/dim (exact)", "every image came back: True", "samples: "]),
        ("idf_textbook.py", ["--parts", "4"], ["bits/dim (exact)", "every image came back: True", "samples: "]),
    ],
)
def test_a_program_runs(
    program: str,
    options: list[str],
    expected: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", [program, "--steps", "5", *options])
    runpy.run_path(str(EXAMPLES / program), run_name="__main__")
    printed = capsys.readouterr().out
    assert all(each in printed for each in expected), printed


def test_every_program_is_tested() -> None:
    programs = {path.name for path in EXAMPLES.glob("*.py")}
    assert programs == {"colourisation.py", "digit_styles.py", "realnvp_textbook.py", "idf_textbook.py"}
