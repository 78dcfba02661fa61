"""Observations as networks see them: standardised, with what is missing filled in and marked."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.errors import DataError, ShapeError
from pushforward.numerics import robust_location_and_scale


class Observations:
    """What a network is given of a simulator's output: numbers of location 0 and scale 1.

    Location and scale are robust ones of the simulations: of each number of a vector, of each feature of series and
    sets ``(T, features)``, of each channel of images. Where a simulation has missing values (NaN), they become 0, the
    location, and as many features (or channels) follow that are 1 where a value is missing.

    Args:
        x: the simulations, ``(N,) + shape``.

    Attributes:
        shape: of one observation.
        seen_shape: of what the network is given of one.
        indicators: how many of the features (or channels) say what is missing: none or all that there are.

    Raises:
        DataError: if a value is infinite, or a number is missing in all simulations.

    Example:
        >>> observations = Observations(torch.tensor([[0.0, 2.0], [1.0, torch.nan], [2.0, 2.0]]))
        >>> observations(torch.tensor([1.0, torch.nan])).tolist()
        [0.0, 0.0, 0.0, 1.0]
    """

    def __init__(self, x: Tensor) -> None:
        self.shape = x.shape[1:]
        # Channels stand first, features last.
        self._axis = -3 if len(self.shape) == 3 else -1
        if bool(torch.isinf(x).any()):
            raise DataError("simulations are infinite in places: return NaN for what is missing, or bound them")
        rows = x.movedim(self._axis, 0).flatten(1)
        known = [row[~torch.isnan(row)] for row in rows]
        if not all(len(row) for row in known):
            raise DataError(
                "simulations expect every number to be there in at least one of them, got one that never is"
            )
        found = [robust_location_and_scale(row[None], "the simulations") for row in known]
        sizes = (len(known), *[1] * (-1 - self._axis))
        self.location = torch.cat([location for location, _ in found]).view(sizes)
        self.scale = torch.cat([scale for _, scale in found]).view(sizes)
        self.indicators = len(known) if bool(torch.isnan(x).any()) else 0
        seen = list(self.shape)
        seen[self._axis] += self.indicators
        self.seen_shape = torch.Size(seen)

    def __call__(self, x: Tensor) -> Tensor:
        """Return what the network is given of observations with any batch dimensions.

        Raises:
            ShapeError: if they have another shape than the simulations.
            DataError: if a value is infinite, or missing where none was in the simulations.
        """
        if x.shape[max(x.dim() - len(self.shape), 0) :] != self.shape:
            raise ShapeError(
                f"an observation is of the simulations' shape {tuple(self.shape)} behind any batch dimensions, got "
                f"{tuple(x.shape)}"
            )
        missing = torch.isnan(x)
        if bool(torch.isinf(x).any()) or (not self.indicators and bool(missing.any())):
            raise DataError(
                "an observation expects finite numbers, as all simulations were, got NaN or infinity: where values may "
                "be missing, append simulations in which some are (NaN)"
            )
        values = torch.where(missing, 0.0, (x - self.location) / self.scale)
        return torch.cat([values, missing.to(values)], self._axis) if self.indicators else values
