"""Loops that end when every element is done: a loop of Python where it may look at numbers, one operation in compiled
code, where it may not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor
from torch._C import _functorch
from torch._higher_order_ops.while_loop import while_loop
from torch.utils._pytree import tree_map

Tensors = TypeVar("Tensors")
State = tuple[Tensor, ...]


def iterate(step: Callable[..., State], unfinished: Callable[..., Tensor], state: State, limit: int) -> State:
    """Replace ``state`` by ``step(remaining, *state)`` while any element of ``unfinished(*state)`` is true.

    Args:
        step: called with the number of calls that are left, this one included, as a tensor without dimensions; it must
            leave elements that are finished as they are, so that no element's result depends on its batch.
        unfinished: which elements go on.
        state: tensors whose shapes and types ``step`` keeps.
        limit: the most calls of ``step``.

    Example:
        >>> halve = lambda remaining, x: (torch.where(x > 1.0, 0.5 * x, x),)
        >>> iterate(halve, lambda x: x > 1.0, (torch.tensor([1.0, 8.0, 3.0]),), limit=10)[0]
        tensor([1.0000, 1.0000, 0.7500])
    """
    if torch.compiler.is_compiling():
        return _iterate_compiled(step, unfinished, state, limit)
    for remaining in range(limit, 0, -1):
        if not any_true(unfinished(*state)):
            break
        state = step(torch.full((), remaining, dtype=torch.int64, device=state[0].device), *state)
    return state


def is_exported() -> bool:
    """Whether a graph for other programs is made, in which numbers cannot be taken for their bits."""
    return torch.compiler.is_exporting()


def separate(tensors: Tensors) -> Tensors:
    """What a loop's functions are to close over, in any nest of tuples and lists: copies in compiled code, whose loops
    do not take two views of one tensor; itself elsewhere.

    Example:
        >>> first, second = separate(torch.eye(2).unbind(0))
        >>> second
        tensor([0., 1.])
    """
    return tree_map(torch.clone, tensors) if torch.compiler.is_compiling() else tensors


def any_true(values: Tensor) -> bool:
    """Whether any element is true; within ``torch.func.vmap`` and its kin, any element of the whole batch."""
    while _functorch.is_functorch_wrapped_tensor(values):
        values = _functorch.get_unwrapped(values)
    return bool(values.any())


def count_true(values: Tensor) -> int | None:
    """How many elements are true; None in compiled code, which cannot know."""
    if torch.compiler.is_compiling():
        return None
    while _functorch.is_functorch_wrapped_tensor(values):
        values = _functorch.get_unwrapped(values)
    return int(values.sum())


def derivatives_wanted() -> bool:
    """Whether anybody may ask for derivatives of what is computed now, backwards or forwards."""
    if torch.is_grad_enabled():
        return True
    return not torch.compiler.is_compiling() and torch.autograd.forward_ad._current_level >= 0


def _iterate_compiled(step: Callable[..., State], unfinished: Callable[..., Tensor], state: State, limit: int) -> State:
    def goes_on(remaining: Tensor, *state: Tensor) -> Tensor:
        return (remaining > 0) & unfinished(*state).any()

    def body(remaining: Tensor, *state: Tensor) -> State:
        return remaining - 1, *step(remaining, *state)

    start = torch.full((), limit, dtype=torch.int64, device=state[0].device)
    # What is carried must not share memory with what the functions have closed over.
    return while_loop(goes_on, body, (start, *(part.clone() for part in state)))[1:]
