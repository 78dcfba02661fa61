"""Compress arrays with a flow, and get them back bit for bit."""

from __future__ import annotations

import os
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import accumulate
from math import prod
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from pushforward.codec.archive import arrays
from pushforward.codec.archive.arrays import BYTES, DIRECT, OPAQUE, Cut, find_cut
from pushforward.codec.archive.blocks import (
    decode_patches,
    decode_plain,
    decode_with_model,
    encode_patches,
    encode_plain,
    modelled_part,
    stored_bytes,
)
from pushforward.codec.archive.container import MEMORY_LIMIT, Form, Header, read_container, write_container
from pushforward.codec.entropy import AnsCoder
from pushforward.codec.exact.portable import PortableFlow
from pushforward.codec.model import CodecModel
from pushforward.distributions.base import Distribution
from pushforward.errors import CodecError, UsageError

Array = NDArray[Any]
Progress = Callable[[int, int], None]
Result = TypeVar("Result")

OPAQUE_BLOCK = 2**20
"""Bytes of a block that no model sees."""


@dataclass
class Entry:
    """One array of a file: its name, the kind of file it came from (0 for none), and what else that file needs."""

    array: Array
    name: str = ""
    kind: int = 0
    extra: bytes = b""


def compress(
    flow: CodecModel | Distribution,
    array: Array | torch.Tensor,
    *,
    block_size: int | None = None,
    verify: bool = True,
    progress: Progress | None = None,
) -> bytes:
    """Compress an array of any shape and type, losslessly, with a flow.

    What suits the flow's shape and levels is coded by it; what does not (other types, values out of range, noise that
    it would only lengthen) is stored in a plainer way. A flow on integers (``idf``) is exported to its portable form:
    the bytes can be read on any machine; pass the result of :func:`pushforward.codec.export` or
    :func:`pushforward.codec.load_portable` to do that once for many calls. A continuous flow codes by local bits-back.

    Args:
        flow: a flow, or what :func:`pushforward.codec.export` made of it.
        array: the data; the leading dimensions are the batch.
        block_size: how many events share a block; blocks are decoded independently of each other.
        verify: decode each block of a model that is not portable once while encoding, and store it plainly unless
            it reads back.
        progress: called with the number of blocks done and to do.

    Raises:
        UsageError: if the flow has neither an exact integer form nor one for bits-back coding, or the array holds
            Python objects.

    Source: Hoogeboom et al. (2019), arXiv:1905.07376; Ho, Lohn, Abbeel (2019), arXiv:1905.08500.

    Example:
        >>> import numpy as np, pushforward as pf
        >>> from pushforward.codec import compress, decompress, export
        >>> model = export(pf.build("idf", shape=(1, 4, 4), levels=4, hidden=[4], depth=1))
        >>> images = np.arange(64, dtype=np.uint8).reshape(4, 4, 4) % 4
        >>> bool((decompress(model, compress(model, images)) == images).all())
        True
    """
    data = array.detach().cpu().numpy() if isinstance(array, torch.Tensor) else np.asarray(array)
    return pack(as_model(flow), [Entry(data)], block_size=block_size, verify=verify, progress=progress)


def decompress(
    flow: CodecModel | Distribution,
    data: bytes,
    *,
    index: int | None = None,
    memory_limit: int = MEMORY_LIMIT,
    progress: Progress | None = None,
) -> Array:
    """Get back the array that :func:`compress` was given.

    Args:
        flow: the same flow, or its portable form.
        data: what ``compress`` returned.
        index: decode ``array[index]`` alone, from the blocks that hold it.
        memory_limit: refuse files that hold more bytes of arrays than this.
        progress: called with the number of blocks done and to do.

    Raises:
        CodecError: if the data are damaged, truncated, foreign, or were made with another model or version.
        UsageError: if the data hold several arrays, or ``index`` is out of range.
    """
    model = as_model(flow)
    header, blocks = open_container(model, data, memory_limit)
    if len(header.names) != 1:
        raise UsageError(f"decompress expects a file with one array, got {len(header.names)}: use unpack()")
    reader = _Decoder(model, header, blocks)
    if index is None:
        (entry,) = reader.entries(progress)
        return entry.array
    return reader.item(index)


