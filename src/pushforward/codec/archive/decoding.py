"""Decoding the blocks of a file: all of them, those of one item, or the deepest latents only."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from itertools import accumulate
from math import prod

import numpy as np
import torch

from pushforward.codec.archive import general, layout
from pushforward.codec.archive.arrays import Array
from pushforward.codec.archive.blocks import (
    decode_patches,
    decode_with_model,
    modelled_part,
    stored_bytes,
)
from pushforward.codec.archive.container import ALLOWANCE, MEMORY_LIMIT
from pushforward.codec.archive.entry import Entry
from pushforward.codec.archive.header import Form, Header
from pushforward.codec.archive.layout import Task
from pushforward.codec.archive.parallel import Progress, in_parallel
from pushforward.codec.entropy import AnsCoder
from pushforward.codec.exact.portable import PortableFlow
from pushforward.codec.model import CodecModel
from pushforward.errors import CodecError, UsageError


class Decoder:
    """Decodes the blocks of an opened file."""

    def __init__(
        self, model: CodecModel, header: Header, blocks: Sequence[memoryview], memory_limit: int = MEMORY_LIMIT
    ) -> None:
        self.model, self.header = model, header
        self.groups = layout.groups(header.forms, header.event_shape)
        layout.check_block_count(self.groups, header.block_size, len(blocks))
        self.workers = self._affordable(memory_limit)
        self.tasks = layout.tasks(self.groups, header.block_size)
        self.blocks = dict(zip(self.tasks, zip(blocks, header.checksums)))

    def entries(self, progress: Progress | None) -> list[Entry]:
        """Decode everything."""
        decoded = dict(zip(self.tasks, in_parallel(self.decode, self.tasks, progress, self.workers)))
        contents: dict[int, Array] = {}
        for group in self.groups:
            parts = [decoded[task] for task in self.tasks if task.group is group]
            whole = np.concatenate(parts) if parts else np.empty(0, np.uint8)
            starts = list(accumulate(group.sizes, initial=0))
            for place, member in enumerate(group.members):
                contents[member] = whole[starts[place] : starts[place + 1]]
        return [self._entry(index, content) for index, content in sorted(contents.items())]

    def item(self, index: int) -> Array:
        """Decode one item along the first axis of the first entry."""
        form = self.header.forms[0]
        _check_index(form.shape, index)
        (group,) = self.groups
        inner = Form(form.kind, form.dtype, (1, *form.shape[1:]), form.scheme)
        cut = group.cuts[0]
        if cut is None or len(form.shape) == cut.axes:
            return self.entries(None)[0].array[index]
        size = group.total // form.shape[0]
        start = index % form.shape[0] * size
        pieces = []
        for task in self.tasks:
            if task.start < start + size and task.stop > start:
                pieces.append(self.decode(task)[max(start - task.start, 0) : start + size - task.start])
        content = np.concatenate(pieces) if pieces else np.empty(0, np.uint8)
        return layout.from_content(content, inner, self.header.event_shape)[0]

    def decode(self, task: Task) -> Array:
        """Decode one block and compare it with its checksum."""
        block, checksum = self.blocks[task]
        if task.group.is_opaque:
            content = general.decode(block, task.stop - task.start)
            self.check(content, checksum)
            return np.frombuffer(content, np.uint8)
        valid = task.group.valid(task.start, task.stop)
        patches = decode_patches(self.model, block, task.stop - task.start, valid, task.group.dtype)
        self.check(stored_bytes(patches, valid, task.group.dtype), checksum)
        return patches.astype(task.group.dtype).reshape(len(patches), *task.group.event)

    def _entry(self, index: int, content: Array) -> Entry:
        form, label = self.header.forms[index], self.header.labels[index]
        array = layout.from_content(content, form, self.header.event_shape)
        return Entry(array, label.name, form.kind, label.extra, label.mode, label.size)

    def _affordable(self, memory_limit: int) -> int:
        """How many blocks may be decoded at a time: what a model does with one takes more memory than its values."""
        sizes = [min(group.total, self.header.block_size) for group in self.groups if not group.is_opaque]
        largest = max(sizes, default=0) * prod(self.header.event_shape) * self.model.working_bytes
        if largest > memory_limit + ALLOWANCE:
            raise CodecError(
                f"a block of the file takes about {largest} bytes while it is decoded, more than the limit of "
                f"{memory_limit} and the {ALLOWANCE} beside it: raise the limit"
            )
        return (memory_limit + ALLOWANCE) // max(largest, 1)

    def check(self, content: bytes, checksum: int) -> None:
        """Raise unless the content is what was compressed."""
        if zlib.crc32(content) != checksum:
            raise CodecError("a block does not decode to what was compressed: the file or the model is damaged")


class Previewer(Decoder):
    """Decodes the deepest latents only."""

    model: PortableFlow

    def __init__(
        self,
        model: PortableFlow,
        header: Header,
        blocks: Sequence[memoryview],
        latents: int,
        seed: int,
        memory_limit: int = MEMORY_LIMIT,
    ) -> None:
        super().__init__(model, header, blocks, memory_limit)
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


def item_of(array: Array, index: int) -> Array:
    """One item along the first axis.

    Raises:
        UsageError: if there is none.
    """
    _check_index(array.shape, index)
    return np.asarray(array[index])


def _check_index(shape: tuple[int, ...], index: int) -> None:
    if not shape or not -shape[0] <= index < shape[0]:
        raise UsageError(f"index expects a number within the first of the dimensions {shape}, got {index}")
