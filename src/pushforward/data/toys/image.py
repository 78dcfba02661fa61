"""Any picture as a density on the plane."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from pushforward.data.toys.density import ToyDensity
from pushforward.errors import DataError


class ImageDensity(ToyDensity):
    """Any picture as a density: uniform within a pixel, pixels weighted by ``weights``, on ``[-4, 4]`` across.

    Args:
        weights: ``(H, W)``, not negative; the first row is the top of the picture. The longer side spans the square.

    Raises:
        DataError: weights of another shape, negative, not finite or all zero.

    Example:
        >>> density = ImageDensity(np.ones((2, 2)))
        >>> round(density.log_prob(torch.zeros(2)).item(), 4) == round(-math.log(64), 4)
        True
    """

    def __init__(self, weights: np.ndarray[Any, Any] | Tensor) -> None:
        grid = torch.as_tensor(weights, dtype=torch.float64)
        if grid.ndim != 2 or not bool(torch.isfinite(grid).all()) or bool((grid < 0).any()) or float(grid.sum()) <= 0:
            raise DataError(f"expected weights (H, W), finite and not negative with some above 0, got {grid.shape}")
        self.probabilities = (grid / grid.sum()).flatten()
        self.height, self.width = grid.shape
        self.pixel = 8.0 / max(self.height, self.width)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> ImageDensity:
        """The density of a picture's ink: dark pixels weigh, white and transparent ones do not.

        Raises:
            DataError: the picture cannot be read, or is all white.
        """
        from pushforward.data.pictures import levels_of, read_picture
        from pushforward.data.sources import require_file

        picture = read_picture(require_file(path))
        brightness = picture / (levels_of(picture) - 1.0)
        ink = 1.0 - brightness[:3].mean(0)
        return cls(ink * brightness[3] if len(picture) == 4 else ink)

    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        # Inverting the cumulative sum has no limit on the number of pixels, unlike torch.multinomial.
        uniform = torch.rand(n, dtype=torch.float64, generator=generator)
        cumulative = self.probabilities.cumsum(0)
        cell = torch.searchsorted(cumulative, uniform * cumulative[-1], right=True).clamp(max=len(cumulative) - 1)
        corner = torch.stack([cell % self.width, self.height - 1 - cell // self.width], -1)
        grid = corner + torch.rand(n, 2, generator=generator)
        return ((grid - self._half()) * self.pixel).float()

    def _log_prob(self, x: Tensor) -> Tensor:
        grid = (x / self.pixel + self._half().to(x)).floor()
        column, row = grid[..., 0], self.height - 1 - grid[..., 1]
        inside = (column >= 0) & (column < self.width) & (row >= 0) & (row < self.height)
        cell = row.clamp(0, self.height - 1) * self.width + column.clamp(0, self.width - 1)
        log_density = (self.probabilities.log() - 2 * math.log(self.pixel)).to(x)
        return torch.where(inside, log_density[cell.long()], -math.inf)

    def _half(self) -> Tensor:
        return torch.tensor([self.width / 2, self.height / 2])
