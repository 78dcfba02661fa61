"""Expansions and contractions about points of the data."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.numerics import length
from pushforward.transforms.elementary.placed import LEAST_POINTS, Placed, drawn
from pushforward.transforms.residual.radial import contract, expand

MOST_SHARE = 0.5
"""The largest part of the points that a ball holds."""

MOST_RATIO = 10.0
"""How much a map stretches or shrinks the surroundings of its centre at most: its inverse stays good in float32."""

MOST_RADIUS = 20.0
"""Beyond, as far from the origin as no normal point lies, balls grow no more, and no ball reaches points to bring them
back: they do not count where a map is placed."""

STEPS = 12
"""Newton's method, within what is known to hold the maximum, has converged by then."""


class PlacedRadial(Placed):
    r"""Tabak and Turner's elementary map about a point, ``z = x + beta (x - c) / (alpha + r)`` with ``r = |x - c|``,
    placed by the data.

    :meth:`initialise` takes points that should be standard normal, draws ``candidates`` centres ``c`` of them, gives
    each a ball that would hold a drawn share ``s`` of a normal's points, ``alpha = sqrt(2 pi) (s / Omega_D)^(1 / D)
    exp(|c|^2 / (2 D))`` with ``Omega_D`` the volume of the unit ball, and finds the ``beta`` of the largest likelihood,

    .. math:: L(\beta) = \langle \log |\det \partial z / \partial x| - |z|^2 / 2 \rangle,

    which is concave, by Newton's method. The candidate that raises the likelihood most stays.

    Args:
        features: the number of dimensions ``D``.
        candidates: how many centres are tried.

    Raises:
        UsageError: for no candidate.

    Source: Tabak, Vanden-Eijnden (2010), Communications in Mathematical Sciences 8, 217-233; Tabak, Turner (2013),
    Communications on Pure and Applied Mathematics 66, 145-164, who take one random centre and a small step.

    Example:
        >>> layer = PlacedRadial(2)
        >>> x = torch.tensor([[3.0, 3.0], [-3.0, -3.0]]).repeat(100, 1) + torch.randn(200, 2)
        >>> z, log_det = layer(layer.initialise(x) * 0 + x)
        >>> normal = torch.distributions.Normal(0.0, 1.0)
        >>> bool((log_det + normal.log_prob(z).sum(-1)).mean() > normal.log_prob(x).sum(-1).mean())
        True
    """

    center: Tensor
    alpha: Tensor
    gamma: Tensor

    def __init__(self, features: int, candidates: int = 16) -> None:
        super().__init__(features)
        if candidates < 1:
            raise UsageError(f"PlacedRadial expects at least one candidate, got {candidates}")
        self.candidates = candidates
        self.register_buffer("center", torch.zeros(features))
        self.register_buffer("alpha", torch.ones(()))
        self.register_buffer("gamma", torch.ones(()))

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(x, context, self.domain)
        return expand(x, self.center, self.alpha, self.gamma)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(z, context, self.codomain)
        return contract(z, self.center, self.alpha, self.gamma)

    def _place(self, rows: Tensor) -> None:
        near = length(rows) <= MOST_RADIUS
        rows = rows[near] if near.any() else rows
        centers = drawn(rows, self.candidates)
        alphas = _radii(centers, len(rows))
        betas, gains = _steps(rows, centers, alphas)
        best = gains.argmax()
        self.center.copy_(centers[best])
        self.alpha.copy_(alphas[best])
        self.gamma.copy_(alphas[best] + betas[best])


def _radii(centers: Tensor, count: int) -> Tensor:
    """Radii ``alpha`` of balls about each centre that hold a share of a normal's points, from the fewest of ``count``
    points to half of them."""
    features = centers.shape[1]
    least = min(LEAST_POINTS / count, MOST_SHARE)
    log_share = torch.empty_like(centers[:, 0]).uniform_(math.log(least), math.log(MOST_SHARE))
    log_volume = 0.5 * features * math.log(math.pi) - math.lgamma(0.5 * features + 1.0)
    exponent = (log_share - log_volume) / features + centers.square().sum(-1) / (2.0 * features)
    return torch.exp((0.5 * math.log(2.0 * math.pi) + exponent).clamp_max(math.log(MOST_RADIUS)))


def _steps(rows: Tensor, centers: Tensor, alphas: Tensor) -> tuple[Tensor, Tensor]:
    """The best strength ``beta`` of each candidate ``(C,)``, and the rise of the mean log-likelihood that it brings."""
    across = rows.shape[1] - 1
    offsets = rows - centers[:, None]
    r = torch.linalg.vector_norm(offsets, dim=-1)
    h = 1.0 / (alphas[:, None] + r)
    t = alphas[:, None] * h.square()
    # |z|^2 / 2 = |x|^2 / 2 + beta pull + beta^2 spread / 2, in the mean.
    pull, spread = (h * (offsets * rows).sum(-1)).mean(1), (h * r).square().mean(1)
    low, high = (1.0 / MOST_RATIO - 1.0) * alphas, (MOST_RATIO - 1.0) * alphas
    betas = torch.zeros_like(alphas)
    for _ in range(STEPS):
        u, v = h / (1.0 + betas[:, None] * h), t / (1.0 + betas[:, None] * t)
        slope = (across * u + v).mean(1) - pull - betas * spread
        curvature = (across * u.square() + v.square()).mean(1) + spread
        # The slope falls, so its sign says on which side the maximum is; a step beyond what is left halves that.
        low, high = torch.where(slope > 0, betas, low), torch.where(slope > 0, high, betas)
        newton = betas + slope / curvature
        betas = torch.where((newton >= low) & (newton <= high), newton, 0.5 * (low + high))
    log_det = across * torch.log1p(betas[:, None] * h) + torch.log1p(betas[:, None] * t)
    return betas, log_det.mean(1) - betas * pull - 0.5 * betas.square() * spread