def preview(
    flow: CodecModel | Distribution, data: bytes, latents: int, *, seed: int = 0, memory_limit: int = MEMORY_LIMIT
) -> Array:
    """Decode the deepest ``latents`` latents of every event and draw the others from the model.

    With all latents the result is exact; with fewer it is what the model takes the rest to be, which shows what a file
    holds before all of it is decoded. Blocks that are stored plainly come out exact.

    Raises:
        CodecError: as :func:`decompress` does.
        UsageError: if the model has no latents to choose from, or the data hold several arrays.
    """
    (entry,) = unpack_preview(as_model(flow), data, latents, seed, memory_limit)
    return entry.array


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
        contents.append(_to_content(array, form, model.event_shape))
    header.forms = list(forms)
    check = verify and not isinstance(model, PortableFlow)

    def encode(task: _Task) -> tuple[bytes, int]:
        content = task.group.slice(contents, task.start, task.stop)
        if task.group.is_opaque:
            raw = content.tobytes()
            return encode_plain(raw, 1), zlib.crc32(raw)
        patches, valid = content.astype(np.int64), task.group.valid(task.start, task.stop)
        checksum = zlib.crc32(stored_bytes(patches, valid, task.group.dtype))
        return encode_patches(model, patches, valid, task.group.dtype, check), checksum

    coded = _in_parallel(encode, _tasks(_groups(header, model.event_shape), block_size), progress)
    header.lengths = [len(block) for block, _ in coded]
    header.checksums = [checksum for _, checksum in coded]
    return write_container(header, [block for block, _ in coded])


def unpack(
    model: CodecModel, data: bytes, *, memory_limit: int = MEMORY_LIMIT, progress: Progress | None = None
) -> list[Entry]:
    """Get back the entries that :func:`pack` was given.

    Raises:
        CodecError: as :func:`decompress` does.
    """
    header, blocks = open_container(model, data, memory_limit)
    return _Decoder(model, header, blocks).entries(progress)


def unpack_preview(
    model: CodecModel, data: bytes, latents: int, seed: int = 0, memory_limit: int = MEMORY_LIMIT
) -> list[Entry]:
    """The entries of a file as :func:`preview` shows them."""
    if not isinstance(model, PortableFlow):
        raise UsageError("preview expects a flow on integers, whose latents are coded one after the other")
    header, blocks = open_container(model, data, memory_limit)
    return _Previewer(model, header, blocks, latents, seed).entries(None)


def open_container(model: CodecModel, data: bytes, memory_limit: int = MEMORY_LIMIT) -> tuple[Header, list[memoryview]]:
    """Read a file's header and check that this model made it.

    Raises:
        CodecError: as :func:`decompress` does.
    """
    header, blocks = read_container(data, memory_limit)
    if header.fingerprint != model.fingerprint:
        raise CodecError(
            f"the file was made with another model: expected the model with fingerprint {header.fingerprint.hex()}, "
            f"got {model.fingerprint.hex()}"
        )
    return header, blocks


def as_model(flow: CodecModel | Distribution) -> CodecModel:
    """What codes with a flow: itself, its portable form, or local bits-back coding."""
    if not isinstance(flow, Distribution):
        return flow
    from pushforward.codec.exact.exporting import export
    from pushforward.transforms.surjections.integers import Integers

    if any(isinstance(part, Integers) for part in flow.modules()):
        return export(flow)
    from pushforward.codec.bitsback.bitsback import LocalBitsBack

    return LocalBitsBack(flow)


@dataclass(eq=False)
class _Group:
    """The entries that share blocks: all opaque ones, or all whose patches have one type."""

    dtype: np.dtype[Any]
    is_opaque: bool
    members: list[int] = field(default_factory=list)
    cuts: list[Cut | None] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._starts: list[int] = []

    @property
    def total(self) -> int:
        """Patches, or bytes of an opaque group."""
        return sum(self.sizes)

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
class _Task:
    """One block: which patches of which group."""

    group: _Group
    start: int
    stop: int


def _groups(header: Header, event_shape: tuple[int, ...]) -> list[_Group]:
    """The groups of a file, which its header's forms alone decide."""
    groups: dict[str, _Group] = {}
    for index, form in enumerate(header.entries):
        dtype = np.dtype(np.uint8) if form.scheme != DIRECT else np.dtype(form.dtype)
        key = "" if form.scheme == OPAQUE else dtype.str
        group = groups.setdefault(key, _Group(dtype, form.scheme == OPAQUE))
        cut = _cut(form, event_shape)
        group.members.append(index)
        group.cuts.append(cut)
        group.sizes.append(form.bytes if cut is None else cut.patches)
    return list(groups.values())


def _cut(form: Form, event_shape: tuple[int, ...]) -> Cut | None:
    dtype = np.dtype(form.dtype)
    if form.scheme == OPAQUE:
        return None
    if form.scheme not in (DIRECT, BYTES) or dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise CodecError("the file is damaged: an array has an unknown coding scheme")
    cut = find_cut(form.shape, event_shape, dtype.itemsize if form.scheme == BYTES else 1)
    if cut is None:
        raise CodecError("the file is damaged: an array's shape does not suit the model")
    return cut


def _tasks(groups: Iterable[_Group], block_size: int) -> list[_Task]:
    tasks = []
    for group in groups:
        step = OPAQUE_BLOCK if group.is_opaque else block_size
        tasks += [_Task(group, start, min(start + step, group.total)) for start in range(0, group.total, step)]
    return tasks


