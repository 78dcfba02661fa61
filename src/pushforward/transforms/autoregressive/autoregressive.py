"""Autoregressive structures: each dimension changes as the dimensions before it decide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.kernels.compilation import tuned
from pushforward.kernels.selection import reorder
from pushforward.networks.factory import NetworkFactory
from pushforward.networks.masked.made import MADE, MaskedNetwork
from pushforward.scalar.base import ScalarBijection
from pushforward.transforms.base import Bijection, check_event


class Autoregressive(Bijection):
    r"""A masked autoregressive transform, ``z_i = h(x_i; theta_i(x_<i, context))``, ``log_det = sum_i log h'(x_i)``.

    The scalar bijection ``h`` makes it MAF (``Affine``), a neural spline flow (``RationalQuadraticSpline``), a neural
    autoregressive flow (``DeepSigmoidal``) and so on; its :class:`Inverse` is the inverse autoregressive flow.

    ``forward`` is one pass of the network. ``inverse`` finds one dimension after the other, yet costs the arithmetic
    of one pass: the units of a masked network are ordered by degree, and each is computed once, when the last input
    that it sees is known. It is exact, and differentiable.

    Args:
        features: the number of dimensions ``D``.
        scalar: the scalar bijection.
        network: a factory of masked networks, called as ``network(D, D * P, context)``: :class:`MADE`,
            :class:`ResidualMADE`, or ``functools.partial`` of one.
        context: features of the context, 0 for none.
        order: which dimension comes first, second, ...; a permutation of ``0 ... D - 1``, by default in turn.

    Raises:
        UsageError: if ``order`` is no permutation, or the network is no masked one.
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

    order: Tensor
    inverse_order: Tensor

    def __init__(
        self,
        features: int,
        scalar: ScalarBijection,
        network: NetworkFactory = MADE,
        context: int = 0,
        order: Sequence[int] | Tensor | None = None,
    ) -> None:
        super().__init__()
        order = torch.arange(features) if order is None else torch.as_tensor(order)
        if not torch.equal(order.sort().values, torch.arange(features)):
            raise UsageError(f"Autoregressive expects an order of 0 ... {features - 1}, got {order.tolist()}")
        self.event_shape = torch.Size([features])
        self.scalar = scalar
        self.tolerance = scalar.tolerance
        self.light = scalar.light
        emitted = scalar.num_parameters - scalar.num_shared
        self.network: MaskedNetwork = network(features, features * emitted, context)  # type: ignore[assignment]
        if not isinstance(self.network, MaskedNetwork):
            raise UsageError(f"Autoregressive expects a masked network like MADE, got {type(self.network).__name__}")
        # In the order of dependence, one row for each dimension.
        self.shared = nn.Parameter(torch.zeros(features, scalar.num_shared)) if scalar.num_shared else None
        # Persistent: a random order must come back with the weights.
        self.register_buffer("order", order)
        self.register_buffer("inverse_order", torch.argsort(order))
        self._compiled_inverse: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        check_event(x, self.event_shape, "Autoregressive")
        # Dimensions first: what is done to all elements runs through long contiguous rows.
        ordered = reorder(x.reshape(-1, x.shape[-1]).t(), self.order, self.inverse_order, 0)
        emitted = self.network.planes(ordered, x.shape[:-1], context).movedim(0, -1)
        if self.shared is not None:
            emitted = torch.cat([emitted, self.shared[:, None].expand(*ordered.shape, -1)], dim=-1)
        z, log_dz = self.scalar.forward(ordered, emitted)
        if torch.compiler.is_compiling():
            z, log_dz = _Boundary.apply(z, log_dz)
        z = reorder(z, self.inverse_order, self.order, 0).t().reshape(x.shape)
        return z, log_dz.sum(0).reshape(x.shape[:-1])

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        check_event(z, self.event_shape, "Autoregressive")
        # Dimensions first: what one step reads and writes is contiguous.
        ordered = z.reshape(-1, z.shape[-1]).t().index_select(0, self.order)
        sizes = [inputs.stop - inputs.start for inputs in self.network.plan.inputs]
        pieces = iter(ordered.split_with_sizes(sizes))
        invert = self._compiled_inverse or self.scalar.inverse
        log_dxs = []

        def choose(inputs: slice, emitted: Tensor) -> Tensor:
            if self.shared is not None:
                emitted = torch.cat([emitted, self.shared[inputs, None].expand(*emitted.shape[:-1], -1)], dim=-1)
            x, log_dx = invert(next(pieces), emitted)
            log_dxs.append(log_dx)
            return x

        x = self.network.generate(choose, z.shape[:-1], context)
        log_det = torch.cat(log_dxs).sum(0).reshape(z.shape[:-1])
        return x.index_select(0, self.inverse_order).t().reshape(z.shape), log_det

    def compile(self, *args: Any, **options: Any) -> None:
        """Compile ``forward``, and for ``inverse`` the scalar bijection's inverse that each of its steps applies, if
        that is work enough."""
        # A spline's gradient is one loop of hundreds of steps, which the compiler would cut into many.
        options = tuned(options, max_fusion_size=1024)
        super().compile(*args, **options)
        compiled: Callable[..., tuple[Tensor, Tensor]] = self._compiled_call_impl  # type: ignore[assignment]

        def call(x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
            # Data come rows first and without a gradient, activations features first and with one: made alike, all
            # layers share one compiled graph.
            x = x.movedim(-1, 0).contiguous().movedim(0, -1)
            trains = torch.is_grad_enabled() and any(parameter.requires_grad for parameter in self.parameters())
            return compiled(x.detach().requires_grad_() if trains and not x.requires_grad else x, context)

        self._compiled_call_impl = call
        if not self.light:
            self._compiled_inverse = torch.compile(self.scalar.inverse, *args, **options)

    def __getstate__(self) -> dict[str, Any]:
        # Compiled code neither copies nor pickles.
        return super().__getstate__() | {"_compiled_inverse": None}


class _Boundary(torch.autograd.Function):
    """The identity on ``(D, rows)``, whose gradients the compiler writes out before they are used.

    Looked up by order or repeated along ``D``, they would break the one loop of a spline's gradient into many.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, log_dz: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        return z.view_as(z), log_dz.view_as(log_dz)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        # Strides are a matter of memory: to be given them, a tensor must be in it.
        return tuple(gradient.contiguous().as_strided(gradient.shape, (gradient.shape[1], 1)) for gradient in gradients)
