"""The weights in a run folder: ``last.ckpt``, written whole and checked before it is believed, and the model."""

from __future__ import annotations

import os
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pushforward.errors import CheckpointError, FileError, UsageError
from pushforward.files import atomic_write, unwritable
from pushforward.flows.flow import Flow
from pushforward.flows.saving import MODEL, to_bytes
from pushforward.training.runs.folder import IDENTITY, LAST, RunFolder

#: Where our own state lies in a Lightning checkpoint, and its version.
KEY = "pushforward"
VERSION = 1


def write_checkpoint(trainer: Any, folder: RunFolder) -> None:
    """Write the configuration and a Lightning checkpoint, to temporary names first; every process must call this.

    Raises:
        FileError: a file cannot be written there; the ones before are left as they were.
    """
    path = folder.path / LAST
    temporary = path.with_name(f".{LAST}.writing")
    try:
        _save(trainer, temporary)
        if trainer.is_global_zero:
            folder.write_configuration()
            os.replace(temporary, path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        if trainer.is_global_zero:
            temporary.unlink(missing_ok=True)


def _save(trainer: Any, path: Path) -> None:
    try:
        trainer.save_checkpoint(path)
    except OSError:
        if trainer.world_size > 1:
            # The others wait for this process at the end of their part.
            trainer.strategy.barrier()
        raise


def write_model(flow: Flow, folder: RunFolder) -> None:
    """Write a flow into the run folder, if files can name its parts; one with parts of the user's own that are not
    registered keeps its weights in the checkpoint alone, and says so.

    Raises:
        FileError: it cannot be written there.
    """
    try:
        content = to_bytes(flow, {IDENTITY: folder.identity})
    except UsageError as error:
        warnings.warn(f"{error}; the run keeps its weights in {LAST} alone", stacklevel=2)
        return
    atomic_write(folder.path / MODEL, content)


def write_final_model(flow: Flow, folder: RunFolder) -> None:
    """Write the flow that a training has come to, into another folder where the run's own has no room for it.

    Raises:
        FileError: it was not written into the run folder; says where it is instead.
    """
    try:
        write_model(flow, folder)
    except FileError as error:
        refuge = _refuge(flow, folder)
        where = f"the trained model is in {refuge}: move it into {folder.path} when there is room"
        lost = f"no other place had room for the trained model: make room, then go on from {folder.path / LAST}"
        raise FileError(f"{error}; {where if refuge else lost}") from error


def _refuge(flow: Flow, folder: RunFolder) -> Path | None:
    """Write a run's model where temporary files go; None where that has no room for it either."""
    try:
        other = replace(folder, path=Path(tempfile.mkdtemp(prefix="pushforward-")))
        write_model(flow, other)
        return other.path / MODEL
    except (OSError, FileError):
        return None


def checkpoint_step(path: Path) -> float:
    """How many steps a checkpoint is of: 0 where there is none, infinity where it cannot be told."""
    if not path.exists():
        return 0
    try:
        return int(torch.load(path, map_location="cpu", weights_only=True, mmap=True)[KEY]["step"])
    except Exception:  # A damaged or foreign file can raise anything.
        return float("inf")


def read_checkpoint(path: Path, flow: nn.Module) -> dict[str, Any]:
    """Read a checkpoint of this flow's training, without running any code in it, and return our own part of it.

    Raises:
        CheckpointError: missing, damaged, foreign, of another version, or of another model or run.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no checkpoint to resume from; train without resume first")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # A damaged pickle can raise anything.
        raise CheckpointError(f"{path}: damaged or no checkpoint of pushforward ({type(error).__name__})") from error
    if not isinstance(content, dict) or not isinstance(content.get(KEY), dict):
        raise CheckpointError(f"{path}: not a checkpoint of pushforward")
    state = content[KEY]
    if state.get("version") != VERSION:
        raise CheckpointError(f"{path}: written in version {state.get('version')}, this program reads {VERSION}")
    stored = {name: tuple(value.shape) for name, value in content["state_dict"].items()}
    expected = {f"flow.{name}": tuple(value.shape) for name, value in flow.state_dict().items()}
    if stored != expected:
        name = next(name for name in {**expected, **stored} if stored.get(name) != expected.get(name))
        raise CheckpointError(
            f"{path}: belongs to another model ({name} is {stored.get(name, 'missing')} there, "
            f"{expected.get(name, 'missing')} in this one)"
        )
    RunFolder(path.parent).check_identity(state.get(IDENTITY))
    return state
