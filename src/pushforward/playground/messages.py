"""What the page may ask for. A message is one JSON object whose field ``type`` names its kind."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from pushforward.data.toys import TOYS
from pushforward.errors import UsageError
from pushforward.playground.fields import Fields

DRAWN = "drawn"
#: The side of the sheet that one draws a density on, in cells.
SHEET = 32
FLOWS = ("nsf-coupling", "realnvp", "nsf", "maf")
DEPTHS = (1, 8)
BINS = (2, 16)
TEMPERATURES = (0.0, 2.0)
#: Latents of images, in units of their standard deviation.
LATENTS = (-50.0, 50.0)


@dataclass(frozen=True)
class Start:
    """Train a new flow. ``sheet`` is what was drawn, row by row from the top; ``None`` where a density has a name."""

    density: str
    sheet: list[float] | None
    flow: str
    depth: int
    bins: int


@dataclass(frozen=True)
class Pause:
    """Stop training, and keep what was learned."""


@dataclass(frozen=True)
class Resume:
    """Go on training."""


@dataclass(frozen=True)
class Look:
    """Show samples at another temperature, which the standard deviation of the latents is multiplied by."""

    temperature: float


@dataclass(frozen=True)
class Draw:
    """Encode an image of the data."""

    index: int


@dataclass(frozen=True)
class Encode:
    """Encode an image: its brightness from 0 to 1, row by row."""

    pixels: list[float]


@dataclass(frozen=True)
class Decode:
    """Decode the latents of all levels."""

    latents: list[list[float]]


Message = Start | Pause | Resume | Look | Draw | Encode | Decode


@dataclass(frozen=True)
class Limits:
    """How large a message about images may be: the number of pixels, of each level's latents and of images to draw."""

    pixels: int
    latents: list[int]
    images: int


def read(text: str | bytes, limits: Limits) -> Message:
    """Read a message.

    Raises:
        UsageError: it is not one, whatever it is.

    Example:
        >>> read('{"type": "look", "temperature": 0.5}', Limits(0, [], 0))
        Look(temperature=0.5)
    """
    fields = Fields(_object(text))
    message = _READERS[fields.choice("type", _READERS)](fields, limits)
    fields.finish()
    return message


def _object(text: str | bytes) -> dict[str, Any]:
    if not isinstance(text, str):
        raise UsageError("expected a message of text, got bytes")
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise UsageError("expected a message in JSON") from error
    if not isinstance(value, dict):
        raise UsageError("expected a JSON object")
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _start(fields: Fields, limits: Limits) -> Start:
    density = fields.choice("density", [*TOYS, DRAWN])
    sheet = fields.numbers("sheet", SHEET * SHEET, 0, 1) if density == DRAWN else None
    if sheet is not None and not any(sheet):
        raise UsageError("sheet: nothing is drawn on it")
    return Start(
        density, sheet, fields.choice("flow", FLOWS), fields.whole("depth", *DEPTHS), fields.whole("bins", *BINS)
    )


_READERS: dict[str, Callable[[Fields, Limits], Message]] = {
    "start": _start,
    "pause": lambda fields, limits: Pause(),
    "resume": lambda fields, limits: Resume(),
    "look": lambda fields, limits: Look(fields.number("temperature", *TEMPERATURES)),
    "draw": lambda fields, limits: Draw(fields.whole("index", 0, limits.images - 1)),
    "encode": lambda fields, limits: Encode(fields.numbers("pixels", limits.pixels, 0, 1)),
    "decode": lambda fields, limits: Decode(fields.lists("latents", limits.latents, *LATENTS)),
}
