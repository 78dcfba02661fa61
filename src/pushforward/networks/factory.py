"""What a structure needs to know of a network: how to make one."""

from __future__ import annotations

from typing import Protocol

from torch import nn


class NetworkFactory(Protocol):
    """A callable that makes a conditioner: ``network(inputs, outputs, context)``, for instance a network class or
    ``functools.partial(MLP, hidden=(64, 64))``."""

    def __call__(self, inputs: int, outputs: int, context: int) -> nn.Module: ...
