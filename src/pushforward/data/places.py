"""Places on the earth: latitude and longitude in degrees, and unit vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from pushforward.data.dataset import as_float
from pushforward.errors import DataError, ShapeError
from pushforward.transforms import GeographicCoordinates


def as_unit_vectors(places: ArrayLike | Tensor) -> Tensor:
    r"""Return latitudes and longitudes ``(..., 2)`` in degrees as unit vectors ``(..., 3)``, points of ``Sphere(2)``:
    ``(cos a cos o, cos a sin o, sin a)`` of the latitude ``a`` and the longitude ``o``.

    Densities of the vectors are with respect to the unit sphere's surface, on which a degree of longitude is shorter
    towards the poles: per steradian. The sines and cosines are taken in double precision; the result is of double
    precision where the degrees are.

    Raises:
        ShapeError: if they do not come in pairs.
        DataError: if one is not finite, or a latitude beyond 90 degrees. Longitudes may go round more than once.

    Example:
        >>> as_unit_vectors(torch.tensor([[90.0, 0.0], [0.0, 90.0]])).round(decimals=4) + 0.0
        tensor([[0., 0., 1.],
                [0., 1., 0.]])
    """
    degrees = _pairs(places)
    return GeographicCoordinates().encode(degrees.double()).to(degrees.dtype)


def as_latitude_longitude(x: Tensor) -> Tensor:
    """Return unit vectors ``(..., 3)`` as latitudes and longitudes ``(..., 2)`` in degrees, the latter within 180.

    Raises:
        ShapeError: if they are no vectors of three numbers.

    Example:
        >>> as_latitude_longitude(torch.tensor([0.0, -1.0, 0.0]))
        tensor([  0., -90.])
    """
    if x.dim() < 1 or x.shape[-1] != 3:
        raise ShapeError(f"as_latitude_longitude expects unit vectors (..., 3), got a tensor of {tuple(x.shape)}")
    return GeographicCoordinates().decode(as_float(x))


def _pairs(places: Any) -> Tensor:
    degrees = as_float(places if isinstance(places, Tensor) else np.asarray(places))
    if degrees.dim() < 1 or degrees.shape[-1] != 2:
        raise ShapeError(
            f"as_unit_vectors expects latitudes and longitudes in degrees, (..., 2), got a tensor of "
            f"{tuple(degrees.shape)}"
        )
    wrong = ~(torch.isfinite(degrees).all(-1) & (degrees[..., 0].abs() <= 90))
    if bool(wrong.any()):
        raise DataError(
            f"as_unit_vectors expects latitudes from -90 to 90 degrees and finite longitudes, got "
            f"{degrees[wrong][0].tolist()}: the latitude comes first"
        )
    return degrees
