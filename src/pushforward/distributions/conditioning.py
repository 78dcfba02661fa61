"""What conditional bases check of their context."""

from __future__ import annotations

from pushforward.errors import UsageError
from pushforward.networks.context import Context
from pushforward.spaces import Space, as_context


def base_context(context: Context, event_dims: int, owner: str) -> Space:
    """Return the space of the context of a base whose network sees nothing else: a vector for vectors, an image for
    images.

    Raises:
        UsageError: if there is none, or it is of another kind.
    """
    space = as_context(context)
    if space is None or len(space.shape) != event_dims:
        expected = "an image's shape (channels, height, width)" if event_dims == 3 else "a number of features"
        raise UsageError(f"{owner} expects as its context {expected}, got {context!r}")
    return space
