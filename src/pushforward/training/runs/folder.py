"""What a run folder holds, and how its configuration and its weights know each other."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pushforward.errors import CheckpointError, UsageError
from pushforward.files import atomic_write
from pushforward.flows.saving import MODEL, read_metadata
from pushforward.version import __version__

CONFIGURATION = "config.json"
LAST = "last.ckpt"
METRICS = "metrics.csv"
TENSORBOARD = "tensorboard"
#: All that a training writes; whatever else lies in the folder is the user's and stays where it is.
FILES = (CONFIGURATION, LAST, METRICS, MODEL, TENSORBOARD)
#: The files any of which makes a run usable.
MODELS = (MODEL,)
#: The name of the run's identity, in the configuration, the checkpoint and the model's metadata.
IDENTITY = "run"


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run, and the configuration that a training is to leave in it.

    Attributes:
        path: the folder.
        configuration: what ``config.json`` is to hold beside the run's identity; None for no such file.
        identity: what tells this run from any other; it stands in each of its files.

    Example:
        >>> RunFolder.of("runs/moons").path.name
        'moons'
    """

    path: Path
    configuration: Mapping[str, Any] | None = None
    identity: str = ""

    @classmethod
    def of(cls, place: str | os.PathLike[str] | RunFolder) -> RunFolder:
        """A folder by its path, or as it is.

        Raises:
            UsageError: the path is empty, as a variable that is not set leaves it.
        """
        if isinstance(place, RunFolder):
            return place
        if place == "":
            raise UsageError("the folder of a run must have a name, got an empty one (a variable that is not set?)")
        return cls(Path(place))

    def identified(self, identity: str | None = None) -> RunFolder:
        """The folder of the run of this identity, or of a new one."""
        return replace(self, identity=identity or uuid.uuid4().hex)

    def holds_run(self) -> bool:
        """Whether a training has left something that can be used or gone on with."""
        return any((self.path / name).exists() for name in (*MODELS, LAST))

    def write_configuration(self) -> None:
        """Write ``config.json``, where there is one to write and it is not there already.

        Raises:
            FileError: it cannot be written.
        """
        if self.configuration is None:
            return
        path = self.path / CONFIGURATION
        stored = {**self.configuration, "written_by": __version__, IDENTITY: self.identity}
        text = json.dumps(stored, indent=2) + "\n"
        if not path.is_file() or path.read_text() != text:
            atomic_write(path, text)

    def check_identity(self, checkpoint: str | None = None) -> None:
        """Check that the configuration, the models and, where it is given, the checkpoint's identity are of one run.

        Raises:
            CheckpointError: two of them are of different runs.
        """
        models = {name: self._model_identity(name) for name in MODELS}
        found = {CONFIGURATION: self._configured_identity(), LAST: checkpoint, **models}
        known = {name: identity for name, identity in found.items() if identity}
        if len(set(known.values())) > 1:
            told = ", ".join(f"{name} of {identity[:8]}" for name, identity in known.items())
            raise CheckpointError(
                f"{self.path}: the files there are of different runs ({told}), put together by hand or by a copy that "
                "was cut off; copy the folder again as a whole, or train into another one"
            )

    def _configured_identity(self) -> str | None:
        try:
            stored = json.loads((self.path / CONFIGURATION).read_text())
        except (OSError, ValueError):
            return None
        return stored.get(IDENTITY) if isinstance(stored, dict) else None

    def _model_identity(self, name: str) -> str | None:
        path = self.path / name
        return read_metadata(path).get(IDENTITY) if path.is_file() else None