def _to_content(array: Array, form: Form, event_shape: tuple[int, ...]) -> Array:
    """An array's patches, or its bytes."""
    cut = _cut(form, event_shape)
    if cut is None:
        return np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8)
    return arrays.to_patches(arrays.to_byte_planes(array, cut.axes) if form.scheme == BYTES else array, cut)


def _from_content(content: Array, form: Form, event_shape: tuple[int, ...]) -> Array:
    """Undo :func:`_to_content`."""
    cut, dtype = _cut(form, event_shape), np.dtype(form.dtype)
    if cut is None:
        return np.frombuffer(content.tobytes(), dtype).reshape(form.shape).copy()
    if form.scheme == DIRECT:
        return arrays.from_patches(content, cut, form.shape).astype(dtype, copy=False)
    place = len(form.shape) - cut.axes
    shape = (*form.shape[:place], dtype.itemsize, *form.shape[place:])
    return arrays.from_byte_planes(arrays.from_patches(content, cut, shape), dtype, cut.axes)


class _Decoder:
    """Decodes the blocks of an opened file."""

    def __init__(self, model: CodecModel, header: Header, blocks: Sequence[memoryview]) -> None:
        self.model, self.header = model, header
        groups = _groups(header, model.event_shape)
        # A header may promise anything; before a list of its blocks is made, their number must be the file's.
        steps = [OPAQUE_BLOCK if group.is_opaque else header.block_size for group in groups]
        if sum(-(-group.total // step) for group, step in zip(groups, steps)) != len(blocks):
            raise CodecError("the file is damaged: it has not as many blocks as its arrays need")
        self.groups = groups
        self.tasks = _tasks(groups, header.block_size)
        self.blocks = dict(zip(self.tasks, zip(blocks, header.checksums)))

    def entries(self, progress: Progress | None) -> list[Entry]:
        """Decode everything."""
        decoded = dict(zip(self.tasks, _in_parallel(self.decode, self.tasks, progress)))
        contents: dict[int, Array] = {}
        for group in self.groups:
            parts = [decoded[task] for task in self.tasks if task.group is group]
            whole = np.concatenate(parts) if parts else np.empty(0, np.uint8)
            starts = list(accumulate(group.sizes, initial=0))
            for place, member in enumerate(group.members):
                contents[member] = whole[starts[place] : starts[place + 1]]
        return [
            Entry(_from_content(contents[index], form, self.model.event_shape), name, form.kind, form.extra)
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
        return _from_content(content, inner, self.model.event_shape)[0]

    def decode(self, task: _Task) -> Array:
        """Decode one block and compare it with its checksum."""
        block, checksum = self.blocks[task]
        if task.group.is_opaque:
            content = decode_plain(block, task.stop - task.start, 1)
            self.check(content, checksum)
            return np.frombuffer(content, np.uint8)
        valid = task.group.valid(task.start, task.stop)
        patches = decode_patches(self.model, block, task.stop - task.start, valid, task.group.dtype)
        self.check(stored_bytes(patches, valid, task.group.dtype), checksum)
        return patches.astype(task.group.dtype).reshape(len(patches), *_event(task.group))

    def check(self, content: bytes, checksum: int) -> None:
        """Raise unless the content is what was compressed."""
        if zlib.crc32(content) != checksum:
            raise CodecError("a block does not decode to what was compressed: the file or the model is damaged")


class _Previewer(_Decoder):
    """Decodes the deepest latents only."""

    model: PortableFlow

    def __init__(
        self, model: PortableFlow, header: Header, blocks: Sequence[memoryview], latents: int, seed: int
    ) -> None:
        super().__init__(model, header, blocks)
        if not 0 <= latents <= model.latents:
            raise UsageError(f"preview expects between 0 and {model.latents} latents, got {latents}")
        self.latents, self.seed = latents, seed

    def decode(self, task: _Task) -> Array:
        payload = None if task.group.is_opaque else modelled_part(self.blocks[task][0])
        if payload is None or self.latents == self.model.latents:
            return super().decode(task)

        def pop(coder: AnsCoder) -> torch.Tensor:
            return self.model.preview(coder, task.stop - task.start, self.latents, self.seed + task.start)

        patches = decode_with_model(payload, pop)
        return patches.astype(task.group.dtype).reshape(len(patches), *_event(task.group))


def _event(group: _Group) -> tuple[int, ...]:
    cut = group.cuts[0]
    assert cut is not None
    return cut.event


def _in_parallel(
    function: Callable[[_Task], Result], tasks: Sequence[_Task], progress: Progress | None
) -> list[Result]:
    """Run over all blocks, one block a thread: several threads on one block would mostly wait for each other."""
    threads = torch.get_num_threads()
    workers = max(1, min(threads, len(tasks), os.cpu_count() or 1))
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            results = pool.map(function, tasks)
            return [_report(result, done, len(tasks), progress) for done, result in enumerate(results)]
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(threads)


def _report(result: Result, done: int, total: int, progress: Progress | None) -> Result:
    if progress is not None:
        progress(done + 1, total)
    return result
