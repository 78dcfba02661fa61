"""What a fitted object holds, as JSON and tensors: plain values, labels, arrays, flows, and objects of known classes.

Reading makes values of the kinds listed here and objects of the classes that the reader is given; it runs no code of
the file and imports nothing that the file names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol, Self

import numpy as np
import torch
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.flows.rebuilding import check_rebuilds, rebuild
from pushforward.flows.spec import describe
from pushforward.tables.columns import Array
from pushforward.tables.labels import plain_label, restored_label

Json = Any


class Kept(Protocol):
    """An object that says what it holds and is made again of that."""

    def state(self) -> Any:
        """All that defines it, in plain values and arrays."""

    @classmethod
    def restored(cls, state: Any) -> Self:
        """The object of a :meth:`state`."""


Classes = Mapping[str, type[Kept]]


class StateWriter:
    """Writes values as JSON, and what is large as tensors beside it.

    Args:
        classes: by name, those whose objects are written by what they hold.

    Example:
        >>> writer = StateWriter({})
        >>> writer.write({"edges": np.array([1.0, 2.0]), 3: (None, float("inf"))})
        {'pairs': [['edges', {'array': '0'}], [3, {'tuple': [None, {'float': 'inf'}]}]]}
        >>> read_state(writer.write((1, "a")), writer.tensors, {})
        (1, 'a')
    """

    def __init__(self, classes: Classes) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._names = {kept: name for name, kept in classes.items()}

    def write(self, value: Any) -> Json:
        """Return a value as JSON.

        Raises:
            UsageError: if it is of a kind that no file holds.
        """
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) in self._names:
            return {"object": self._names[type(value)], "holds": self.write(value.state())}
        if isinstance(value, float):
            return value if math.isfinite(value) else {"float": str(value)}
        if isinstance(value, list):
            return [self.write(each) for each in value]
        if isinstance(value, tuple):
            return {"tuple": [self.write(each) for each in value]}
        if isinstance(value, Mapping):
            return {"pairs": [[self.write(key), self.write(each)] for key, each in value.items()]}
        if isinstance(value, np.ndarray):
            return self._write_array(value)
        if isinstance(value, nn.Module):
            return self._write_flow(value)
        if isinstance(value, np.random.RandomState):
            return {"generator": self.write(value.get_state())}
        return {"label": plain_label(value)}

    def _write_array(self, value: Array) -> Json:
        if value.dtype.kind in "biuf" and value.dtype.itemsize <= 8:
            return {
                "array": self._keep(torch.from_numpy(np.ascontiguousarray(value.astype(value.dtype.newbyteorder("=")))))
            }
        return {"items": self.write(value.ravel().tolist()), "of": str(value.dtype), "shape": list(value.shape)}

    def _write_flow(self, flow: nn.Module) -> Json:
        description, arguments = describe(flow)
        weights = {name: tensor.detach().cpu() for name, tensor in flow.state_dict().items()}
        check_rebuilds(flow, description, arguments, weights)
        kept = {name: self._keep(tensor) for name, tensor in arguments.items()}
        return {"flow": description, "arguments": kept, "weights": {n: self._keep(w) for n, w in weights.items()}}

    def _keep(self, tensor: Tensor) -> str:
        name = str(len(self.tensors))
        # The format refuses tensors that share memory, as equal masks may.
        self.tensors[name] = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        return name


def read_state(state: Json, tensors: Mapping[str, Tensor], classes: Classes) -> Any:
    """Return the value that :class:`StateWriter` wrote; what a damaged state raises is not said.

    Raises:
        UsageError: if an object's class or a kind of value is none that is known.
    """
    if not isinstance(state, list | dict):
        return state

    def read(part: Json) -> Any:
        return read_state(part, tensors, classes)

    if isinstance(state, list):
        return [read(each) for each in state]
    kind = next(iter(state))
    part = state[kind]
    if kind == "object":
        if part not in classes:
            raise UsageError(f"{part!r} is no class that a file may name here")
        return classes[part].restored(read(state["holds"]))
    if kind == "flow":
        arguments = {name: tensors[key] for name, key in state["arguments"].items()}
        return rebuild(part, arguments, {name: tensors[key] for name, key in state["weights"].items()}).eval()
    if kind not in _READERS:
        raise UsageError(f"{kind!r} is no kind of value that is known")
    return _READERS[kind](state, read, tensors)


def _read_items(state: Json, read: Any, tensors: Mapping[str, Tensor]) -> Any:
    items = np.empty(len(state["items"]), dtype=object)
    items[:] = read(state["items"])
    return items.astype(np.dtype(state["of"])).reshape(state["shape"])


def _read_generator(state: Json, read: Any, tensors: Mapping[str, Tensor]) -> np.random.RandomState:
    generator = np.random.RandomState()
    generator.set_state(read(state["generator"]))
    return generator


_READERS: dict[str, Any] = {
    "float": lambda state, read, tensors: float(state["float"]),
    "tuple": lambda state, read, tensors: tuple(read(state["tuple"])),
    "pairs": lambda state, read, tensors: {read(key): read(value) for key, value in state["pairs"]},
    "array": lambda state, read, tensors: tensors[state["array"]].numpy(),
    "items": _read_items,
    "generator": _read_generator,
    "label": lambda state, read, tensors: restored_label(state["label"]),
}
