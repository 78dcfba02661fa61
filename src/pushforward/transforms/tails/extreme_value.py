"""Tails of a given or estimated index, which nothing in front of the layer's latents can change."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.numerics import check_start
from pushforward.scalar.tail import from_normal, to_normal
from pushforward.spaces import Reals
from pushforward.transforms.base import Bijection
from pushforward.transforms.tails.indices import LEAST_ROWS, SHARE, tail_index


class ExtremeValueTails(Bijection):
    r"""The tail transform of every dimension with an index that is given or estimated, and stays as it is:

    .. math:: P(|Z_i| > |z_i|) = (1 + \lambda_i |x_i| / \sigma_i)^{-1 / \lambda_i}, \quad \lambda_i = 1 / \alpha_i,

    for a standard normal ``Z_i``; light tails, of index ``inf``, are exponential. :meth:`initialise` estimates the
    indices that are not given by Hill's estimator (:func:`tail_index`), and takes the scales from the quantile beyond
    which a tenth of the data lie; of fewer than 200 rows all tails are light. Nothing of it is learned.

    **A tail belief is honoured.** Let ``Z_i`` have the tails of a standard normal beyond a bound ``B``, ``P(Z_i > z) =
    P(N > z)`` for ``z > B``. Then ``P(X_i > x) = (1 + lambda_i x / sigma_i)^(-1 / lambda_i) / 2`` for all ``x`` beyond
    the image of ``B``: exactly a generalised Pareto tail of the index ``alpha_i``. Layers of splines in front of a
    standard normal have such tails: where ``|z_i| > B`` a spline is the identity whatever its parameters, so it maps
    the numbers beyond ``B`` to themselves, and so do several in turn.

    Args:
        features: the number of dimensions ``D``.
        indices: the tail indices, positive, ``inf`` for a light tail; None to estimate them.

    Raises:
        UsageError: unless there are ``D`` positive indices.

    Source: Hickling, Prangle (2024), arXiv:2311.00580, whose latents are normal too; tail beliefs are those of Wiese,
    Knobloch, Korn (2019), arXiv:1907.03361.

    Example:
        >>> layer = ExtremeValueTails(2, [1.0, float("inf")])
        >>> z, log_det = layer(torch.tensor([[9.0, 9.0]]))
        >>> z.round(decimals=2), layer.indices()
        (tensor([[1.6400, 3.8400]]), tensor([1., inf]))
    """

    shape: Tensor
    scale: Tensor
    initialised: Tensor

    def __init__(self, features: int, indices: Sequence[float] | None = None) -> None:
        super().__init__()
        self.domain = self.codomain = Reals((features,))
        if indices is not None and (len(indices) != features or not all(index > 0 for index in indices)):
            raise UsageError(f"ExtremeValueTails expects {features} positive tail indices, got {list(indices)}")
        self.given = indices is not None
        self.register_buffer("shape", 1.0 / torch.tensor(indices or [math.inf] * features, dtype=torch.float64).float())
        self.register_buffer("scale", torch.ones(features))
        self.register_buffer("initialised", torch.tensor(False))

    def indices(self) -> Tensor:
        """Return the tail indices ``(D,)``."""
        return 1.0 / self.shape

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(x, context, self.domain)
        z, log_slopes = to_normal(x, self.shape, self.scale)
        return z, log_slopes.sum(-1)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(z, context, self.codomain)
        x, log_slopes = from_normal(z, self.shape, self.scale)
        return x, log_slopes.sum(-1)

    @torch.no_grad()
    def initialise(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        self.check(x, context, self.domain)
        if not self.initialised:
            rows = x.reshape(-1, x.shape[-1])
            check_start(rows.t(), "ExtremeValueTails")
            # Too few rows tell nothing of their tails, which stay light then.
            if not self.given and SHARE * len(rows) >= LEAST_ROWS:
                self.shape.copy_(1.0 / tail_index(rows))
            self.scale.copy_(_scale(rows, self.shape))
            self.initialised.fill_(True)
        return super().initialise(x, context)


def _scale(rows: Tensor, shape: Tensor) -> Tensor:
    """The scale at which a generalised Pareto tail leaves the part ``SHARE`` beyond where the data do."""
    quantile = torch.quantile(rows.abs().double(), 1.0 - SHARE, dim=0)
    pareto = torch.where(shape > 0, shape, 1.0).double()
    steps = torch.where(shape > 0, torch.expm1(-math.log(SHARE) * pareto) / pareto, -math.log(SHARE))
    return torch.where(quantile > 0, quantile / steps, 1.0).to(shape.dtype)
