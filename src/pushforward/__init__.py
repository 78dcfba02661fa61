"""Pushforward: normalizing flows on PyTorch."""

from pushforward import data, distributions, errors, flows, networks, scalar, testing, training, transforms
from pushforward.flows import Flow, build, list_models, load, register, save
from pushforward.training import evaluate, fit

__version__ = "0.1.0"

__all__ = [
    "Flow",
    "build",
    "data",
    "distributions",
    "errors",
    "evaluate",
    "fit",
    "flows",
    "list_models",
    "load",
    "networks",
    "register",
    "save",
    "scalar",
    "testing",
    "training",
    "transforms",
]
