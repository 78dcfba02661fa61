"""Composition: transforms one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from operator import or_
from typing import overload

import torch
from torch import Tensor, nn

from pushforward.accuracy import Draws, worst
from pushforward.errors import UsageError
from pushforward.kernels.replay import ReconstructionError, recomputation_helps
from pushforward.networks.context import check_context
from pushforward.spaces import ANY, Space
from pushforward.transforms.base import Transform
from pushforward.transforms.retracing import DECODE, ENCODE, FORWARD, INVERSE, Way, given_to, steps


class Chain(Transform):
    r"""Transforms applied in turn, ``z = f_K(... f_1(x))``; the log-determinants add up.

    Args:
        parts: the transforms, first applied first. Each must lead onto the domain of the next, and those that take a
            context must take the same.
        recompute: take gradients in the memory of one part instead of all: the backward pass finds the input of each
            part again from its output (Gomez et al. 2017, RevNet, arXiv:1707.04585), which costs about a third more
            time. A part whose input does not come back to the last digits (it draws, its inverse stops at a tolerance,
            it uses the batch) keeps it. ``reconstruction_error`` says how well inputs were found again.

    Shapes: ``x`` is ``batch_shape + event_shape`` of the first part, ``z`` is that of the last; ``log_det`` is
    ``batch_shape``.

    Raises:
        UsageError: if there is no part, the parts do not fit, or their contexts differ; with ``recompute``, for float16
            and bfloat16, and for derivatives of gradients.

    Example:
        >>> from pushforward.scalar import Affine
        >>> from pushforward.transforms import Elementwise
        >>> chain = Chain([Elementwise(Affine(), (3,)), Elementwise(Affine(), (3,))])
        >>> z, log_det = chain(torch.zeros(5, 3))
        >>> z.shape, log_det.shape, len(chain[:1])
        (torch.Size([5, 3]), torch.Size([5]), 1)
    """

    def __init__(self, parts: Iterable[Transform], *, recompute: bool = False) -> None:
        super().__init__()
        parts = list(parts)
        check_transforms(parts)
        self.parts = nn.ModuleList(parts)
        self.context = common_context(parts, "Chain")
        self.accuracy = worst(part.accuracy for part in parts)
        self.draws = reduce(or_, (part.draws for part in parts), Draws.NEVER)
        self.reads_back = all(part.reads_back for part in parts)
        self.reparametrised = all(part.reparametrised for part in parts)
        self.capturable = all(part.capturable for part in parts)
        self.tolerance = max((part.tolerance for part in parts if part.tolerance is not None), default=None)
        self.domain, self.codomain = _ends(parts)
        self.recompute = recompute
        self._reconstruction = ReconstructionError()

    @property
    def reconstruction_error(self) -> float | None:
        """With ``recompute``, the worst error with which a backward pass found an input again, relative where it is
        above 1, of all so far; None before the first, and where nothing had to be found again."""
        return self._reconstruction.worst

    def forget_reconstruction_error(self) -> None:
        """Begin anew with ``reconstruction_error``."""
        self._reconstruction = ReconstructionError()

    def __iter__(self) -> Iterator[Transform]:
        return iter(self.parts)  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(self.parts)

    @overload
    def __getitem__(self, index: int) -> Transform: ...

    @overload
    def __getitem__(self, index: slice) -> Chain: ...

    def __getitem__(self, index: int | slice) -> Transform:
        if isinstance(index, slice):
            return Chain(list(self)[index], recompute=self.recompute)
        return self.parts[index]  # type: ignore[return-value]

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self._check_context(context)
        if self._recomputes():
            return self._recomputed(FORWARD, x, context, generator)  # type: ignore[return-value]
        first, *rest = self
        z, log_det = first(x, *given_to(first, context, generator))
        for part in rest:
            z, term = part(z, *given_to(part, context, generator))
            log_det = log_det + term
        return z, log_det

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self._check_context(context)
        if self._recomputes():
            return self._recomputed(INVERSE, z, context, generator)  # type: ignore[return-value]
        *rest, last = self
        x, log_det = last.inverse(z, *given_to(last, context, generator))
        for part in reversed(rest):
            x, term = part.inverse(x, *given_to(part, context, generator))
            log_det = log_det + term
        return x, log_det

    def encode(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        self._check_context(context)
        if self._recomputes():
            return self._recomputed(ENCODE, x, context, generator)[0]
        for part in self:
            x = part.encode(x, *given_to(part, context, generator))
        return x

    def decode(self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        self._check_context(context)
        if self._recomputes():
            return self._recomputed(DECODE, z, context, generator)[0]
        for part in reversed(list(self)):
            z = part.decode(z, *given_to(part, context, generator))
        return z

    def initialise(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        self._check_context(context)
        for part in self:
            x = part.initialise(x, given_to(part, context, None)[0])
        return x

    def initialise_inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        self._check_context(context)
        for part in reversed(list(self)):
            z = part.initialise_inverse(z, given_to(part, context, None)[0])
        return z

    @property
    def log_det_bias(self) -> float:
        return sum(part.log_det_bias for part in self)

    def composition(self) -> list[tuple[str, Transform]]:
        return [(str(index), part) for index, part in enumerate(self)]

    def blocks(self) -> Iterator[Transform]:
        for part in self:
            yield from part.blocks()

    def forward_shape(self, shape: Sequence[int]) -> torch.Size:
        for part in self:
            shape = part.forward_shape(shape)
        return torch.Size(shape)

    def inverse_shape(self, shape: Sequence[int]) -> torch.Size:
        for part in reversed(list(self)):
            shape = part.inverse_shape(shape)
        return torch.Size(shape)

    def forward_space(self, space: Space) -> Space:
        for part in self:
            space = part.forward_space(space)
        return space

    def inverse_space(self, space: Space) -> Space:
        for part in reversed(list(self)):
            space = part.inverse_space(space)
        return space

    def _recomputed(
        self, way: Way, x: Tensor, context: Tensor | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor | None]:
        # Here, since it loads the compiler, which it keeps out of.
        from pushforward.kernels.recomputation import recomputed

        return recomputed(steps(self, way), x, context, generator, self._reconstruction)

    def _recomputes(self) -> bool:
        return self.recompute and recomputation_helps()

    def _check_context(self, context: Tensor | None) -> None:
        # Before the first part computes anything, though the one that takes the context may come last.
        check_context(context, self.context, "Chain")


def check_transforms(parts: Sequence[Transform], owner: str = "Chain") -> None:
    """Raise :class:`UsageError` unless these are transforms, at least one."""
    if not parts:
        raise UsageError(f"{owner} expects at least one transform, got none")
    for part in parts:
        if not isinstance(part, Transform):
            what = f"the class {part.__name__}" if isinstance(part, type) else type(part).__name__
            raise UsageError(
                f"{owner} expects transforms, got {what}: make an object of a class of pushforward.transforms"
            )


def common_context(parts: Iterable[Transform | object], owner: str) -> Space | None:
    """Return the context that all parts with a context take.

    Raises:
        UsageError: if they differ.
    """
    found: Space | None = None
    for part in parts:
        context = getattr(part, "context", None)
        if context is None:
            continue
        if found is not None and context != found:
            raise UsageError(
                f"{owner} expects parts that take the same context, got {found} and {context} ({type(part).__name__})"
            )
        found = context
    return found


def _ends(parts: Sequence[Transform]) -> tuple[Space, Space]:
    """The domain of the first part and the codomain of the last, as far as their neighbours make them known."""
    codomain = parts[0].codomain
    for part in parts[1:]:
        codomain = _joined(part, codomain)
    domain = parts[-1].domain
    for part in reversed(parts[:-1]):
        domain = part.inverse_space(domain)
    return domain, codomain


def _joined(part: Transform, space: Space) -> Space:
    """The latents' space of a part behind others that lead onto ``space``."""
    if ANY not in space.shape or ANY in part.domain.shape:
        return part.forward_space(space)
    # The part knows its shape and those before it do not.
    return part.forward_space(space.with_shape(part.domain.shape))


def parts_in_turn(transform: Transform) -> Iterator[Transform]:
    """Yield the parts of a chain, and of chains in it, in the order in which data meet them; what is no chain, as it
    is."""
    if isinstance(transform, Chain):
        for part in transform:
            yield from parts_in_turn(part)
    else:
        yield transform
