"""Gradients of a long composition in the memory of one of its parts: the backward pass computes activations again.

The textbook form is the loop ``for step in steps: x, log_det = step.run(x)`` under autograd, which keeps the
activations of every step until the backward pass has used them. Here the forward pass keeps what left the last step
alone. Backwards, each step finds its input from its output (Gomez et al. 2017, RevNet, arXiv:1707.04585), runs once
more with its gradients, and is let go of; a step that cannot do so exactly keeps its input (Chen et al. 2016,
arXiv:1604.06174).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.kernels.random_state import random_state
from pushforward.kernels.replay import (
    Image,
    ReconstructionError,
    Step,
    autocast_state,
    check_precision,
    replayed,
    restored,
    setting_of,
)
from pushforward.numerics import HALF, at_least_single


@torch.compiler.disable(recursive=False)  # type: ignore[untyped-decorator]
def recomputed(
    steps: Sequence[Step],
    x: Tensor,
    context: Tensor | None,
    generator: torch.Generator | None,
    error: ReconstructionError,
) -> Image:
    """Run the steps in turn, with gradients by recomputation.

    Raises:
        UsageError: in half precision, in which activations are found again too coarsely; and in the backward pass, if
            derivatives of it are asked for or parameters have been replaced since.
    """
    total: Tensor | None = None
    for by_itself, group in groupby(steps, lambda step: step.by_itself):
        run = _run_in_turn if by_itself else _run_and_recompute
        x, terms = run(list(group), x, context, generator, error)
        total = _sum(total, terms)
    return x, total


def _run_in_turn(
    steps: Sequence[Step], x: Tensor, context: Tensor | None, generator: torch.Generator | None, _: ReconstructionError
) -> Image:
    total: Tensor | None = None
    for step in steps:
        x, term = _call(step, step.run, x, context, generator)
        total = _sum(total, term)
    return x, total


def _run_and_recompute(
    steps: Sequence[Step],
    x: Tensor,
    context: Tensor | None,
    generator: torch.Generator | None,
    error: ReconstructionError,
) -> Image:
    first = _first_with_gradients(steps, x, context)
    x, total = _run_in_turn(steps[:first], x, context, generator, error)
    steps = steps[first:]
    parameters = _each_once([_trained(step.module) for step in steps])
    check_precision([x, *parameters], x.device.type)
    if not steps:
        return x, total
    z, rest = _Recomputed.apply(_Work(steps, generator, error), x, context, *parameters)  # type: ignore[no-untyped-call]
    return z, _sum(total, rest)


@dataclass(frozen=True)
class _Work:
    steps: Sequence[Step]
    generator: torch.Generator | None
    error: ReconstructionError


class _Recomputed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, work: _Work, x: Tensor, context: Tensor | None, *parameters: Tensor) -> Image:
        ctx.work, ctx.autocast = work, autocast_state(x.device.type)
        ctx.set_materialize_grads(False)
        ctx.states, ctx.settings, kept, z, total = [], [], [], x, None
        before = random_state(x.device, work.generator)
        for index, step in enumerate(work.steps):
            ctx.settings.append(setting_of(step.module))
            with torch.autocast(**ctx.autocast):
                image, term = _call(step, step.run, z, context, work.generator)
            after = random_state(x.device, work.generator)
            drew = not all(map(torch.equal, before, after))
            ctx.states.append(before if drew else None)
            before = after
            lost = step.rebuild is None or image.dtype in HALF or (drew and not step.at_once)
            # The first input is there anyway, and tells how well it is found again.
            kept.append(z if lost or index == 0 else None)
            z, total = image, _sum(total, term)
        ctx.needs_x = x.requires_grad
        ctx.save_for_backward(z, context, *kept)
        # Not among what is saved: hooks on saved tensors may give back others.
        ctx.parameters, ctx.versions = parameters, [each._version for each in parameters]
        return z.view_as(z), total

    @staticmethod
    def backward(ctx: Any, dz: Tensor | None, d_total: Tensor | None) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise UsageError(
                "recomputation gives first derivatives alone, and derivatives of gradients are asked for "
                "(create_graph=True): build the chain with recompute=False"
            )
        work: _Work = ctx.work
        z, context, *kept = ctx.saved_tensors
        own = [_trained(step.module) for step in work.steps]
        _check_same(ctx.parameters, ctx.versions, _each_once(own))
        gradients, new = _Gradients(), work.error.is_new
        for index in reversed(range(len(work.steps))):
            step, source = work.steps[index], kept[index]
            given = None if context is None else context.detach().requires_grad_(ctx.needs_input_grad[2])
            state = ctx.states[index]
            numbers = nullcontext() if state is None else replayed(state, z.device, work.generator)
            with torch.enable_grad(), torch.autocast(**ctx.autocast), numbers, restored(ctx.settings[index]):
                if source is None:
                    assert step.rebuild is not None
                    x, *image = _call(step, step.rebuild, z, given)
                else:
                    x = source.detach().requires_grad_(source.is_floating_point() and (index > 0 or ctx.needs_x))
                    image = [*_call(step, step.run, x, given, work.generator)]
                    work.error.note(z, image[0].detach())
                if new:
                    # Once: going through a graph takes a while.
                    _check_owned(image, own[index])
                dz, d_given, *rest = _pulled_back(image, (dz, d_total), (x, given, *own[index]))
            gradients.add(context, d_given)
            for parameter, gradient in zip(own[index], rest, strict=True):
                gradients.add(parameter, gradient)
            z = x.detach()  # type: ignore[union-attr]
        return None, dz if ctx.needs_x else None, *map(gradients.of, (context, *ctx.parameters))


class _Gradients:
    """Sums of gradients: a context reaches many steps, and so does a parameter that they share."""

    def __init__(self) -> None:
        self._sums: dict[int, Tensor] = {}

    def add(self, tensor: Tensor | None, gradient: Tensor | None) -> None:
        if gradient is not None:
            before = self._sums.get(id(tensor))
            self._sums[id(tensor)] = gradient if before is None else before + gradient

    def of(self, tensor: Tensor | None) -> Tensor | None:
        return self._sums.get(id(tensor))


def _pulled_back(
    outputs: Sequence[Tensor | None], gradients: Sequence[Tensor | None], inputs: Sequence[Tensor | None]
) -> list[Tensor | None]:
    """The gradients of the inputs, None where there is none."""
    pairs = [
        # The batch is that of all steps together, which a context behind this one may have made larger.
        (output, gradient.sum_to_size(output.shape).to(output.dtype))
        for output, gradient in zip(outputs, gradients, strict=True)
        if output is not None and gradient is not None and output.requires_grad
    ]
    wanted = [each for each in inputs if each is not None and each.requires_grad]
    if not pairs or not wanted:
        return [None] * len(inputs)
    ends, starts = zip(*pairs, strict=True)
    found = iter(torch.autograd.grad(ends, wanted, starts, allow_unused=True))
    return [next(found) if each is not None and each.requires_grad else None for each in inputs]


def _check_owned(outputs: Sequence[Tensor | None], own: Sequence[Tensor]) -> None:
    """Raise :class:`UsageError` where outputs are made of parameters which no gradient would reach."""
    known = set(map(id, own))
    seen = {output.grad_fn for output in outputs if output is not None and output.grad_fn is not None}
    waiting = list(seen)
    while waiting:
        node = waiting.pop()
        variable = getattr(node, "variable", None)
        if isinstance(variable, nn.Parameter) and id(variable) not in known:
            raise UsageError(
                f"recomputation finds the gradients of parameters that a part owns, and one depends on another's, of "
                f"shape {tuple(variable.shape)}, through a function that closes over it, say: make what it belongs to "
                f"a submodule of the part, or take recompute=False"
            )
        after = {each for each, _ in node.next_functions if each is not None} - seen
        seen.update(after)
        waiting.extend(after)


def _call(step: Step, function: Callable[..., Any], x: Tensor, *given: Any) -> Any:
    """Call a function of the step in the step's precision."""
    if not (step.full_precision and torch.is_autocast_enabled(x.device.type)):
        return function(x, *given)
    with torch.autocast(x.device.type, enabled=False):
        return function(at_least_single(x), *given)


def _first_with_gradients(steps: Sequence[Step], x: Tensor, context: Tensor | None) -> int:
    """The first step that has anything to differentiate."""
    if x.requires_grad or (context is not None and context.requires_grad):
        return 0
    return next((index for index, step in enumerate(steps) if _trained(step.module)), len(steps))


def _trained(module: nn.Module) -> list[Tensor]:
    """The parameters that gradients are for."""
    return [each for each in module.parameters() if each.requires_grad]


def _each_once(parameters: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """All parameters; a part may stand in several places."""
    return list(dict.fromkeys(chain.from_iterable(parameters)))


def _check_same(before: Sequence[Tensor], versions: Sequence[int], now: Sequence[Tensor]) -> None:
    if list(map(id, before)) != list(map(id, now)) or versions != [each._version for each in now]:
        raise UsageError(
            "the backward pass computes anew and expects the parameters that the forward pass had, and they have been "
            "changed, replaced (functional_call) or frozen since: call backward before that, or take recompute=False"
        )


def _sum(total: Tensor | None, term: Tensor | None) -> Tensor | None:
    if total is None or term is None:
        return total if term is None else term
    return total + term
