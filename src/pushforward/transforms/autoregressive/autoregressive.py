"""Autoregressive structures: each dimension changes as the dimensions before it decide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.kernels.autoregressive import boundary, compile_autoregressive, is_sweepable, steps_inverse
from pushforward.kernels.selection import reorder
from pushforward.networks.causal import CausalNetwork
from pushforward.networks.context import Context, vector_context
from pushforward.networks.factory import NetworkFactory, check_outputs, make_network
from pushforward.networks.masked.causal import check_network
from pushforward.networks.masked.made import MADE
from pushforward.scalar.base import ScalarBijection
from pushforward.transforms.base import Bijection
from pushforward.transforms.conditioning import check_scalar, warn_of_reach


class Autoregressive(Bijection):
    r"""An autoregressive transform, ``z_i = h(x_i; theta_i(x_<i, context))``, ``log_det = sum_i log h'(x_i)``.

    The scalar bijection ``h`` makes it MAF (``Affine``), a neural spline flow (``RationalQuadraticSpline``), a neural
    autoregressive flow (``DeepSigmoidal``) and so on; its :class:`Inverse` is the inverse autoregressive flow.

    ``forward`` is one pass of the network. The inverse is found one dimension after the other
    (:meth:`inverse_in_turn`). A :class:`CausalNetwork` can do that without computing anything twice: the units of a
    masked network are ordered by degree, a transformer keeps its keys and values. It is then exact, and differentiable,
    all the same.

    Args:
        features: the number of dimensions ``D``.
        scalar: the scalar bijection.
        network: a factory of causal networks, called as ``network(D, D * P, context)``: :class:`MADE`,
            :class:`ResidualMADE`, :class:`CausalTransformer`, or ``functools.partial`` of one; or a ready-made causal
            network, any module whose outputs ``(..., P D)`` (the first parameter of each dimension, then the second of
            each, ...) depend on the dimensions before alone. Where dimensions are several numbers to a network (angles
            are two), factories are also given ``numbers=``.
        context: a number of features or a space of vectors; 0 for none.
        order: which dimension comes first, second, ...; a permutation of ``0 ... D - 1``, by default in turn.

    Raises:
        UsageError: if ``order`` is no permutation, or something is not what its place is for.
        ShapeError: if the input does not end in ``D``, or the context is missing or misshapen.

    Source: Papamakarios, Pavlakou, Murray (2017), arXiv:1705.07057; Kingma et al. (2016), arXiv:1606.04934; the
    masks of Germain et al. (2015), arXiv:1502.03509.

    Example:
        >>> from pushforward.scalar import Affine
        >>> layer = Autoregressive(4, Affine(), order=[3, 2, 1, 0])
        >>> z, log_det = layer(torch.randn(8, 4))
        >>> x, _ = layer.inverse(z)
        >>> z.shape, log_det.shape, x.shape
        (torch.Size([8, 4]), torch.Size([8]), torch.Size([8, 4]))
    """

    sequential = True
    order: Tensor
    inverse_order: Tensor

    def __init__(
        self,
        features: int,
        scalar: ScalarBijection,
        network: NetworkFactory | nn.Module = MADE,
        context: Context = 0,
        order: Sequence[int] | Tensor | None = None,
    ) -> None:
        super().__init__()
        order = torch.arange(features) if order is None else torch.as_tensor(order)
        if order.dim() != 1 or not torch.equal(order.sort().values, torch.arange(features)):
            raise UsageError(f"Autoregressive expects an order of 0 ... {features - 1}, got {order.tolist()}")
        self.scalar = check_scalar(scalar, "Autoregressive")
        self.domain, self.codomain = scalar.domain.with_shape((features,)), scalar.codomain.with_shape((features,))
        self.context = vector_context(context, "Autoregressive")
        self.tolerance = scalar.tolerance
        self.emitted = scalar.num_parameters - scalar.num_shared
        numbers = self.domain.features_shape[0] // features
        outputs = features * self.emitted
        self.network = make_network(network, features, outputs, self.context, "Autoregressive", numbers=numbers)
        check_network(self.network, features, outputs, numbers, self.context, "Autoregressive")
        # In the order of dependence, one row for each dimension.
        self.shared = nn.Parameter(torch.zeros(features, scalar.num_shared)) if scalar.num_shared else None
        # Persistent: a random order must come back with the weights.
        self.register_buffer("order", order.clone())
        self.register_buffer("inverse_order", torch.argsort(order))

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        x, context = self.check(x, context, self.domain)
        ordered, parameters = self._conditioned(x, context)
        z, log_dz = boundary(*self.scalar.forward(ordered, parameters))
        return self._unordered(z, x), log_dz.sum(0).reshape(x.shape[:-1])

    def encode(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        x, context = self.check(x, context, self.domain)
        return self._unordered(self.scalar.encode(*self._conditioned(x, context)), x)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        z, context = self.check(z, context, self.codomain)
        if not is_sweepable(self.network):
            return self._in_turn(z, context)
        log_dxs: list[Tensor] = []

        def invert(value: Tensor, parameters: Tensor) -> Tensor:
            x, log_dx = steps_inverse(self, self.scalar.inverse)(value, parameters)
            log_dxs.append(log_dx)
            return x

        x = self._sweep(z, context, invert)
        return x, torch.cat(log_dxs).sum(0).reshape(z.shape[:-1])

    def decode(self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        z, context = self.check(z, context, self.codomain)
        if not is_sweepable(self.network):
            return self._in_turn(z, context)[0]
        return self._sweep(z, context, steps_inverse(self, self.scalar.decode))

    def inverse_in_turn(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The definition of the inverse, for any causal network: ``x_i = h^-1(z_i; theta_i(x_<i))``, ``i = 1 ... D``,
        with one pass of the network for each dimension."""
        return self._in_turn(*self.check(z, context, self.codomain))

    def initialise(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        warn_of_reach(self.scalar, x, "Autoregressive")
        return super().initialise(x, context)

    def compile(self, *args: Any, **options: Any) -> None:
        """Compile ``forward``, and for ``inverse`` the scalar bijection's inverse that each of its steps applies, if
        that is work enough."""
        compile_autoregressive(self, super().compile, *args, **options)

    def _in_turn(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        z = z.index_select(-1, self.order)
        x, log_det = self.domain.nearest(torch.zeros_like(z)), torch.zeros_like(z[..., 0])
        for i in range(z.shape[-1]):
            parameters = self.parameters_in_order(x, context)[..., i, :]
            found, log_dx = self.scalar.inverse(z[..., i], parameters)
            x, log_det = torch.cat([x[..., :i], found[..., None], x[..., i + 1 :]], -1), log_det + log_dx
        return x.index_select(-1, self.inverse_order), log_det

    def parameters_in_order(self, ordered: Tensor, context: Tensor | None) -> Tensor:
        """Return the scalar bijection's parameters ``(..., D, P)`` for dimensions in the order of dependence."""
        outputs = self.network(self.domain.features(ordered), context)
        check_outputs(outputs, -1, ordered.shape[-1] * self.emitted, "Autoregressive")
        emitted = outputs.unflatten(-1, (self.emitted, -1)).movedim(-2, -1)
        return self._with_shared(emitted, slice(None), -1)

    def _conditioned(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """The dimensions in their order ``(D, rows)`` and their parameters ``(D, rows, P)``, dimensions first: what is
        done to all elements then runs through long contiguous rows."""
        ordered = reorder(x.reshape(-1, x.shape[-1]).t(), self.order, self.inverse_order, 0)
        outputs = self.network(self.domain.features(ordered.t().reshape(x.shape)), context)
        check_outputs(outputs, -1, x.shape[-1] * self.emitted, "Autoregressive")
        emitted = outputs.reshape(-1, outputs.shape[-1]).t().unflatten(0, (self.emitted, -1)).movedim(0, -1)
        return ordered, self._with_shared(emitted, slice(None), -2)

    def _unordered(self, ordered: Tensor, x: Tensor) -> Tensor:
        return reorder(ordered, self.inverse_order, self.order, 0).t().reshape(x.shape)

    def _sweep(self, z: Tensor, context: Tensor | None, invert: Any) -> Tensor:
        """The inverse in the arithmetic of one pass; ``invert`` is told values ``(n, rows)`` and their parameters."""
        network: CausalNetwork = self.network  # type: ignore[assignment]
        # Dimensions first: what one step reads and writes is contiguous.
        ordered = z.reshape(-1, z.shape[-1]).t().index_select(0, self.order)
        found: list[Tensor] = []

        def choose(dimensions: slice, emitted: Tensor) -> Tensor:
            found.append(invert(ordered[dimensions], self._with_shared(emitted, dimensions, -2)))
            # One of several numbers for each dimension, as the network sees it.
            return found[-1] if network.numbers == 1 else self.domain.features(found[-1].t()).t()

        network.generate(choose, z.shape[:-1], context)
        return torch.cat(found).index_select(0, self.inverse_order).t().reshape(z.shape)

    def _with_shared(self, emitted: Tensor, dimensions: slice, axis: int) -> Tensor:
        """Append what is learned once per dimension to parameters whose dimensions lie before (-1) or behind (-2) the
        rows."""
        if self.shared is None:
            return emitted
        shared = self.shared[dimensions]
        shared = shared if axis == -1 else shared[:, None]
        return torch.cat([emitted, shared.expand(*emitted.shape[:-1], -1)], dim=-1)
