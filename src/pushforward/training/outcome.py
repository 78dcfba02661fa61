"""What a training leaves to the process that started it, from wherever it ran."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pushforward.errors import TrainingError
from pushforward.files import atomic_path
from pushforward.training.result import FitResult


@dataclass(frozen=True)
class Outcome:
    """How a training went, the weights that the flow is to have, and the error that ended it, if one did."""

    result: FitResult
    weights: list[Tensor]
    failure: TrainingError | None = None


class Handover:
    """A file by which a process that was spawned for a training hands its outcome to the one that called `fit`.

    Lightning's ``ddp_spawn`` and ``ddp_fork`` train in copies of the module; of those only the last weights come back.

    Args:
        folder: where the file is put, a folder of this training alone.
    """

    def __init__(self, folder: Path) -> None:
        self._path, self._caller = folder / "outcome.pt", os.getpid()

    @property
    def in_worker(self) -> bool:
        """Whether this is a process that was spawned for the training."""
        return os.getpid() != self._caller

    def leave(self, outcome: Outcome) -> None:
        """Write the outcome."""
        content: dict[str, Any] = {"result": asdict(outcome.result), "weights": outcome.weights}
        if outcome.failure is not None:
            content["failure"] = {"message": str(outcome.failure), "facts": vars(outcome.failure)}
        with atomic_path(self._path) as temporary:
            torch.save(content, temporary)

    def take(self) -> Outcome | None:
        """Read the outcome, None where none was left."""
        if not self._path.exists():
            return None
        content = torch.load(self._path, map_location="cpu", weights_only=True)
        failure = None
        if "failure" in content:
            failure = TrainingError(content["failure"]["message"])
            vars(failure).update(content["failure"]["facts"])
        return Outcome(FitResult(**content["result"]), content["weights"], failure)
