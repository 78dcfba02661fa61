"""Distribution functions of histograms: a line in each cell."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.numerics import at_least_single
from pushforward.scalar.arguments import check_counts
from pushforward.scalar.base import ScalarBijection
from pushforward.scalar.elementary import into_unit_interval
from pushforward.scalar.mixture import Mixture
from pushforward.scalar.mixture_components import LogisticComponent
from pushforward.scalar.splines.box import planes
from pushforward.spaces import Interval

LEAST_SHARE = 2.0**-20
"""What every cell holds at least: in single precision a number in the last cell then has sixteen values still."""

MOST_BINS = 4096
"""Of more cells the least shares would be a good part of all."""


class CellsCDF(ScalarBijection):
    """The CDF of a density on ``(0, 1)`` that is constant in each of ``bins`` equal cells."""

    domain = codomain = Interval(0.0, 1.0)

    def __init__(self, bins: int, num_parameters: int) -> None:
        owner = type(self).__name__
        check_counts(owner, least=2, bins=bins)
        if bins > MOST_BINS:
            raise UsageError(f"{owner} expects at most {MOST_BINS} bins, got {bins}")
        self.bins, self.num_parameters = bins, num_parameters

    @abstractmethod
    def _shares(self, parameters: Tensor) -> Tensor:
        """The cells' shares ``(K, ...)``, which add up to 1."""

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        place = self.bins * at_least_single(x)
        cell = place.detach().floor().clamp(0, self.bins - 1)
        share, start = self._at(cell, *self._cells(parameters))
        return self._found(start + share * (place - cell), self.bins * share, x)

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        wide, (shares, starts) = at_least_single(z), self._cells(parameters)
        cell = (wide >= starts[1:]).sum(0).to(wide.dtype)
        share, start = self._at(cell, shares, starts)
        # What rounds in the sum of the cells before may not leave the cell.
        place = cell + ((wide - start) / share).clamp(0.0, 1.0)
        return self._found(place / self.bins, 1.0 / (self.bins * share), z)

    def _cells(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """What each cell holds, and the cells before it, ``(K, ...)`` both."""
        # Half precision can hold neither a least share beside the others nor their sum.
        shares = LEAST_SHARE + (1.0 - self.bins * LEAST_SHARE) * self._shares(at_least_single(parameters))
        return shares, torch.cat([torch.zeros_like(shares[:1]), shares[:-1].cumsum(0)])

    def _at(self, cell: Tensor, shares: Tensor, starts: Tensor) -> tuple[Tensor, Tensor]:
        # What is no number lies in no cell, and its place in the first one is no number either.
        index = cell.nan_to_num().long().unsqueeze(0)
        return shares.gather(0, index).squeeze(0), starts.gather(0, index).squeeze(0)

    def _found(self, value: Tensor, slope: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        return into_unit_interval(value.to(like.dtype)), torch.log(slope).to(like.dtype)


class HistogramCDF(CellsCDF):
    r"""The CDF of a histogram of ``K`` equal cells of ``(0, 1)``, a line in each: with a uniform base the flow's
    density is the histogram,

    .. math:: z = \sum_{l < k} p_l + p_k\,(K x - k), \quad k = \lfloor K x \rfloor, \qquad
        p = \epsilon + (1 - K \epsilon)\,\mathrm{softmax}(\theta).

    Behind a dequantization to as many levels as there are cells, uniform noise costs nothing: the density is the same
    all over a cell, and so the bound is the mass itself, as long as nothing else depends on the noise.

    Parameters per element, ``bins``: the cells' logits. Zeros give the identity. A cell holds at least ``2^-20``.

    Args:
        bins: the number of cells ``K``, from 2 to 4096.

    Shapes: element by element, ``x`` and ``z`` are ``(...)``, parameters ``(..., P)``.

    Raises:
        UsageError: for fewer cells, or more.

    Source: Müller, McWilliams, Rousselle, Gross, Novák (2019), Neural Importance Sampling, arXiv:1808.03856, 3.2.

    Example:
        >>> cdf = HistogramCDF(bins=2)
        >>> cdf.forward(torch.tensor([0.25, 0.75]), torch.tensor([[0.0, 0.0], [0.0, 2.0]]))[0].round(decimals=3)
        tensor([0.2500, 0.5600])
    """

    def __init__(self, bins: int = 16) -> None:
        super().__init__(bins, bins)

    def _shares(self, parameters: Tensor) -> Tensor:
        return torch.softmax(planes(parameters), 0)


class DiscretizedLogisticCDF(CellsCDF):
    r"""The CDF of a mixture of logistics, ``F(x) = sum_k pi_k sigmoid((logit(x) - mu_k) / s_k)``, that is discretized
    to ``K`` equal cells of ``(0, 1)``, a line in each: the ends of a cell are where the mixture's CDF takes them. Cells
    have an order then, in which neighbours are alike.

    Parameters per element, ``3 * components`` in this order: the weights' logits, the locations, the log-scales
    (bounded) of the mixture, on the logits of ``(0, 1)``. Zeros give nearly the identity. A cell holds at least
    ``2^-20``. Its forward pass sees all cells, so it is for tens of levels, not for hundreds.

    Args:
        bins: the number of cells ``K``, from 2 to 4096.
        components: how many logistics are mixed.

    Shapes: element by element, ``x`` and ``z`` are ``(...)``, parameters ``(..., P)`` with ``P = 3 components``.

    Raises:
        UsageError: for fewer cells or more, or no component.

    Source: Salimans, Karpathy, Chen, Kingma (2017), arXiv:1701.05517, for the masses; Müller, McWilliams, Rousselle,
    Gross, Novák (2019), arXiv:1808.03856, 3.2, for the lines.

    Example:
        >>> cdf = DiscretizedLogisticCDF(bins=4, components=1)
        >>> cdf.forward(torch.tensor([0.25, 0.5, 0.6]), torch.zeros(3, 3))[0].round(decimals=3)
        tensor([0.2500, 0.5000, 0.6000])
    """

    def __init__(self, bins: int = 16, components: int = 5) -> None:
        super().__init__(bins, 3 * components)
        self._mixture = Mixture(LogisticComponent(), components)
        self.components = components

    def _shares(self, parameters: Tensor) -> Tensor:
        inner = torch.arange(1, self.bins, dtype=parameters.dtype, device=parameters.device) / self.bins
        edges = torch.logit(inner).reshape(-1, *[1] * (parameters.dim() - 1))
        below, above = map(torch.exp, self._mixture.log_tails(edges, self._mixture.constrain(parameters)))
        # A cell is cut out of the tail that is the smaller there: of the other one rounding leaves nothing.
        between = torch.where(below[1:] < above[:-1], below.diff(dim=0), -above.diff(dim=0))
        return torch.cat([below[:1], between, above[-1:]]).clamp_min(0.0)
