"""Proposition 3.1: an event in any number of parts, each changed by an invertible operation that the others decide."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.networks.factory import NetworkFactory
from pushforward.scalar.base import ScalarBijection
from pushforward.transforms.base import Bijection, batch_shape, check_event

Operations = Sequence[ScalarBijection | None]


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
        context: features of the context, 0 for none.
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
        network: NetworkFactory,
        context: int = 0,
        first_operations: Operations | None = None,
    ) -> None:
        super().__init__()
        self.event_shape = torch.Size(event_shape)
        self.event_dims = len(self.event_shape)
        self.parts = tuple(parts)
        self.operations = tuple(operations)
        self.first_operations = (None,) * len(self.parts) if first_operations is None else tuple(first_operations)
        self._check_parts()
        every = [*self.operations, *self.first_operations]
        tolerances = [op.tolerance for op in every if op is not None and op.tolerance is not None]
        self.tolerance = max(tolerances, default=None)
        before = list(accumulate(self.parts, initial=0))
        self.networks = nn.ModuleList(
            self._network(network, sum(self.parts) - part, part, operation, context)
            for part, operation in zip(self.parts, self.operations)
        )
        self.first_networks = nn.ModuleList(
            self._network(network, start, part, operation, context)
            for start, part, operation in zip(before, self.parts, self.first_operations)
        )

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        check_event(x, self.event_shape, "Multipartite")
        pieces = list(x.split(self.parts, -self.event_dims))
        log_det = self._zero(x)
        for index in range(len(pieces)):
            first, operation = self.first_operations[index], self.operations[index]
            if first is not None:
                pieces[index], term = first.forward(pieces[index], self._first_parameters(pieces, index, context))
                log_det = log_det + self._sum(term, x)
            if operation is not None:
                pieces[index], term = operation.forward(pieces[index], self._other_parameters(pieces, index, context))
                log_det = log_det + self._sum(term, x)
        return torch.cat(pieces, -self.event_dims), log_det

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        check_event(z, self.event_shape, "Multipartite")
        pieces = list(z.split(self.parts, -self.event_dims))
        log_det = self._zero(z)
        for index in reversed(range(len(pieces))):
            first, operation = self.first_operations[index], self.operations[index]
            if operation is not None:
                pieces[index], term = operation.inverse(pieces[index], self._other_parameters(pieces, index, context))
                log_det = log_det + self._sum(term, z)
            if first is not None:
                pieces[index], term = first.inverse(pieces[index], self._first_parameters(pieces, index, context))
                log_det = log_det + self._sum(term, z)
        return torch.cat(pieces, -self.event_dims), log_det

    def _other_parameters(self, pieces: list[Tensor], index: int, context: Tensor | None) -> Tensor:
        """The parameters ``f_d`` of a part, given all others."""
        return self._run(self.networks[index], [*pieces[:index], *pieces[index + 1 :]], self.parts[index], context)

    def _first_parameters(self, pieces: list[Tensor], index: int, context: Tensor | None) -> Tensor:
        """The parameters ``g_d`` of a part, given those before it."""
        return self._run(self.first_networks[index], pieces[:index], self.parts[index], context)

    def _run(self, network: nn.Module, others: list[Tensor], size: int, context: Tensor | None) -> Tensor:
        seen = torch.cat(others, -self.event_dims)
        if self.event_dims == 3:
            return network(seen, context).unflatten(-3, (-1, size)).movedim(-4, -1)
        return network(seen.flatten(-self.event_dims), context).unflatten(-1, (size, -1))

    def _network(
        self, network: NetworkFactory, inputs: int, part: int, operation: ScalarBijection | None, context: int
    ) -> nn.Module:
        if operation is None:
            return nn.Identity()
        numbers = self.event_shape[1] if self.event_dims == 2 else 1
        return network(inputs * numbers, part * operation.num_parameters, context)

    def _check_parts(self) -> None:
        if sum(self.parts) != self.event_shape[0] or min(self.parts, default=0) < 1 or len(self.parts) < 2:
            raise UsageError(
                f"Multipartite expects at least two parts that add up to {self.event_shape[0]}, got {self.parts}"
            )
        if not len(self.operations) == len(self.first_operations) == len(self.parts):
            raise UsageError(f"Multipartite expects one operation (or None) for each of its {len(self.parts)} parts")
        if self.first_operations[0] is not None:
            raise UsageError("Multipartite expects None as the first part's first operation: nothing precedes it")

    def _zero(self, x: Tensor) -> Tensor:
        dtype = x.dtype if x.is_floating_point() else torch.get_default_dtype()
        return torch.zeros(batch_shape(x, self.event_dims), dtype=dtype, device=x.device)

    def _sum(self, log_d: Tensor, x: Tensor) -> Tensor:
        return log_d.flatten(x.dim() - self.event_dims).sum(-1)


def bipartite(
    event_shape: Sequence[int],
    operation: ScalarBijection,
    network: NetworkFactory,
    context: int = 0,
    *,
    kept: float = 0.5,
) -> Multipartite:
    """A coupling layer in two parts: the first ``kept`` of the channels stays, the rest changes; 0.75 is the split of
    Hoogeboom et al. 2019.

    Example:
        >>> from pushforward.networks import DenseMLP
        >>> from pushforward.scalar import RoundedShift
        >>> bipartite((8,), RoundedShift(), DenseMLP, kept=0.75).parts
        (6, 2)
    """
    size = min(max(round(kept * event_shape[0]), 1), event_shape[0] - 1)
    return Multipartite(event_shape, (size, event_shape[0] - size), (None, operation), network, context)


def multipartite(
    event_shape: Sequence[int], count: int, operation: ScalarBijection, network: NetworkFactory, context: int = 0
) -> Multipartite:
    """A coupling layer in ``count`` parts of about the same size, each changed in turn.

    Example:
        >>> from pushforward.networks import DenseMLP
        >>> from pushforward.scalar import RoundedShift
        >>> multipartite((10,), 4, RoundedShift(), DenseMLP).parts
        (3, 3, 2, 2)
    """
    size, larger = divmod(event_shape[0], count)
    parts = [size + 1] * larger + [size] * (count - larger)
    return Multipartite(event_shape, parts, (operation,) * count, network, context)


def quadripartite(
    event_shape: Sequence[int], operation: ScalarBijection, network: NetworkFactory, context: int = 0
) -> Multipartite:
    """The coupling layer in four parts of Tomczak 2020, arXiv:2011.15056.

    Example:
        >>> from pushforward.networks import DenseMLP
        >>> from pushforward.scalar import RoundedShift
        >>> quadripartite((8,), RoundedShift(), DenseMLP).parts
        (2, 2, 2, 2)
    """
    return multipartite(event_shape, 4, operation, network, context)
