"""What a flow is made of, part by part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from pushforward.distributions.base import Distribution
from pushforward.flows.factor_out import FactorOut
from pushforward.flows.flow import Flow
from pushforward.transforms.base import Transform
from pushforward.transforms.chain import Chain
from pushforward.transforms.inverse import Inverse


@dataclass(frozen=True)
class Part:
    """One part of a flow: where it is, what it is, how large, what comes out of it and how exact that is."""

    name: str
    kind: str
    parameters: int
    shape: tuple[int, ...]
    exact: bool
    inverse: str


def anatomy(flow: Flow) -> list[Part]:
    """The parts of a flow from the data to its bases, those of a multi-scale flow level by level.

    Example:
        >>> import pushforward as pf
        >>> flow = pf.Flow([pf.transforms.Elementwise(pf.scalar.Affine(), (2,))], pf.distributions.StandardNormal((2,)))
        >>> [part.kind for part in anatomy(flow)]
        ['Elementwise', 'StandardNormal']
    """
    return list(_distribution("", flow))


def count_parameters(module: nn.Module) -> int:
    """How many numbers training changes."""
    return sum(weight.numel() for weight in module.parameters() if weight.requires_grad)


def _distribution(name: str, part: Distribution) -> Iterator[Part]:
    prefix = f"{name}." if name else ""
    if isinstance(part, Flow):
        yield from _transform(f"{prefix}transform", part.transform, part.event_shape)
        yield from _distribution(f"{prefix}base", part.base)
    elif isinstance(part, FactorOut):
        yield from _distribution(f"{prefix}split", part.split)
        yield from _distribution(f"{prefix}rest", part.rest)
    else:
        shape = tuple(part.event_shape)
        yield Part(name, type(part).__name__, count_parameters(part), shape, part.exact, "")


def _transform(name: str, part: Transform, shape: torch.Size) -> Iterator[Part]:
    if isinstance(part, Chain):
        for index, piece in enumerate(part):
            yield from _transform(f"{name}.{index}", piece, shape)
            shape = piece.forward_shape(shape)
        return
    kind = type(part).__name__
    if isinstance(part, Inverse):
        kind += f" of {type(part.bijection).__name__}"
    inverse = "analytic" if part.tolerance is None else f"within {part.tolerance:g}"
    yield Part(name, kind, count_parameters(part), tuple(part.forward_shape(shape)), part.exact, inverse)
