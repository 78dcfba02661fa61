"""Texts as windows of characters, each an integer."""

from __future__ import annotations

import re
from importlib.resources import files

import torch
from torch import Tensor

from pushforward.data.dataset import Dataset
from pushforward.errors import DataError, UsageError

ALPHABET = " abcdefghijklmnopqrstuvwxyz"
"""The characters that are kept, in the order of their integers: a space and 26 letters, as in text8."""


def encode_text(text: str) -> Tensor:
    """Return a text's characters as integers ``(N,)``: in lower case, all that is none of ``a ... z`` a single space.

    Raises:
        AttributeError, TypeError: if this is no text.

    Example:
        >>> encode_text("Oh dear! Oh").int().tolist()
        [15, 8, 0, 4, 5, 1, 18, 0, 15, 8]
    """
    kept = re.sub("[^a-z]+", " ", text.lower()).strip()
    return torch.tensor([ALPHABET.index(character) for character in kept], dtype=torch.float32)


def decode_text(characters: Tensor) -> str:
    """Return the text of integers ``(N,)``.

    Raises:
        DataError: if one of them stands for no character.

    Example:
        >>> decode_text(torch.tensor([15, 8]))
        'oh'
    """
    values = characters.long()
    if values.dim() != 1 or bool(((values < 0) | (values >= len(ALPHABET))).any()):
        raise DataError(f"decode_text expects integers (N,) from 0 to {len(ALPHABET) - 1}, got {characters}")
    return "".join(ALPHABET[index] for index in values.tolist())


def text_windows(name: str, text: str, length: int = 16) -> Dataset:
    """Return a text in windows of ``length`` characters: its first 80 % train, in windows that begin at each character,
    the next 10 % validate and the last 10 % test, in windows side by side. No character is in two parts.

    Raises:
        UsageError: if the length is not positive.
        DataError: if the text has fewer than ten windows side by side.

    Example:
        >>> data = text_windows("letters", "abcdefghij" * 4, length=4)
        >>> decode_text(data.train[1]), decode_text(data.test[0])
        ('bcde', 'ghij')
    """
    if length < 1:
        raise UsageError(f"text_windows expects a length of at least 1, got {length}")
    characters = encode_text(text)
    if len(characters) < 10 * length:
        raise DataError(
            f"{name}: {len(characters)} characters are too few for windows of {length}; {10 * length} are needed"
        )
    first, second = len(characters) * 8 // 10, len(characters) * 9 // 10
    train, validation, test = characters[:first], characters[first:second], characters[second:]
    return Dataset(
        name,
        _windows(train, length, step=1),
        _windows(validation, length, step=length),
        _windows(test, length, step=length),
        levels=len(ALPHABET),
    )


def load_wonderland(length: int = 16) -> Dataset:
    """Lewis Carroll's Alice's Adventures in Wonderland (1865) in windows of characters of 27 values, 134,449 characters
    in all.

    Args:
        length: the characters of a window.

    Raises:
        UsageError: if the length is not positive.

    Example:
        >>> data = load_wonderland(length=12)
        >>> data.event_shape, data.levels, decode_text(data.train[0])
        ((12,), 27, 'chapter i do')
    """
    text = (files("pushforward.data.corpora") / "wonderland.txt").read_text(encoding="utf-8")
    return text_windows("wonderland", text, length)


def _windows(characters: Tensor, length: int, step: int) -> Tensor:
    return characters.unfold(0, length, step).contiguous()
