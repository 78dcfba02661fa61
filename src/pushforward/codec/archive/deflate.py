"""Deflated streams rebuilt bit for bit: which settings of zlib wrote a stream (Deutsch 1996, RFC 1951).

Another implementation of deflate, or a version of it that decides otherwise, gives other bits from the same settings;
:data:`ENGINE` names the one at hand.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

from pushforward.errors import CodecError

ENGINE = f"zlib {zlib.ZLIB_RUNTIME_VERSION}"
LARGEST_CONTENT = 2**30
"""Bytes in a stream that are looked at; a longer one is stored as it is."""
_LARGEST_RATIO = 1032
_STEP = 2**16
_COUNT = (10, 5, 9, 7)


@dataclass(frozen=True)
class Settings:
    """What zlib was told: level (0 to 9), strategy (0 to 4), memory (1 to 9), and bits of the window (9 to 15)."""

    level: int = 6
    strategy: int = zlib.Z_DEFAULT_STRATEGY
    memory: int = 8
    window: int = 15

    @property
    def number(self) -> int:
        """All of them as one number."""
        number = 0
        for value, first, count in zip(self._values(), (0, 0, 1, 9), _COUNT, strict=True):
            number = number * count + value - first
        return number

    @classmethod
    def from_number(cls, number: int) -> Settings:
        """Undo :attr:`number`.

        Raises:
            CodecError: if no settings have it.

        >>> Settings.from_number(Settings(9, 1, 9, 12).number)
        Settings(level=9, strategy=1, memory=9, window=12)
        """
        values = []
        for first, count in reversed(tuple(zip((0, 0, 1, 9), _COUNT, strict=True))):
            number, value = divmod(number, count)
            values.append(value + first)
        if number:
            raise CodecError("the file is damaged: a stream was deflated in an unknown way")
        return cls(*reversed(values))

    def deflate(self, content: bytes) -> bytes:
        """The bare stream, without a header."""
        engine = self.engine()
        return engine.compress(content) + engine.flush()

    def engine(self) -> zlib._Compress:
        """What deflates with these settings."""
        return zlib.compressobj(self.level, zlib.DEFLATED, -self.window, self.memory, self.strategy)

    def _values(self) -> tuple[int, int, int, int]:
        return self.level, self.strategy, self.memory, self.window


def find_settings(stream: bytes, content: bytes, levels: Iterable[int], window: int = 15) -> Settings | None:
    """The settings that give ``stream`` from ``content``, looked for in the order of ``levels``; None if none do.

    >>> wanted = Settings(9, zlib.Z_FILTERED)
    >>> content = bytes(range(256)) * 9
    >>> find_settings(wanted.deflate(content), content, [6, 9]).deflate(content) == wanted.deflate(content)
    True
    """
    strategies = (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_RLE, zlib.Z_HUFFMAN_ONLY, zlib.Z_FIXED)
    for strategy, level, memory in product(strategies, levels, (8, 9)):
        settings = Settings(level, strategy, memory, window)
        if _gives(settings, stream, content):
            return settings
    return None


def open_stream(stream: bytes, length: int) -> bytes:
    """The content of a bare deflated stream that says to have ``length`` bytes.

    Raises:
        ValueError: if it is longer than is looked at, or than the stream can give.
    """
    if length > min(LARGEST_CONTENT, _LARGEST_RATIO * len(stream) + _LARGEST_RATIO):
        raise ValueError("a stream that is too long")
    engine = zlib.decompressobj(-zlib.MAX_WBITS)
    content = engine.decompress(stream, length + 1)
    if len(content) != length or not engine.eof or engine.unused_data:
        raise ValueError("a stream of another length than stated")
    return content


def _gives(settings: Settings, stream: bytes, content: bytes) -> bool:
    """Whether the settings give the stream; a wrong guess is seen at the first block that differs."""
    engine, place = settings.engine(), 0
    view = memoryview(content)
    for start in range(0, len(view), _STEP):
        part = engine.compress(view[start : start + _STEP])
        if not stream.startswith(part, place):
            return False
        place += len(part)
    return stream[place:] == engine.flush()
