"""A board of dark and light fields."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from pushforward.data.toys.density import ToyDensity


class Checkerboard(ToyDensity):
    """Uniform on the eight dark fields, 2x2 each, of a 4x4 board on ``[-4, 4]^2``; ``-inf`` elsewhere."""

    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        row = torch.randint(4, (n,), generator=generator)
        column = 2 * torch.randint(2, (n,), generator=generator) + row % 2
        corner = torch.stack([column, row], -1)
        return 2 * (corner + torch.rand(n, 2, generator=generator)) - 4

    def _log_prob(self, x: Tensor) -> Tensor:
        field = ((x + 4) / 2).floor()
        inside = ((field >= 0) & (field <= 3)).all(-1) & (field.sum(-1) % 2 == 0)
        dark = torch.full(x.shape[:-1], -math.log(32.0), dtype=x.dtype, device=x.device)
        return torch.where(inside, dark, -math.inf)
