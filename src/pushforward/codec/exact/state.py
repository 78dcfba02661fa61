"""A portable model as a file: its parts' sizes as JSON, its integers as tensors, and the fingerprint of both."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from pushforward.codec.exact import bases, causal, causal_networks, fixedpoint, masses, pixels, tables, transforms
from pushforward.codec.exact.bases import IntegerBase
from pushforward.codec.exact.portable import PortableFlow
from pushforward.codec.model import FINGERPRINT_BYTES
from pushforward.errors import CheckpointError, CodecError, UsageError
from pushforward.version import __version__

Part = TypeVar("Part", bound=type)

FORMAT = "pushforward-codec"
FORMAT_VERSION = 1
_PARTS: dict[str, type] = {
    part.__name__: part
    for part in (
        fixedpoint.IntegerConv,
        fixedpoint.IntegerDenseNet,
        masses.IntegerBernoulli,
        masses.IntegerCategorical,
        masses.IntegerLogisticMixture,
        transforms.Reorder,
        transforms.IntegerShift,
        transforms.IntegerParts,
        bases.IntegerGroups,
        bases.IntegerFlow,
        bases.IntegerFactorOut,
        causal.IntegerTaps,
        causal_networks.IntegerHead,
        causal_networks.IntegerPixelBlock,
        causal_networks.IntegerPixelCNN,
        causal_networks.IntegerGatedLayer,
        causal_networks.IntegerGatedPixelCNN,
        pixels.IntegerPixels,
    )
}
_TABLES = ("logistic_cdf", "softmax_weights", "inverse_scales")


def register_part(part: Part) -> Part:
    """Let files of exported models hold a part of one's own: a dataclass of integers, integer tensors and parts.

    Use it as a decorator on the class. Whoever reads such a file must have registered it too.

    Raises:
        UsageError: if it is no dataclass, or another part has its name.
    """
    if not dataclasses.is_dataclass(part) or _PARTS.get(part.__name__, part) is not part:
        raise UsageError(f"register_part expects a dataclass with a name of its own, got {part.__name__}")
    _PARTS[part.__name__] = part
    return part


def assemble(flow: IntegerBase, event_shape: tuple[int, ...], low: int, high: int) -> PortableFlow:
    """Put a portable model together and compute its fingerprint."""
    config, tensors = _describe(flow, event_shape, low, high)
    return PortableFlow(flow, event_shape, low, high, fingerprint(config, tensors))


def fingerprint(config: str, tensors: dict[str, Tensor]) -> bytes:
    """16 bytes that identify a portable model: a digest of its canonical description."""
    digest = hashlib.blake2b(config.encode(), digest_size=FINGERPRINT_BYTES)
    for name in sorted(tensors):
        tensor = tensors[name].long()
        digest.update(f"{name} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().numpy().astype("<i8").tobytes())
    return digest.digest()


def save_portable(model: PortableFlow, path: str | Path) -> None:
    """Write a portable model as safetensors; :func:`load_portable` reads it back with the same fingerprint.

    Raises:
        FileError: the file cannot be written.

    Example:
        >>> import tempfile
        >>> import pushforward as pf
        >>> model = pf.codec.export(pf.models.coarse_to_fine(shape=(1, 4, 4), levels=4, hidden=[4], blocks=1))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_portable(model, f"{folder}/codec.safetensors")
        ...     load_portable(f"{folder}/codec.safetensors").fingerprint == model.fingerprint
        True
    """
    from safetensors.torch import save as to_bytes

    from pushforward.files import atomic_write

    config, tensors = _describe(model.flow, model.event_shape, model.low, model.high)
    metadata = {"format": FORMAT, "version": str(FORMAT_VERSION), "written_by": __version__, "config": config}
    atomic_write(path, to_bytes({name: _narrow(tensor) for name, tensor in tensors.items()}, metadata))


def load_portable(path: str | Path) -> PortableFlow:
    """Read a portable model.

    Raises:
        CheckpointError: if the file is missing, damaged, foreign or of another version.

    Example:
        >>> import tempfile
        >>> import pushforward as pf
        >>> model = pf.codec.export(pf.models.coarse_to_fine(shape=(1, 4, 4), levels=4, hidden=[4], blocks=1))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_portable(model, f"{folder}/codec.safetensors")
        ...     load_portable(f"{folder}/codec.safetensors").fingerprint == model.fingerprint
        True
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).long() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is no readable safetensors file ({error}): it is missing or damaged") from error
    if metadata.get("format") != FORMAT or metadata.get("version") != str(FORMAT_VERSION):
        raise CheckpointError(
            f"{path} expects the format {FORMAT} version {FORMAT_VERSION}, got {metadata.get('format')} version "
            f"{metadata.get('version')}: write it with export-codec of this version"
        )
    try:
        config = json.loads(metadata["config"])
        for name in _TABLES:
            # The decoder's bits hang on these tables; a program with others must not read the file.
            if not torch.equal(tensors[f"table.{name}"], torch.from_numpy(getattr(tables, name)())):
                raise CheckpointError(f"{path} was exported with other tables than this version has")
        flow = _load(config["flow"], tensors, "flow")
        event_shape, low, high = tuple(config["event_shape"]), config["low"], config["high"]
        _check_numbers(event_shape, low, high)
        model = assemble(flow, event_shape, low, high)
    except (TypeError, ValueError, ArithmeticError, AttributeError, CodecError, RuntimeError, LookupError) as error:
        raise CheckpointError(f"{path} does not hold a whole exported model ({error}): export it anew") from error
    return model


