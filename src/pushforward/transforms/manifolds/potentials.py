"""Potentials on spheres, whose gradients a map can follow: sums over centers, and soft maxima."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Tensor

from pushforward.transforms.manifolds.fields import ScalarField
from pushforward.transforms.manifolds.geodesics import projection, tangent


class GradientField(Protocol):
    """The gradient of a scalar field, and how it changes."""

    def gradient(self, x: Tensor) -> Tensor:
        """The gradient at points, tangent to the sphere."""

    def gradient_and_hessian(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The gradient, and the Hessian ``(..., n + 1, n + 1)``, which is zero across the sphere."""

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Self:
        """The same with a change to each of its tensors."""


@dataclass(frozen=True)
class Potential:
    """A scalar field at its parameters: centers ``(..., K, n + 1)``, strengths and weights ``(..., K)``."""

    field: ScalarField
    centers: Tensor
    strengths: Tensor
    weights: Tensor

    def gradient(self, x: Tensor) -> Tensor:
        """The gradient at points, tangent to the sphere."""
        cosines = self._cosines(x)
        slopes = self.weights * self.field.slopes(cosines, self.strengths)[0]
        return self._towards(x, slopes, cosines)

    def gradient_and_hessian(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The gradient, and the Hessian ``(..., n + 1, n + 1)``, which is zero across the sphere."""
        cosines = self._cosines(x)
        slopes, bends = self.field.slopes(cosines, self.strengths)
        slopes, bends = self.weights * slopes, self.weights * bends
        arms = self.centers - cosines[..., None] * x[..., None, :]
        hessian = (arms * bends[..., None]).mT @ arms
        inward = (slopes * cosines).sum(-1)[..., None, None]
        return self._towards(x, slopes, cosines), hessian - inward * projection(x)

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Potential:
        """The same with a change to each of its tensors."""
        return Potential(self.field, change(self.centers), change(self.strengths), change(self.weights))

    def _cosines(self, x: Tensor) -> Tensor:
        return (self.centers @ x[..., None])[..., 0]

    def _towards(self, x: Tensor, slopes: Tensor, cosines: Tensor) -> Tensor:
        across = (slopes[..., None, :] @ self.centers)[..., 0, :]
        return across - (slopes * cosines).sum(-1, keepdim=True) * x


@dataclass(frozen=True)
class SoftMaximum:
    """A soft maximum of linear functions ``m_i . x + a_i`` at its parameters: centers ``m_i`` ``(..., K, n + 1)``,
    offsets ``s a_i`` ``(..., K)`` and sharpness ``s`` ``(..., 1)``."""

    centers: Tensor
    offsets: Tensor
    sharpness: Tensor

    def gradient(self, x: Tensor) -> Tensor:
        """The gradient at points, tangent to the sphere."""
        return tangent(x, self._mean(x, self._shares(x)))

    def gradient_and_hessian(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The gradient, and the Hessian ``(..., n + 1, n + 1)``, which is zero across the sphere."""
        shares = self._shares(x)
        mean = self._mean(x, shares)
        arms = tangent(x[..., None, :], self.centers - mean[..., None, :])
        variance = (arms * (self.sharpness * shares)[..., None]).mT @ arms
        inward = (x * mean).sum(-1)[..., None, None]
        return tangent(x, mean), variance - inward * projection(x)

    def mapped(self, change: Callable[[Tensor], Tensor]) -> SoftMaximum:
        """The same with a change to each of its tensors."""
        return SoftMaximum(change(self.centers), change(self.offsets), change(self.sharpness))

    def _shares(self, x: Tensor) -> Tensor:
        heights = (self.centers @ x[..., None])[..., 0]
        return torch.softmax(self.sharpness * heights + self.offsets, -1)

    def _mean(self, x: Tensor, shares: Tensor) -> Tensor:
        return (shares[..., None, :] @ self.centers)[..., 0, :]
