"""What every family of probability masses on the integers is: one number's distribution, given parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from pushforward.distributions.base import rand


class MassFunction(ABC):
    r"""A probability mass ``P(x; parameters)`` of one integer, applied element by element.

    It is to the bases on integers what a scalar bijection is to the transforms: stateless, so that one object serves
    learned, conditional and autoregressive bases alike. Parameters are unconstrained, as a network emits them.

    Attributes:
        num_parameters: how many parameters each element takes, ``P``.
        low, high: the smallest and largest value that has mass, or None where there is no bound.
    """

    num_parameters: int
    low: int | None = None
    high: int | None = None

    @abstractmethod
    def log_prob(self, x: Tensor, parameters: Tensor) -> Tensor:
        """Return ``log P(x)`` of ``x``'s shape; ``parameters`` is ``x.shape + (P,)``. No mass outside the bounds:
        values there get ``-inf``."""

    @abstractmethod
    def sample(
        self, parameters: Tensor, *, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw one value for each ``parameters[...]``; integers held in the parameters' floating-point dtype."""

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value}" for name, value in vars(self).items() if not name.startswith("_"))
        return f"{type(self).__name__}({settings})"


def uniform_noise(like: Tensor, shape: torch.Size, generator: torch.Generator | None) -> Tensor:
    """Uniform numbers strictly between 0 and 1, so that their logarithms and logits are finite."""
    noise = rand(like, shape, generator)
    tiny = torch.finfo(like.dtype).eps / 2
    return noise.clamp(tiny, 1.0 - tiny)


def gumbel_argmax(logits: Tensor, temperature: float, generator: torch.Generator | None) -> Tensor:
    """Draw an index of the last axis with probabilities ``softmax(logits / temperature)`` (the Gumbel-max trick)."""
    noise = -torch.log(-torch.log(uniform_noise(logits, logits.shape, generator)))
    return (logits + temperature * noise).argmax(-1)
