"""The .pfz container: what stands where in the file, and the checks that keep a damaged one from being read.

magic, version, flags                   6 bytes
fingerprint of the model                16 bytes
length of the header, header            forms and names of the entries, length and CRC-32 of each block
blocks                                  independent of each other
digest of all that precedes             8 bytes
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass, field
from math import prod

import numpy as np

from pushforward.codec.model import FINGERPRINT_BYTES
from pushforward.errors import CodecError

MAGIC = b"\x8dPFZ"
VERSION = 1
DIGEST_BYTES = 8
_DEFLATED = 1
_PREFIX = len(MAGIC) + 2 + FINGERPRINT_BYTES
MEMORY_LIMIT = 2**34
MAX_HEADER = 2**28
MAX_AXES = 32


@dataclass(frozen=True)
class Form:
    """What entries may share: the kind of file they came from, type, shape, coding scheme, and the file's extras."""

    kind: int
    dtype: str
    shape: tuple[int, ...]
    scheme: int
    extra: bytes = b""

    @property
    def bytes(self) -> int:
        """The size of the array."""
        return prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass
class Header:
    """All that a container says besides its blocks."""

    fingerprint: bytes
    block_size: int
    forms: list[Form] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    form_of: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    checksums: list[int] = field(default_factory=list)

    @property
    def entries(self) -> list[Form]:
        """The form of each entry."""
        return [self.forms[index] for index in self.form_of]

    @property
    def bytes(self) -> int:
        """The size of all arrays together."""
        return sum(form.bytes for form in self.entries)


class _Writer:
    """Bytes, one number or string after the other."""

    def __init__(self) -> None:
        self.data = bytearray()

    def number(self, value: int) -> None:
        while value >= 128:
            self.data.append(value & 127 | 128)
            value >>= 7
        self.data.append(value)

    def string(self, value: bytes) -> None:
        self.number(len(value))
        self.data += value


class _Reader:
    """Reads what :class:`_Writer` wrote, never past the end."""

    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 0

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.place:
            raise CodecError("the file is damaged: its header ends too early")
        self.place += count
        return self.data[self.place - count : self.place]

    def number(self, limit: int = 2**62) -> int:
        value = shift = 0
        while True:
            (byte,) = self.take(1)
            value |= (byte & 127) << shift
            shift += 7
            if value > limit or shift > 70:
                raise CodecError("the file is damaged: a number in its header is too large")
            if byte < 128:
                return value

    def string(self) -> bytes:
        return self.take(self.number())


def write_container(header: Header, blocks: list[bytes]) -> bytes:
    """Put the file together."""
    body = _write_header(header)
    deflated = zlib.compress(body, 9)
    flags = _DEFLATED if len(deflated) + 4 < len(body) else 0
    out = _Writer()
    out.data += MAGIC + bytes([VERSION, flags]) + header.fingerprint
    if flags:
        out.number(len(body))
    out.string(deflated if flags else body)
    for block in blocks:
        out.data += block
    return bytes(out.data + _digest(bytes(out.data)))


def read_container(data: bytes, memory_limit: int = MEMORY_LIMIT) -> tuple[Header, list[memoryview]]:
    """Check the file as a whole and take it apart; no array is made yet.

    Raises:
        CodecError: if it is not a container, of another version, damaged, truncated, or needs more memory than allowed.
    """
    if data[: len(MAGIC)] != MAGIC[: len(data)] or not data:
        raise CodecError("expected a file that pushforward compressed (it starts with 8d 50 46 5a), got something else")
    if len(data) > len(MAGIC) and data[len(MAGIC)] != VERSION:
        raise CodecError(f"expected format version {VERSION}, got {data[len(MAGIC)]}: read it with a matching version")
    if len(data) < _PREFIX + DIGEST_BYTES + 1:
        raise CodecError(f"the file is truncated: {len(data)} bytes are too few for a header")
    content = data[:-DIGEST_BYTES]
    if _digest(content) != data[-DIGEST_BYTES:]:
        raise CodecError("the file is damaged or truncated: its digest does not fit its content")
    flags = data[len(MAGIC) + 1]
    if flags not in (0, _DEFLATED):
        raise CodecError(f"the file is damaged: it has unknown flags {flags}")
    reader = _Reader(content)
    reader.place = _PREFIX
    length = reader.number(MAX_HEADER) if flags else 0
    body = reader.string()
    if flags:
        body = inflate(body, length)
    header = _read_header(body, data[len(MAGIC) + 2 : _PREFIX])
    if header.bytes > memory_limit:
        raise CodecError(
            f"the file holds {header.bytes} bytes of arrays, more than the limit of {memory_limit}: raise the limit"
        )
    if sum(header.lengths) != len(content) - reader.place:
        raise CodecError("the file is damaged: its blocks are not as long as its header says")
    view, place, blocks = memoryview(content), reader.place, []
    for size in header.lengths:
        blocks.append(view[place : place + size])
        place += size
    return header, blocks


