"""Observations as networks see them: standardised, with what is missing filled in and marked."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.errors import DataError, ShapeError
from pushforward.numerics import robust_location_and_scale
from pushforward.parts import ModulePart

# Scales beyond which numbers grow by their logarithm, and at which they end.
_FAR, _FARTHEST = 10.0, 20.0
# A location and a scale are told well enough from so many numbers.
_ENOUGH = 2**20


class Observations(ModulePart):
    """What a network is given of a simulator's output: numbers of location 0 and scale 1.

    Those farther than 10 scales are drawn in, ``v`` to ``10 + log(v / 10)``, and end at 20, so that a wild simulation,
    or a tail that is heavy, does not drown the others.

    Where simulations had missing values (NaN), those of an observation become 0, the location, and as many features (or
    channels) follow that are 1 where a value is missing.

    Args:
        shape: of one observation.
        location, scale: of each number of a vector, of each feature of series and sets ``(T, features)``, of each
            channel of images; of a shape that broadcasts with an observation's.
        indicators: how many of the features (or channels) say what is missing: none or all that there are.

    Attributes:
        seen_shape: of what the network is given of one.

    Example:
        >>> observations = Observations.of(torch.tensor([[0.0, 2.0], [1.0, torch.nan], [2.0, 2.0]]))
        >>> observations(torch.tensor([1.0, torch.nan])).tolist()
        [0.0, 0.0, 0.0, 1.0]
    """

    location: Tensor
    scale: Tensor

    def __init__(self, shape: Sequence[int], location: Tensor, scale: Tensor, indicators: int = 0) -> None:
        super().__init__()
        self.shape = torch.Size(shape)
        self.indicators = indicators
        self._axis = _axis(self.shape)
        self.register_buffer("location", location)
        self.register_buffer("scale", scale)
        seen = list(self.shape)
        seen[self._axis] += indicators
        self.seen_shape = torch.Size(seen)

    @classmethod
    def of(cls, x: Tensor) -> Observations:
        """With the robust location and scale of simulations ``(N,) + shape``.

        Raises:
            DataError: if a value is infinite, or a number is missing in all simulations.
        """
        if bool(torch.isinf(x).any()):
            raise DataError("simulations are infinite in places: return NaN for what is missing, or bound them")
        axis = _axis(x.shape[1:])
        rows = x.movedim(axis, 0).flatten(1)
        known = [row[~torch.isnan(row)] for row in rows]
        if not all(len(row) for row in known):
            raise DataError(
                "simulations expect every number to be there in at least one of them, got one that never is"
            )
        found = [robust_location_and_scale(_enough(row)[None], "the simulations") for row in known]
        sizes = (len(known), *[1] * (-1 - axis))
        location, scale = (torch.cat(parts).view(sizes) for parts in zip(*found, strict=True))
        return cls(x.shape[1:], location, scale, len(known) if bool(torch.isnan(x).any()) else 0)

    def forward(self, x: Tensor) -> Tensor:
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
        values = _drawn_in(torch.where(missing, 0.0, (x - self.location) / self.scale))
        return torch.cat([values, missing.to(values)], self._axis) if self.indicators else values


def _axis(shape: torch.Size) -> int:
    """Where features stand: channels first, features last."""
    return -3 if len(shape) == 3 else -1


def _drawn_in(values: Tensor) -> Tensor:
    size = values.abs()
    far = _FAR + torch.log(size.clamp_min(_FAR) / _FAR)
    return torch.where(size > _FAR, values.sign() * far.clamp_max(_FARTHEST), values)


def _enough(values: Tensor) -> Tensor:
    """All numbers, or as many as are needed, at even distances."""
    if len(values) <= _ENOUGH:
        return values
    return values[torch.linspace(0, len(values) - 1, _ENOUGH, dtype=torch.float64).round().long()]
