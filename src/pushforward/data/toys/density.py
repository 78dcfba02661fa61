"""What every density on the plane is."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Generator, Tensor

from pushforward.errors import ShapeError


class ToyDensity(ABC):
    """A density on the plane that can be sampled and evaluated.

    Attributes:
        bounds: the ends ``(low, high)`` of a square that holds nearly all of the mass.

    Raises:
        ShapeError: by ``log_prob``, for points that are not ``(..., 2)``.

    Example:
        >>> import math, torch
        >>> class Normal(ToyDensity):
        ...     def sample(self, n, generator=None):
        ...         return torch.randn(n, 2, generator=generator)
        ...     def _log_prob(self, x):
        ...         return -0.5 * x.square().sum(-1) - math.log(2 * math.pi)
        >>> Normal().log_prob(torch.zeros(3, 2)).exp()
        tensor([0.1592, 0.1592, 0.1592])
    """

    bounds: tuple[float, float] = (-4.0, 4.0)

    @abstractmethod
    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        """Draw ``n`` points, ``(n, 2)`` in float32."""

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density of ``(..., 2)`` points in nats, ``(...)``, in the dtype of ``x``.

        Raises:
            ShapeError: the points are not two-dimensional.
        """
        if x.ndim == 0 or x.shape[-1] != 2:
            raise ShapeError(f"expected points (..., 2), got shape {tuple(x.shape)}")
        return self._log_prob(x)

    @abstractmethod
    def _log_prob(self, x: Tensor) -> Tensor: ...
