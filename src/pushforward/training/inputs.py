"""Whatever data come as, they become a tensor of events and one of contexts in memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import data as torch_data
from torch.utils.data import DataLoader

from pushforward.data.dataset import Dataset
from pushforward.data.tables import numeric
from pushforward.errors import DataError, UsageError, first_line
from pushforward.flows.flow import Flow
from pushforward.training.checks import check_pair

#: Events and their contexts.
Pair = tuple[Tensor, Tensor | None]
# What collects the items of a dataset that is no tensors.
_ROWS = 1024


def read_pair(flow: Flow, data: Any, name: str, dtype: torch.dtype) -> Pair:
    """The events ``(N, ...)`` and contexts ``(N, ...)`` (or None) of ``data``, checked against the flow.

    Args:
        flow: what the data are for.
        data: events, a pair ``(events, contexts)``, a `Dataset` of Pushforward (its part ``name``), a
            ``torch.utils.data.Dataset`` or a ``DataLoader`` with items ``x`` or ``(x, context)``. Events and contexts
            are tensors, arrays, lists of rows, or pandas frames, whose columns are taken in order. Of a loader that
            goes through a dataset once, the dataset is taken; any other (its own sampling, collating or stream) is
            drained once into memory.
        name: ``train``, ``validation`` or ``test``.
        dtype: of floating-point values; whole numbers are kept as they are, which saves memory.

    Raises:
        UsageError: data of another kind, a context for a flow without one, or none for a flow with one.
        ShapeError: the shape of an event or a context is not the flow's.
        DataError: something that is no number, NaN or infinite values, no rows, not as many contexts as events.
    """
    called = "training" if name == "train" else name
    x, context = _parts(data.parts()[name] if isinstance(data, Dataset) else data, called, dtype)
    check_pair(flow, x, context, called)
    return x, context


def own_batch_size(data: Any) -> int | None:
    """The batch size of a ``DataLoader``, None for anything else."""
    return data.batch_size if isinstance(data, DataLoader) else None


def _parts(data: Any, name: str, dtype: torch.dtype) -> Pair:
    if isinstance(data, DataLoader):
        return _from_dataset(data.dataset, name, dtype) if _goes_through_once(data) else _drained(data, name, dtype)
    if isinstance(data, torch_data.Dataset):
        return _from_dataset(data, name, dtype)
    events, contexts = _separated(data, name) if isinstance(data, tuple) else (data, None)
    context = None if contexts is None else as_tensor(contexts, f"{name} contexts", dtype)
    return as_tensor(events, f"{name} events", dtype), context


def _separated(pair: Any, name: str) -> tuple[Any, Any]:
    if len(pair) not in (1, 2):
        raise UsageError(f"{name} data must be events, or a pair of events and contexts, got {len(pair)} things")
    return pair[0], pair[1] if len(pair) == 2 else None


def _from_dataset(dataset: Any, name: str, dtype: torch.dtype) -> Pair:
    if isinstance(dataset, torch_data.TensorDataset):
        return _parts(tuple(dataset.tensors), name, dtype)
    return _drained(DataLoader(dataset, batch_size=_ROWS, collate_fn=_collated), name, dtype)


def _collated(items: list[Any]) -> Any:
    try:
        return torch_data.default_collate(items)
    except (RuntimeError, TypeError) as error:
        reason = first_line(error)
        raise DataError(f"the items of a dataset must be numbers of one shape ({reason})") from error


def _goes_through_once(loader: DataLoader[Any]) -> bool:
    """Whether a pass of the loader is its dataset, item by item, in whatever order."""
    sampler = loader.sampler
    return (
        not isinstance(loader.dataset, torch_data.IterableDataset)
        and type(loader.batch_sampler) is torch_data.BatchSampler
        and loader.collate_fn is torch_data.default_collate
        and (type(sampler) is torch_data.SequentialSampler or _is_permutation(sampler))
    )


def _is_permutation(sampler: Any) -> bool:
    return (
        type(sampler) is torch_data.RandomSampler
        and not sampler.replacement
        and len(sampler) == len(sampler.data_source)
    )


def _drained(loader: DataLoader[Any], name: str, dtype: torch.dtype) -> Pair:
    pieces = list(_batches(loader, name, dtype))
    if not pieces:
        raise DataError(f"the {name} data hold no rows")
    events, contexts = zip(*pieces)
    try:
        return torch.cat(events), None if contexts[0] is None else torch.cat(contexts)
    except (RuntimeError, TypeError) as error:
        raise DataError(f"the items of the {name} data must have one shape, and all a context or none") from error


def _batches(loader: DataLoader[Any], name: str, dtype: torch.dtype) -> Iterator[Pair]:
    for batch in loader:
        if isinstance(batch, dict):
            raise UsageError(f"the items of the {name} data must be x or (x, context), got dicts of {', '.join(batch)}")
        # Collated pairs come as lists.
        yield _parts(tuple(batch) if isinstance(batch, list) else batch, name, dtype)


def as_tensor(values: Any, name: str, dtype: torch.dtype) -> Tensor:
    """A tensor of the numbers in ``values``; floating-point ones in ``dtype``, whole ones as they are.

    Raises:
        UsageError: this is nothing that holds numbers.
        DataError: something in it is no number, or the rows differ in length.

    Example:
        >>> as_tensor([[1.5, 2.0]], "events", torch.float32), as_tensor(np.uint8([3]), "events", torch.float32)
        (tensor([[1.5000, 2.0000]]), tensor([3], dtype=torch.uint8))
    """
    if isinstance(values, (str, bytes, Path)):
        raise UsageError(f"the {name} must be tensors, arrays, frames or lists, got {values!r}: read the file first")
    # Whoever has a frame has imported pandas.
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(values, pandas.Series):
        values = values.to_frame()
    if pandas is not None and isinstance(values, pandas.DataFrame):
        values = numeric(f"the {name}", values, dtype=np.float64 if dtype == torch.float64 else np.float32)
    if isinstance(values, list) and values and isinstance(values[0], Tensor):
        values = _stacked(values, name)
    tensor = values.detach() if isinstance(values, Tensor) else _from_array(_array(values, name), name)
    if tensor.is_complex():
        raise DataError(f"the {name} must be real numbers, got {tensor.dtype}")
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def _stacked(rows: list[Any], name: str) -> Tensor:
    try:
        return torch.stack(rows)
    except (RuntimeError, TypeError) as error:
        raise DataError(
            f"a list of {name} must hold rows of one shape; events and their contexts are a tuple (events, contexts)"
        ) from error


def _array(values: Any, name: str) -> np.ndarray[Any, Any]:
    if not isinstance(values, (list, tuple)) and not hasattr(values, "__array__"):
        raise UsageError(f"the {name} must be tensors, arrays, frames or lists, got {type(values).__name__}")
    try:
        array = np.asarray(values)
        return array.astype(np.float64) if array.dtype == object else array
    except (TypeError, ValueError) as error:
        raise DataError(f"the {name} must be numbers in rows of one shape ({first_line(error)})") from error


def _from_array(array: np.ndarray[Any, Any], name: str) -> Tensor:
    if array.dtype.kind not in "biuf":
        kind = "text" if array.dtype.kind in "US" else str(array.dtype)
        raise DataError(f"the {name} must be numbers, got {kind}: leave it out or encode it first")
    # Few operations of torch know unsigned integers above 8 bits; none knows extended precision or foreign byte orders.
    kind = array.dtype.str[1:]
    known = {"u2": "i4", "u4": "i8", "u8": "i8"}.get(kind, kind if array.dtype.itemsize <= 8 else "f8")
    return torch.from_numpy(np.require(array.astype(known, copy=False), requirements=["C", "W"]))
