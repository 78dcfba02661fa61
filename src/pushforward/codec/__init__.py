"""Lossless compression with a trained flow: integer flows in exact arithmetic, others by local bits-back coding.

>>> from pushforward.codec import compress, decompress, export
"""

from pushforward.codec.compression import Entry, compress, decompress, pack, preview, unpack
from pushforward.codec.export import export
from pushforward.codec.portable import PortableFlow
from pushforward.codec.state import load_portable, save_portable

__all__ = [
    "Entry",
    "PortableFlow",
    "compress",
    "decompress",
    "export",
    "load_portable",
    "pack",
    "preview",
    "save_portable",
    "unpack",
]
