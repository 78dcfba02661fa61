"""The files of a run folder: ``last.ckpt``, written whole and checked before it is believed, and the model."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pushforward.errors import CheckpointError, UsageError
from pushforward.files import unwritable
from pushforward.flows.flow import Flow
from pushforward.flows.saving import MODEL, save

#: Where our own state lies in a Lightning checkpoint, and its version.
KEY = "pushforward"
VERSION = 1
LAST = "last.ckpt"


def write_checkpoint(trainer: Any, folder: Path) -> None:
    """Write a Lightning checkpoint to a temporary name and rename it; every process must call this.

    Raises:
        FileError: the file cannot be written there; the one before is left as it was.
    """
    path = folder / LAST
    temporary = path.with_name(f".{LAST}.writing")
    try:
        trainer.save_checkpoint(temporary)
        if trainer.is_global_zero:
            os.replace(temporary, path)
    except OSError as error:
        raise unwritable(path, error) from error


def write_model(flow: Flow, folder: Path) -> None:
    """Write a flow into the run folder, if files can name its parts; one with parts of the user's own that are not
    registered keeps its weights in the checkpoint alone, and says so."""
    try:
        save(flow, folder / MODEL)
    except UsageError as error:
        warnings.warn(f"{error}; the run keeps its weights in {LAST} alone", stacklevel=2)


def read_checkpoint(path: Path, flow: nn.Module) -> dict[str, Any]:
    """Read a checkpoint of this flow's training, without running any code in it, and return our own part of it.

    Raises:
        CheckpointError: missing, damaged, foreign, of another version, or of another model.
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
    return state
