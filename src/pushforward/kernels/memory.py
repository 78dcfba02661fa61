"""Memory that a training step frees is kept for the next one."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

# mallopt(3), and what glibc settles on by itself in a process that has used large arrays.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_DURING = {_TRIM_THRESHOLD: -1, _MMAP_MAX: 0}
_AFTER = {_MMAP_THRESHOLD: 2**25, _TRIM_THRESHOLD: 2**26, _MMAP_MAX: 2**16}


@contextmanager
def kept_memory() -> Iterator[None]:
    """Keep what is freed in the process, and give it back to the system at the end.

    Left to itself, glibc hands large arrays back as they are freed, and the system clears every page of them when the
    next step asks again: a sixth of the time of a step on images. Other systems' libraries, and a user's own settings
    (``MALLOC_...``, ``GLIBC_TUNABLES``), are left alone.

    Example:
        >>> with kept_memory():
        ...     pass
    """
    library = _glibc()
    if library is None:
        yield
        return
    _set(library, _DURING)
    try:
        yield
    finally:
        _set(library, _AFTER)
        library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return None
    try:
        library = ctypes.CDLL(None)
    except (OSError, TypeError):
        return None
    return library if hasattr(library, "gnu_get_libc_version") and hasattr(library, "malloc_trim") else None


def _set(library: ctypes.CDLL, settings: dict[int, int]) -> None:
    for name, value in settings.items():
        library.mallopt(name, value)
