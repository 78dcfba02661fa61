"""Linear regression of parameters on observations: where a posterior's flow begins."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.numerics import batch_shape
from pushforward.spaces import Reals
from pushforward.transforms.base import Bijection

# Penalties, in units of the contexts' mean squares, that the regression has to choose from.
_PENALTIES = (1e-6, 1e-4, 1e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 10.0)


class RegressionResidual(Bijection):
    r"""What a linear regression on the context leaves over, whitened: ``z = L^-1 (x - W c - b)``.

    It is found before any training, ``W`` by ridge regression and ``L L^T`` as the covariance of the residuals, and
    stays as it is. Onto a standard normal it is the posterior of linear normal models, with the error that the number
    of rows leaves and no more; a flow behind it has to learn only what is neither linear nor normal.

    Args:
        weight: ``W``, ``(D, C)``; without a context, ``C = 0``, the layer whitens.
        bias: ``b``, ``(D,)``.
        factor: ``L``, lower triangular with a positive diagonal, ``(D, D)``.

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

    def __init__(self, weight: Tensor, bias: Tensor, factor: Tensor) -> None:
        super().__init__()
        if weight.dim() != 2 or bias.shape != weight.shape[:1] or factor.shape != (len(bias), len(bias)):
            raise UsageError(
                f"RegressionResidual expects a weight (D, C), a bias (D,) and a factor (D, D), got "
                f"{tuple(weight.shape)}, {tuple(bias.shape)} and {tuple(factor.shape)}"
            )
        self.domain = self.codomain = Reals((len(bias),))
        self.context = Reals((weight.shape[1],)) if weight.shape[1] else None
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)
        self.register_buffer("factor", factor)

    @classmethod
    def fitted(cls, x: Tensor, context: Tensor) -> RegressionResidual:
        """Regress ``x``, ``(n, D)``, on ``context``, ``(n, C)``.

        The penalty of each dimension is the one whose error on rows that are left out, one at a time, is least; the
        covariance is that of these errors.
        """
        x, context = x.double(), context.double()
        centre, middle = x.mean(0), context.mean(0)
        weight, residuals = _ridge(x - centre, context - middle)
        scale = residuals.square().mean(0).sqrt().clamp_min(torch.finfo(torch.float32).tiny)
        whitened = residuals / scale
        # A jitter, for parameters that determine each other.
        covariance = whitened.T @ whitened / len(x) + 1e-6 * torch.eye(x.shape[1], dtype=x.dtype)
        factor = scale[:, None] * torch.linalg.cholesky(covariance)
        dtype = torch.get_default_dtype()
        return cls(weight.to(dtype), (centre - weight @ middle).to(dtype), factor.to(dtype))

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
        return torch.linalg.solve_triangular(self.factor, residual[..., None], upper=False)[..., 0]

    def decode(self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        z, context = self.check(z, context, self.domain)
        return z @ self.factor.T + self._regression(context)

    def _regression(self, context: Tensor | None) -> Tensor:
        return self.bias if context is None else torch.nn.functional.linear(context, self.weight, self.bias)

    def _log_scale(self, x: Tensor) -> Tensor:
        return self.factor.diagonal().log().sum().expand(batch_shape(x, 1))


def _ridge(x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
    """The weights ``(D, C)`` of centred rows, each dimension with its own penalty, and the errors on rows left out."""
    unit = context.square().mean(0).sqrt().clamp_min(torch.finfo(torch.float32).tiny)
    context = context / unit
    squares, directions = torch.linalg.eigh(context.T @ context)
    rotated = context @ directions
    products = rotated.T @ x
    best, weights, errors = torch.full_like(x[0], torch.inf), torch.zeros_like(products), x
    for penalty in _PENALTIES:
        shrunk = squares.clamp_min(0.0) + penalty * len(x)
        found = products / shrunk[:, None]
        # The mean takes a share of each row too.
        influence = (rotated.square() / shrunk).sum(-1, keepdim=True) + 1.0 / len(x)
        left_out = (x - rotated @ found) / (1.0 - influence).clamp_min(1e-3)
        loss = left_out.square().mean(0)
        better = loss < best
        best = torch.where(better, loss, best)
        weights, errors = torch.where(better, found, weights), torch.where(better, left_out, errors)
    return (directions @ weights).T / unit, errors
