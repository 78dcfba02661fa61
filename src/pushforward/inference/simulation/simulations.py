"""The simulations that an estimator has been given so far."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pushforward.errors import DataError, UsageError
from pushforward.training.inputs import as_tensor


def as_values(values: Any, name: str) -> Tensor:
    """Return the numbers of a tensor, an array, a list or a frame in the default precision, NaN where they are missing.

    Raises:
        DataError: if they are no numbers of one shape.
    """
    # Frames by their arrays, as their own readers refuse what is missing.
    plain = values.to_numpy() if hasattr(values, "to_numpy") else values
    return as_tensor(plain, name, torch.get_default_dtype()).detach().to(torch.get_default_dtype())


class Simulations:
    """Pairs of parameters ``(n, D)`` and observations ``(n, ...)``, checked as they come.

    Args:
        features: the number of parameters ``D``.

    Example:
        >>> simulations = Simulations(2)
        >>> simulations.append(torch.zeros(3, 2), torch.zeros(3))
        >>> len(simulations), simulations.x.shape
        (3, torch.Size([3, 1]))
    """

    def __init__(self, features: int) -> None:
        self._features = features
        self._theta: list[Tensor] = []
        self._x: list[Tensor] = []

    def __len__(self) -> int:
        return sum(map(len, self._theta))

    @property
    def theta(self) -> Tensor:
        """All parameters.

        Raises:
            UsageError: if there are none yet.
        """
        self._check_some()
        return torch.cat(self._theta)

    @property
    def x(self) -> Tensor:
        """All observations.

        Raises:
            UsageError: if there are none yet.
        """
        self._check_some()
        return torch.cat(self._x)

    def append(self, theta: Any, x: Any) -> None:
        """Add simulations.

        Raises:
            DataError: if they are not of one number or not finite, or of other shapes than those before; ``x`` may be
                NaN where it is missing.
        """
        theta, x = as_values(theta, "parameters"), as_values(x, "observations")
        x = x[:, None] if x.dim() == 1 else x
        if theta.dim() != 2 or theta.shape[1] != self._features or x.dim() == 0 or len(x) != len(theta):
            raise DataError(
                f"simulations are parameters (n, {self._features}) and as many observations (n, ...), got shapes "
                f"{tuple(theta.shape)} and {tuple(x.shape)}"
            )
        if self._x and x.shape[1:] != self._x[0].shape[1:]:
            raise DataError(
                f"simulations are of one shape, got observations of {tuple(x.shape[1:])} after some of "
                f"{tuple(self._x[0].shape[1:])}"
            )
        if not bool(torch.isfinite(theta).all()):
            raise DataError("the parameters of simulations must be finite, got NaN or infinity")
        self._theta.append(theta)
        self._x.append(x)

    def _check_some(self) -> None:
        if not len(self):
            raise UsageError("there are no simulations yet: call append_simulations(theta, x) first")
