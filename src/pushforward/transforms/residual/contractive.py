"""Residual flows: the identity and a contraction."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.networks.context import Context, image_context, vector_context
from pushforward.networks.factory import NetworkFactory, make_network
from pushforward.numerics import batch_shape
from pushforward.spaces import Reals
from pushforward.transforms.base import Bijection
from pushforward.transforms.residual.fixed_point import FixedPointInverse
from pushforward.transforms.residual.log_determinants.base import LogDeterminant, Perturbation
from pushforward.transforms.residual.log_determinants.exact import ExactLogDeterminant
from pushforward.transforms.residual.log_determinants.neumann import NeumannGradients
from pushforward.transforms.residual.log_determinants.series import RussianRoulette

MOST_EXACT = 8
"""Up to how many dimensions the whole Jacobian is the default: it costs less there than the terms of a series."""


class Contractive(Bijection):
    r"""A residual flow, ``z = x + g(x)`` where the Lipschitz constant of ``g`` is below 1 (Behrmann et al. 2019,
    arXiv:1811.00995; Chen et al. 2019, arXiv:1906.02735).

    The inverse is the fixed point of ``x = z - g(x)``; gradients pass it by the implicit function theorem, whose linear
    system ``u = v - J^T u`` is a fixed point of the same kind.

    Args:
        network: ``g``, a module called as ``network(x)`` or ``network(x, context)`` whose attribute ``lipschitz``
            bounds its Lipschitz constant below 1 at all parameters; or a factory of one, called as
            ``network(D, D, context)`` for vectors of ``D`` features and images of ``D`` channels.
        shape: the number of features, or an image's ``(channels, height, width)``.
        log_det: how the log-determinant is computed; by default exactly up to 8 dimensions, and beyond by an unbiased
            estimate, Russian roulette with Neumann gradients.
        context: a number of features, a shape or a space; 0 for none.
        inverse: how the fixed point is found.

    Raises:
        UsageError: if the network does not bound its Lipschitz constant below 1.
        ShapeError: if an input does not end in ``shape``, or the context is missing or misshapen.
        ConvergenceError: if the inverse does not arrive, as for values that are not finite.

    Example:
        >>> class Half(nn.Module):
        ...     lipschitz = 0.5
        ...     def forward(self, x, context=None):
        ...         return 0.5 * torch.sin(x)
        >>> layer = Contractive(Half(), 3)
        >>> x = torch.randn(8, 3)
        >>> z, log_det = layer(x)
        >>> torch.allclose(layer.inverse(z)[0], x, atol=1e-5)
        True
        >>> torch.allclose(log_det, torch.log1p(0.5 * torch.cos(x)).sum(-1), atol=1e-5)
        True
    """

    def __init__(
        self,
        network: NetworkFactory | nn.Module,
        shape: int | Sequence[int],
        log_det: LogDeterminant | None = None,
        context: Context = 0,
        inverse: FixedPointInverse = FixedPointInverse(),  # noqa: B008
    ) -> None:
        super().__init__()
        event_shape = torch.Size([shape] if isinstance(shape, int) else shape)
        self.domain = self.codomain = Reals(tuple(event_shape))
        declared = vector_context if len(event_shape) == 1 else image_context
        self.context = declared(context, "Contractive")
        self.network = make_network(network, event_shape[0], event_shape[0], self.context, "Contractive")
        _check_lipschitz(self.network)
        self.log_det = _default_rule(event_shape.numel()) if log_det is None else log_det
        self.accuracy, self.draws = self.log_det.accuracy, self.log_det.draws
        self.fixed_point = inverse
        self.tolerance = inverse.tolerance

    @property
    def log_det_bias(self) -> float:
        """How far the mean of the log-determinants may be off, in this mode: 0 where they are exact or unbiased."""
        return self.log_det.bias(self.domain.dimensions, float(self.network.lipschitz))  # type: ignore[arg-type]

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        x, context = self.check(x, context, self.domain)
        rows, g = self._rows(x, context)
        shift, log_det = self.log_det(g, rows, generator)
        return x + shift.reshape(x.shape), log_det.reshape(batch_shape(x, self.event_dims))

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        z, context = self.check(z, context, self.codomain)
        rows, g = self._rows(z, context)
        x = self.fixed_point.solve(g, rows)
        _, log_det = self.log_det(g, x, generator)
        return x.reshape(z.shape), -log_det.reshape(batch_shape(z, self.event_dims))

    def encode(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        x, context = self.check(x, context, self.domain)
        rows, g = self._rows(x, context)
        return x + g(rows).reshape(x.shape)

    def decode(self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        z, context = self.check(z, context, self.codomain)
        rows, g = self._rows(z, context)
        return self.fixed_point.solve(g, rows).reshape(z.shape)

    def _rows(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Perturbation]:
        """The events behind one batch dimension, and ``g`` at as many contexts."""
        rows = x.reshape(-1, *self.event_shape)
        if context is None:
            return rows, Perturbation(self.network)
        assert self.context is not None
        shape = self.context.features_shape
        contexts = context.to(x.dtype).expand(*batch_shape(x, self.event_dims), *shape)
        return rows, Perturbation(self.network, contexts.reshape(-1, *shape))


def _default_rule(dimensions: int) -> LogDeterminant:
    return ExactLogDeterminant() if dimensions <= MOST_EXACT else NeumannGradients(RussianRoulette())


def _check_lipschitz(network: nn.Module) -> None:
    bound = getattr(network, "lipschitz", None)
    if not isinstance(bound, int | float) or not 0.0 <= bound < 1.0:
        raise UsageError(
            f"Contractive expects a network called as network(x, context) whose attribute lipschitz is a bound below "
            f"1, got {type(network).__name__} with {bound!r}: use a network of pushforward.networks that declares one"
        )
