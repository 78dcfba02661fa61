"""The categorical distribution on the values 0 to K - 1."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.distributions.discrete.mass import MassFunction, gumbel_argmax
from pushforward.errors import UsageError


class CategoricalMass(MassFunction):
    r"""A free probability for each of ``classes`` values, ``P(x) = softmax(parameters)_x``.

    Parameters per element: ``K`` logits. Values outside ``0 .. K - 1`` get ``-inf``.

    Args:
        classes: the number of categories ``K``.

    Shapes: element by element, ``x`` and its log-mass are ``(...)``, parameters ``(..., P)`` with ``P = K``.

    Raises:
        UsageError: for fewer than one class.

    Source: Bishop (2006), Pattern Recognition and Machine Learning, section 2.2.

    Example:
        >>> CategoricalMass(4).log_prob(torch.tensor([3.0]), torch.zeros(1, 4)).exp()
        tensor([0.2500])
    """

    low = 0

    def __init__(self, classes: int) -> None:
        if classes < 1:
            raise UsageError(f"CategoricalMass expects at least one class, got {classes}")
        self.classes = classes
        self.high = classes - 1
        self.num_parameters = classes

    def log_prob(self, x: Tensor, parameters: Tensor) -> Tensor:
        index = x.long()
        inside = index.clamp(0, self.classes - 1)
        log_mass = torch.log_softmax(parameters, -1).gather(-1, inside.unsqueeze(-1)).squeeze(-1)
        return log_mass.masked_fill(index != inside, -math.inf)

    def sample(
        self, parameters: Tensor, *, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw values; the temperature divides the logits."""
        return gumbel_argmax(parameters, temperature, generator).to(parameters.dtype)
