"""Every public docstring follows one template: meaning, formula, shapes, errors, source, example."""

from __future__ import annotations

import functools

import pytest
from docstring_template import CHECKS, first_sentence, method_docstrings, missing, public_docstrings

docstrings = functools.cache(public_docstrings)


@pytest.mark.parametrize("check", CHECKS)
def test_every_public_docstring_follows_the_template(check: str) -> None:
    without = missing(check, docstrings())
    assert not without, f"these docstrings need their {check}: {sorted(without)}"


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


LOOKS_LIKE = {
    "formula": 'A shift. It is made by ``build("shift", kind="x")``.\n\nShapes: ``(..., P)`` with ``P = 2``.',
    "shapes": "A shift by ``t`` (Dinh, Krueger, Bengio 2014), bounded to ``(-bound, bound)`` and ``(0, 1)``.",
    "raises": "A shift.\n\nRaises:\n\nExample:\n    >>> 1",
    "source": "A shift of 2000 numbers.",
}


@pytest.mark.parametrize("check", LOOKS_LIKE)
def test_a_check_is_not_taken_in_by_what_looks_like_it(check: str) -> None:
    assert missing(check, {"transforms.Shift": LOOKS_LIKE[check]})
