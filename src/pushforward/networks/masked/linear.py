"""Linear layers in which a unit sees the units of no higher degree."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MaskedLinear(nn.Linear):
    r"""A linear layer in which a unit of degree ``m`` sees the units of degrees up to ``m``.

    ``y = (W * M) x + b`` with ``M[r, c] = out_degrees[r] >= in_degrees[c]``. Both lists of degrees are ascending, so
    that what a unit sees is a slice. Weights start uniform within one over the root of the units seen.

    Args:
        in_degrees, out_degrees: the degrees of the layer's inputs and outputs, ascending.

    Example:
        >>> layer = MaskedLinear([1, 2], [1, 1, 2])
        >>> layer.mask.int().tolist()
        [[1, 0], [1, 0], [1, 1]]
    """

    def __init__(self, in_degrees: Sequence[int], out_degrees: Sequence[int]) -> None:
        super().__init__(len(in_degrees), len(out_degrees))
        mask = torch.as_tensor(out_degrees)[:, None] >= torch.as_tensor(in_degrees)
        self.mask: Tensor
        self.register_buffer("mask", mask.to(self.weight.dtype), persistent=False)
        with torch.no_grad():
            bound = self.mask.sum(1, keepdim=True).clamp_min(1.0).rsqrt()
            self.weight.uniform_(-1.0, 1.0).mul_(bound)
            self.bias.uniform_(-1.0, 1.0).mul_(bound[:, 0])

    @property
    def masked_weight(self) -> Tensor:
        """``W * M``."""
        return self.weight * self.mask

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.masked_weight, self.bias)

    def columns(self, x: Tensor) -> Tensor:
        """The same for ``x`` with features first, ``(in, rows)``."""
        return self.masked_weight @ x + self.bias[:, None]

    def planes(self, x: Tensor, per_input: int) -> Tensor:
        """The same for ``x`` ``(in, rows)``, as ``(per_input, out / per_input, rows)``: of every ``per_input`` outputs
        in turn the first, then of each the second, and so on. To reorder the weights is free beside masking them."""
        weight = self.masked_weight.unflatten(0, (-1, per_input)).transpose(0, 1).flatten(0, 1)
        bias = self.bias.unflatten(0, (-1, per_input)).t().reshape(-1, 1)
        return torch.addmm(bias, weight, x).unflatten(0, (per_input, -1))
