"""The options by which a recipe that makes flows of vectors and of images knows which of them is meant."""

from __future__ import annotations

from collections.abc import Sequence

from pushforward.errors import UsageError

LEVELS = 256
"""How many values a pixel takes, by default."""


def vector_features(features: int | None, levels: int | None) -> int:
    """Return the number of features of a flow of vectors.

    Raises:
        UsageError: if it is missing, or there are levels, which images have.
    """
    if features is None:
        raise UsageError("expected features= for vectors or shape=(channels, height, width) for images, got neither")
    if levels is not None:
        raise UsageError(f"levels= is for images of integers, which shape= is for; got levels={levels} and features=")
    return features


def only_shape(shape: Sequence[int], features: int | None) -> Sequence[int]:
    """Return the shape of a flow of images.

    Raises:
        UsageError: if there is a number of features too.
    """
    if features is not None:
        raise UsageError(f"expected features= or shape=, got both ({features} and {tuple(shape)})")
    return shape


def image_width(hidden: int | Sequence[int]) -> int:
    """Return the width of the networks of a flow of images.

    Raises:
        UsageError: if there are several widths.
    """
    if isinstance(hidden, int):
        return hidden
    raise UsageError(f"an image flow expects one width as hidden=, got {tuple(hidden)}")
