"""An exponential moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from pushforward.kernels.foreach import lerp_


def floating_state(module: nn.Module) -> list[Tensor]:
    """The weights and floating-point buffers of a module themselves, in the order of its state."""
    state = module.state_dict(keep_vars=True).values()
    return [value for value in state if isinstance(value, Tensor) and value.is_floating_point()]


@torch.no_grad()
def assign(live: list[Tensor], values: list[Tensor]) -> None:
    """Set weights to values."""
    for mine, value in zip(live, values, strict=True):
        mine.copy_(value)


class MovingAverage:
    r"""The average ``a <- d a + (1 - d) w`` of a module's weights and floating-point buffers.

    The decay warms up, ``d = min(decay, (1 + step) / (10 + step))``, so that a short training is averaged over few
    steps. A decay of 0 gives the weights themselves. Tensors with infinite numbers, such as bounds, are no weights and
    are taken as they are.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.live = floating_state(module)
        self.average = [value.detach().clone() for value in self.live]
        self._infinite = [place for place, value in enumerate(self.average) if not bool(value.isfinite().all())]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights as they are after ``step`` steps."""
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        lerp_(self.average, [value.detach() for value in self.live], weight)
        for place in self._infinite:
            # The way from an infinity to itself is no number.
            self.average[place].copy_(self.live[place])

    @contextmanager
    def applied(self, values: list[Tensor] | None = None) -> Iterator[None]:
        """Put the average, or other values, in the place of the weights for the length of a block."""
        kept = [value.detach().clone() for value in self.live]
        assign(self.live, self.average if values is None else values)
        try:
            yield
        finally:
            assign(self.live, kept)

    def restore(self, average: list[Tensor]) -> None:
        """Set the average itself, as stored in a checkpoint."""
        assign(self.average, average)
