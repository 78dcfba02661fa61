"""What an inverse problem is: a prior of parameters, and a map from them to what is observed."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Generator, Tensor

from pushforward.spaces import Space


class InverseProblem(ABC):
    """Hidden parameters ``x`` with a prior, and the observation ``y = s(x)``, which many ``x`` share.

    Attributes:
        features: the number of parameters.
        observation: the space of an observation, as a flow's ``context=`` takes it.
    """

    features: int
    observation: Space

    @abstractmethod
    def prior(self, n: int, generator: Generator | None = None) -> Tensor:
        """Draw parameters, ``(n, features)``."""

    @abstractmethod
    def simulate(self, x: Tensor) -> Tensor:
        """What is observed of parameters ``(..., features)``."""

    def sample(self, n: int, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draw parameters and their observations."""
        x = self.prior(n, generator)
        return x, self.simulate(x)


def normal(n: int, mean: list[float], deviation: list[float], generator: Generator | None) -> Tensor:
    """Draw independent normals, ``(n, D)``."""
    return torch.tensor(mean) + torch.tensor(deviation) * torch.randn(n, len(mean), generator=generator)
