"""The zigzag: the real line in pieces, each laid over the whole line, every other one turned round."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from pushforward.numerics import log1mexp


@dataclass(frozen=True)
class Zigzag:
    r"""``K`` neighbouring pieces of the line, each mapped onto all of it.

    In the coordinate ``y = sigmoid(x)`` the pieces are the intervals ``((k - 1) / K, k / K)`` and the map is piecewise
    linear, a zigzag: ``sigmoid(z) = K y - (k - 1)`` on the first piece, the third, ..., and one minus that on the
    second, the fourth, .... So neighbours are mirror images of each other around the edge between them, to the first
    order, and both tend to the same end of the line there.

    Attributes:
        pieces: how many pieces there are, ``K``.

    Example:
        >>> zigzag = Zigzag(2)
        >>> z, piece = zigzag.fold(torch.tensor([-1.0, 1.0]))
        >>> piece, zigzag.unfold(z).shape, bool((z[0] - z[1]).abs() < 1e-6)
        (tensor([0, 1]), torch.Size([2, 2]), True)
    """

    pieces: int

    def edges(self, like: Tensor) -> Tensor:
        """Where the pieces meet, ``(K - 1,)``, in ascending order: ``logit(k / K)``."""
        return self._edge(torch.arange(1, self.pieces, dtype=like.dtype, device=like.device))

    def fold(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the latents of numbers ``(...)`` and the indices of the pieces that they lie on."""
        piece = (x.unsqueeze(-1) > self.edges(x)).sum(-1)
        low, high = self._ends(x, piece)
        # logit(K y - k + 1), where y is 1 to all digits too.
        z = x + F.softplus(-high) - F.softplus(low) + log1mexp(_apart(x, low)) - log1mexp(_apart(high, x))
        return torch.where(piece % 2 == 1, -z, z), piece

    def log_slope(self, x: Tensor, piece: Tensor) -> Tensor:
        """Return ``log |dz/dx|`` at numbers of a piece."""
        low, high = self._ends(x, piece)
        return torch.log1p(_inverse_expm1(_apart(x, low)) + _inverse_expm1(_apart(high, x)))

    def unfold(self, z: Tensor) -> Tensor:
        """Return the number of each piece that has the latent ``z``, ``(..., K)``."""
        index = torch.arange(self.pieces, device=z.device)
        turned = z.unsqueeze(-1) * (1 - 2 * (index % 2)).to(z)
        # log(K y) and log(K (1 - y)): whole pieces below or above, and a part of this one.
        below = torch.logaddexp(torch.log(index.to(z)), F.logsigmoid(turned))
        above = torch.logaddexp(torch.log((self.pieces - 1 - index).to(z)), F.logsigmoid(-turned))
        return below - above

    def _ends(self, x: Tensor, piece: Tensor) -> tuple[Tensor, Tensor]:
        """The two ends of each number's piece; infinite at the ends of the line."""
        count = piece.to(x)
        return self._edge(count), self._edge(count + 1)

    def _edge(self, count: Tensor) -> Tensor:
        return torch.log(count) - torch.log(self.pieces - count)


def _apart(high: Tensor, low: Tensor) -> Tensor:
    """How far a number is from an edge. One on the edge has a latent too: that of a number beside it."""
    return (high - low).clamp_min(torch.finfo(high.dtype).eps)


def _inverse_expm1(distance: Tensor) -> Tensor:
    """``1 / (exp(d) - 1)``, of distances that may be infinite."""
    return torch.exp(-distance) / -torch.expm1(-distance)
