"""Finding the part of a flow that first gave a number that is not finite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.distributions.base import Distribution
from pushforward.transforms.base import Transform


def first_nonfinite_part(flow: nn.Module, run: Callable[[], Tensor], inputs: Tensor) -> str:
    """Name the part that goes non-finite first when ``run`` computes the loss again, or what else is at fault.

    Parts are watched as they finish, so the innermost one is named. Where the loss is finite and a gradient is not,
    the last part with such a gradient is named: the fault spreads backwards from it.
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
    at_fault = [name for name, weight in flow.named_parameters() if _has_nonfinite(weight.grad)]
    return f"the gradient of {at_fault[-1]}" if at_fault else "no part when run again"


@contextmanager
def _watched(part: nn.Module, name: str, found: list[str]) -> Iterator[None]:
    def watch(output: Any) -> None:
        if not found and _has_nonfinite(output):
            found.append(f"{name} ({type(part).__name__})")

    # A compiled part would run the graph that it has, without the hook.
    compiled, part._compiled_call_impl = part._compiled_call_impl, None  # type: ignore[assignment]
    handle = part.register_forward_hook(lambda module, arguments, output: watch(output))
    if isinstance(part, Distribution) and not isinstance(part, Transform):
        part.log_prob = _watching(part.log_prob, watch)  # type: ignore[method-assign]
    try:
        yield
    finally:
        handle.remove()
        part._compiled_call_impl = compiled
        part.__dict__.pop("log_prob", None)


def _watching(method: Callable[..., Tensor], watch: Callable[[Any], None]) -> Callable[..., Tensor]:
    def watched(*arguments: Any, **options: Any) -> Tensor:
        output = method(*arguments, **options)
        watch(output)
        return output

    return watched


def _has_nonfinite(output: Any) -> bool:
    if isinstance(output, Tensor):
        return output.is_floating_point() and not bool(torch.isfinite(output).all())
    return isinstance(output, (tuple, list)) and any(_has_nonfinite(value) for value in output)
