"""The folder of a training run: its files, its lock, and what becomes of the run that stood there before."""

from pushforward.training.runs.folder import RunFolder
from pushforward.training.runs.lock import locked
from pushforward.training.runs.replacement import leftover, new_run, put_back, repair, resumed_run

__all__ = ["RunFolder", "leftover", "locked", "new_run", "put_back", "repair", "resumed_run"]
