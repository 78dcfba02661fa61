"""The toy densities by name, and data sets drawn from them."""

from __future__ import annotations

import os
from collections.abc import Callable

import torch

from pushforward.data.dataset import Dataset
from pushforward.data.toys.checkerboard import Checkerboard
from pushforward.data.toys.curves import Rings, moons, spirals
from pushforward.data.toys.density import ToyDensity
from pushforward.data.toys.gaussians import Gaussians, Pinwheel
from pushforward.data.toys.image import ImageDensity
from pushforward.errors import UsageError
from pushforward.seeds import check_seed

#: The densities by name.
TOYS: dict[str, Callable[[], ToyDensity]] = {
    "moons": moons,
    "rings": Rings,
    "checkerboard": Checkerboard,
    "pinwheel": Pinwheel,
    "spirals": spirals,
    "gaussians": Gaussians,
}


def toy(name: str) -> ToyDensity:
    """The density of that name.

    Raises:
        UsageError: there is none.

    Example:
        >>> toy("moons").sample(5).shape
        torch.Size([5, 2])
    """
    if name not in TOYS:
        raise UsageError(f"no toy density {name!r}; there are {', '.join(TOYS)}")
    return TOYS[name]()


def load_toy(name: str, rows: int = 100_000, seed: int = 0) -> Dataset:
    """Points drawn from a toy density: ``rows`` to train, a tenth as many each to validate and to test.

    Raises:
        UsageError: there is no such density, or the seed is none.

    Example:
        >>> len(load_toy("moons", rows=50).validation)
        5
    """
    return _draw(name, toy(name), rows, check_seed("seed", seed))


def load_picture_density(path: str | os.PathLike[str]) -> Dataset:
    """Points drawn from the density of a picture's ink."""
    return _draw(os.path.basename(path), ImageDensity.read(path), 100_000, seed=0)


def _draw(name: str, density: ToyDensity, rows: int, seed: int) -> Dataset:
    generator = torch.Generator().manual_seed(seed)
    train, validation, test = (density.sample(size, generator) for size in (rows, rows // 10, rows // 10))
    return Dataset(name, train, validation, test, columns=("x", "y"))
