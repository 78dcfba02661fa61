"""The distribution function of a histogram: a line in each cell."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.scalar.arguments import check_counts
from pushforward.scalar.base import ScalarBijection
from pushforward.scalar.elementary import into_unit_interval
from pushforward.scalar.splines.box import planes
from pushforward.spaces import Interval

LEAST_SHARE = 2.0**-20
"""What every cell holds at least: in single precision a number in the last cell then has sixteen values still."""

MOST_BINS = 4096
"""Of more cells the least shares would be a good part of all."""


class HistogramCDF(ScalarBijection):
    r"""The CDF of a histogram of ``K`` equal cells of ``(0, 1)``, a line in each: with a uniform base the flow's
    density is the histogram,

    .. math:: z = \sum_{l < k} p_l + p_k\,(K x - k), \quad k = \lfloor K x \rfloor, \qquad
        p = \epsilon + (1 - K \epsilon)\,\mathrm{softmax}(\theta).

    Behind a dequantization to as many levels as there are cells, uniform noise costs nothing: the density is the same
    all over a cell, and so the bound is the mass itself, as long as nothing else depends on the noise.

    Parameters per element, ``bins``: the cells' logits. Zeros give the identity. A cell holds at least ``2^-20``.

    Args:
        bins: the number of cells ``K``, from 2 to 4096.

    Raises:
        UsageError: for fewer cells, or more.

    Source: Müller, McWilliams, Rousselle, Gross, Novák (2019), Neural Importance Sampling, arXiv:1808.03856, 3.2.

    Example:
        >>> cdf = HistogramCDF(bins=2)
        >>> cdf.forward(torch.tensor([0.25, 0.75]), torch.tensor([[0.0, 0.0], [0.0, 2.0]]))[0].round(decimals=3)
        tensor([0.2500, 0.5600])
    """

    domain = codomain = Interval(0.0, 1.0)

    def __init__(self, bins: int = 16) -> None:
        check_counts("HistogramCDF", least=2, bins=bins)
        if bins > MOST_BINS:
            raise UsageError(f"HistogramCDF expects at most {MOST_BINS} bins, got {bins}")
        self.bins = self.num_parameters = bins

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        place = self.bins * x
        cell = place.detach().floor().clamp(0, self.bins - 1)
        share, start = self._at(cell, *self._cells(parameters))
        return into_unit_interval(start + share * (place - cell)), torch.log(self.bins * share)

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        shares, starts = self._cells(parameters)
        cell = (z >= starts[1:]).sum(0).to(z.dtype)
        share, start = self._at(cell, shares, starts)
        # What rounds in the sum of the cells before may not leave the cell.
        place = cell + ((z - start) / share).clamp(0.0, 1.0)
        return into_unit_interval(place / self.bins), -torch.log(self.bins * share)

    def _cells(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """What each cell holds, and the cells before it, ``(K, ...)`` both."""
        shares = LEAST_SHARE + (1.0 - self.bins * LEAST_SHARE) * torch.softmax(planes(parameters), 0)
        return shares, torch.cat([torch.zeros_like(shares[:1]), shares[:-1].cumsum(0)])

    def _at(self, cell: Tensor, shares: Tensor, starts: Tensor) -> tuple[Tensor, Tensor]:
        index = cell.long().unsqueeze(0)
        return shares.gather(0, index).squeeze(0), starts.gather(0, index).squeeze(0)
