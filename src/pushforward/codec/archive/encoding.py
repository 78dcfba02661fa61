"""Parts as the blocks of a file, each coded once however often it is tried."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pushforward.codec.archive import general, layout
from pushforward.codec.archive.arrays import Array
from pushforward.codec.archive.blocks import encode_patches, modelled_part, stored_bytes
from pushforward.codec.archive.entry import Entry
from pushforward.codec.archive.header import Form, Header, Label
from pushforward.codec.archive.layout import Group, Task
from pushforward.codec.archive.parallel import Progress, in_parallel
from pushforward.codec.model import CodecModel

Part = tuple[Entry, int]
"""An entry and the scheme that it is coded by."""


@dataclass
class Encoded:
    """The header and the blocks of a file to be.

    ``modelled`` are the bytes that the model takes for each block, ``uses_model`` says whether it coded any.
    """

    header: Header
    blocks: list[bytes]
    groups: list[Group]
    modelled: list[int]
    uses_model: bool

    def shares(self) -> list[float]:
        """The bytes that each part takes of the blocks."""
        return layout.shares(self.header, self.groups)


class Encoder:
    """Codes parts with a model and general coders, and remembers the blocks."""

    def __init__(self, model: CodecModel, block_size: int, verify: bool) -> None:
        self.model, self.block_size, self.verify = model, block_size, verify
        self._known: dict[bytes, bytes] = {}
        self._modelled: dict[bytes, tuple[bytes, int]] = {}

    def encode(self, parts: Sequence[Part], progress: Progress | None = None) -> Encoded:
        """All parts as blocks."""
        header, contents = Header(), []
        event_shape = tuple(self.model.event_shape)
        for entry, scheme in parts:
            array = np.asarray(entry.array)
            header.forms.append(Form(entry.kind, array.dtype.str, array.shape, scheme))
            header.labels.append(Label(entry.name, entry.extra, entry.mode, entry.size))
            contents.append(layout.to_content(array, header.forms[-1], event_shape))
        if any(form.is_cut for form in header.forms):
            header.fingerprint, header.event_shape, header.block_size = (
                self.model.fingerprint,
                event_shape,
                self.block_size,
            )
        groups = layout.groups(header.forms, header.event_shape)
        tasks = layout.tasks(groups, header.block_size)

        def code(task: Task) -> tuple[bytes, int, int]:
            return self._block(task, task.group.slice(contents, task.start, task.stop))

        coded = in_parallel(code, tasks, progress)
        header.lengths = [len(block) for block, _, _ in coded]
        header.checksums = [checksum for _, _, checksum in coded]
        blocks = [block for block, _, _ in coded]
        uses_model = any(
            not task.group.is_opaque and modelled_part(memoryview(block)) is not None
            for task, block in zip(tasks, blocks, strict=True)
        )
        return Encoded(header, blocks, groups, [modelled for _, modelled, _ in coded], uses_model)

    def general(self, content: bytes) -> bytes:
        """Content as general coders code it."""
        key = hashlib.blake2b(content).digest()
        if key not in self._known:
            self._known[key] = general.encode(content)
        return self._known[key]

    def size(self, content: bytes) -> int:
        """About how many bytes content takes of a file, coded by general coders."""
        return general.estimate(content) if general.is_short(content) else len(self.general(content))

    def _block(self, task: Task, content: Array) -> tuple[bytes, int, int]:
        """A block, the bytes that the model takes for it, and the checksum of what is in it."""
        if task.group.is_opaque:
            raw = content.tobytes()
            return self.general(raw), 0, zlib.crc32(raw)
        dtype = task.group.dtype
        patches, valid = content.astype(np.int64), task.group.valid(task.start, task.stop)
        raw = stored_bytes(patches, valid, dtype)
        shape = b"" if valid is None else np.packbits(valid).tobytes()
        key = hashlib.blake2b(b"%s %d " % (dtype.str.encode(), len(patches)) + shape + patches.tobytes()).digest()
        if key not in self._modelled:
            self._modelled[key] = encode_patches(self.model, patches, valid, dtype, self.verify)
        return *self._modelled[key], zlib.crc32(raw)
