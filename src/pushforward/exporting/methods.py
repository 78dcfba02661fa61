"""The methods of a flow as modules of tensors alone: events or latents, then a context, then the numbers drawn."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pushforward.distributions.base import Distribution
from pushforward.exporting.noise import Given
from pushforward.exporting.textbook import TextbookForms


class Method(nn.Module):
    """A method of a flow.

    Args:
        flow: the flow.
        given: how many tensors it is given: events, or latents.

    Attributes:
        gives: what kind the outputs are.
        output: what they are called.
    """

    gives: str
    output: str

    def __init__(self, flow: Distribution, given: int) -> None:
        super().__init__()
        self.flow = flow
        self._given = given

    def forward(self, *tensors: Tensor) -> Any:
        given, rest = tensors[: self._given], tensors[self._given :]
        context, numbers = (None, rest) if self.flow.context is None else (rest[0], rest[1:])
        with Given(numbers), TextbookForms():
            return self.applied(tensors[0].shape[:1], given, context)

    def applied(self, batch: torch.Size, given: tuple[Tensor, ...], context: Tensor | None) -> Any:
        """What the method gives of a batch."""
        raise NotImplementedError


class LogProb(Method):
    """``log p(x)``."""

    gives, output = "log-density", "log_prob"

    def applied(self, batch: torch.Size, given: tuple[Tensor, ...], context: Tensor | None) -> Tensor:
        (x,) = given
        return self.flow.score(x, context)


class Encode(Method):
    """The latents of ``x``."""

    gives, output = "latents", "latent"

    def applied(self, batch: torch.Size, given: tuple[Tensor, ...], context: Tensor | None) -> tuple[Tensor, ...]:
        (x,) = given
        return self.flow.latents(*self.flow.check(x, context))


class Decode(Method):
    """The data of latents."""

    gives, output = "events", "x"

    def applied(self, batch: torch.Size, given: tuple[Tensor, ...], context: Tensor | None) -> Tensor:
        return self.flow.from_latents(given, self.flow.take_context(context))


class Sample(Method):
    """Samples, made of random numbers."""

    gives, output = "events", "x"

    def applied(self, batch: torch.Size, given: tuple[Tensor, ...], context: Tensor | None) -> Tensor:
        return self.flow.draw(batch, self.flow.take_context(context), 1.0, None)


METHODS: dict[str, type[Method]] = {"log_prob": LogProb, "sample": Sample, "encode": Encode, "decode": Decode}
