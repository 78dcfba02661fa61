"""One block: some patches coded by the model, or plainly where that is shorter or the model cannot."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pushforward.codec.archive.arrays import shuffle, unshuffle
from pushforward.codec.archive.general import inflate
from pushforward.codec.entropy import AnsCoder
from pushforward.codec.model import CodecModel
from pushforward.errors import CodecError

Array = NDArray[Any]
RAW, DEFLATED, MODELLED, ESCAPED = range(4)
"""Modes: bytes; bytes deflated; the model's code; the same with corrections of values outside the model's range."""


def encode_plain(content: bytes, itemsize: int) -> bytes:
    """The shorter of the bytes as they are and deflated."""
    deflated = zlib.compress(shuffle(content, itemsize), 6)
    return bytes([DEFLATED]) + deflated if len(deflated) < len(content) else bytes([RAW]) + content


def decode_plain(block: memoryview, length: int, itemsize: int) -> bytes:
    """Undo :func:`encode_plain`; ``length`` is that of the bytes."""
    mode, payload = _split(block)
    if mode == RAW and len(payload) == length:
        return bytes(payload)
    if mode == DEFLATED:
        return unshuffle(inflate(payload, length), itemsize)
    raise CodecError("the file is damaged: a block has the wrong length or an unknown mode")


def encode_patches(
    model: CodecModel, patches: NDArray[np.int64], valid: NDArray[np.bool_] | None, dtype: np.dtype[Any], verify: bool
) -> tuple[bytes, int]:
    """Code patches (N, *event) of integers; of those outside ``valid`` only the array's shape knows.

    Returns the block, and how many bytes the model takes for it, used or not; 0 where it cannot code it.
    """
    plain = encode_plain(stored_bytes(patches, valid, dtype), dtype.itemsize)
    try:
        modelled = _encode_with_model(model, patches, valid)
        reads_back = not verify or _reads_back(model, modelled, patches, valid, dtype)
    except CodecError:
        return plain, 0
    return modelled if reads_back and len(modelled) < len(plain) else plain, len(modelled)


def _reads_back(
    model: CodecModel,
    block: bytes,
    patches: NDArray[np.int64],
    valid: NDArray[np.bool_] | None,
    dtype: np.dtype[Any],
) -> bool:
    decoded = decode_patches(model, memoryview(block), len(patches), valid, dtype)
    return stored_bytes(decoded, valid, dtype) == stored_bytes(patches, valid, dtype)


def decode_patches(
    model: CodecModel, block: memoryview, count: int, valid: NDArray[np.bool_] | None, dtype: np.dtype[Any]
) -> NDArray[np.int64]:
    """Undo :func:`encode_patches`; what is not ``valid`` is of no account."""
    mode, payload = _split(block)
    shape = (count, *model.event_shape)
    if mode in (RAW, DEFLATED):
        elements = int(np.prod(shape)) if valid is None else int(np.count_nonzero(valid))
        content = decode_plain(block, elements * dtype.itemsize, dtype.itemsize)
        numbers = np.frombuffer(content, dtype).astype(np.int64)
        if valid is None:
            return numbers.reshape(shape)
        patches = np.zeros(shape, dtype=np.int64)
        patches[valid.reshape(shape)] = numbers
        return patches
    if mode == MODELLED:
        return decode_with_model(payload, lambda coder: _pop_all(model, coder, count))
    if mode == ESCAPED:
        size, outside, rest = _split_escapes(payload)
        if size > 12 * int(np.prod(shape)):
            raise CodecError("the file is damaged: a block corrects more values than it has")
        patches = decode_with_model(rest, lambda coder: _pop_all(model, coder, count))
        return _restore(patches, inflate(outside, size))
    raise CodecError(f"the file is damaged: a block has the unknown mode {mode}")


def decode_with_model(payload: memoryview, pop: Callable[[AnsCoder], torch.Tensor]) -> NDArray[np.int64]:
    """Let the model take its events off the stack that the payload is."""
    coder = AnsCoder(bytes(payload))
    try:
        events = pop(coder)
    except (AssertionError, ValueError, RuntimeError) as error:
        raise CodecError(f"the file is damaged: a block cannot be decoded ({error})") from error
    return events.numpy().astype(np.int64)


def _pop_all(model: CodecModel, coder: AnsCoder, count: int) -> torch.Tensor:
    events = model.pop(coder, count)
    if coder.bits:
        raise CodecError("the file is damaged: a block holds more than its events")
    return events


def modelled_part(block: memoryview) -> memoryview | None:
    """What the model wrote of a block, or None where it wrote nothing."""
    mode, payload = _split(block)
    if mode == ESCAPED:
        return _split_escapes(payload)[2]
    return payload if mode == MODELLED else None


def stored_bytes(patches: NDArray[np.int64], valid: NDArray[np.bool_] | None, dtype: np.dtype[Any]) -> bytes:
    """The bytes that the patches stand for: what a checksum is taken of."""
    numbers = patches.reshape(-1) if valid is None else patches.reshape(-1)[valid.reshape(-1)]
    return numbers.astype(dtype).tobytes()


def _encode_with_model(model: CodecModel, patches: NDArray[np.int64], valid: NDArray[np.bool_] | None) -> bytes:
    inside = patches.clip(model.low, model.high)
    coder = AnsCoder()
    model.push(coder, torch.from_numpy(inside.reshape(len(patches), *model.event_shape)))
    different = (inside != patches).reshape(-1)
    if valid is not None:
        different &= valid.reshape(-1)
    places = np.flatnonzero(different)
    if not len(places):
        return bytes([MODELLED]) + coder.to_bytes()
    steps = np.diff(places, prepend=0).astype("<u4").tobytes()
    values = patches.reshape(-1)[places].astype("<i8").tobytes()
    content = shuffle(steps, 4) + shuffle(values, 8)
    outside = zlib.compress(content, 9)
    sizes = len(content).to_bytes(4, "little") + len(outside).to_bytes(4, "little")
    return bytes([ESCAPED]) + sizes + outside + coder.to_bytes()


def _restore(patches: NDArray[np.int64], content: bytes) -> NDArray[np.int64]:
    """Put the values outside the model's range in their places."""
    count, left = divmod(len(content), 12)
    if left:
        raise CodecError("the file is damaged: a block's corrections have the wrong length")
    steps = np.frombuffer(unshuffle(content[: 4 * count], 4), "<u4").astype(np.int64)
    places = np.cumsum(steps)
    if count and places[-1] >= patches.size:
        raise CodecError("the file is damaged: a block corrects values that it does not have")
    flat = patches.reshape(-1)
    flat[places] = np.frombuffer(unshuffle(content[4 * count :], 8), "<i8")
    return flat.reshape(patches.shape)


def _split(block: memoryview) -> tuple[int, memoryview]:
    if not len(block):
        raise CodecError("the file is damaged: a block is empty")
    return block[0], block[1:]


def _split_escapes(payload: memoryview) -> tuple[int, memoryview, memoryview]:
    size = int.from_bytes(payload[:4], "little")
    length = int.from_bytes(payload[4:8], "little")
    if length > len(payload) - 8:
        raise CodecError("the file is damaged: a block's corrections reach past its end")
    return size, payload[8 : 8 + length], payload[8 + length :]
