"""When a training saves, and what it does where there is no room to."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from pushforward.errors import FileError
from pushforward.flows.flow import Flow
from pushforward.training.runs.checkpoints import write_checkpoint, write_model
from pushforward.training.runs.folder import RunFolder
from pushforward.training.warning import warn


class Saver:
    """Writes the checkpoint and the model of a run now and then.

    Args:
        folder: of the run; None for a training that leaves nothing.
        every: seconds from one checkpoint to the next.
    """

    def __init__(self, folder: RunFolder | None, every: float) -> None:
        self._folder, self._every = folder, every
        self._saved = 0.0
        self._failed = False

    @property
    def identity(self) -> str:
        """Of the run, which its checkpoint records."""
        return "" if self._folder is None else self._folder.identity

    def begin(self, seconds: float) -> None:
        """Count from here on."""
        self._saved = seconds

    def is_due(self, seconds: float) -> bool:
        """Whether it is time for a checkpoint."""
        return seconds - self._saved >= self._every

    def save(
        self, trainer: Any, flow: Flow, finished: Callable[[], AbstractContextManager[None]], step: int, seconds: float
    ) -> None:
        """Write the checkpoint and, once a step was taken, the model; every process must call this.

        Args:
            trainer: Lightning's.
            flow: what is trained.
            finished: for the length of its block the flow is as a model is to be.
            step: how many steps were taken.
            seconds: when.

        Raises:
            FileError: nothing can be written at the beginning, when nothing is lost by choosing another place.
        """
        self._saved = seconds
        if self._folder is None:
            return
        try:
            write_checkpoint(trainer, self._folder)
            if step and trainer.is_global_zero:
                # The model so far, for whoever looks at the run while it goes on, or finds it killed.
                with finished():
                    write_model(flow, self._folder)
            self._failed = False
        except FileError as error:
            if step == 0:
                raise
            if not self._failed:
                warn(f"the training goes on from its last checkpoint, and tries again every {self._every:g} s: {error}")
            self._failed = True
