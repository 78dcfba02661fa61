"""What recipes share that make flows of vectors or of images, as they are told."""

from __future__ import annotations

from collections.abc import Sequence

from pushforward.errors import UsageError

LEVELS = 256
"""How many values a pixel takes, by default."""


def vector_features(features: int | None, levels: int | None) -> int:
    """Check the options of a flow of vectors and return the number of its features.

    Raises:
        UsageError: if there is none, or there are the levels of an image.
    """
    if features is None:
        raise UsageError("expected features= for vectors or shape=(channels, height, width) for images, got neither")
    if levels is not None:
        raise UsageError(f"levels= is for images of integers, which shape= is for; got levels={levels} and features=")
    return features


def image_alone(shape: Sequence[int], features: int | None) -> Sequence[int]:
    """Return the shape of an image, if nothing else is asked for.

    Raises:
        UsageError: if features of a vector are given too.
    """
    if features is not None:
        raise UsageError(f"expected features= or shape=, got both ({features} and {tuple(shape)})")
    return shape


def one_width(hidden: int | Sequence[int]) -> int:
    """Return the width of an image flow's networks.

    Raises:
        UsageError: if there are several.
    """
    if isinstance(hidden, int):
        return hidden
    raise UsageError(f"an image flow expects one width as hidden=, got {tuple(hidden)}")
