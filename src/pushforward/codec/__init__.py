"""Lossless compression with a trained flow: integer flows in exact arithmetic, others by local bits-back coding.

>>> from pushforward.codec import compress, decompress, export
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pushforward.codec.api import compress, decompress, preview
    from pushforward.codec.archive.entry import Entry, File
    from pushforward.codec.archive.fit import MisfitWarning
    from pushforward.codec.archive.packing import pack, pack_files, unpack, unpack_files
    from pushforward.codec.bitsback.model import LocalBitsBack
    from pushforward.codec.exact.exporting import export
    from pushforward.codec.exact.portable import PortableFlow
    from pushforward.codec.exact.state import load_portable, save_portable

_HOMES = {
    "LocalBitsBack": "bitsback.model",
    **dict.fromkeys(("Entry", "File"), "archive.entry"),
    "MisfitWarning": "archive.fit",
    **dict.fromkeys(("compress", "decompress", "preview"), "api"),
    **dict.fromkeys(("pack", "pack_files", "unpack", "unpack_files"), "archive.packing"),
    "export": "exact.exporting",
    "PortableFlow": "exact.portable",
    **dict.fromkeys(("load_portable", "save_portable"), "exact.state"),
}

__all__ = [
    "Entry",
    "File",
    "LocalBitsBack",
    "MisfitWarning",
    "PortableFlow",
    "compress",
    "decompress",
    "export",
    "load_portable",
    "pack",
    "pack_files",
    "preview",
    "save_portable",
    "unpack",
    "unpack_files",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for at its first use, so that the command line's help need not wait for torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'pushforward.codec' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"pushforward.codec.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
