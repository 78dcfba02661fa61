"""Pushforward: normalizing flows on PyTorch."""

from pushforward import distributions, errors, flows, networks, scalar, testing, transforms
from pushforward.flows import Flow, build, list_models, load, register, save

__version__ = "0.1.0"

__all__ = [
    "Flow",
    "build",
    "distributions",
    "errors",
    "flows",
    "list_models",
    "load",
    "networks",
    "register",
    "save",
    "scalar",
    "testing",
    "transforms",
]
