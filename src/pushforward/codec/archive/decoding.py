"""Decoding the blocks of a file: all of them, those of one item, or the deepest latents only."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import torch

from pushforward.codec.archive import layout
from pushforward.codec.archive.arrays import Array
from pushforward.codec.archive.blocks import (
    decode_patches,
    decode_plain,
    decode_with_model,
    modelled_part,
    stored_bytes,
)
from pushforward.codec.archive.container import Form, Header
from pushforward.codec.archive.entry import Entry
from pushforward.codec.archive.layout import Task
from pushforward.codec.archive.parallel import Progress, in_parallel
from pushforward.codec.entropy import AnsCoder
from pushforward.codec.exact.portable import PortableFlow
from pushforward.codec.model import CodecModel
from pushforward.errors import CodecError, UsageError


class Decoder:
    """Decodes the blocks of an opened file."""

    def __init__(self, model: CodecModel, header: Header, blocks: Sequence[memoryview]) -> None:
        self.model, self.header = model, header
        self.groups = layout.groups(header, model.event_shape)
        # A header may promise anything; before a list of its blocks is made, their number must be the file's.
        if layout.block_count(self.groups, header.block_size) != len(blocks):
            raise CodecError("the file is damaged: it has not as many blocks as its arrays need")
        self.tasks = layout.tasks(self.groups, header.block_size)
        self.blocks = dict(zip(self.tasks, zip(blocks, header.checksums)))

    def entries(self, progress: Progress | None) -> list[Entry]:
        """Decode everything."""
        decoded = dict(zip(self.tasks, in_parallel(self.decode, self.tasks, progress)))
        contents: dict[int, Array] = {}
        for group in self.groups:
            parts = [decoded[task] for task in self.tasks if task.group is group]
            whole = np.concatenate(parts) if parts else np.empty(0, np.uint8)
            starts = list(accumulate(group.sizes, initial=0))
            for place, member in enumerate(group.members):
                contents[member] = whole[starts[place] : starts[place + 1]]
        return [
            Entry(layout.from_content(contents[index], form, self.model.event_shape), name, form.kind, form.extra)
            for index, (form, name) in enumerate(zip(self.header.entries, self.header.names))
        ]

    def item(self, index: int) -> Array:
        """Decode one item along the first axis of the first entry."""
        form = self.header.entries[0]
        if not form.shape or not -form.shape[0] <= index < form.shape[0]:
            raise UsageError(f"index expects a number within the first of the dimensions {form.shape}, got {index}")
        (group,) = self.groups
        inner = Form(form.kind, form.dtype, (1, *form.shape[1:]), form.scheme, form.extra)
        cut = group.cuts[0]
        if cut is not None and len(form.shape) == cut.axes:
            return self.entries(None)[0].array[index]
        size = group.total // form.shape[0]
        start = index % form.shape[0] * size
        pieces = []
        for task in self.tasks:
            if task.start < start + size and task.stop > start:
                pieces.append(self.decode(task)[max(start - task.start, 0) : start + size - task.start])
        content = np.concatenate(pieces) if pieces else np.empty(0, np.uint8)
        return layout.from_content(content, inner, self.model.event_shape)[0]

    def decode(self, task: Task) -> Array:
        """Decode one block and compare it with its checksum."""
        block, checksum = self.blocks[task]
        if task.group.is_opaque:
            content = decode_plain(block, task.stop - task.start, 1)
            self.check(content, checksum)
            return np.frombuffer(content, np.uint8)
        valid = task.group.valid(task.start, task.stop)
        patches = decode_patches(self.model, block, task.stop - task.start, valid, task.group.dtype)
        self.check(stored_bytes(patches, valid, task.group.dtype), checksum)
        return patches.astype(task.group.dtype).reshape(len(patches), *task.group.event)

    def check(self, content: bytes, checksum: int) -> None:
        """Raise unless the content is what was compressed."""
        if zlib.crc32(content) != checksum:
            raise CodecError("a block does not decode to what was compressed: the file or the model is damaged")


class Previewer(Decoder):
    """Decodes the deepest latents only."""

    model: PortableFlow

    def __init__(
        self, model: PortableFlow, header: Header, blocks: Sequence[memoryview], latents: int, seed: int
    ) -> None:
        super().__init__(model, header, blocks)
        if not 0 <= latents <= model.latents:
            raise UsageError(f"preview expects between 0 and {model.latents} latents, got {latents}")
        self.latents, self.seed = latents, seed

    def decode(self, task: Task) -> Array:
        payload = None if task.group.is_opaque else modelled_part(self.blocks[task][0])
        if payload is None or self.latents == self.model.latents:
            return super().decode(task)

        def pop(coder: AnsCoder) -> torch.Tensor:
            return self.model.preview(coder, task.stop - task.start, self.latents, self.seed + task.start)

        patches = decode_with_model(payload, pop)
        return patches.astype(task.group.dtype).reshape(len(patches), *task.group.event)
