"""Masked networks evaluated in order: one input after the other, in the arithmetic of a single pass.

A unit of degree ``m`` can be computed once, as soon as the inputs of degrees up to ``m`` are known. Each step computes
the units of one degree and the outputs that they complete.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor

from pushforward.networks.masked.linear import MaskedLinear

# How many inputs more than it knows a step may read, so that neighbouring steps share what they read.
SLACK = 16


@dataclass(frozen=True)
class Run:
    """Consecutive steps that all read the inputs known at the last: their units, and how many each computes."""

    known: int
    units: slice
    sizes: list[int]


@dataclass(frozen=True)
class LayerPlan:
    """What the steps of a sweep do in one linear layer: the inputs known at each, and the units computed by each."""

    known: list[int]
    units: list[slice]
    runs: list[Run]

    @cached_property
    def arriving(self) -> list[int]:
        """How many inputs become known at each step."""
        return [count - before for before, count in pairwise([0, *self.known])]

    @cached_property
    def exact(self) -> bool:
        """Whether no step reads more than it knows."""
        return all(len(run.sizes) == 1 for run in self.runs)


@dataclass(frozen=True)
class Plan:
    """A sweep's steps: which inputs' outputs each yields, and its part of each linear layer."""

    inputs: list[slice]
    layers: list[LayerPlan]


def plan_sweep(degrees: Sequence[Sequence[int]], per_input: int) -> Plan:
    """Cut a sweep into steps: one for each degree that hidden units have, and one before the first if need be.

    Inputs between two such degrees see the same hidden units, so their outputs come in one step.

    Args:
        degrees: the ascending degrees of the inputs, ``j + 1`` for the numbers of variable ``j``, and of each layer's
            units.
        per_input: how many outputs belong to each input.

    Example:
        >>> plan = plan_sweep([[1, 2, 3], [1, 1, 2], [0, 1, 2]], 1)
        >>> plan.inputs
        [slice(0, 1, None), slice(1, 2, None), slice(2, 3, None)]
        >>> plan.layers[0].known, plan.layers[0].units
        ([0, 1, 2], [slice(0, 0, None), slice(0, 2, None), slice(2, 3, None)])
    """
    starts = sorted({0, *(degree for layer in degrees[1:-1] for degree in layer)})
    inputs = [slice(start, stop) for start, stop in pairwise([*starts, degrees[0][-1]])]
    known = [[sum(degree <= start for degree in layer) for start in starts] for layer in degrees[:-1]]
    units = [[slice(*ends) for ends in pairwise([0, *counts])] for counts in known[1:]]
    outputs = [slice(part.start * per_input, part.stop * per_input) for part in inputs]
    layers = zip(known, [*units, outputs], strict=True)
    return Plan(inputs, [LayerPlan(counts, parts, list(_runs(counts, parts))) for counts, parts in layers])


def _runs(known: list[int], units: list[slice]) -> Iterator[Run]:
    start = 0
    for stop in range(1, len(known) + 1):
        if stop == len(known) or known[stop] > known[start] + SLACK:
            sizes = [part.stop - part.start for part in units[start:stop]]
            yield Run(known[stop - 1], slice(units[start].start, units[stop - 1].stop), sizes)
            start = stop


class FilledLayer:
    """A linear layer in a sweep without gradients: its inputs fill one buffer from the front.

    The first input is a constant one, whose weight is the bias. What a run of steps reads before it is known is zero,
    and so is its weight.
    """

    def __init__(self, linear: MaskedLinear, plan: LayerPlan, rows: int) -> None:
        weight = linear.weight if plan.exact else linear.masked_weight
        weight = torch.cat([linear.bias[:, None], weight], dim=1)
        buffer = (weight.new_empty if plan.exact else weight.new_zeros)(weight.shape[1], rows)
        buffer[0] = 1.0
        weights: list[Tensor] = []
        seen: list[Tensor] = []
        for run in plan.runs:
            weights += weight[run.units, : 1 + run.known].split_with_sizes(run.sizes)
            seen += [buffer[: 1 + run.known]] * len(run.sizes)
        self.steps = zip(buffer[1 : 1 + plan.known[-1]].split_with_sizes(plan.arriving), weights, seen, strict=True)

    def __call__(self, arrived: Tensor) -> Tensor:
        """Return the units ``(n, rows)`` that the next step computes, given the inputs not known before it."""
        place, weight, seen = next(self.steps)
        place.copy_(arrived)
        return torch.mm(weight, seen)


class GrownLayer:
    """A linear layer in a sweep whose inputs are never overwritten, so that gradients pass through them."""

    def __init__(self, linear: MaskedLinear, plan: LayerPlan, rows: int) -> None:
        self.inputs = linear.weight.new_empty(0, rows)
        self.steps = (
            (linear.weight[units, :known], linear.bias[units, None])
            for units, known in zip(plan.units, plan.known, strict=True)
        )

    def __call__(self, arrived: Tensor) -> Tensor:
        """Return the units ``(n, rows)`` that the next step computes, given the inputs not known before it."""
        self.inputs = torch.cat([self.inputs, arrived])
        weight, bias = next(self.steps)
        return torch.addmm(bias, weight, self.inputs)
