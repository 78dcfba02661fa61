"""General coders of bytes: xz, zstd or the bytes as they are, whichever is shortest.

The streams are bare: the container says how long their content is and checks it, so neither frames nor checksums are
written, and the memory that a decoder takes follows from the length.
"""

from __future__ import annotations

import lzma
import zlib
from typing import Any

from pushforward.errors import CodecError
from pushforward.extras import requires

STORED, XZ, ZSTD = range(3)
METHODS = ("stored", "xz", "zstd")
_LARGEST_WINDOW = 2**26
_ESTIMATED = 2**15


def encode(content: bytes) -> bytes:
    """The shortest of the bytes as they are, coded by xz and coded by zstd; the first byte says which.

    >>> len(encode(b"ab" * 1000)) < 40, encode(b"ab")
    (True, b'\\x00ab')
    """
    candidates = (bytes([STORED]) + content, bytes([XZ]) + _xz(content), bytes([ZSTD]) + _zstd(content))
    return min(candidates, key=len)


def decode(data: bytes | memoryview, length: int) -> bytes:
    """Undo :func:`encode`; ``length`` is that of the content, and no more than that is allocated.

    Raises:
        CodecError: if the data are damaged, or not of this length.
    """
    if not len(data):
        raise CodecError("the file is damaged: a block is empty")
    method, payload = data[0], bytes(data[1:])
    if method not in (STORED, XZ, ZSTD):
        raise CodecError(f"the file is damaged: a block has the unknown method {method}")
    content = payload if method == STORED else _un_xz(payload, length) if method == XZ else _un_zstd(payload, length)
    if len(content) != length:
        raise CodecError("the file is damaged: a block is not as long as stated")
    return content


def estimate(content: bytes) -> int:
    """About how many bytes short content takes among others; a bound from above."""
    return min(len(zlib.compress(content, 9)), len(content))


def is_short(content: bytes) -> bool:
    """Whether an estimate will do, since what a coder's start costs would count for more than the content."""
    return len(content) < _ESTIMATED


def inflate(data: bytes | memoryview, length: int, window: int = zlib.MAX_WBITS) -> bytes:
    """Decompress deflated data that must give exactly ``length`` bytes; never allocates more.

    Raises:
        CodecError: if they do not.
    """
    engine = zlib.decompressobj(window)
    try:
        content = engine.decompress(data, length + 1)
    except zlib.error as error:
        raise CodecError(f"the file is damaged: a deflated part cannot be read ({error})") from error
    if len(content) != length or not engine.eof or engine.unused_data:
        raise CodecError("the file is damaged: a deflated part is not as long as stated")
    return content


def _filters(length: int) -> list[dict[str, int]]:
    window = min(max(1 << max(length - 1, 0).bit_length(), 2**12), _LARGEST_WINDOW)
    return [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": window}]


def _xz(content: bytes) -> bytes:
    return lzma.compress(content, format=lzma.FORMAT_RAW, filters=_filters(len(content)))


def _un_xz(payload: bytes, length: int) -> bytes:
    engine = lzma.LZMADecompressor(format=lzma.FORMAT_RAW, filters=_filters(length))
    try:
        content = engine.decompress(payload, length + 1)
        # The marker of the end may not have been looked at.
        if not engine.eof and len(content) == length:
            content += engine.decompress(b"", 1)
    except (lzma.LZMAError, EOFError) as error:
        raise CodecError(f"the file is damaged: a block cannot be read ({error})") from error
    if not engine.eof or engine.unused_data:
        raise CodecError("the file is damaged: a block is not as long as stated")
    return content


def _zstd(content: bytes) -> bytes:
    parameters = _zstandard().ZstdCompressionParameters.from_level(
        22,
        source_size=len(content),
        format=_zstandard().FORMAT_ZSTD1_MAGICLESS,
        write_content_size=False,
        write_checksum=False,
        write_dict_id=False,
    )
    compressed: bytes = _zstandard().ZstdCompressor(compression_params=parameters).compress(content)
    return compressed


def _un_zstd(payload: bytes, length: int) -> bytes:
    zstandard = _zstandard()
    window = min(max(1 << max(length - 1, 0).bit_length(), 2**17), 2**31)
    engine = zstandard.ZstdDecompressor(max_window_size=window, format=zstandard.FORMAT_ZSTD1_MAGICLESS)
    try:
        with engine.stream_reader(payload) as stream:
            content: bytes = stream.read(length)
            more = stream.read(1)
    except (zstandard.ZstdError, EOFError) as error:
        raise CodecError(f"the file is damaged: a block cannot be read ({error})") from error
    if more:
        raise CodecError("the file is damaged: a block is longer than stated")
    return content


def _zstandard() -> Any:
    with requires("codec", purpose="the general coder"):
        import zstandard
    return zstandard
