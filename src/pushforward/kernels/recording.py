"""What autograd need not record."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch


def recording_nothing() -> AbstractContextManager[Any]:
    """Where no gradient is wanted, operations as small as a sweep's spend a sixth of their time on what autograd might
    ask of them. What is computed inside must not leave as it is: gradients could not pass it later."""
    if torch.is_grad_enabled() or is_traced():
        return nullcontext()
    return torch.inference_mode()


def applied(function: type[torch.autograd.Function], *inputs: Any) -> Any:
    """``function.apply``, where no gradient is wanted its forward alone: looking up what to record takes a seventh of a
    small network's time."""
    if torch.is_grad_enabled() or is_traced():
        return function.apply(*inputs)
    return function.forward(*inputs)


def is_traced() -> bool:
    """Whether values cannot be looked at: code is being compiled, exported or transformed."""
    return torch.compiler.is_compiling() or is_transformed()


def is_transformed() -> bool:
    """Whether a function of ``torch.func`` (vmap, grad) is at work, which inference tensors cannot pass."""
    return torch._C._functorch.peek_interpreter_stack() is not None
