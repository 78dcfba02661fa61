"""How flows are compiled: the compiler's settings, and what is compiled together."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from pushforward.kernels.operations import count_work

PARTS = "_compiled_parts"
"""Where a module keeps what is compiled of it beside its call."""

MOST_OPERATIONS = 700
MOST_IN_A_PART = 64
"""The most operations of a forward pass, and of one of its parts on average, that are compiled as one: for more, the
calls saved take long to make up for the compiler's time, which grows faster than what it is given together."""

# A flow meets a batch of training, one of validation and a last one; older versions of torch count for all programs.
SHAPES = {"recompile_limit": 64} if "recompile_limit" in inspect.signature(torch.compile).parameters else {}


def is_compiling() -> bool:
    """Whether this code is being compiled."""
    return torch.compiler.is_compiling()


def tuned(options: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """Return the options for ``torch.compile`` with our settings of its default backend, unless the caller has his.

    The compiler's pattern matcher would turn a product and a bias back into one call, which first copies the bias over
    all of the output; left apart, the bias joins the activation that follows.

    Example:
        >>> tuned({"dynamic": False}, max_fusion_size=1024)
        {'dynamic': False, 'options': {'pattern_matcher': False, 'max_fusion_size': 1024}}
        >>> tuned({"mode": "max-autotune"})
        {'mode': 'max-autotune'}
    """
    if {"backend", "mode", "options"} & options.keys():
        return options
    return options | {"options": {"pattern_matcher": False, **settings}}


def compile_flow(flow: Any, options: dict[str, Any]) -> None:
    """Compile a flow: as one where it is few operations on vectors, else each of its parts by itself."""
    options = {"dynamic": False, **SHAPES, **options}
    if is_light(flow):
        flow.compile(**tuned(options))
        return
    for block in flow.transform.blocks():
        block.compile(**options)
    flow.base.compile_blocks(**options)


def is_light(flow: Any) -> bool:
    """Whether a flow is so few operations on vectors that it is best compiled as one."""
    if len(flow.event_shape) != 1 or flow.transform.draws or not flow.transform.capturable:
        return False
    operations, parts = _operations(flow), len(list(flow.transform.blocks()))
    return operations <= min(MOST_OPERATIONS, MOST_IN_A_PART * parts)


def _operations(flow: Any) -> int:
    like = next(iter(flow.parameters()), torch.zeros(()))
    x = flow.support.nearest(like.new_zeros(2, *flow.event_shape))
    context = None if flow.inner_context is None else like.new_zeros(2, *flow.inner_context.shape)
    return count_work(lambda: flow.forward(x, context), flow).operations


def compiled_call(module: nn.Module) -> Callable[..., Any] | None:
    """Return the compiled form of a module's forward, None where there is none."""
    return module._compiled_call_impl


def set_compiled_call(module: nn.Module, call: Callable[..., Any] | None) -> None:
    """Let a module be called as ``call``, or as it is written where that is None."""
    module._compiled_call_impl = call  # type: ignore[assignment]


def compiled_form(flow: Any) -> dict[nn.Module, tuple[Any, Any]]:
    """Return what is compiled of a flow: for each module its call, and the compiled parts that it keeps."""
    return {part: (compiled_call(part), part.__dict__.get(PARTS)) for part in flow.modules()}


def set_compiled_form(flow: Any, form: dict[nn.Module, tuple[Any, Any]]) -> None:
    """Let the modules of a flow be called as in a form that :func:`compiled_form` returned."""
    for part in flow.modules():
        call, parts = form.get(part, (None, None))
        set_compiled_call(part, call)
        part.__dict__.pop(PARTS, None)
        if parts is not None:
            keep_compiled(part, parts)


def keep_compiled(module: nn.Module, parts: Any) -> None:
    """Let a module keep compiled parts of it: not as submodules."""
    object.__setattr__(module, PARTS, parts)
