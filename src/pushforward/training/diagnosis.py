"""Why a training step gave numbers that are not finite: the part of the flow, and the rows of the batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.distributions.base import Distribution
from pushforward.kernels.compilation import compiled_call, set_compiled_call

# More rows than these at fault together are a fault of the flow's.
_FEW_ROWS = 8


def first_nonfinite_part(flow: nn.Module, run: Callable[[], Tensor], inputs: Tensor) -> str:
    """Name the part that goes non-finite first when ``run`` computes the loss again, or what else is at fault.

    Parts are watched as they finish, so the innermost one is named, a network's layer for example, of those that were
    given finite numbers. Where the loss is finite and a gradient is not, the last part with such a gradient is named:
    the fault spreads backwards from it.
    """
    if not bool(torch.isfinite(inputs).all()):
        return "the data itself"
    found: list[str] = []
    with ExitStack() as stack:
        for name, part in flow.named_modules():
            stack.enter_context(_watched(part, name or "the flow", found))
        with torch.no_grad():
            loss = run()
    if found:
        return found[0]
    if not bool(torch.isfinite(loss)):
        return "the objective, though every part is finite"
    at_fault = [name for name, weight in flow.named_parameters() if has_nonfinite(weight.grad)]
    return f"the gradient of {at_fault[-1]}" if at_fault else "no part when run again"


def rows_at_fault(fails: Callable[[Tensor], bool], rows: int) -> list[int]:
    """The few rows of a batch that fail each by itself, found by halving; none where it is more than a few.

    Args:
        fails: whether the step fails with some rows of the batch, given by their numbers.
        rows: how many there are; together they fail.

    Example:
        >>> rows_at_fault(lambda rows: bool((rows == 37).any()), 64)
        [37]
        >>> rows_at_fault(lambda rows: True, 64)
        []
    """
    found: list[int] = []
    suspects = [torch.arange(rows)]
    while suspects and len(found) <= _FEW_ROWS:
        suspect = suspects.pop()
        if len(suspect) == 1:
            found.append(int(suspect))
        else:
            # The first half is looked at first, as it lies on top.
            suspects.extend(half for half in reversed(suspect.tensor_split(2)) if fails(half))
    return found if len(found) <= min(_FEW_ROWS, rows - 1) else []


def has_nonfinite(values: Any) -> bool:
    """Whether a tensor, or one in nested sequences and dicts, holds a NaN or an infinity."""
    if isinstance(values, Tensor):
        return values.is_floating_point() and not bool(torch.isfinite(values).all())
    if isinstance(values, dict):
        values = list(values.values())
    return isinstance(values, (tuple, list)) and any(has_nonfinite(value) for value in values)


@contextmanager
def _watched(part: nn.Module, name: str, found: list[str]) -> Iterator[None]:
    def watch(given: Any, output: Any) -> None:
        if not found and has_nonfinite(output) and not has_nonfinite(given):
            found.append(f"{name} ({type(part).__name__})")

    # A compiled part would run the graph that it has, without the hook.
    compiled = compiled_call(part)
    set_compiled_call(part, None)
    handle = part.register_forward_hook(
        lambda module, arguments, options, output: watch((arguments, options), output), with_kwargs=True
    )
    if isinstance(part, Distribution):
        # What is outside of its support is impossible, and its forward does not see that.
        part.score = _watching(part.score, watch)  # type: ignore[method-assign]
    try:
        yield
    finally:
        handle.remove()
        set_compiled_call(part, compiled)
        part.__dict__.pop("score", None)


def _watching(method: Callable[..., Tensor], watch: Callable[[Any, Any], None]) -> Callable[..., Tensor]:
    def watched(*arguments: Any, **options: Any) -> Tensor:
        output = method(*arguments, **options)
        watch((arguments, options), output)
        return output

    return watched
