"""What every family of probability masses on the integers is: one number's distribution, given parameters."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from pushforward.numerics import uniform_noise
from pushforward.parts import Part
from pushforward.spaces import Integers


class MassFunction(Part):
    r"""A probability mass ``P(x; parameters)`` of one integer, ``sum_x P(x; parameters) = 1``, applied element by
    element.

    It is to the bases on integers what a scalar bijection is to the transforms: stateless, so that one object serves
    learned, conditional and autoregressive bases alike. Parameters are unconstrained, as a network emits them.

    Attributes:
        num_parameters: how many parameters each element takes, ``P``.
        low, high: the smallest and largest value that has mass, or None where there is no bound.

    Shapes: element by element, ``x`` and its log-mass are ``(...)``, parameters ``(..., P)``.

    Source: Hoogeboom, Peters, van den Berg, Welling (2019), Integer Discrete Flows, arXiv:1905.07376, for such bases.

    Example:
        >>> import pushforward as pf
        >>> mass = pf.distributions.CategoricalMass(4)
        >>> isinstance(mass, MassFunction), mass.num_parameters, (mass.low, mass.high)
        (True, 4, (0, 3))
        >>> mass.log_prob(torch.arange(4.0), torch.zeros(4, 4)).exp().sum()
        tensor(1.)
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

    @property
    def support(self) -> Integers:
        """The integers that have mass, of shape ``()``."""
        return Integers(self.low, self.high)


def gumbel_argmax(logits: Tensor, temperature: float, generator: torch.Generator | None) -> Tensor:
    """Draw an index of the last axis with probabilities ``softmax(logits / temperature)`` (the Gumbel-max trick)."""
    noise = -torch.log(-torch.log(uniform_noise(logits, logits.shape, generator)))
    return (logits + temperature * noise).argmax(-1)
