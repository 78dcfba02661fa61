"""What compressed files say of themselves, without decoding them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pushforward.codec.archive import blocks as modes
from pushforward.codec.archive import general, layout
from pushforward.codec.archive.container import VERSION, read_container
from pushforward.codec.archive.formats import ARRAY, KINDS
from pushforward.codec.archive.header import Header
from pushforward.codec.archive.layout import Group

_MODES = {
    modes.RAW: "stored",
    modes.DEFLATED: "deflate",
    modes.MODELLED: "model",
    modes.ESCAPED: "model",
}


def describe(data: bytes) -> dict[str, Any]:
    """What a compressed file says of itself: of each entry the method, and the bytes in and out.

    The bytes out of entries that share a block are their shares of it, by how much they have in it.

    Raises:
        CodecError: if it is damaged.
    """
    header, blocks = read_container(data)
    groups = layout.groups(header.forms, header.event_shape)
    layout.check_block_count(groups, header.block_size, len(blocks))
    shares = layout.shares(header, groups)
    methods = _methods(header, groups, blocks)
    # The header and the frame are shared by all alike.
    about = (len(data) - sum(header.lengths)) / max(len(header.forms), 1)
    size = sum(_size(header, index) for index in range(len(header.forms)))
    return {
        "format": VERSION,
        "model": header.fingerprint.hex() or None,
        "bytes": len(data),
        "file_bytes": size,
        "array_bytes": header.bytes,
        "ratio": len(data) / max(size, 1),
        "blocks": len(blocks),
        "entries": [
            {
                "name": label.name,
                "kind": KINDS[form.kind] if form.kind < len(KINDS) else "unknown",
                "dtype": form.dtype,
                "shape": list(form.shape),
                "method": "+".join(sorted(methods[index])) or general.METHODS[general.STORED],
                "bytes_in": _size(header, index),
                "bytes_out": round(shares[index] + about),
            }
            for index, (form, label) in enumerate(zip(header.forms, header.labels))
        ],
    }


def _size(header: Header, index: int) -> int:
    """The bytes of the file that an entry came from, or of a bare array."""
    form = header.forms[index]
    return form.bytes if form.kind == ARRAY else header.labels[index].size


def _methods(header: Header, groups: Sequence[Group], blocks: Sequence[memoryview]) -> list[set[str]]:
    """What coded each entry, by the first bytes of its blocks."""
    methods: list[set[str]] = [set() for _ in header.forms]
    for task, block in zip(layout.tasks(groups, header.block_size), blocks, strict=True):
        mode = block[0] if len(block) else -1
        names = dict(enumerate(general.METHODS)) if task.group.is_opaque else _MODES
        for index, _, _ in task.group.overlaps(task.start, task.stop):
            methods[task.group.members[index]].add(names.get(mode, "unknown"))
    return methods
