"""What a linear regression on the dimensions before leaves of each dimension."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.numerics import check_start, no_log_det
from pushforward.spaces import Reals
from pushforward.transforms.base import Bijection

REWEIGHTINGS = 50
ROWS_EACH = 10
"""So many rows for each coefficient tell more of the columns than of their noise."""

NEGLIGIBLE = 1e-6
"""Residuals below this part of the median weigh no more than those of this size."""


class TriangularRegression(Bijection):
    r"""Residuals of linear regressions, ``z_i = x_i - sum_j a_ij x_j`` over ``j`` before ``i``, fixed from the data;
    ``log_det = 0``.

    :meth:`initialise` finds the coefficients of the least absolute deviations, ``min sum |z_i|``: of heavy-tailed
    columns the more precise the heavier they are, and not moved by the wild values of the residuals themselves. They
    are no parameters: what holds to one part in a million, as between columns that reach to a million and differ by
    one, no stochastic gradient finds. A dimension of which there are fewer than ten rows for each coefficient stays as
    it is. Until then the layer is the identity.

    Where the tail indices are given, a dimension is regressed on those alone whose tails are lighter. Then each
    dimension has the tail of its residual: if ``P(|A| > t)`` varies regularly and ``P(|B| > t) = o(P(|A| > t))``, then
    ``P(|A + B| > t) ~ P(|A| > t)``, however the two depend on each other (Embrechts, Klueppelberg, Mikosch 1997, lemma
    1.3.1 and its proof). Light dimensions stay light.

    Args:
        features: the number of dimensions ``D``.
        indices: the tail indices, if they are to be kept; None for a regression on all dimensions before.

    Shapes: ``x`` and ``z`` are ``(..., D)``, ``log_det`` is ``(...)``.

    Raises:
        UsageError: unless there are as many indices as features.
        DataError: from :meth:`initialise`, of values that are not finite.

    Source: Laszkiewicz, Lederer, Fischer (2022), Marginal tail-adaptive normalizing flows, arXiv:2206.10311, for linear
    maps that keep light and heavy apart.

    Example:
        >>> first = torch.linspace(-2, 2, 50)
        >>> layer = TriangularRegression(2)
        >>> z = layer.initialise(torch.stack([first, 3 * first + torch.where(first > 1.9, 100.0, 0.0)], -1))
        >>> round(layer.coefficients[1, 0].item(), 3)
        3.0
    """

    coefficients: Tensor
    parents: Tensor
    order: Tensor
    initialised: Tensor

    def __init__(self, features: int, indices: Sequence[float] | None = None) -> None:
        super().__init__()
        self.domain = self.codomain = Reals((features,))
        if indices is not None and len(indices) != features:
            raise UsageError(f"TriangularRegression expects {features} tail indices, got {list(indices)}")
        self.register_buffer("coefficients", torch.zeros(features, features))
        self.register_buffer("parents", _parents(features, indices), persistent=False)
        self.register_buffer("initialised", torch.tensor(False))
        self.register_buffer("order", _order(features, indices), persistent=False)

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(x, context, self.domain)
        return x - x @ self.coefficients.mT, no_log_det(x, 1)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(z, context, self.codomain)
        order = self.order
        matrix = torch.eye(len(order), dtype=z.dtype, device=z.device) - self.coefficients[order][:, order]
        rows = z.index_select(-1, order).reshape(-1, z.shape[-1])
        x = torch.linalg.solve_triangular(matrix.mT, rows, upper=True, left=False, unitriangular=True)
        return x.index_select(-1, torch.argsort(order)).reshape(z.shape), no_log_det(z, 1)

    @torch.no_grad()
    def initialise(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        self.check(x, context, self.domain)
        if not self.initialised:
            # In double precision and on the processor, where least squares of dependent columns have a solution.
            rows = x.reshape(-1, x.shape[-1]).double().cpu()
            check_start(rows.t(), "TriangularRegression")
            for i in range(x.shape[-1]):
                before = self.parents[i].cpu()
                if 0 < ROWS_EACH * int(before.sum()) <= len(rows):
                    found = least_absolute(rows[:, before], rows[:, i])
                    self.coefficients[i, self.parents[i]] = found.to(self.coefficients)
            self.initialised.fill_(True)
        return super().initialise(x, context)


def least_absolute(x: Tensor, y: Tensor) -> Tensor:
    """Return the coefficients ``a`` of the least ``sum |y - x a|``, by reweighted least squares.

    Example:
        >>> x = torch.tensor([[1.0], [2.0], [3.0], [4.0]], dtype=torch.float64)
        >>> least_absolute(x, torch.tensor([2.0, 4.0, 100.0, 8.0]).double()).round(decimals=3)
        tensor([2.], dtype=torch.float64)
    """
    scale = x.abs().amax(0).clamp_min(torch.finfo(x.dtype).tiny)
    x = x / scale
    weight = torch.ones_like(y)
    found = x.new_zeros(x.shape[1])
    for _ in range(REWEIGHTINGS):
        found = torch.linalg.lstsq(weight[:, None] * x, (weight * y)[:, None]).solution[:, 0]
        size = (y - x @ found).abs()
        floor = (NEGLIGIBLE * size.median()).clamp_min(torch.finfo(x.dtype).tiny)
        weight = torch.rsqrt(torch.maximum(size, floor))
        weight = weight / weight.max()
    return found / scale


def _parents(features: int, indices: Sequence[float] | None) -> Tensor:
    """Row ``i`` says which dimensions ``i`` is regressed on."""
    if indices is None:
        return torch.ones(features, features, dtype=torch.bool).tril(-1)
    index = torch.tensor(indices, dtype=torch.float64)
    return index[None, :] > index[:, None]


def _order(features: int, indices: Sequence[float] | None) -> Tensor:
    """The dimensions, parents first."""
    if indices is None:
        return torch.arange(features)
    return torch.tensor(sorted(range(features), key=lambda dimension: -indices[dimension]))
