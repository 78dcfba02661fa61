"""How a composition of parts is written down: as JSON of constructors and their arguments, and tensors beside it.

A description holds names and values alone, so that reading one runs no code of the file: a name stands for a class of
Pushforward, for one that was registered, for a module of ``torch.nn``, or for one of ``torch.distributions``. What
stands in several places of a flow is written once and comes back as one.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections import OrderedDict
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pushforward.distributions.torch_parameters import parameters_of
from pushforward.errors import UsageError
from pushforward.flows.torch_modules import module_arguments
from pushforward.parts import arguments_of, make, model_named, name_of, named, remembers

Json = Any


def describe(part: Any) -> tuple[Json, dict[str, Tensor]]:
    """Return the description of a part and the tensors among its arguments, by the names that it gives them.

    Raises:
        UsageError: if a part does not remember its arguments, or one of them cannot be written down.

    Example:
        >>> import pushforward as pf
        >>> describe(pf.transforms.Elementwise(pf.scalar.Affine(bound=3.0), (2,)))[0]["arguments"]["event_shape"]
        {'tuple': [2]}
    """
    writer = _Writer()
    return writer.write(part, type(part).__name__), writer.tensors


def build_from(description: Json, tensors: dict[str, Tensor]) -> Any:
    """Return the part of a description, with the parameters that its constructor gives it.

    Raises:
        UsageError: if a name is not known, or the description is none.
    """
    return _Reader(tensors).read(description)


class _Writer:
    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._numbers: dict[int, int] = {}
        self._kept: list[Any] = []

    def write(self, value: Any, place: str) -> Json:
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, np.bool_):
            return bool(value)
        if isinstance(value, Integral):
            return int(value)
        if isinstance(value, Real):
            value = float(value)
            return value if math.isfinite(value) else {"float": str(value)}
        if isinstance(value, Tensor):
            kind = "parameter" if isinstance(value, nn.Parameter) else "tensor"
            return {kind: self._keep(value)}
        if isinstance(value, np.ndarray):
            # Whole numbers are sizes and orders, which are counted with; others are data.
            whole = np.issubdtype(value.dtype, np.integer)
            return self.write(value.tolist() if whole else torch.from_numpy(value), place)
        if isinstance(value, range):
            return list(value)
        if isinstance(value, list | tuple):
            items = [self.write(each, place) for each in value]
            return items if isinstance(value, list) else {"tuple": items}
        if isinstance(value, dict) and all(isinstance(key, str) for key in value):
            kind = "ordered" if isinstance(value, OrderedDict) else "dict"
            return {kind: {key: self.write(each, f"{place}.{key}") for key, each in value.items()}}
        if isinstance(value, torch.dtype):
            return {"dtype": str(value).removeprefix("torch.")}
        if isinstance(value, type) or inspect.isfunction(value) or inspect.isbuiltin(value):
            return {"name": self._name(value, place)}
        return self._write_object(value, place)

    def _write_object(self, value: Any, place: str) -> Json:
        if id(value) in self._numbers:
            return {"same": self._numbers[id(value)]}
        # Kept, so that no other object gets its id while this one is being written.
        self._numbers[id(value)] = number = len(self._numbers)
        self._kept.append(value)
        recipe = getattr(value, "recipe", None)
        if recipe is not None:
            options = {key: each for key, each in recipe.items() if key != "model"}
            found = {"model": recipe["model"], "arguments": self._write_all(options, place)}
        elif isinstance(value, functools.partial):
            if value.args:
                raise UsageError(f"{place} holds a partial with positional arguments: give them by name")
            found = {"partial": self._name(value.func, place), "arguments": self._write_all(value.keywords, place)}
        elif remembers(value):
            arguments = arguments_of(value)
            found = {"part": self._name(type(value), place), "arguments": self._write_all(arguments, place)}
        elif isinstance(value, nn.Module):
            found = {
                "part": self._name(type(value), place),
                "arguments": self._write_all(module_arguments(value), place),
            }
        elif isinstance(value, torch.distributions.Distribution):
            found = {
                "torch": type(value).__name__,
                "arguments": self._write_all(_distribution_arguments(value, place), place),
            }
        else:
            raise _unwritable(value, place)
        return found | {"number": number}

    def _write_all(self, arguments: dict[str, Any], place: str) -> dict[str, Json]:
        return {name: self.write(value, f"{place}.{name}") for name, value in arguments.items()}

    def _keep(self, value: Tensor) -> str:
        for name, tensor in self.tensors.items():
            if (
                tensor.dtype == value.dtype
                and tensor.shape == value.shape
                and torch.equal(tensor, value.detach().cpu())
            ):
                return name
        name = str(len(self.tensors))
        self.tensors[name] = value.detach().cpu().clone()
        return name

    def _name(self, maker: Callable[..., Any], place: str) -> str:
        name = name_of(maker) or _torch_name(maker)
        if name is None:
            raise _unwritable(maker, place)
        return name


class _Reader:
    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self._tensors = tensors
        self._made: dict[int, Any] = {}

    def read(self, value: Json) -> Any:
        if isinstance(value, list):
            return [self.read(each) for each in value]
        if not isinstance(value, dict):
            return value
        if "number" in value:
            self._made[value["number"]] = made = self._make(value)
            return made
        ((kind, content),) = value.items()
        readers: dict[str, Callable[[Any], Any]] = {
            "float": float,
            "tensor": lambda name: self._tensors[name].clone(),
            "parameter": lambda name: nn.Parameter(self._tensors[name].clone()),
            "tuple": lambda items: tuple(self.read(each) for each in items),
            "dict": lambda items: {key: self.read(each) for key, each in items.items()},
            "ordered": lambda items: OrderedDict((key, self.read(each)) for key, each in items.items()),
            "dtype": lambda name: _dtype(name),
            "name": _known,
            "same": lambda number: self._made[number],
        }
        if kind not in readers:
            raise UsageError(f"the description holds a {kind!r}, which this version does not know")
        return readers[kind](content)

    def _make(self, value: dict[str, Json]) -> Any:
        arguments = {name: self.read(each) for name, each in value["arguments"].items()}
        if "model" in value:
            return model_named(value["model"])(**arguments)
        if "torch" in value:
            kind = getattr(torch.distributions, value["torch"], None)
            if not (isinstance(kind, type) and issubclass(kind, torch.distributions.Distribution)):
                raise UsageError(f"the description names {value['torch']!r}, which torch.distributions does not have")
            return kind(**arguments)
        if "partial" in value:
            return functools.partial(_known(value["partial"]), **arguments)
        return make(_known(value["part"]), arguments)


def _distribution_arguments(distribution: torch.distributions.Distribution, place: str) -> dict[str, Any]:
    if getattr(torch.distributions, type(distribution).__name__, None) is not type(distribution):
        raise _unwritable(distribution, place)
    if isinstance(distribution, torch.distributions.Independent):
        return {
            "base_distribution": distribution.base_dist,
            "reinterpreted_batch_ndims": distribution.reinterpreted_batch_ndims,
        }
    # What requires gradients is learned, though torch keeps an expanded tensor in the place of the parameter.
    return {name: _learned(value) for name, value in parameters_of(distribution).items()}


def _learned(value: Any) -> Any:
    return nn.Parameter(value.detach()) if isinstance(value, Tensor) and value.requires_grad else value


def _torch_name(maker: Any) -> str | None:
    name = getattr(maker, "__name__", "")
    return f"torch.nn.{name}" if isinstance(maker, type) and getattr(nn, name, None) is maker else None


def _known(name: str) -> Callable[..., Any]:
    if name.startswith("torch.nn."):
        found = getattr(nn, name.removeprefix("torch.nn."), None)
        if isinstance(found, type) and issubclass(found, nn.Module):
            return found
    maker = named(name)
    if maker is None:
        raise UsageError(
            f"the description names {name!r}, which is not known here: import the module that registers it first"
        )
    return maker


def _dtype(name: str) -> torch.dtype:
    found = getattr(torch, name, None)
    if not isinstance(found, torch.dtype):
        raise UsageError(f"the description names the type {name!r}, which torch does not have")
    return found


def _unwritable(value: Any, place: str) -> UsageError:
    what = getattr(value, "__qualname__", None) or type(value).__qualname__
    return UsageError(
        f"{place} holds {what}, which a file cannot name: decorate it with pushforward.register, or use "
        f"functools.partial of a class that can be named in the place of a function"
    )
