"""Named arrays and files packed into one file, and unpacked."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from pushforward.codec.archive.choice import Item, shortest, to_item
from pushforward.codec.archive.container import MEMORY_LIMIT, read_container
from pushforward.codec.archive.decoding import Decoder, Previewer
from pushforward.codec.archive.encoding import Encoder
from pushforward.codec.archive.entry import Entry, File
from pushforward.codec.archive.formats import FILE, Opened, open_file, read_arrays, write_files
from pushforward.codec.archive.header import Header
from pushforward.codec.archive.parallel import Progress
from pushforward.codec.exact.portable import PortableFlow
from pushforward.codec.model import CodecModel
from pushforward.errors import CodecError, UsageError
from pushforward.seeds import check_seed


def pack(
    model: CodecModel,
    entries: Sequence[Entry],
    *,
    block_size: int | None = None,
    verify: bool = True,
    progress: Progress | None = None,
) -> bytes:
    """Compress several named arrays into one file; arrays of one type share blocks.

    Raises:
        UsageError: an array that holds Python objects, or ``block_size`` below 1.

    Example:
        >>> import numpy as np, pushforward as pf
        >>> model = pf.codec.export(pf.models.coarse_to_fine(shape=(1, 4, 4), levels=4, hidden=[4], blocks=1))

        >>> data = pack(model, [Entry(np.zeros((2, 4, 4), dtype=np.uint8), "a"), Entry(np.arange(3.0), "b")])
        >>> [entry.name for entry in unpack(model, data)]
        ['a', 'b']
    """
    items = [to_item(model, [_with_array(entry)], None) for entry in entries]
    return _pack(model, items, block_size, verify, progress)


def pack_files(
    model: CodecModel,
    files: Sequence[File | Opened],
    *,
    block_size: int | None = None,
    verify: bool = True,
    progress: Progress | None = None,
) -> bytes:
    """Compress several files into one, byte for byte; those opened with less than all of them, as they were opened.

    Raises:
        UsageError: ``block_size`` below 1.

    Example:
        >>> import numpy as np, pushforward as pf
        >>> model = pf.codec.export(pf.models.coarse_to_fine(shape=(1, 4, 4), levels=4, hidden=[4], blocks=1))

        >>> data = pack_files(model, [File("a.txt", b"anything"), File("b.txt", b"at all")])
        >>> unpack_files(model, data)[1].content
        b'at all'
    """
    items = []
    for file in files:
        opened = open_file(file) if isinstance(file, File) else file
        items.append(to_item(model, opened.entries or [opened.stored], opened.stored))
    return _pack(model, items, block_size, verify, progress)


def unpack(
    model: CodecModel, data: bytes, *, memory_limit: int = MEMORY_LIMIT, progress: Progress | None = None
) -> list[Entry]:
    """Get back the entries that :func:`pack` was given, or the arrays in the files that :func:`pack_files` was given.

    Raises:
        CodecError: as :func:`pushforward.codec.decompress` does.

    Example:
        >>> import numpy as np, pushforward as pf
        >>> model = pf.codec.export(pf.models.coarse_to_fine(shape=(1, 4, 4), levels=4, hidden=[4], blocks=1))

        >>> unpack(model, pack(model, [Entry(np.arange(3), "steps")]))[0].array
        array([0, 1, 2])
    """
    return [part for entry in _entries(model, data, memory_limit, progress) for part in read_arrays_of(entry)]


def unpack_files(
    model: CodecModel, data: bytes, *, memory_limit: int = MEMORY_LIMIT, progress: Progress | None = None
) -> list[File]:
    """Get back the files that :func:`pack_files` was given; an array without a file becomes an .npy file.

    Raises:
        CodecError: as :func:`pushforward.codec.decompress` does.

    Example:
        >>> import numpy as np, pushforward as pf
        >>> model = pf.codec.export(pf.models.coarse_to_fine(shape=(1, 4, 4), levels=4, hidden=[4], blocks=1))

        >>> unpack_files(model, pack_files(model, [File("a.txt", b"anything")]))[0].name
        'a.txt'
    """
    return write_files(_entries(model, data, memory_limit, progress))


def unpack_preview(
    model: CodecModel, data: bytes, latents: int, seed: int = 0, memory_limit: int = MEMORY_LIMIT
) -> list[Entry]:
    """The entries of a file as :func:`pushforward.codec.preview` shows them."""
    if not isinstance(model, PortableFlow):
        raise UsageError("preview expects a flow on integers, whose latents are coded one after the other")
    seed = check_seed("seed", seed)
    header, blocks = open_container(model, data, memory_limit)
    return Previewer(model, header, blocks, latents, seed, memory_limit).entries(None)


def open_container(model: CodecModel, data: bytes, memory_limit: int = MEMORY_LIMIT) -> tuple[Header, list[memoryview]]:
    """Read a file's header and check that its arrays are within the limit, and that this model made it if one did.

    Raises:
        CodecError: as :func:`pushforward.codec.decompress` does.
    """
    header, blocks = read_container(data, memory_limit)
    if header.fingerprint not in (b"", model.fingerprint):
        raise CodecError(
            f"the file was made with another model: expected the model with fingerprint {header.fingerprint.hex()}, "
            f"got {model.fingerprint.hex()}"
        )
    if header.fingerprint and header.event_shape != tuple(model.event_shape):
        raise CodecError("the file is damaged: its model has events of another shape")
    if header.bytes > memory_limit:
        raise CodecError(
            f"the file holds {header.bytes} bytes of arrays, more than the limit of {memory_limit}: raise the limit"
        )
    return header, blocks


def read_arrays_of(entry: Entry) -> list[Entry]:
    """An entry, or the arrays in it where it is a file that went in as bytes."""
    found = read_arrays(entry.array.tobytes()) if entry.kind == FILE else []
    return [Entry(array, entry.name) for array in found] or [entry]


def _entries(model: CodecModel, data: bytes, memory_limit: int, progress: Progress | None) -> list[Entry]:
    header, blocks = open_container(model, data, memory_limit)
    return Decoder(model, header, blocks, memory_limit).entries(progress)


def _pack(
    model: CodecModel, items: Sequence[Item], block_size: int | None, verify: bool, progress: Progress | None
) -> bytes:
    if block_size is None:
        block_size = min(max(model.block_elements // max(prod(model.event_shape), 1), 8), 4096)
    if block_size < 1:
        raise UsageError(f"block_size expects at least 1, got {block_size}")
    encoder = Encoder(model, block_size, verify and not isinstance(model, PortableFlow))
    return shortest(encoder, items, progress)


def _with_array(entry: Entry) -> Entry:
    array = np.asarray(entry.array)
    return Entry(array, entry.name, entry.kind, entry.extra, entry.mode, entry.size)
