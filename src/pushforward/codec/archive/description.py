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
    """What a compressed file says of itself: of each entry the method, of each group the bytes in and out.

    The entries of a group are coded together, so the bytes out are those of the group; an entry has its own where it
    is a group by itself, and None else.

    Raises:
        CodecError: if it is damaged.
    """
    header, blocks = read_container(data)
    groups = layout.groups(header.forms, header.event_shape)
    layout.check_block_count(groups, header.block_size, len(blocks))
    methods = _methods(header, groups, blocks)
    described = _groups(header, groups)
    places = {index: place for place, group in enumerate(groups) for index in group.members}
    size = sum(_size(header, index) for index in range(len(header.forms)))
    return {
        "format": VERSION,
        "model": header.fingerprint.hex() or None,
        "bytes": len(data),
        "header_bytes": len(data) - sum(header.lengths),
        "file_bytes": size,
        "array_bytes": header.bytes,
        "ratio": len(data) / max(size, 1),
        "blocks": len(blocks),
        "groups": described,
        "entries": [
            {
                "name": label.name,
                "kind": KINDS[form.kind] if form.kind < len(KINDS) else "unknown",
                "dtype": form.dtype,
                "shape": list(form.shape),
                "method": "+".join(sorted(methods[index])) or general.METHODS[general.STORED],
                "bytes_in": _size(header, index),
                "bytes_out": described[place]["bytes_out"] if described[place]["entries"] == 1 else None,
                "group": place,
            }
            for index, (form, label) in enumerate(zip(header.forms, header.labels))
            for place in [places[index]]
        ],
    }


def _groups(header: Header, groups: Sequence[Group]) -> list[dict[str, Any]]:
    """How many entries each group has, in how many blocks, and their bytes in and out."""
    described: list[dict[str, Any]] = [
        {
            "entries": len(group.members),
            "blocks": 0,
            "bytes_in": sum(_size(header, index) for index in group.members),
            "bytes_out": 0,
        }
        for group in groups
    ]
    places = {id(group): place for place, group in enumerate(groups)}
    for task, length in zip(layout.tasks(groups, header.block_size), header.lengths, strict=True):
        about = described[places[id(task.group)]]
        about["blocks"] += 1
        about["bytes_out"] += length
    return described


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
