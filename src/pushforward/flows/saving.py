"""Saving flows: weights as safetensors, with the description of the flow as JSON in their metadata."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pushforward.distributions.base import Distribution
from pushforward.errors import CheckpointError
from pushforward.files import atomic_write
from pushforward.flows.expected import require_flow
from pushforward.flows.rebuilding import check_rebuilds, rebuild
from pushforward.flows.spec import describe
from pushforward.version import __version__

FORMAT_VERSION = 2
ARGUMENT = "argument:"
"""What the names of tensors that are constructors' arguments begin with; the others are weights."""

MODEL = "model.safetensors"


def save(flow: Distribution, path: str | os.PathLike[str]) -> None:
    """Write a flow's weights and description, to a temporary name first, so that no half file is left.

    Any composition of public parts can be saved, of a model or put together by hand, and of one's own parts that are
    registered (:func:`pushforward.register`).

    Raises:
        UsageError: if a part cannot be named in a file, or was changed after it was made, so that its arguments make
            another one.
        FileError: if the file cannot be written.

    Example:
        >>> import tempfile, pathlib, pushforward as pf
        >>> flow = pf.Flow([pf.transforms.Planar(2)], pf.distributions.StandardNormal((2,)))
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "flow.safetensors"
        >>> pf.save(flow, path)
        >>> bool((pf.load(path).log_prob([0.0, 1.0]) == flow.log_prob([0.0, 1.0])).all())
        True
    """
    require_flow("save", flow)
    atomic_write(path, to_bytes(flow))


def to_bytes(flow: Distribution, notes: Mapping[str, str] | None = None) -> bytes:
    """What `save` writes, with notes of the writer's in the metadata; raises what `save` does."""
    from safetensors.torch import save as serialised

    description, arguments = describe(flow)
    # The format refuses tensors that share memory, as equal masks may.
    weights = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in flow.state_dict().items()
    }
    check_rebuilds(flow, description, arguments, weights)
    tensors = weights | {ARGUMENT + name: tensor.contiguous() for name, tensor in arguments.items()}
    metadata = {
        "format": "pushforward",
        "version": str(FORMAT_VERSION),
        "written_by": __version__,
        "description": json.dumps(description),
    }
    return serialised(tensors, {**(notes or {}), **metadata})


def load(path: str | os.PathLike[str], device: str | torch.device = "cpu") -> Any:
    """Read a flow that :func:`save` wrote, or that of the run in a folder; loading runs no code from the file.

    Raises:
        CheckpointError: if the file is missing, corrupt, foreign, of another version, or names what is not known here.

    Example:
        >>> import tempfile, pushforward as pf
        >>> flow = pf.models.realnvp(features=2, layers=1, hidden=4)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(flow, f"{folder}/flow.safetensors")
        ...     load(f"{folder}/flow.safetensors").event_shape
        torch.Size([2])
    """
    path = Path(path)
    path = path / MODEL if path.is_dir() else path
    metadata, stored = read_tensors(path)
    description = _description(metadata, path)
    arguments = {name.removeprefix(ARGUMENT): each for name, each in stored.items() if name.startswith(ARGUMENT)}
    weights = {name: each for name, each in stored.items() if not name.startswith(ARGUMENT)}
    try:
        flow = rebuild(description, arguments, weights)
    except Exception as error:  # A description of a damaged or foreign file can lead to anything.
        # The second line of torch's complaint about weights names the first that does not fit.
        reason = " ".join(line.strip() for line in f"{type(error).__name__}: {error}".splitlines()[:2])
        raise CheckpointError(f"{path} cannot be made again with the parts of this version ({reason})") from error
    if not isinstance(flow, Distribution):
        raise CheckpointError(f"{path} holds a {type(flow).__name__}, expected a flow or another distribution")
    return flow.to(device).eval()


def read_metadata(path: Path) -> dict[str, str]:
    """Return the metadata of a safetensors file, without its tensors."""
    with _opened(path) as file:
        return file.metadata() or {}


def read_tensors(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Return the metadata and the tensors of a safetensors file."""
    with _opened(path) as file:
        # Cloned, since tensors in the file lie anywhere: where they lie in memory decides how sums are ordered, and
        # a loaded flow is to compute the same bits.
        return file.metadata() or {}, {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise CheckpointError(f"{path} expects a model file, got {'a folder' if path.is_dir() else 'nothing there'}")
    try:
        with safe_open(str(path), framework="pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is not a readable safetensors file ({error}): it is damaged or foreign"
        ) from error


def _description(metadata: dict[str, str], path: Path) -> Any:
    if metadata.get("format") != "pushforward":
        raise CheckpointError(f"{path} is a safetensors file, but not one that pushforward saved")
    if metadata.get("version") != str(FORMAT_VERSION) or "description" not in metadata:
        raise CheckpointError(
            f"{path} has format version {metadata.get('version')}, expected {FORMAT_VERSION}: it was made by another "
            f"version of pushforward"
        )
    try:
        return json.loads(metadata["description"])
    except (json.JSONDecodeError, RecursionError) as error:
        raise CheckpointError(f"{path} holds a description that is not JSON: the file is damaged") from error
