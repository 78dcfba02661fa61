"""Regression of parameters on observations: where a posterior's flow begins."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.numerics import batch_shape, solve_triangular
from pushforward.spaces import Reals
from pushforward.transforms.base import Bijection

MOST_NUMBERS = 1000
"""Observations of more numbers are not regressed on: the time grows with their third power, and what they have to say
is for an embedding to find."""

# Ridge penalties, in units of the context's standardised mean squares, that each dimension has to choose from.
_PENALTIES = (1e-6, 1e-4, 1e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 10.0)


class RegressionResidual(Bijection):
    r"""What a regression on the context leaves over, whitened: ``z = L^-1 (x - A c' - B tanh(c') - b)``.

    ``c' = (c - m) / s`` is the context, standardised. All of it is found in closed form before any training, ``A`` and
    ``B`` by ridge regression and ``L L^T`` as the covariance of the residuals, and stays as it is. Onto a standard
    normal it is the posterior of linear normal models, with the error that the number of rows leaves and no more, and
    follows means that level off. A flow behind it has to learn only what is left.

    Args:
        weight: ``(A B)``, ``(D, 2 C)``; without a context, ``C = 0``, the layer whitens.
        bias: ``b``, ``(D,)``.
        factor: ``L``, lower triangular with a positive diagonal, ``(D, D)``.
        location, scale: ``m`` and ``s``, ``(C,)``.

    Raises:
        UsageError: if the shapes do not fit each other.

    Source: Hoerl, Kennard (1970), Technometrics 12, for the ridge; Allen (1974), Technometrics 16, for its choice.

    Example:
        >>> context = torch.randn(500, 2)
        >>> x = 3 * context + torch.randn(500, 2)
        >>> z, log_det = RegressionResidual.fitted(x, context)(x, context)
        >>> bool(((z.T.cov() - torch.eye(2)).abs() < 0.05).all())
        True
    """

    weight: Tensor
    bias: Tensor
    factor: Tensor
    location: Tensor
    scale: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, factor: Tensor, location: Tensor, scale: Tensor) -> None:
        super().__init__()
        features, contexts = len(bias), len(location)
        shapes = tuple(tuple(value.shape) for value in (weight, bias, factor, location, scale))
        if shapes != ((features, 2 * contexts), (features,), (features, features), (contexts,), (contexts,)):
            raise UsageError(
                f"RegressionResidual expects shapes (D, 2 C), (D,), (D, D), (C,) and (C,), got "
                f"{', '.join(map(str, shapes))}"
            )
        self.domain = self.codomain = Reals((features,))
        self.context = Reals((contexts,)) if contexts else None
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)
        self.register_buffer("factor", factor)
        self.register_buffer("location", location)
        self.register_buffer("scale", scale)

    @classmethod
    def fitted(cls, x: Tensor, context: Tensor) -> RegressionResidual:
        """Regress ``x``, ``(n, D)``, on ``context``, ``(n, C)``.

        Each dimension chooses its penalty, and whether ``B`` is zero, by the error on rows that are left out one at a
        time; the covariance is that of these errors.
        """
        tiny = torch.finfo(torch.float32).tiny
        x, context = x.double(), context.double()
        location = context.mean(0)
        scale = (context - location).square().mean(0).sqrt().clamp_min(tiny)
        seen = _seen((context - location) / scale)
        weight, errors = _chosen(x - x.mean(0), seen - seen.mean(0))
        deviation = errors.square().mean(0).sqrt().clamp_min(tiny)
        # A jitter, for parameters that determine each other.
        correlation = (errors / deviation).T @ (errors / deviation) / len(x) + 1e-6 * torch.eye(x.shape[1]).to(x)
        factor = deviation[:, None] * torch.linalg.cholesky(correlation)
        bias = x.mean(0) - weight @ seen.mean(0)
        dtype = torch.get_default_dtype()
        return cls(*(value.to(dtype) for value in (weight, bias, factor, location, scale)))

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        z = self.encode(x, context)
        return z, -self._log_scale(z)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        x = self.decode(z, context)
        return x, self._log_scale(x)

    def encode(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        x, context = self.check(x, context, self.domain)
        residual = x - self._regression(context)
        return solve_triangular(self.factor, residual[..., None], upper=False)[..., 0]

    def decode(self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        z, context = self.check(z, context, self.domain)
        return z @ self.factor.T + self._regression(context)

    def _regression(self, context: Tensor | None) -> Tensor:
        if context is None:
            return self.bias
        seen = _seen((context - self.location) / self.scale)
        return torch.nn.functional.linear(seen, self.weight, self.bias)

    def _log_scale(self, x: Tensor) -> Tensor:
        return self.factor.diagonal().log().sum().expand(batch_shape(x, 1))


def _seen(context: Tensor) -> Tensor:
    return torch.cat([context, torch.tanh(context)], -1)


def _chosen(x: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Weights ``(D, 2 C)`` of the best regression of each dimension, and its errors on rows that are left out."""
    linear = torch.cat([seen[:, : seen.shape[1] // 2], torch.zeros_like(seen[:, seen.shape[1] // 2 :])], -1)
    candidates = [found for features in (linear, seen) for found in _ridges(x, features)]
    losses = torch.stack([errors.square().mean(0) for _, errors in candidates])
    best = losses.argmin(0)
    weights, errors = (torch.stack(values).movedim(-1, 0) for values in zip(*candidates))
    each = torch.arange(x.shape[1])
    return weights[each, best], errors[each, best].T


def _ridges(x: Tensor, features: Tensor) -> list[tuple[Tensor, Tensor]]:
    """For each penalty the weights ``(2 C, D)`` and the errors ``(n, D)`` of centred rows that are left out."""
    squares, directions = torch.linalg.eigh(features.T @ features)
    rotated = features @ directions
    products = rotated.T @ x
    found = []
    for penalty in _PENALTIES:
        shrunk = squares.clamp_min(0.0) + penalty * len(x)
        weights = products / shrunk[:, None]
        # The mean takes a share of each row too.
        influence = (rotated.square() / shrunk).sum(-1, keepdim=True) + 1.0 / len(x)
        found.append((directions @ weights, (x - rotated @ weights) / (1.0 - influence).clamp_min(1e-12)))
    return found
