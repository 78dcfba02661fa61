"""Other libraries without their notices."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


@contextmanager
def without_notices(names: Sequence[str], level: int) -> Iterator[None]:
    """Let loggers say only what is at least at a level, and nobody warn.

    Example:
        >>> with without_notices(["some.library"], logging.ERROR):
        ...     logging.getLogger("some.library").warning("a default was chosen")
    """
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(level)
        try:
            yield
        finally:
            for logger, before in zip(loggers, levels):
                logger.setLevel(before)
