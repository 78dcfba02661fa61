"""The fields of a message, each checked: what is there is of the right kind and within its limits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from pushforward.errors import UsageError


class Fields:
    """The fields of one message, read by name; `finish` refuses those that nobody read.

    Example:
        >>> Fields({"depth": 3}).whole("depth", 1, 8)
        3
        >>> Fields({"depth": 99}).whole("depth", 1, 8)
        Traceback (most recent call last):
            ...
        pushforward.errors.UsageError: depth: expected a whole number from 1 to 8
    """

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._left = dict(fields)

    def whole(self, name: str, low: int, high: int) -> int:
        value = self._take(name)
        if type(value) is not int or not low <= value <= high:
            raise UsageError(f"{name}: expected a whole number from {low} to {high}")
        return value

    def number(self, name: str, low: float, high: float) -> float:
        return _number(self._take(name), name, low, high)

    def choice(self, name: str, choices: Iterable[str]) -> str:
        value, known = self._take(name), list(choices)
        if not isinstance(value, str) or value not in known:
            raise UsageError(f"{name}: expected one of {', '.join(known)}")
        return value

    def numbers(self, name: str, count: int, low: float, high: float) -> list[float]:
        return _numbers(self._take(name), name, count, low, high)

    def lists(self, name: str, counts: list[int], low: float, high: float) -> list[list[float]]:
        """Several lists of numbers, as long as ``counts`` says."""
        value = self._take(name)
        if not isinstance(value, list) or len(value) != len(counts):
            raise UsageError(f"{name}: expected {len(counts)} lists")
        return [_numbers(each, name, count, low, high) for each, count in zip(value, counts)]

    def finish(self) -> None:
        if self._left:
            raise UsageError("the message has fields that its kind does not take")

    def _take(self, name: str) -> Any:
        if name not in self._left:
            raise UsageError(f"{name}: missing")
        return self._left.pop(name)


def _number(value: Any, name: str, low: float, high: float) -> float:
    # A truth value counts as a number in Python, not here; NaN compares false with everything.
    if type(value) not in (int, float) or not low <= value <= high or not math.isfinite(value):
        raise UsageError(f"{name}: expected a number from {low:g} to {high:g}")
    return float(value)


def _numbers(value: Any, name: str, count: int, low: float, high: float) -> list[float]:
    if not isinstance(value, list) or len(value) != count:
        raise UsageError(f"{name}: expected a list of {count} numbers")
    return [_number(each, name, low, high) for each in value]