def is_portable_file(path: str | Path) -> bool:
    """Whether a file says that it is an exported model."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            return (file.metadata() or {}).get("format") == FORMAT
    except (SafetensorError, OSError):
        return False


def _check_numbers(event_shape: tuple[int, ...], low: int, high: int) -> None:
    if not all(type(value) is int and abs(value) < 2**31 for value in (*event_shape, low, high)):
        raise ValueError("its sizes and levels are no whole numbers")
    if len(event_shape) not in (1, 3) or min(event_shape) < 1 or low > high:
        raise ValueError(f"events of shape {event_shape} from {low} to {high}")


def _describe(flow: IntegerBase, event_shape: tuple[int, ...], low: int, high: int) -> tuple[str, dict[str, Tensor]]:
    tensors = {f"table.{name}": torch.from_numpy(getattr(tables, name)()) for name in _TABLES}
    described = _dump(flow, "flow", tensors)
    config = {"flow": described, "event_shape": list(event_shape), "low": low, "high": high}
    return json.dumps(config, sort_keys=True, separators=(",", ":")), tensors


def _dump(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """What JSON can hold of a part; its tensors go into ``tensors`` under the names of their places."""
    if isinstance(value, Tensor):
        tensors[name] = value.cpu()
        return {"tensor": list(value.shape)}
    if isinstance(value, list | tuple):
        return [_dump(item, f"{name}.{index}", tensors) for index, item in enumerate(value)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {
            field.name: _dump(getattr(value, field.name), f"{name}.{field.name}", tensors)
            for field in dataclasses.fields(value)
            if field.init
        }
        return {"part": type(value).__name__, **fields}
    if value is None or isinstance(value, bool | int):
        return value
    raise UsageError(f"a portable model cannot hold {type(value).__name__}")


def _load(value: Any, tensors: dict[str, Tensor], name: str) -> Any:
    if isinstance(value, list):
        items = [_load(item, tensors, f"{name}.{index}") for index, item in enumerate(value)]
        return tuple(items) if items and all(isinstance(item, int) for item in items) else items
    if isinstance(value, dict) and "tensor" in value:
        return tensors[name]
    if isinstance(value, dict):
        part = _PARTS[value["part"]]
        fields = {field.name for field in dataclasses.fields(part) if field.init}
        return part(**{key: _load(value[key], tensors, f"{name}.{key}") for key in sorted(fields)})
    return value


def _narrow(tensor: Tensor) -> Tensor:
    """The smallest integer type that holds the values, so that files stay small."""
    for dtype in (torch.int8, torch.int16, torch.int32):
        limits = torch.iinfo(dtype)
        if not tensor.numel() or (int(tensor.min()) >= limits.min and int(tensor.max()) <= limits.max):
            return tensor.to(dtype).contiguous()
    return tensor.contiguous()
