"""Warnings from inside of a training, where those of others are silenced."""

from __future__ import annotations

import warnings


def warn(text: str) -> None:
    """Warn of something that the training gets over."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(text, UserWarning, stacklevel=3)
