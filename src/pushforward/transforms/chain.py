"""Composition: transforms one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.transforms.base import Transform, apply

# The compiler's time grows with the parts that it is given together: for more, the calls saved take long to make up.
MOST_TOGETHER = 16


class Chain(Transform):
    r"""Transforms applied in turn, ``z = f_K(... f_1(x))``; the log-determinants add up.

    Args:
        parts: the transforms, first applied first. All must agree on ``event_dims``.

    Raises:
        UsageError: if there is no part, or the parts' events differ in their number of dimensions.

    Example:
        >>> from pushforward.scalar import Affine
        >>> from pushforward.transforms import Elementwise
        >>> chain = Chain([Elementwise(Affine(), (3,)), Elementwise(Affine(), (3,))])
        >>> z, log_det = chain(torch.zeros(5, 3))
        >>> z.shape, log_det.shape
        (torch.Size([5, 3]), torch.Size([5]))
    """

    def __init__(self, parts: Iterable[Transform]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        if not self.parts:
            raise UsageError("Chain expects at least one transform, got none")
        kinds = {part.event_dims for part in self}
        if len(kinds) > 1:
            raise UsageError(f"Chain expects parts with the same event_dims, got {sorted(kinds)}: put like with like")
        self.event_dims = kinds.pop()
        self.exact = all(part.exact for part in self)
        self.stochastic = any(part.stochastic for part in self)
        self.light = all(part.light for part in self) and len(self.parts) <= MOST_TOGETHER
        tolerances = [part.tolerance for part in self if part.tolerance is not None]
        self.tolerance = max(tolerances, default=None)

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(self.parts)

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, index: int) -> Transform:
        return self.parts[index]  # type: ignore[return-value]

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        first, *rest = self.parts
        z, log_det = apply(first, x, context, generator)  # type: ignore[arg-type]
        for part in rest:
            z, term = apply(part, z, context, generator)  # type: ignore[arg-type]
            log_det = log_det + term
        return z, log_det

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        *rest, last = self.parts
        x, log_det = last.inverse(z, context)  # type: ignore[operator]
        for part in reversed(rest):
            x, term = part.inverse(x, context)  # type: ignore[operator]
            log_det = log_det + term
        return x, log_det

    def encode(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        for part in self:
            x = part.encode(x, context, generator)
        return x

    def initialise(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        for part in self:
            x = part.initialise(x, context)
        return x

    def blocks(self) -> Iterator[Transform]:
        for part in self:
            yield from part.blocks()

    def forward_shape(self, shape: torch.Size) -> torch.Size:
        for part in self:
            shape = part.forward_shape(shape)
        return shape

    def inverse_shape(self, shape: torch.Size) -> torch.Size:
        for part in reversed(self.parts):
            shape = part.inverse_shape(shape)  # type: ignore[operator]
        return shape
