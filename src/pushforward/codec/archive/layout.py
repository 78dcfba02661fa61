"""How a file's arrays are laid out in blocks: which share them, and which patches each block holds."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.codec.archive import arrays
from pushforward.codec.archive.arrays import BYTES, DIRECT, OPAQUE, PLANES, Array, Cut, find_cut, shuffle, unshuffle
from pushforward.codec.archive.header import Form, Header
from pushforward.errors import CodecError


@dataclass(eq=False)
class Group:
    """The entries that share blocks: all opaque ones, or all whose patches have one type."""

    dtype: np.dtype[Any]
    is_opaque: bool
    members: list[int] = field(default_factory=list)
    cuts: list[Cut | None] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._starts: list[int] = []

    @property
    def event(self) -> tuple[int, ...]:
        """The shape of one patch."""
        cut = self.cuts[0]
        assert cut is not None
        return cut.event

    @property
    def total(self) -> int:
        """Patches, or bytes of an opaque group."""
        return sum(self.sizes)

    def step(self, block_size: int) -> int:
        """How many patches, or bytes, one block has: what no model sees is one block, where like finds like."""
        return max(self.total, 1) if self.is_opaque else block_size

    def slice(self, contents: Sequence[Array], start: int, stop: int) -> Array:
        """The patches (or bytes) from ``start`` to ``stop`` of all members put together."""
        parts = [contents[self.members[i]][low:high] for i, low, high in self.overlaps(start, stop)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def valid(self, start: int, stop: int) -> NDArray[np.bool_] | None:
        """Which elements of these patches are not padding; None for all."""
        parts = list(self.overlaps(start, stop))
        cuts = [self.cuts[i] for i, _, _ in parts]
        if not any(cut is not None and cut.is_padded for cut in cuts):
            return None
        masks = []
        for (_, low, high), cut in zip(parts, cuts):
            assert cut is not None
            mask = arrays.valid_mask(cut)
            if mask is None:
                masks.append(np.ones((high - low, *cut.event), dtype=bool))
            else:
                masks.append(mask[np.arange(low, high) % len(mask)])
        return np.concatenate(masks)

    def overlaps(self, start: int, stop: int) -> Iterable[tuple[int, int, int]]:
        """The members that hold ``start`` to ``stop``, and from where to where in each."""
        if len(self._starts) != len(self.sizes) + 1:
            self._starts = list(accumulate(self.sizes, initial=0))
        index = max(bisect_right(self._starts, start) - 1, 0)
        while index < len(self.sizes) and self._starts[index] < stop:
            low, high = max(start - self._starts[index], 0), min(stop - self._starts[index], self.sizes[index])
            if high > low:
                yield index, low, high
            index += 1


@dataclass(frozen=True, eq=False)
class Task:
    """One block: which patches of which group."""

    group: Group
    start: int
    stop: int


def groups(forms: Sequence[Form], event_shape: tuple[int, ...]) -> list[Group]:
    """The groups of a file, which the forms of its entries alone decide."""
    groups: dict[str, Group] = {}
    for index, form in enumerate(forms):
        dtype = np.dtype(np.uint8) if form.scheme != DIRECT else np.dtype(form.dtype)
        opaque = form.scheme in (OPAQUE, PLANES)
        group = groups.setdefault("" if opaque else dtype.str, Group(dtype, opaque))
        cut = _cut(form, event_shape)
        group.members.append(index)
        group.cuts.append(cut)
        group.sizes.append(form.bytes if cut is None else cut.patches)
    return list(groups.values())


def _cut(form: Form, event_shape: tuple[int, ...]) -> Cut | None:
    dtype = np.dtype(form.dtype)
    if form.scheme in (OPAQUE, PLANES):
        return None
    if form.scheme not in (DIRECT, BYTES) or dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise CodecError("the file is damaged: an array has an unknown coding scheme")
    cut = find_cut(form.shape, event_shape, dtype.itemsize if form.scheme == BYTES else 1)
    if cut is None:
        raise CodecError("the file is damaged: an array's shape does not suit the model")
    return cut


def tasks(groups: Iterable[Group], block_size: int) -> list[Task]:
    """The blocks of a file, in order."""
    found = []
    for group in groups:
        step, total = group.step(block_size), group.total
        found += [Task(group, start, min(start + step, total)) for start in range(0, total, step)]
    return found


def check_block_count(groups: Iterable[Group], block_size: int, count: int) -> None:
    """Check, without a list of them, that there are as many blocks as a file has: a header may promise anything.

    Raises:
        CodecError: if not.
    """
    if sum(-(-group.total // group.step(block_size)) for group in groups) != count:
        raise CodecError("the file is damaged: it has not as many blocks as its arrays need")


def shares(header: Header, found: Sequence[Group]) -> list[float]:
    """The bytes that each entry takes of the blocks; a block that several share counts by how much they have in it."""
    parts = [0.0] * len(header.forms)
    for task, length in zip(tasks(found, header.block_size), header.lengths, strict=True):
        for index, low, high in task.group.overlaps(task.start, task.stop):
            parts[task.group.members[index]] += length * (high - low) / (task.stop - task.start)
    return parts


def to_content(array: Array, form: Form, event_shape: tuple[int, ...]) -> Array:
    """An array's patches, or its bytes."""
    cut = _cut(form, event_shape)
    if cut is None:
        content = array.tobytes()
        return np.frombuffer(shuffle(content, array.itemsize) if form.scheme == PLANES else content, np.uint8)
    return arrays.to_patches(arrays.to_byte_planes(array, cut.axes) if form.scheme == BYTES else array, cut)


def from_content(content: Array, form: Form, event_shape: tuple[int, ...]) -> Array:
    """Undo :func:`to_content`."""
    cut, dtype = _cut(form, event_shape), np.dtype(form.dtype)
    if cut is None:
        raw = content.tobytes()
        values = unshuffle(raw, dtype.itemsize) if form.scheme == PLANES else raw
        return np.frombuffer(values, dtype).reshape(form.shape).copy()
    if form.scheme == DIRECT:
        return arrays.from_patches(content, cut, form.shape).astype(dtype, copy=False)
    place = len(form.shape) - cut.axes
    shape = (*form.shape[:place], dtype.itemsize, *form.shape[place:])
    return arrays.from_byte_planes(arrays.from_patches(content, cut, shape), dtype, cut.axes)
