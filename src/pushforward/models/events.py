"""What recipes of vectors and of images alike make of ``features=``, ``shape=`` and ``levels=``."""

from __future__ import annotations

from collections.abc import Sequence

from pushforward.errors import UsageError


def vector_features(features: int | None, levels: int | None) -> int:
    """The number of features of a recipe that was given no shape.

    Raises:
        UsageError: if there is none, or levels, which are those of images.
    """
    if features is None:
        raise UsageError("expected features= for vectors or shape=(channels, height, width) for images, got neither")
    if levels is not None:
        raise UsageError(f"levels= is for images of integers, which shape= is for; got levels={levels} and features=")
    return features


def only_shape(shape: Sequence[int], features: int | None) -> Sequence[int]:
    """The shape of a recipe that was given no features.

    Raises:
        UsageError: if it was given both.
    """
    if features is not None:
        raise UsageError(f"expected features= or shape=, got both ({features} and {tuple(shape)})")
    return shape


def one_width(hidden: int | Sequence[int]) -> int:
    """The width of an image's networks.

    Raises:
        UsageError: if there are several.
    """
    if isinstance(hidden, int):
        return hidden
    raise UsageError(f"an image flow expects one width as hidden=, got {tuple(hidden)}")
