"""What ``pushforward infer`` is asked for, kept in the folder that it leaves."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pushforward.cli.bounds import Given
from pushforward.cli.configuration import INFERENCE, INFERENCE_FORMAT
from pushforward.data.fingerprint import from_anywhere
from pushforward.errors import CheckpointError
from pushforward.files import atomic_write
from pushforward.version import __version__

VERSION = 1


@dataclass(frozen=True)
class Request:
    """What the command line asks for; names and numbers as its options have them, the time in seconds."""

    simulations: str
    parameters: tuple[str, ...]
    observations: tuple[str, ...]
    bounds: Given
    observed: Path | None
    row: int
    draws: int
    held_out: int
    members: int | None
    max_time: float | None
    max_steps: int | None
    seed: int

    def write(self, folder: Path) -> None:
        """Write ``inference.json`` into the folder.

        Raises:
            FileError: it cannot be written.
        """
        bounds = {
            name: [side if math.isfinite(side) else None for side in sides] for name, sides in self.bounds.items()
        }
        places = {
            "simulations": from_anywhere(self.simulations),
            "observed": None if self.observed is None else from_anywhere(str(self.observed)),
        }
        heading = {"format": INFERENCE_FORMAT, "version": VERSION, "written_by": __version__}
        stored = {**heading, **asdict(self), **places, "bounds": bounds}
        atomic_write(folder / INFERENCE, json.dumps(stored, indent=2) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Request:
        """Read ``inference.json`` from the folder.

        Raises:
            CheckpointError: there is none, or it is not one of ours.
        """
        path = folder / INFERENCE
        try:
            stored = json.loads(path.read_text())
            if stored.pop("format") != INFERENCE_FORMAT or stored.pop("version") != VERSION:
                raise CheckpointError(f"{path}: not of an inference of this version of pushforward")
            del stored["written_by"]
            return cls._restored(cls(**stored))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{path}: damaged or foreign ({error})") from error

    @staticmethod
    def _restored(stored: Any) -> Request:
        """With values as the command line has them, which JSON does not know."""
        bounds = {
            name: (-math.inf if low is None else low, math.inf if high is None else high)
            for name, (low, high) in stored.bounds.items()
        }
        observed = None if stored.observed is None else Path(stored.observed)
        names = {"parameters": tuple(stored.parameters), "observations": tuple(stored.observations)}
        return replace(stored, bounds=bounds, observed=observed, **names)
