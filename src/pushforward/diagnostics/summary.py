"""What a flow is made of, part by part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from pushforward.distributions.base import Distribution
from pushforward.flows.expected import require_flow
from pushforward.parts import describe_arguments
from pushforward.spaces import Space
from pushforward.transforms.base import Transform


@dataclass(frozen=True)
class Part:
    """One part of a flow.

    Attributes:
        name: where it is, as attributes of the flow.
        kind: its class.
        arguments: those it was made with, as one would write them.
        parameters: how many numbers training changes.
        shape: of the events that come out of it.
        accuracy: of its log-determinant or log-density.
        inverse: ``analytic``, or the tolerance of an iterative one; empty for a base.
    """

    name: str
    kind: str
    arguments: str
    parameters: int
    shape: tuple[int, ...]
    accuracy: str
    inverse: str


@dataclass(frozen=True)
class Summary:
    """A flow's parts, from the data to its bases, and what they make together; printed, it is a table.

    Example:
        >>> import pushforward as pf
        >>> found = pf.summary(pf.Flow([pf.transforms.Planar(2)], pf.distributions.StandardNormal((2,))))
        >>> [part.kind for part in found.parts], found.parameters, found.accuracy
        (['Planar', 'StandardNormal'], 5, 'exact')
    """

    parts: tuple[Part, ...]
    support: Space
    context_shape: torch.Size | None
    parameters: int
    accuracy: str

    def __str__(self) -> str:
        heads = ("part", "kind", "output", "parameters", "accuracy", "inverse")
        rows = [
            (part.name, part.kind, _shown(part.shape), f"{part.parameters:,}", part.accuracy, part.inverse)
            for part in self.parts
        ]
        widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in (heads, *rows)]
        context = "none" if self.context_shape is None else _shown(self.context_shape)
        total = f"{self.parameters:,} parameters; events {self.support}; context {context}; log_prob {self.accuracy}"
        return "\n".join([lines[0], "-" * sum(widths, 2 * len(widths) - 2), *lines[1:], total])

    __repr__ = __str__


def summary(flow: Distribution) -> Summary:
    """Return the parts of a flow from the data to its bases, those of a multi-scale flow level by level.

    Raises:
        UsageError: if this is neither a flow nor another distribution.

    Example:
        >>> import pushforward as pf
        >>> pf.summary(pf.Flow([pf.transforms.Planar(2)], pf.distributions.StandardNormal((2,))))
        part         kind            output  parameters  accuracy  inverse
        -----------------------------------------------------------------------
        transform.0  Planar          2       5           exact     within 1e-09
        base         StandardNormal  2       0           exact
        5 parameters; events Reals(shape=(2,)); context none; log_prob exact
    """
    require_flow("summary", flow)
    parts = tuple(_parts("", flow, flow.event_shape))
    return Summary(parts, flow.support, flow.context_shape, count_parameters(flow), flow.accuracy.describe())


def count_parameters(module: nn.Module) -> int:
    """How many numbers training changes.

    Raises:
        AttributeError: if this is no module.

    Example:
        >>> count_parameters(nn.Linear(3, 2))
        8
    """
    return sum(weight.numel() for weight in module.parameters() if weight.requires_grad)


def _parts(name: str, part: Distribution | Transform, shape: torch.Size) -> Iterator[Part]:
    pieces = part.composition()
    for label, piece in pieces:
        place = f"{name}.{label}" if name else label
        yield from _parts(place, piece, piece.event_shape if isinstance(piece, Distribution) else shape)
        if isinstance(piece, Transform):
            shape = piece.forward_shape(shape)
    if not pieces:
        yield _leaf(name, part, shape)


def _leaf(name: str, part: Distribution | Transform, shape: torch.Size) -> Part:
    inverse = ""
    if isinstance(part, Transform):
        shape = part.forward_shape(shape)
        inverse = "analytic" if part.tolerance is None else f"within {part.tolerance:g}"
    accuracy, arguments = part.accuracy.describe(), describe_arguments(part)
    return Part(name, _kind(part), arguments, count_parameters(part), tuple(shape), accuracy, inverse)


def _kind(part: Distribution | Transform) -> str:
    inside = getattr(part, "transform", None)
    kind = type(part).__name__
    return f"{kind} of {type(inside).__name__}" if isinstance(inside, Transform) else kind


def _shown(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
