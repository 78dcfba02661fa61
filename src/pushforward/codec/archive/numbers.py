"""Numbers and strings one after the other as bytes, small numbers in one byte (LEB128)."""

from __future__ import annotations

from pushforward.errors import CodecError


class Writer:
    """Bytes, one number or string after the other.

    >>> out = Writer()
    >>> out.number(300)
    >>> out.string(b"ab")
    >>> source = Reader(bytes(out.data))
    >>> source.number(), source.string()
    (300, b'ab')
    """

    def __init__(self) -> None:
        self.data = bytearray()

    def number(self, value: int) -> None:
        """Append a number that is not negative."""
        while value >= 128:
            self.data.append(value & 127 | 128)
            value >>= 7
        self.data.append(value)

    def string(self, value: bytes) -> None:
        """Append a length and as many bytes."""
        self.number(len(value))
        self.data += value


class Reader:
    """Reads what :class:`Writer` wrote, never past the end."""

    def __init__(self, data: bytes, place: int = 0) -> None:
        self.data, self.place = data, place

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        if count > len(self.data) - self.place:
            raise CodecError("the file is damaged: a part of it ends too early")
        self.place += count
        return self.data[self.place - count : self.place]

    def number(self, limit: int = 2**62) -> int:
        """The next number, at most ``limit``."""
        value = shift = 0
        while True:
            (byte,) = self.take(1)
            value |= (byte & 127) << shift
            shift += 7
            if value > limit or shift > 70:
                raise CodecError("the file is damaged: a number in it is too large")
            if byte < 128:
                return value

    def count(self) -> int:
        """A number of things, each of at least one byte that must still follow."""
        count = self.number()
        if count > len(self.data) - self.place:
            raise CodecError("the file is damaged: it promises more than it holds")
        return count

    def string(self) -> bytes:
        """The next string."""
        return self.take(self.count())

    def end(self) -> None:
        """Raise unless all is read."""
        if self.place != len(self.data):
            raise CodecError("the file is damaged: a part of it is longer than stated")
