"""The errors that Pushforward raises: one small family; a message says what was expected, what came, what to do."""

from __future__ import annotations

from typing import Any


class PushforwardError(Exception):
    """Base of every error that Pushforward raises on purpose.

    Example:
        >>> import pushforward as pf
        >>> try:
        ...     pf.load("nowhere.safetensors")
        ... except pf.errors.PushforwardError as error:
        ...     print(type(error).__name__, "-", error)
        CheckpointError - nowhere.safetensors expects a model file, got nothing there
    """


class UsageError(PushforwardError, ValueError):
    """An argument, option or name is wrong."""


class ShapeError(UsageError):
    """A tensor's shape does not fit the part it was given to."""


class DataError(PushforwardError, ValueError):
    """A data file or array cannot be read, or does not hold what it should."""


class FileError(PushforwardError):
    """A file or folder cannot be written: no permission, no space, or something else stands in its place."""


class CheckpointError(PushforwardError):
    """A model file or checkpoint is missing, corrupt, foreign or of another version."""


class TrainingError(PushforwardError):
    """Training cannot go on, for example because the loss is no longer finite."""


class ConvergenceError(PushforwardError):
    """An iterative inverse did not reach its stated tolerance."""


class SimulationError(PushforwardError):
    """A simulator raised, or returned something of another shape.

    Attributes:
        theta, x: the parameters and observations of the simulations that were done before; ``x`` is None for none.
    """

    def __init__(self, message: str, theta: Any = None, x: Any = None) -> None:
        super().__init__(message)
        self.theta, self.x = theta, x


class CodecError(PushforwardError):
    """A compressed file is damaged, truncated, or was made with another model or version."""


class MissingExtraError(PushforwardError, ImportError):
    """A package is not installed that the core does without and this needs: the message names the extra to install."""


class DataWarning(UserWarning):
    """Data were taken as they are, in a way that may not be meant."""


def first_line(error: BaseException) -> str:
    """What an error of another package says, in one line; its name, if it says nothing.

    Example:
        >>> first_line(ValueError("too far\\nand more")), first_line(ValueError())
        ('too far', 'ValueError')
    """
    return next(iter(str(error).splitlines()), "") or type(error).__name__
