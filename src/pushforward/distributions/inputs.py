"""What people hand over as events, contexts and sample shapes, as tensors of a distribution's own type."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pushforward.errors import DataError, UsageError
from pushforward.kernels.example import example_of
from pushforward.kernels.recording import is_traced
from pushforward.spaces import Space


def as_events(owner: nn.Module, x: Any, *, discrete: bool) -> Tensor:
    """Return events as a tensor of the module's floating-point type and device; ``discrete`` ones stay integers where
    that type could not hold them. Tensors, arrays, lists and data frames of numbers are taken.

    Raises:
        DataError: for something else.
    """
    return _like(owner, x, "events", keep_integers=discrete)


def as_context(owner: nn.Module, context: Any) -> Tensor | None:
    """Return a context as a floating-point tensor of the module's type and device, None for none.

    Raises:
        DataError: for something that is not numbers.
    """
    return None if context is None else _like(owner, context, "a context", keep_integers=False)


def check_inside(x: Tensor, space: Space, what: str) -> None:
    """Raise :class:`DataError` if an event lies outside of a space."""
    if space.everywhere or is_traced():
        return
    inside = space.contains(x)
    if not bool(inside.all()):
        wrong = int((~inside).sum())
        raise DataError(f"{what} expects points of {space}, got {wrong} of {inside.numel()} events outside of it")


def as_batch(sample_shape: int | Sequence[int]) -> torch.Size:
    """Return a sample shape, of which a number (numpy's too) is one dimension.

    Raises:
        UsageError: if it is neither a whole number of 0 or more nor a sequence of them.

    Example:
        >>> as_batch(np.int64(4)), as_batch((2, 3))
        (torch.Size([4]), torch.Size([2, 3]))
    """
    try:
        sizes = [operator.index(sample_shape)]  # type: ignore[arg-type]
    except TypeError:
        try:
            sizes = [operator.index(size) for size in sample_shape]  # type: ignore[union-attr]
        except TypeError:
            raise UsageError(f"a sample shape expects a whole number or several, got {sample_shape!r}") from None
    if any(size < 0 for size in sizes):
        raise UsageError(f"a sample shape expects numbers of 0 or more, got {sample_shape!r}")
    return torch.Size(sizes)


def _like(owner: nn.Module, values: Any, what: str, *, keep_integers: bool) -> Tensor:
    if not isinstance(values, Tensor):
        values = _as_tensor(values, what)
    _check_real(values, what)
    like = example_of(owner)
    dtype, device = (torch.get_default_dtype(), values.device) if like is None else (like.dtype, like.device)
    if values.dtype == dtype and values.device == device:
        return values
    if values.is_floating_point():
        as_it_is = torch.is_autocast_enabled(values.device.type)
    else:
        # The integers of bytes and more have no place in a type of half the size.
        as_it_is = keep_integers and dtype.itemsize < 4
    return values.to(device, values.dtype if as_it_is else dtype)


def _check_real(values: Tensor, what: str) -> None:
    if values.dtype.is_complex:
        raise DataError(f"{what} must be real numbers, got complex ones ({values.dtype})")


def _as_tensor(values: Any, what: str) -> Tensor:
    if isinstance(values, np.ma.MaskedArray):
        raise DataError(f"{what} must be numbers, got a masked array: fill or remove what is masked")
    if isinstance(values, list | tuple) and any(isinstance(each, Tensor) for each in values):
        return torch.stack([torch.as_tensor(each) for each in values])
    try:
        array = np.asarray(values)
        if array.dtype == object or array.dtype.kind == "f":
            # Frames of nullable columns, and numbers of another byte order or precision.
            array = array.astype(np.float32 if array.dtype.itemsize == 4 and array.dtype.kind == "f" else np.float64)
        return torch.as_tensor(np.ascontiguousarray(array) if array.ndim else array)
    except (TypeError, ValueError, RuntimeError):
        raise DataError(
            f"{what} must be numbers: a tensor, an array, a list or a data frame of them, got {type(values).__name__}"
        ) from None
