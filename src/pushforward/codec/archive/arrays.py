"""Any array as patches of a model's shape and range, and back, bit for bit.

How an array is cut depends on its shape, its type and the model alone, so that no more than those need be stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.errors import UsageError

Array = NDArray[Any]

LARGEST_BLOW_UP = 4
"""Patches may hold at most this many times the array's elements, padding included."""

OPAQUE, DIRECT, BYTES, PLANES = range(4)
"""The schemes: bytes that no model sees; the values themselves; each byte of the values as a plane of its own; such
planes that no model sees."""


@dataclass(frozen=True)
class Cut:
    """How an array becomes patches: the last ``axes`` make an image (channels, height, width), the others items."""

    items: int
    channels: int
    height: int
    width: int
    event: tuple[int, ...]
    axes: int
    channels_last: bool = False

    @property
    def tall(self) -> int:
        """Rows of patches on each image."""
        return -(-self.height // self.event[1])

    @property
    def wide(self) -> int:
        """Columns of patches on each image."""
        return -(-self.width // self.event[2])

    @property
    def patches(self) -> int:
        """How many patches there are."""
        return self.items * self.tall * self.wide

    @property
    def is_padded(self) -> bool:
        """Whether patches reach over the edge."""
        return self.patches * self.event[1] * self.event[2] != self.items * self.height * self.width


def find_cut(shape: tuple[int, ...], event_shape: tuple[int, ...], byte_planes: int = 1) -> Cut | None:
    """How an array of ``shape`` is cut for events of ``event_shape``; None where it does not suit them.

    Arrays of ``byte_planes`` > 1 have their bytes as an axis before the image's own axes, counted among the items.

    Example:
        >>> find_cut((10, 28, 28), (1, 28, 28)).patches, find_cut((30, 20, 3), (1, 28, 28)).patches
        (10, 6)
    """
    if len(event_shape) == 1:
        if not shape or shape[-1] != event_shape[0]:
            return None
        return Cut(prod(shape[:-1]) * byte_planes, event_shape[0], 1, 1, (event_shape[0], 1, 1), 1)
    channels, height, width = event_shape
    cut = _find_image_cut(shape, channels, height, width, byte_planes)
    if cut is None:
        return None
    size = cut.patches * prod(event_shape)
    return cut if size <= LARGEST_BLOW_UP * prod(shape) * byte_planes else None


def _find_image_cut(shape: tuple[int, ...], channels: int, height: int, width: int, byte_planes: int) -> Cut | None:
    event = (channels, height, width)
    leading = [prod(shape[: len(shape) - axes]) * byte_planes if len(shape) >= axes else 0 for axes in range(4)]
    if shape[-3:] == event:
        return Cut(leading[3], *event, event, 3)
    if channels == 1 and shape[-2:] == (height, width):
        return Cut(leading[2], *event, event, 2)
    if shape[-3:] == (height, width, channels) and channels > 1:
        return Cut(leading[3], *event, event, 3, channels_last=True)
    if len(shape) >= 2 and shape[-1] == prod(event):
        return Cut(leading[1], *event, event, 1)
    if channels == 1 and len(shape) >= 3 and shape[-1] in (2, 3, 4) and shape[-2] > 4:
        return Cut(leading[3] * shape[-1], 1, shape[-3], shape[-2], event, 3, channels_last=True)
    if channels == 1 and len(shape) >= 2:
        return Cut(leading[2], 1, shape[-2], shape[-1], event, 2)
    if channels > 1 and len(shape) >= 3 and shape[-3] == channels:
        return Cut(leading[3], channels, shape[-2], shape[-1], event, 3)
    if channels > 1 and len(shape) >= 3 and shape[-1] == channels:
        return Cut(leading[3], channels, shape[-3], shape[-2], event, 3, channels_last=True)
    return None


def choose_scheme(array: Array, event_shape: tuple[int, ...], low: int, high: int) -> int:
    """The scheme that suits an array's type, shape and values best.

    Raises:
        UsageError: if the array holds Python objects or fields, which have no bits of their own, or nothing at all.
    """
    if array.dtype.hasobject or array.dtype.names is not None or not array.itemsize:
        raise UsageError(f"compress expects an array of plain numbers, got {array.dtype!r}: save its parts one by one")
    if find_cut(array.shape, event_shape) is None or array.size == 0:
        return OPAQUE
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        return OPAQUE
    values = as_integers(array)
    if values is not None:
        inside = np.count_nonzero((values >= low) & (values <= high))
        if inside >= 0.75 * values.size:
            return DIRECT
    if array.dtype.itemsize > 1 and array.dtype.kind in "iu" and low <= 0 and high >= 255:
        return BYTES
    return OPAQUE


def as_integers(array: Array) -> NDArray[np.int64] | None:
    """The values as integers, if that loses no bit (a negative zero, a fraction, a NaN would)."""
    if array.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            inside = np.abs(array.astype(np.float64)) < 2.0**31
            values = np.where(inside, array, array.dtype.type(0.5)).astype(np.int64)
    elif array.dtype.kind == "u" and array.dtype.itemsize == 8 and array.size and int(array.max()) >= 2**63:
        return None
    else:
        values = array.astype(np.int64)
    same = values.astype(array.dtype).tobytes() == np.ascontiguousarray(array).tobytes()
    return values if same else None


def to_byte_planes(array: Array, axes: int) -> NDArray[np.uint8]:
    """The bytes of each value, lowest first, as an axis before the image's ``axes``."""
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    planes = little.view(np.uint8).reshape(*array.shape, array.dtype.itemsize)
    return np.moveaxis(planes, -1, array.ndim - axes)


def from_byte_planes(planes: NDArray[np.uint8], dtype: np.dtype[Any], axes: int) -> Array:
    """Undo :func:`to_byte_planes`."""
    values = np.ascontiguousarray(np.moveaxis(planes, planes.ndim - 1 - axes, -1))
    return values.view(dtype.newbyteorder("<"))[..., 0].astype(dtype)


def shuffle(content: bytes, itemsize: int) -> bytes:
    """All first bytes of the items, then all second ones and so on: like bytes code better together."""
    if itemsize == 1 or len(content) % itemsize:
        return content
    return np.frombuffer(content, np.uint8).reshape(-1, itemsize).T.tobytes()


def unshuffle(content: bytes, itemsize: int) -> bytes:
    """Undo :func:`shuffle`."""
    if itemsize == 1 or len(content) % itemsize:
        return content
    return np.frombuffer(content, np.uint8).reshape(itemsize, -1).T.tobytes()


def to_patches(values: Array, cut: Cut) -> Array:
    """Cut into patches (patches, *event); what reaches over the edge repeats the edge."""
    images = _as_images(values, cut)
    rows = cut.tall * cut.event[1] - cut.height
    columns = cut.wide * cut.event[2] - cut.width
    padded = np.pad(images, ((0, 0), (0, 0), (0, rows), (0, columns)), mode="edge") if cut.is_padded else images
    tiles = padded.reshape(cut.items, cut.event[0], cut.tall, cut.event[1], cut.wide, cut.event[2])
    return np.ascontiguousarray(tiles.transpose(0, 2, 4, 1, 3, 5)).reshape(cut.patches, *cut.event)


def from_patches(patches: Array, cut: Cut, shape: tuple[int, ...]) -> Array:
    """Undo :func:`to_patches`."""
    tiles = patches.reshape(cut.items, cut.tall, cut.wide, *cut.event).transpose(0, 3, 1, 4, 2, 5)
    images = tiles.reshape(cut.items, cut.event[0], cut.tall * cut.event[1], cut.wide * cut.event[2])
    images = images[:, :, : cut.height, : cut.width]
    if cut.channels_last:
        split = images.reshape(-1, shape[-1], cut.height, cut.width)
        return np.ascontiguousarray(split.transpose(0, 2, 3, 1)).reshape(shape)
    return np.ascontiguousarray(images).reshape(shape)


def valid_mask(cut: Cut) -> NDArray[np.bool_] | None:
    """Which elements of the patches of one item are the array's own, (tall * wide, *event); None for all."""
    if not cut.is_padded:
        return None
    mask = np.zeros((cut.tall * cut.event[1], cut.wide * cut.event[2]), dtype=bool)
    mask[: cut.height, : cut.width] = True
    tiles = mask.reshape(cut.tall, cut.event[1], cut.wide, cut.event[2]).transpose(0, 2, 1, 3)
    shape = (cut.tall * cut.wide, *cut.event)
    return np.broadcast_to(tiles.reshape(-1, 1, *cut.event[1:]), shape).copy()


def _as_images(values: Array, cut: Cut) -> Array:
    if cut.channels_last:
        channels = values.shape[-1]
        moved = np.moveaxis(values.reshape(-1, cut.height, cut.width, channels), -1, 1)
        return moved.reshape(cut.items, cut.event[0], cut.height, cut.width)
    return values.reshape(cut.items, cut.channels, cut.height, cut.width)
