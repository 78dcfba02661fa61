"""Transforms of consecutive blocks of a vector: one for each, or one that is shared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from operator import or_

import torch
from torch import Tensor, nn

from pushforward.accuracy import Draws, worst
from pushforward.errors import UsageError
from pushforward.spaces.product import product_of
from pushforward.transforms.base import Transform
from pushforward.transforms.chain import check_transforms


class Blocks(Transform):
    r"""Each of several consecutive blocks of a vector through a transform of its own, ``z = (f_1(x_1), ...,
    f_B(x_B))``; the log-determinant is the sum.

    Args:
        *parts: transforms of vectors, without contexts.

    Shapes: ``x`` is ``(..., d_1 + ... + d_B)``, the blocks side by side, and so is ``z``; ``log_det`` is ``(...)``.

    Raises:
        UsageError: if a part is no transform of vectors, or takes a context.

    Source: Golub, Van Loan (2013), Matrix Computations: the determinant of a block-diagonal Jacobian.

    Example:
        >>> from pushforward.transforms import CategoricalEncoding
        >>> layer = Blocks(CategoricalEncoding(2, 5), CategoricalEncoding(1, 3))
        >>> layer(torch.tensor([[4, 0, 2]]))[0].shape
        torch.Size([1, 6])
    """

    def __init__(self, *parts: Transform) -> None:
        super().__init__()
        check_transforms(parts, "Blocks")
        for part in parts:
            _check_part(part, "Blocks")
        self.parts = nn.ModuleList(parts)
        self.domain = product_of([element for part in parts for element in part.domain.elements()])
        self.codomain = product_of([element for part in parts for element in part.codomain.elements()])
        self.accuracy = worst(part.accuracy for part in parts)
        self.draws = reduce(or_, (part.draws for part in parts), Draws.NEVER)
        self.reads_back = all(part.reads_back for part in parts)
        self.reparametrised = all(part.reparametrised for part in parts)
        self.capturable = all(part.capturable for part in parts)
        self.sequential = any(part.sequential for part in parts)
        self.uses_batch = any(part.uses_batch for part in parts)
        self.tolerance = max((part.tolerance for part in parts if part.tolerance is not None), default=None)
        self.inputs = [part.domain.shape[0] for part in parts]
        self.outputs = [part.codomain.shape[0] for part in parts]

    def __iter__(self) -> Iterator[Transform]:
        return iter(self.parts)  # type: ignore[arg-type]

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        x, _ = self.check(x, context, self.domain)
        return _joined([part(block, None, generator) for part, block in zip(self, x.split(self.inputs, -1))])

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        z, _ = self.check(z, context, self.codomain)
        return _joined([part.inverse(block, None, generator) for part, block in zip(self, z.split(self.outputs, -1))])

    def encode(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        x, _ = self.check(x, context, self.domain)
        return torch.cat(
            [part.encode(block, None, generator) for part, block in zip(self, x.split(self.inputs, -1))], -1
        )

    def decode(self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        z, _ = self.check(z, context, self.codomain)
        blocks = zip(self, z.split(self.outputs, -1))
        return torch.cat([part.decode(block, None, generator) for part, block in blocks], -1)

    def initialise(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        x, _ = self.check(x, context, self.domain)
        return torch.cat([part.initialise(block) for part, block in zip(self, x.split(self.inputs, -1))], -1)

    def initialise_inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        z, _ = self.check(z, context, self.codomain)
        blocks = zip(self, z.split(self.outputs, -1))
        return torch.cat([part.initialise_inverse(block) for part, block in blocks], -1)

    @property
    def log_det_bias(self) -> float:
        return sum(part.log_det_bias for part in self)

    def composition(self) -> list[tuple[str, Transform]]:
        return [(str(index), part) for index, part in enumerate(self)]

    def blocks(self) -> Iterator[Transform]:
        for part in self:
            yield from part.blocks()

    def forward_shape(self, shape: Sequence[int]) -> torch.Size:
        return self.codomain.shape

    def inverse_shape(self, shape: Sequence[int]) -> torch.Size:
        return self.domain.shape


class Repeated(Transform):
    r"""One transform for each of ``copies`` consecutive blocks of a vector, with the same parameters for all,
    ``z = (f(x_1), ..., f(x_C))``: it does not care about the blocks' order.

    Args:
        transform: of vectors ``(d,)``, without a context.
        copies: how many blocks there are, ``C``.

    Shapes: ``x`` is ``(..., C d)`` and so, where ``f`` keeps the size, is ``z``; ``log_det`` is ``(...)``.

    Raises:
        UsageError: if it is no transform of vectors, takes a context, or there are no copies.

    Source: Zaheer et al. (2017), Deep Sets, arXiv:1703.06114: the simplest of the maps that commute with permutations.

    Example:
        >>> from pushforward.transforms import ActNorm
        >>> Repeated(ActNorm(2), 3)(torch.zeros(4, 6))[1].shape
        torch.Size([4])
    """

    def __init__(self, transform: Transform, copies: int) -> None:
        super().__init__()
        check_transforms([transform], "Repeated")
        _check_part(transform, "Repeated")
        if copies < 1:
            raise UsageError(f"Repeated expects at least one copy, got {copies}")
        self.transform, self.copies = transform, copies
        self.domain = product_of(copies * transform.domain.elements())
        self.codomain = product_of(copies * transform.codomain.elements())
        for name in ("accuracy", "draws", "reads_back", "reparametrised", "tolerance", "sequential", "uses_batch"):
            setattr(self, name, getattr(transform, name))
        self.capturable = transform.capturable

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        x, _ = self.check(x, context, self.domain)
        z, log_det = self.transform(self._apart(x), None, generator)
        return z.flatten(-2), log_det.sum(-1)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        z, _ = self.check(z, context, self.codomain)
        x, log_det = self.transform.inverse(self._apart(z), None, generator)
        return x.flatten(-2), log_det.sum(-1)

    def encode(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        x, _ = self.check(x, context, self.domain)
        return self.transform.encode(self._apart(x), None, generator).flatten(-2)

    def decode(self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        z, _ = self.check(z, context, self.codomain)
        return self.transform.decode(self._apart(z), None, generator).flatten(-2)

    def initialise(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        x, _ = self.check(x, context, self.domain)
        # As one batch: statistics are those of all blocks together.
        z = self.transform.initialise(self._apart(x).flatten(0, -2))
        return z.reshape(*x.shape[:-1], -1)

    def initialise_inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        z, _ = self.check(z, context, self.codomain)
        x = self.transform.initialise_inverse(self._apart(z).flatten(0, -2))
        return x.reshape(*z.shape[:-1], -1)

    @property
    def log_det_bias(self) -> float:
        return self.copies * self.transform.log_det_bias

    def composition(self) -> list[tuple[str, Transform]]:
        return [("transform", self.transform)]

    def forward_shape(self, shape: Sequence[int]) -> torch.Size:
        return self.codomain.shape

    def inverse_shape(self, shape: Sequence[int]) -> torch.Size:
        return self.domain.shape

    def _apart(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.copies, x.shape[-1] // self.copies))


def _joined(images: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    blocks, log_dets = zip(*images)
    return torch.cat(blocks, -1), torch.stack(log_dets).sum(0)


def _check_part(part: Transform, owner: str) -> None:
    if part.context is not None or len(part.domain.shape) != 1 or len(part.codomain.shape) != 1:
        raise UsageError(
            f"{owner} expects transforms of vectors without a context, got {type(part).__name__} from {part.domain} to "
            f"{part.codomain}"
        )
