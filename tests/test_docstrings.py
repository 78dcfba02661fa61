"""Every public docstring follows one template: meaning, formula, shapes, errors, source, example."""

from __future__ import annotations

import functools
import tomllib
from pathlib import Path

import pytest
from docstring_template import CHECKS, first_sentence, method_docstrings, missing, public_docstrings

OWED = tomllib.loads((Path(__file__).parent / "docstrings_owed.toml").read_text())
docstrings = functools.cache(public_docstrings)


@pytest.mark.parametrize("check", CHECKS)
def test_no_docstring_misses_what_it_did_not_miss(check: str) -> None:
    more = missing(check, docstrings()) - set(OWED[check])
    assert not more, f"these docstrings need their {check}: {sorted(more)}"


@pytest.mark.parametrize("check", CHECKS)
def test_what_is_mended_leaves_the_list(check: str) -> None:
    mended = set(OWED[check]) - missing(check, docstrings())
    assert not mended, f"take these off the list of {check} in tests/docstrings_owed.toml: {sorted(mended)}"


def test_every_method_of_a_public_class_says_what_it_does() -> None:
    silent = sorted(name for name, text in method_docstrings().items() if not first_sentence(text))
    assert not silent, (
        f"these methods expect a sentence each, of their own or of the class that declares them: {silent}"
    )


GOOD = """A shift, ``z = x + t``.

Args:
    features: the number ``D``; events are ``(..., D)``.

Raises:
    ShapeError: otherwise.

Source: Dinh et al. (2014), arXiv:1410.8516.

Example:
    >>> 1 + 1
    2
"""
WITHOUT = {
    "meaning": ("A shift, ``z = x + t``.", "A shift"),
    "formula": ("``z = x + t``", "upwards"),
    "shapes": ("``D``; events are ``(..., D)``", "of numbers"),
    "raises": ("Raises:", "Also:"),
    "source": ("Dinh et al. (2014), arXiv:1410.8516", "unknown"),
    "example": (">>> ", ""),
}


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_sees_what_is_there_and_what_is_not(check: str) -> None:
    assert not missing(check, {"transforms.Shift": GOOD})
    assert missing(check, {"transforms.Shift": GOOD.replace(*WITHOUT[check])}) == {"transforms.Shift"}
