"""Proposition 3.1: an event in any number of parts, each changed by an invertible operation that the others decide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.networks.context import Context
from pushforward.networks.factory import NetworkFactory, make_network
from pushforward.numerics import no_log_det
from pushforward.scalar.arguments import check_counts
from pushforward.scalar.base import ScalarBijection
from pushforward.spaces import Space, product_of
from pushforward.transforms.base import Bijection
from pushforward.transforms.conditioning import check_scalar, conditioner_context

Operations = Sequence[ScalarBijection | None]

Step = tuple[ScalarBijection, int, Callable[[list[Tensor], int, Tensor | None], Tensor]]
"""An operation, the part that it changes, and what gives its parameters."""


class Multipartite(Bijection):
    r"""A transform of an event in parts, one after the other, each given all the others in their latest state,

    .. math:: y_d = \bigl(g_d(y_{<d}) \triangleright x_d\bigr) \circ f_d(y_{<d}, x_{>d}),
        \qquad x_d = g_d(y_{<d}) \blacktriangleleft \bigl(y_d \bullet f_d(y_{<d}, x_{>d})\bigr),

    inverted from the last part to the first. An invertible binary operation ``x o f`` is a scalar bijection of ``x``
    whose parameters are ``f``; different parts may have different operations. With ``RoundedShift`` these are the
    couplings of integer discrete flows: :func:`bipartite` and :func:`quadripartite` are instances.

    Args:
        event_shape: ``(D,)`` for vectors, ``(C, H, W)`` for images, or ``(D, K)`` for ``D`` elements of ``K`` numbers
            each (such as one-hot categories, which an operation then maps as wholes).
        parts: how many features or channels each part has, in order.
        operations: for each part the operation ``o``, or None for a part that is left as it is.
        network: a network factory, called once a part for ``f_d`` as ``network(all other features, outputs, context)``
            and for ``g_d`` as ``network(features before it, outputs, context)``.
        context: a number of features, a shape or a space; 0 for none.
        first_operations: for each part the operation ``|>``, or None; the first part has none, as nothing precedes it.

    Raises:
        UsageError: if the parts do not add up to the event, or the operations are not one for each part.
        ShapeError: if the input does not end in ``event_shape``.

    Source: Tomczak 2020, General invertible transformations for flow-based generative modeling, arXiv:2011.15056.

    Example:
        >>> from pushforward.networks import DenseMLP
        >>> from pushforward.scalar import RoundedShift
        >>> shift = RoundedShift()
        >>> layer = Multipartite((6,), (3, 2, 1), (shift, None, shift), DenseMLP)
        >>> layer(torch.ones(5, 6))[0].shape
        torch.Size([5, 6])
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        parts: Sequence[int],
        operations: Operations,
        network: NetworkFactory | nn.Module,
        context: Context = 0,
        first_operations: Operations | None = None,
    ) -> None:
        super().__init__()
        self.parts = tuple(parts)
        self.operations = tuple(operations)
        self.first_operations = (None,) * len(self.parts) if first_operations is None else tuple(first_operations)
        self._check_parts(event_shape)
        self.context = conditioner_context(context, len(event_shape), "Multipartite")
        self.domain, self.codomain = self._space(event_shape, "domain"), self._space(event_shape, "codomain")
        every = [*self.operations, *self.first_operations]
        self.tolerance = max(
            (op.tolerance for op in every if op is not None and op.tolerance is not None), default=None
        )
        bounds = list(pairwise(accumulate(self.parts, initial=0)))
        self.seen = [self.domain.select(range(start, stop)) for start, stop in bounds]
        self.networks = nn.ModuleList(
            self._network(network, [*self.seen[:part], *self.seen[part + 1 :]], part, operation)
            for part, operation in enumerate(self.operations)
        )
        self.first_networks = nn.ModuleList(
            self._network(network, self.seen[:part], part, operation)
            for part, operation in enumerate(self.first_operations)
        )

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        x, context = self.check(x, context, self.domain)
        pieces = list(x.split(self.parts, -self.event_dims))
        log_det = no_log_det(x, self.event_dims)
        for operation, part, parameters_of in self._steps():
            pieces[part], term = operation.forward(pieces[part], parameters_of(pieces, part, context))
            log_det = log_det + self._sum(term, x)
        return torch.cat(pieces, -self.event_dims), log_det

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        z, context = self.check(z, context, self.codomain)
        pieces = list(z.split(self.parts, -self.event_dims))
        log_det = no_log_det(z, self.event_dims)
        for operation, part, parameters_of in reversed(self._steps()):
            pieces[part], term = operation.inverse(pieces[part], parameters_of(pieces, part, context))
            log_det = log_det + self._sum(term, z)
        return torch.cat(pieces, -self.event_dims), log_det

    def encode(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        x, context = self.check(x, context, self.domain)
        pieces = list(x.split(self.parts, -self.event_dims))
        for operation, part, parameters_of in self._steps():
            pieces[part] = operation.encode(pieces[part], parameters_of(pieces, part, context))
        return torch.cat(pieces, -self.event_dims)

    def decode(self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        z, context = self.check(z, context, self.codomain)
        pieces = list(z.split(self.parts, -self.event_dims))
        for operation, part, parameters_of in reversed(self._steps()):
            pieces[part] = operation.decode(pieces[part], parameters_of(pieces, part, context))
        return torch.cat(pieces, -self.event_dims)

    def _steps(self) -> list[Step]:
        """What is done on the way to the latent: to each part its first operation, then its other one."""
        steps: list[Step] = []
        for part, (first, operation) in enumerate(zip(self.first_operations, self.operations, strict=True)):
            steps += [(first, part, self._first_parameters)] if first is not None else []
            steps += [(operation, part, self._other_parameters)] if operation is not None else []
        return steps

    def _other_parameters(self, pieces: list[Tensor], part: int, context: Tensor | None) -> Tensor:
        """The parameters ``f_d`` of a part, given all others."""
        others = [self.seen[i].features(piece) for i, piece in enumerate(pieces) if i != part]
        return self._run(self.networks[part], others, self.parts[part], context)

    def _first_parameters(self, pieces: list[Tensor], part: int, context: Tensor | None) -> Tensor:
        """The parameters ``g_d`` of a part, given those before it."""
        before = [self.seen[i].features(piece) for i, piece in enumerate(pieces[:part])]
        return self._run(self.first_networks[part], before, self.parts[part], context)

    def _run(self, network: nn.Module, others: list[Tensor], size: int, context: Tensor | None) -> Tensor:
        seen = torch.cat(others, -self.event_dims)
        if self.event_dims == 3:
            return network(seen, context).unflatten(-3, (-1, size)).movedim(-4, -1)
        return network(seen.flatten(-self.event_dims), context).unflatten(-1, (size, -1))

    def _network(
        self, network: NetworkFactory | nn.Module, others: list[Space], part: int, operation: ScalarBijection | None
    ) -> nn.Module:
        if operation is None:
            return nn.Identity()
        numbers = self.event_shape[1] if self.event_dims == 2 else 1
        inputs = sum(space.features_shape[0] for space in others) * numbers
        outputs = self.parts[part] * operation.num_parameters
        return make_network(network, inputs, outputs, self.context, "Multipartite")

    def _space(self, event_shape: Sequence[int], end: str) -> Space:
        """The events' space: that of the parts' operations, which on vectors may differ from part to part."""
        pairs = zip(self.first_operations, self.operations, strict=True)
        ordered = [pair if end == "domain" else pair[::-1] for pair in pairs]
        found = [next((getattr(op, end) for op in pair if op is not None), None) for pair in ordered]
        known = [space for space in found if space is not None]
        if not known:
            raise UsageError("Multipartite expects an operation for at least one part, got None for all")
        if all(space.same_kind(known[0]) for space in known):
            return known[0].with_shape(event_shape)
        if len(event_shape) != 1:
            raise UsageError(f"Multipartite expects operations on one kind of numbers for images, got {known}")
        return product_of(
            [space or known[0] for space, size in zip(found, self.parts, strict=True) for _ in range(size)]
        )

    def _check_parts(self, event_shape: Sequence[int]) -> None:
        for operation in [*self.operations, *self.first_operations]:
            if operation is not None:
                check_scalar(operation, "Multipartite")
        if sum(self.parts) != event_shape[0] or min(self.parts, default=0) < 1 or len(self.parts) < 2:
            raise UsageError(
                f"Multipartite expects at least two parts that add up to {event_shape[0]}, got {self.parts}"
            )
        if not len(self.operations) == len(self.first_operations) == len(self.parts):
            raise UsageError(f"Multipartite expects one operation (or None) for each of its {len(self.parts)} parts")
        if self.first_operations[0] is not None:
            raise UsageError("Multipartite expects None as the first part's first operation: nothing precedes it")

    def _sum(self, log_d: Tensor, x: Tensor) -> Tensor:
        return log_d.flatten(x.dim() - self.event_dims).sum(-1)


def bipartite(
    event_shape: Sequence[int],
    operation: ScalarBijection,
    network: NetworkFactory,
    context: Context = 0,
    *,
    kept: float = 0.5,
) -> Multipartite:
    """A coupling layer in two parts: the first ``kept`` of the channels stays, ``z_1 = x_1``, the rest changes,
    ``z_2 = h(x_2; theta(x_1))``; each part has one channel at least.

    Args:
        event_shape: the shape of one event.
        operation: the scalar bijection ``h``.
        network: the factory of the network ``theta``.
        context: a number of features, the shape of an image or a space; 0 for none.
        kept: the share that stays, 0.75 in the source.

    Shapes: ``x`` and ``z`` are ``(..., D)``, or ``(..., C, H, W)`` of images, whose channels are parted; ``log_det`` is
    ``(...)``.

    Raises:
        UsageError: for one channel, which cannot be parted.

    Source: Hoogeboom, Peters, van den Berg, Welling (2019), Integer Discrete Flows, arXiv:1905.07376.

    Example:
        >>> from pushforward.networks import DenseMLP
        >>> from pushforward.scalar import RoundedShift
        >>> bipartite((8,), RoundedShift(), DenseMLP, kept=0.75).parts
        (6, 2)
    """
    size = min(max(round(kept * event_shape[0]), 1), event_shape[0] - 1)
    return Multipartite(event_shape, (size, event_shape[0] - size), (None, operation), network, context)


def multipartite(
    event_shape: Sequence[int], count: int, operation: ScalarBijection, network: NetworkFactory, context: Context = 0
) -> Multipartite:
    """A coupling layer in ``count`` parts of about the same size, each changed in turn,
    ``z_p = h(x_p; theta_p(z_<p, x_>p))``.

    Args:
        event_shape: the shape of one event.
        count: how many parts there are, at least 2.
        operation: the scalar bijection ``h`` of every part.
        network: a network factory, for one network for each part.
        context: a number of features, the shape of an image or a space; 0 for none.

    Shapes: ``x`` and ``z`` are ``(..., D)``, or ``(..., C, H, W)`` of images, whose channels are parted; ``log_det`` is
    ``(...)``.

    Raises:
        UsageError: for fewer channels than parts, or a single part.

    Source: Tomczak (2020), General Invertible Transformations for Flow-based Generative Modeling, arXiv:2011.15056.

    Example:
        >>> from pushforward.networks import DenseMLP
        >>> from pushforward.scalar import RoundedShift
        >>> multipartite((10,), 4, RoundedShift(), DenseMLP).parts
        (3, 3, 2, 2)
    """
    check_counts("multipartite", least=2, count=count)
    size, larger = divmod(event_shape[0], count)
    parts = [size + 1] * larger + [size] * (count - larger)
    return Multipartite(event_shape, parts, (operation,) * count, network, context)


def quadripartite(
    event_shape: Sequence[int], operation: ScalarBijection, network: NetworkFactory, context: Context = 0
) -> Multipartite:
    """The coupling layer in four parts, each changed in turn, ``z_p = h(x_p; theta_p(z_<p, x_>p))``.

    Args:
        event_shape: the shape of one event.
        operation: the scalar bijection ``h`` of every part.
        network: a network factory, for one network for each part.
        context: a number of features, the shape of an image or a space; 0 for none.

    Shapes: ``x`` and ``z`` are ``(..., D)``, or ``(..., C, H, W)`` of images, whose channels are parted; ``log_det`` is
    ``(...)``.

    Raises:
        UsageError: for fewer than four channels.

    Source: Tomczak (2020), General Invertible Transformations for Flow-based Generative Modeling, arXiv:2011.15056.

    Example:
        >>> from pushforward.networks import DenseMLP
        >>> from pushforward.scalar import RoundedShift
        >>> quadripartite((8,), RoundedShift(), DenseMLP).parts
        (2, 2, 2, 2)
    """
    return multipartite(event_shape, 4, operation, network, context)
