"""What a solver integrates: events as rows, alone or with what is gathered on their way."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pushforward.transforms.continuous.trace import Trace


@dataclass(frozen=True)
class Position:
    """``dx/dt = v(t, x, context)``, of events as rows."""

    velocity: nn.Module
    shape: torch.Size

    def __call__(self, time: Tensor, state: Tensor, context: Tensor | None) -> Tensor:
        return self.velocity(time, state.unflatten(-1, self.shape), context).flatten(1)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class PositionAndVolume:
    """The same with ``d log_det / dt = div v`` as the last column."""

    velocity: nn.Module
    shape: torch.Size
    trace: Trace

    def __call__(self, time: Tensor, state: Tensor, context: Tensor | None, noise: Tensor | None) -> Tensor:
        x = state[:, :-1].unflatten(-1, self.shape)
        velocity, divergence = self.trace(self.velocity, time, x, context, noise)
        return torch.cat([velocity.flatten(1), divergence.unsqueeze(-1)], -1)


@dataclass(frozen=True)
class PositionVolumeAndEnergy:
    """The same with two more columns, ``|v|^2`` and the estimate ``|e^T dv/dx|^2`` of the Jacobian's squared norm."""

    velocity: nn.Module
    shape: torch.Size
    trace: Trace

    def __call__(self, time: Tensor, state: Tensor, context: Tensor | None, noise: Tensor) -> Tensor:
        x = state[:, :-3].unflatten(-1, self.shape)
        velocity, divergence, product = self.trace.with_product(self.velocity, time, x, context, noise)
        velocity, product = velocity.flatten(1), product.flatten(1)
        energies = torch.stack([divergence, velocity.square().sum(-1), product.square().sum(-1)], -1)
        return torch.cat([velocity, energies], -1)
