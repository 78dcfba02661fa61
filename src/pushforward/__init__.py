"""Pushforward: normalizing flows on PyTorch."""

from pushforward import errors, scalar

__version__ = "0.1.0"

__all__ = ["errors", "scalar"]
