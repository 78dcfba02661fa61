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

    In the coordinate ``y = sigmoid(x)`` the pieces are intervals ``(c_k, c_k + w_k)`` whose widths sum to 1, and the
    map is piecewise linear, a zigzag: ``sigmoid(z) = (y - c_k) / w_k`` on the first piece, the third, ..., and one
    minus that on the second, the fourth, .... Two neighbours thus have the same latents around the edge between them,
    and both tend to the same end of the line there.

    Attributes:
        log_width: ``log w_k``, ``(..., K)``.
        log_below: ``log c_k``, of what lies below each piece; ``-inf`` for the first.
        log_above: ``log(1 - c_k - w_k)``, of what lies above it; ``-inf`` for the last.

    Example:
        >>> zigzag = Zigzag.of_widths(torch.zeros(2))
        >>> z, piece = zigzag.fold(torch.tensor([-1.0, 1.0]))
        >>> piece, zigzag.unfold(z).shape, bool((z[0] - z[1]).abs() < 1e-6)
        (tensor([0, 1]), torch.Size([2, 2]), True)
    """

    log_width: Tensor
    log_below: Tensor
    log_above: Tensor

    @classmethod
    def of_widths(cls, raw: Tensor) -> Zigzag:
        """Pieces of the widths ``softmax(raw)``."""
        log_width = torch.log_softmax(raw, -1)
        nothing = torch.full_like(log_width[..., :1], -torch.inf)
        upwards = torch.logcumsumexp(log_width, -1)[..., :-1]
        downwards = torch.logcumsumexp(log_width.flip(-1), -1).flip(-1)[..., 1:]
        return cls(log_width, torch.cat([nothing, upwards], -1), torch.cat([downwards, nothing], -1))

    @property
    def edges(self) -> Tensor:
        """Where the pieces meet, ``(..., K - 1)``, in ascending order."""
        return self.log_below[..., 1:] - self.log_above[..., :-1]

    def fold(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the latents of numbers ``(...)`` and the indices of the pieces that they lie on."""
        piece = (x.unsqueeze(-1) > self.edges).sum(-1)
        low, high = self._ends(piece)
        z = x + F.softplus(-high) - F.softplus(low) + log1mexp(_apart(x, low)) - log1mexp(_apart(high, x))
        return torch.where(piece % 2 == 1, -z, z), piece

    def log_slope(self, x: Tensor, piece: Tensor) -> Tensor:
        """Return ``log |dz/dx|`` at numbers of a piece."""
        low, high = self._ends(piece)
        return torch.log1p(_inverse_expm1(_apart(x, low)) + _inverse_expm1(_apart(high, x)))

    def unfold(self, z: Tensor) -> Tensor:
        """Return the number of each piece that has the latent ``z``, ``(..., K)``."""
        turned = z.unsqueeze(-1) * (1 - 2 * (torch.arange(self.log_width.shape[-1], device=z.device) % 2)).to(z)
        below = torch.logaddexp(self.log_below, self.log_width + F.logsigmoid(turned))
        above = torch.logaddexp(self.log_above, self.log_width + F.logsigmoid(-turned))
        return below - above

    def _ends(self, piece: Tensor) -> tuple[Tensor, Tensor]:
        """The two ends of pieces; infinite at the ends of the line."""
        edges = self.edges.expand(*piece.shape, -1)
        end = edges.new_full((*piece.shape, 1), torch.inf)
        index = piece.unsqueeze(-1)
        low = torch.cat([-end, edges], -1).gather(-1, index).squeeze(-1)
        return low, torch.cat([edges, end], -1).gather(-1, index).squeeze(-1)


def _apart(high: Tensor, low: Tensor) -> Tensor:
    """How far a number is from an edge. One on the edge has a latent too: that of a number beside it."""
    return (high - low).clamp_min(torch.finfo(high.dtype).eps)


def _inverse_expm1(distance: Tensor) -> Tensor:
    """``1 / (exp(d) - 1)``, of distances that may be infinite."""
    return torch.exp(-distance) / -torch.expm1(-distance)
