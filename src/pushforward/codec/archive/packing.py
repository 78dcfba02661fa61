"""Named arrays packed into one file, and unpacked."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from math import prod

import numpy as np

from pushforward.codec.archive import arrays, layout
from pushforward.codec.archive.blocks import encode_patches, encode_plain, stored_bytes
from pushforward.codec.archive.container import MEMORY_LIMIT, Form, Header, read_container, write_container
from pushforward.codec.archive.decoding import Decoder, Previewer
from pushforward.codec.archive.entry import Entry
from pushforward.codec.archive.layout import Task
from pushforward.codec.archive.parallel import Progress, in_parallel
from pushforward.codec.exact.portable import PortableFlow
from pushforward.codec.model import CodecModel
from pushforward.errors import CodecError, UsageError


def pack(
    model: CodecModel,
    entries: Sequence[Entry],
    *,
    block_size: int | None = None,
    verify: bool = True,
    progress: Progress | None = None,
) -> bytes:
    """Compress several named arrays into one file; arrays of one type share blocks."""
    if block_size is None:
        block_size = min(max(model.block_elements // max(prod(model.event_shape), 1), 8), 4096)
    if block_size < 1:
        raise UsageError(f"block_size expects at least 1, got {block_size}")
    header = Header(model.fingerprint, block_size)
    forms: dict[Form, int] = {}
    contents = []
    for entry in entries:
        array = np.asarray(entry.array)
        scheme = arrays.choose_scheme(array, model.event_shape, model.low, model.high)
        form = Form(entry.kind, array.dtype.str, array.shape, scheme, entry.extra)
        header.form_of.append(forms.setdefault(form, len(forms)))
        header.names.append(entry.name)
        contents.append(layout.to_content(array, form, model.event_shape))
    header.forms = list(forms)
    check = verify and not isinstance(model, PortableFlow)

    def encode(task: Task) -> tuple[bytes, int]:
        content = task.group.slice(contents, task.start, task.stop)
        if task.group.is_opaque:
            raw = content.tobytes()
            return encode_plain(raw, 1), zlib.crc32(raw)
        patches, valid = content.astype(np.int64), task.group.valid(task.start, task.stop)
        checksum = zlib.crc32(stored_bytes(patches, valid, task.group.dtype))
        return encode_patches(model, patches, valid, task.group.dtype, check), checksum

    coded = in_parallel(encode, layout.tasks(layout.groups(header, model.event_shape), block_size), progress)
    header.lengths = [len(block) for block, _ in coded]
    header.checksums = [checksum for _, checksum in coded]
    return write_container(header, [block for block, _ in coded])


def unpack(
    model: CodecModel, data: bytes, *, memory_limit: int = MEMORY_LIMIT, progress: Progress | None = None
) -> list[Entry]:
    """Get back the entries that :func:`pack` was given.

    Raises:
        CodecError: as :func:`pushforward.codec.decompress` does.
    """
    header, blocks = open_container(model, data, memory_limit)
    return Decoder(model, header, blocks).entries(progress)


def unpack_preview(
    model: CodecModel, data: bytes, latents: int, seed: int = 0, memory_limit: int = MEMORY_LIMIT
) -> list[Entry]:
    """The entries of a file as :func:`pushforward.codec.preview` shows them."""
    if not isinstance(model, PortableFlow):
        raise UsageError("preview expects a flow on integers, whose latents are coded one after the other")
    header, blocks = open_container(model, data, memory_limit)
    return Previewer(model, header, blocks, latents, seed).entries(None)


def open_container(model: CodecModel, data: bytes, memory_limit: int = MEMORY_LIMIT) -> tuple[Header, list[memoryview]]:
    """Read a file's header and check that this model made it.

    Raises:
        CodecError: as :func:`pushforward.codec.decompress` does.
    """
    header, blocks = read_container(data, memory_limit)
    if header.fingerprint != model.fingerprint:
        raise CodecError(
            f"the file was made with another model: expected the model with fingerprint {header.fingerprint.hex()}, "
            f"got {model.fingerprint.hex()}"
        )
    return header, blocks