def inflate(data: bytes | memoryview, length: int) -> bytes:
    """Decompress deflated data that must give exactly ``length`` bytes; never allocates more.

    Raises:
        CodecError: if they do not.
    """
    engine = zlib.decompressobj()
    try:
        content = engine.decompress(data, length + 1)
    except zlib.error as error:
        raise CodecError(f"the file is damaged: a deflated part cannot be read ({error})") from error
    if len(content) != length or not engine.eof or engine.unused_data:
        raise CodecError("the file is damaged: a deflated part is not as long as stated")
    return content


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()


def _write_header(header: Header) -> bytes:
    out = _Writer()
    out.number(header.block_size)
    out.number(len(header.forms))
    for form in header.forms:
        out.number(form.kind)
        out.number(form.scheme)
        out.string(form.dtype.encode())
        out.number(len(form.shape))
        for size in form.shape:
            out.number(size)
        out.string(form.extra)
    out.number(len(header.names))
    for name, index in zip(header.names, header.form_of):
        if len(header.forms) > 1:
            out.number(index)
        out.string(name.encode("utf-8", "surrogateescape"))
    out.number(len(header.lengths))
    for length in header.lengths:
        out.number(length)
    for checksum in header.checksums:
        out.data += checksum.to_bytes(4, "little")
    return bytes(out.data)


def _read_header(body: bytes, fingerprint: bytes) -> Header:
    reader = _Reader(body)
    header = Header(fingerprint, reader.number(2**32))
    header.forms = [_read_form(reader) for _ in range(_count(reader))]
    for _ in range(_count(reader)):
        index = reader.number() if len(header.forms) > 1 else 0
        if index >= len(header.forms):
            raise CodecError("the file is damaged: an entry has no form")
        header.form_of.append(index)
        header.names.append(reader.string().decode("utf-8", "surrogateescape"))
    count = _count(reader)
    header.lengths = [reader.number(2**40) for _ in range(count)]
    header.checksums = [int.from_bytes(reader.take(4), "little") for _ in range(count)]
    if reader.place != len(body) or header.block_size < 1:
        raise CodecError("the file is damaged: its header is not as long as stated")
    return header


def _read_form(reader: _Reader) -> Form:
    kind, scheme = reader.number(255), reader.number(255)
    text = reader.string()
    try:
        dtype = np.dtype(text.decode("ascii"))
    except (TypeError, ValueError, SyntaxError) as error:
        raise CodecError("the file is damaged: an array has an unknown type") from error
    if dtype.hasobject or dtype.names is not None or dtype.subdtype is not None:
        raise CodecError("the file is damaged: an array has a type that is never written")
    shape = tuple(reader.number(2**48) for _ in range(reader.number(MAX_AXES)))
    return Form(kind, text.decode("ascii"), shape, scheme, reader.string())


def _count(reader: _Reader) -> int:
    """A number of things, each of at least one byte that must still follow."""
    count = reader.number()
    if count > len(reader.data) - reader.place:
        raise CodecError("the file is damaged: its header promises more than it holds")
    return count
