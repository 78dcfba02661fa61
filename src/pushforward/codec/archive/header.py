"""The header of a compressed file: what its entries are, and how long each block is.

Equal things stand together (all kinds, all shapes, all names), where the coder of the header finds them alike: many
small files cost a few bytes each. What is known anyway is left out: the model of a file in which no model coded
anything, and the type of plain bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

import numpy as np

from pushforward.codec.archive.arrays import OPAQUE, PLANES
from pushforward.codec.archive.numbers import Reader, Writer
from pushforward.codec.model import FINGERPRINT_BYTES
from pushforward.errors import CodecError, UsageError

MAX_AXES = 64
_BYTES = (OPAQUE, "|u1", 1)
"""Scheme, type and axes of plain bytes."""
_LARGEST_ARRAY = 2**62


@dataclass(frozen=True)
class Form:
    """What an entry is: the kind of file it came from, the array's type and shape, and its coding scheme."""

    kind: int
    dtype: str
    shape: tuple[int, ...]
    scheme: int

    @property
    def bytes(self) -> int:
        """The size of the array."""
        return prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def is_cut(self) -> bool:
        """Whether the array is cut into events of a model."""
        return self.scheme not in (OPAQUE, PLANES)


@dataclass(frozen=True)
class Label:
    """What an entry is called, what its file needs besides, the file's permissions (None: unknown) and its size."""

    name: str
    extra: bytes = b""
    mode: int | None = None
    size: int = 0


@dataclass
class Header:
    """All that a container says besides its blocks; one that any model opens has no fingerprint."""

    fingerprint: bytes = b""
    event_shape: tuple[int, ...] = ()
    block_size: int = 1
    forms: list[Form] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    checksums: list[int] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        """The size of all arrays together."""
        return sum(form.bytes for form in self.forms)


def write_header(header: Header) -> bytes:
    """The header as bytes.

    Raises:
        UsageError: if a name cannot be written.
    """
    out = Writer()
    out.string(header.fingerprint)
    if header.fingerprint:
        out.number(header.block_size)
        _write_shape(out, header.event_shape)
    kinds = {(form.kind, form.scheme, form.dtype, len(form.shape)): None for form in header.forms}
    places = {kind: index for index, kind in enumerate(kinds)}
    out.number(len(kinds))
    for kind, scheme, dtype, axes in kinds:
        _write_kind(out, kind, scheme, dtype, axes)
    out.number(len(header.forms))
    # Of one kind alone all are.
    for form in header.forms if len(kinds) > 1 else ():
        out.number(places[form.kind, form.scheme, form.dtype, len(form.shape)])
    for form in header.forms:
        for size in form.shape:
            out.number(size)
    for label in header.labels:
        out.number(0 if label.mode is None else label.mode + 1)
    for form, label in zip(header.forms, header.labels):
        out.number(0 if label.size == prod(form.shape) else label.size + 1)
    for label in header.labels:
        out.string(_to_bytes(label.name))
    for label in header.labels:
        out.string(label.extra)
    out.number(len(header.lengths))
    for length in header.lengths:
        out.number(length)
    for checksum in header.checksums:
        out.data += checksum.to_bytes(4, "little")
    return bytes(out.data)


def read_header(body: bytes) -> Header:
    """Undo :func:`write_header`.

    Raises:
        CodecError: if the header is damaged, or promises what no file can hold.
    """
    reader = Reader(body)
    fingerprint, event_shape, block_size = _read_model(reader)
    kinds = [_read_kind(reader) for _ in range(reader.count())]
    count = reader.count()
    indices = [0] * count if len(kinds) == 1 else [reader.number() for _ in range(count)]
    if any(index >= len(kinds) for index in indices):
        raise CodecError("the file is damaged: an entry is of no kind")
    forms = [_read_form(reader, *kinds[index]) for index in indices]
    modes = [reader.number(0o777 + 1) for _ in forms]
    sizes = [_read_size(reader, form) for form in forms]
    names = [reader.string().decode("utf-8", "surrogateescape") for _ in forms]
    extras = [reader.string() for _ in forms]
    labels = [
        Label(name, extra, mode - 1 if mode else None, size)
        for name, extra, mode, size in zip(names, extras, modes, sizes)
    ]
    count = reader.count()
    lengths = [reader.number(2**40) for _ in range(count)]
    checksums = [int.from_bytes(reader.take(4), "little") for _ in range(count)]
    reader.end()
    if not fingerprint and any(form.is_cut for form in forms):
        raise CodecError("the file is damaged: it does not say which model cut its arrays")
    return Header(fingerprint, event_shape, block_size, forms, labels, lengths, checksums)


def _to_bytes(name: str) -> bytes:
    try:
        return name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise UsageError(f"expected a name of characters that can be written, got {name!r}") from error


def _write_shape(out: Writer, shape: tuple[int, ...]) -> None:
    out.number(len(shape))
    for size in shape:
        out.number(size)


def _read_shape(reader: Reader, axes: int) -> tuple[int, ...]:
    shape = tuple(reader.number(_LARGEST_ARRAY) for _ in range(axes))
    # NumPy counts the bytes of an empty array as if no side were empty.
    if prod(size or 1 for size in shape) > _LARGEST_ARRAY:
        raise CodecError("the file is damaged: an array is larger than any can be")
    return shape


def _read_model(reader: Reader) -> tuple[bytes, tuple[int, ...], int]:
    """The fingerprint of the model, the shape of its events, and how many of them a block holds."""
    fingerprint = reader.string()
    if not fingerprint:
        return b"", (), 1
    block_size, event_shape = reader.number(2**32), _read_shape(reader, reader.number(3))
    if len(fingerprint) != FINGERPRINT_BYTES or len(event_shape) not in (1, 3):
        raise CodecError("the file is damaged: it names a model that there cannot be")
    if block_size < 1 or 0 in event_shape:
        raise CodecError("the file is damaged: its blocks hold nothing")
    return fingerprint, event_shape, block_size


def _read_size(reader: Reader, form: Form) -> int:
    size = reader.number()
    return size - 1 if size else prod(form.shape)


def _write_kind(out: Writer, kind: int, scheme: int, dtype: str, axes: int) -> None:
    plain = (scheme, dtype, axes) == _BYTES
    out.number(2 * kind + plain)
    if not plain:
        out.number(scheme)
        out.string(dtype.encode())
        out.number(axes)


def _read_kind(reader: Reader) -> tuple[int, int, str, int]:
    kind, plain = divmod(reader.number(2 * 255 + 1), 2)
    if plain:
        return kind, *_BYTES
    scheme = reader.number(255)
    text = reader.string()
    try:
        dtype = np.dtype(text.decode("ascii"))
    except (TypeError, ValueError, SyntaxError, OverflowError) as error:
        raise CodecError("the file is damaged: an array has an unknown type") from error
    if dtype.hasobject or dtype.names is not None or dtype.subdtype is not None or not dtype.itemsize:
        raise CodecError("the file is damaged: an array has a type that is never written")
    return kind, scheme, text.decode("ascii"), reader.number(MAX_AXES)


def _read_form(reader: Reader, kind: int, scheme: int, dtype: str, axes: int) -> Form:
    shape = _read_shape(reader, axes)
    if prod(size or 1 for size in shape) * np.dtype(dtype).itemsize > _LARGEST_ARRAY:
        raise CodecError("the file is damaged: an array is larger than any can be")
    return Form(kind, dtype, shape, scheme)
