"""What every transform is: a map from data to latent with its log-determinant, and back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.errors import ShapeError


class Transform(nn.Module):
    r"""A map between data and latent that knows its log-determinant.

    ``z, log_det = transform(x, context)`` goes from data to latent and ``x, log_det = transform.inverse(z, context)``
    back. ``x`` is ``batch_shape + event_shape`` with any number of batch dimensions; ``log_det`` is ``batch_shape``.

    Attributes:
        event_dims: how many trailing dimensions make one event: 1 for vectors ``(..., D)``, 3 for images
            ``(..., C, H, W)``.
        exact: ``False`` where ``log_det`` is a bound or a stochastic estimate.
        stochastic: ``True`` where ``forward`` draws random numbers and takes ``generator=``.
        tolerance: ``None`` for an analytic inverse, else the error at which an iterative inverse stops.
        light: whether ``forward`` is so few operations that it is best compiled together with its neighbours.
    """

    event_dims: int = 1
    exact: bool = True
    stochastic: bool = False
    tolerance: float | None = None
    light: bool = False

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        raise NotImplementedError(f"{type(self).__name__} has no forward: a Transform is abstract")

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        raise NotImplementedError(f"{type(self).__name__} has no inverse: a Transform is abstract")

    def encode(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Return the latent of ``x`` alone, such that :meth:`inverse` gives ``x`` back."""
        return apply(self, x, context, generator)[0]

    def initialise(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Set what depends on the data (ActNorm) from one batch and return the batch's image."""
        return apply(self, x, context)[0]

    def blocks(self) -> Iterator[Transform]:
        """Yield the parts that are worth compiling, each by itself."""
        # Random numbers are drawn outside of compiled code, so that a seed gives the same ones with and without.
        if not self.stochastic:
            yield self

    def forward_shape(self, shape: torch.Size) -> torch.Size:
        """Return the latent event's shape for data events of ``shape``."""
        return shape

    def inverse_shape(self, shape: torch.Size) -> torch.Size:
        """Return the data event's shape for latent events of ``shape``."""
        return shape

    def _flatten_event(self, log_d: Tensor) -> Tensor:
        """Sum a log-derivative per element over the event."""
        return sum_event(log_d, self.event_dims)


class Bijection(Transform):
    """A deterministic transform whose inverse gives every ``x`` back and whose log-determinant is exact."""


def apply(
    transform: Transform, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Run ``transform`` forward, handing the generator to those that draw random numbers."""
    if transform.stochastic:
        options: dict[str, Any] = {"generator": generator}
        return transform(x, context, **options)
    return transform(x, context)


def sum_event(values: Tensor, event_dims: int) -> Tensor:
    """Sum over the last ``event_dims`` dimensions.

    Example:
        >>> sum_event(torch.ones(5, 2, 3), 2)
        tensor([6., 6., 6., 6., 6.])
    """
    return values.sum(dim=tuple(range(-event_dims, 0))) if event_dims else values


def batch_shape(x: Tensor, event_dims: int) -> torch.Size:
    """Return the leading dimensions of ``x`` that are not its event's."""
    return x.shape[: x.dim() - event_dims]


def check_event(x: Tensor, event_shape: torch.Size, owner: str) -> None:
    """Raise :class:`ShapeError` unless ``x`` ends in ``event_shape``."""
    if x.shape[max(x.dim() - len(event_shape), 0) :] != event_shape:
        raise ShapeError(
            f"{owner} expects events of shape {tuple(event_shape)} behind any batch dimensions, got a tensor of shape "
            f"{tuple(x.shape)}: reshape the data or build the part for this shape"
        )
