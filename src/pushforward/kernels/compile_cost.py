"""What compiling a flow costs and saves, from counted operations: the same answer for the same flow on any day.

``saved = call * operations + element * elements`` seconds a training step, and ``compiling = start + operation * n``
seconds once, where ``operations`` and ``elements`` are those of a forward pass (calls on tensors, and numbers that they
write other than by matrix products and convolutions, which no compiler makes faster), and ``n`` counts the operations
of the parts that differ: equal layers share one compiled form. The rates are measured by ``benchmarks/compiling.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from pushforward.kernels.compilation import compiled_call, is_light, set_compiled_call
from pushforward.kernels.operations import Counter, count_work


@dataclass(frozen=True)
class Rates:
    """Seconds on a kind of device: saved in a training step by call and by element of the forward pass; and spent once,
    at the start and by operation that is compiled."""

    call: float
    element: float
    start: float
    operation: float


RATES = {
    "cpu": Rates(call=8e-6, element=8e-10, start=8.0, operation=0.09),
    "cuda": Rates(call=1e-5, element=0.0, start=15.0, operation=0.12),
}


@dataclass(frozen=True)
class CompileCost:
    """Seconds that compiling takes, and that it saves in each training step."""

    compiling: float
    saved: float


def compile_cost(flow: Any, rows: int, device: str) -> CompileCost | None:
    """Return what compiling a flow costs and saves in training on batches of ``rows``, None where that is not known.

    Example:
        >>> import pushforward as pf
        >>> cost = compile_cost(pf.models.nsf(features=8), rows=512, device="cpu")
        >>> 1.0 < cost.compiling < 100.0, 1e-4 < cost.saved < 1.0
        (True, True)
    """
    rates = RATES.get(device)
    if rates is None:
        return None
    few, more = (count_work(_call(flow, count), flow) for count in (2, 4))
    elements = few.elements + (more.elements - few.elements) / 2 * max(0, rows - 2)
    compiled = few.operations if is_light(flow) else _distinct_operations(flow)
    return CompileCost(
        compiling=rates.start + rates.operation * compiled,
        saved=rates.call * few.operations + rates.element * elements,
    )


def _call(flow: Any, rows: int) -> Callable[[], Any]:
    """A call of a flow's forward on some events."""
    like = next(iter(flow.parameters()), torch.zeros(()))
    x = flow.support.nearest(like.new_zeros(rows, *flow.event_shape))
    context = None if flow.inner_context is None else like.new_zeros(rows, *flow.inner_context.shape)
    return lambda: flow.forward(x, context)


def _distinct_operations(flow: Any) -> int:
    """The operations of the parts that are compiled, of equal parts one."""
    counts: dict[tuple[Any, ...], int] = {}

    def counted(module: nn.Module, call: Callable[..., Any]) -> Callable[..., Any]:
        def forward(*args: Any, **kwargs: Any) -> Any:
            counter = Counter()
            with counter:
                result = call(*args, **kwargs)
            counts[_kind(module)] = counter.operations
            return result

        return forward

    blocks = list(flow.transform.blocks())
    before = [compiled_call(block) for block in blocks]
    for block in blocks:
        set_compiled_call(block, counted(block, block.forward))
    try:
        count_work(_call(flow, 2), flow)
    finally:
        for block, call in zip(blocks, before, strict=True):
            set_compiled_call(block, call)
    return sum(counts.values())


def _kind(block: nn.Module) -> tuple[Any, ...]:
    """What equal layers have in common."""
    return type(block), *((type(part), *(tuple(each.shape) for each in part.parameters())) for part in block.modules())
