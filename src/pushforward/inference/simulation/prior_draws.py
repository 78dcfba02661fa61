"""A prior of which there are draws alone, as in a table of simulations."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.distributions import constraints

from pushforward.distributions.inputs import as_batch
from pushforward.errors import DataError, ShapeError, UsageError

_NEAREST = 10
"""How many of the outermost draws the distance to the edge is told from."""


class PriorDraws:
    r"""A prior that is known by its draws, within bounds.

    An estimator that never proposes anything new needs no more. Bounds that are not given are those of the draws, each
    moved outwards by the mean distance between the ten outermost draws (that is how far beyond them the edge of a
    density lies, which does not vanish there), but not beyond 0, where all draws are on one side of it.

    Args:
        draws: parameters ``(n, D)``, two at least.
        low, high: the bounds of each parameter, ``(D,)``; infinite where there is none, NaN where it is to be found.

    Raises:
        ShapeError: if these are no such.
        DataError: if draws are not finite, all equal in a parameter, or beyond a bound.

    Example:
        >>> draws = torch.rand(1000, 1, generator=torch.Generator().manual_seed(0))
        >>> prior = PriorDraws(draws)
        >>> prior.low, bool((prior.high - 1).abs() < 0.002)
        (tensor([0.]), True)
    """

    def __init__(self, draws: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> None:
        if draws.dim() != 2 or len(draws) < 2:
            raise ShapeError(f"PriorDraws expects draws (n, D), two at least, got {tuple(draws.shape)}")
        if not bool(draws.isfinite().all()):
            raise DataError(f"PriorDraws expects finite draws, got {int((~draws.isfinite()).sum())} other numbers")
        self.draws = draws.to(torch.get_default_dtype())
        constant = (self.draws == self.draws[0]).all(0)
        if bool(constant.any()):
            raise DataError(
                f"PriorDraws expects parameters that vary, got column {int(constant.int().argmax())} of one"
            )
        self.low = self._bound(low, _lowest(self.draws), "low")
        self.high = self._bound(high, -_lowest(-self.draws), "high")
        outside = (self.draws < self.low) | (self.draws > self.high)
        if bool(outside.any()):
            raise DataError(f"PriorDraws expects draws within the bounds, got {int(outside.any(1).sum())} others")

    @property
    def support(self) -> constraints.Constraint:
        """The box within the bounds."""
        return constraints.independent(constraints.interval(self.low, self.high), 1)

    def sample(self, sample_shape: int | Sequence[int] = ()) -> Tensor:
        """Draw parameters of those that there are, ``sample_shape + (D,)``."""
        return self.draws[torch.randint(len(self.draws), as_batch(sample_shape))]

    def log_prob(self, theta: Tensor) -> Tensor:
        """Its density is not known.

        Raises:
            UsageError: always.
        """
        raise UsageError("a prior that is known by its draws alone has no log_prob: give its distribution")

    def _bound(self, given: Tensor | None, found: Tensor, name: str) -> Tensor:
        if given is None:
            return found
        if given.shape != found.shape:
            raise ShapeError(f"PriorDraws expects {name} of shape {tuple(found.shape)}, got {tuple(given.shape)}")
        return torch.where(given.isnan(), found, given.to(found))


def _lowest(draws: Tensor) -> Tensor:
    """The lower edge of each column."""
    nearest = draws.double().sort(0).values[:_NEAREST]
    edge = nearest[0] - (nearest[-1] - nearest[0]) / (len(nearest) - 1)
    edge = torch.where(nearest[0] >= 0, edge.clamp(min=0.0), edge).to(draws)
    return torch.minimum(edge, draws.min(0).values)
