"""Bounds of parameters, as the command line has them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from pushforward.errors import UsageError

Given = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Bounds:
    """The bounds of a posterior's parameters, and which of them were given.

    Attributes:
        parameters: their names.
        low, high: ``(D,)``, infinite where there is none.
        given: those that the command line names.
    """

    parameters: tuple[str, ...]
    low: Tensor
    high: Tensor
    given: frozenset[str]

    def named(self) -> list[tuple[str, float, float]]:
        """Each parameter's name and bounds."""
        return list(zip(self.parameters, self.low.tolist(), self.high.tolist(), strict=True))

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Each parameter's name, its bounds, and where they are from."""
        return [
            (name, f"{low:.6g}", f"{high:.6g}", "given" if name in self.given else "of the table")
            for name, low, high in self.named()
        ]


def parse_bounds(text: str, parameters: tuple[str, ...]) -> Given:
    """Read ``a=0:1,b=0:``; a side that is empty has no bound.

    Raises:
        UsageError: if it is written otherwise, names no parameter, or a low bound is not below the high one.

    Example:
        >>> parse_bounds("a=0:1,b=2:", ("a", "b"))
        {'a': (0.0, 1.0), 'b': (2.0, inf)}
    """
    found: dict[str, tuple[float, float]] = {}
    for each in filter(None, (part.strip() for part in text.split(","))):
        name, _, sides = (side.strip() for side in each.rpartition("="))
        if name not in parameters:
            raise UsageError(f"--bounds expects NAME=LOW:HIGH for parameters ({', '.join(parameters)}), got {each!r}")
        found[name] = _sides(each, sides)
    return found


def _sides(each: str, sides: str) -> tuple[float, float]:
    low, colon, high = (side.strip() for side in sides.partition(":"))
    try:
        bounds = float(low or -math.inf), float(high or math.inf)
    except ValueError:
        bounds = math.nan, math.nan
    if not colon or not bounds[0] < bounds[1]:
        raise UsageError(f"--bounds expects NAME=LOW:HIGH with numbers LOW < HIGH, either of them empty, got {each!r}")
    return bounds
