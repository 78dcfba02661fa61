"""Whether a training is compiled, and for how long."""

from __future__ import annotations

from typing import Literal

import torch

from pushforward.distributions import Distribution
from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.kernels.compilation import compiled_form, set_compiled_form
from pushforward.kernels.compile_cost import compile_cost
from pushforward.kernels.compiler import has_compiler, is_compiler_failure, quiet_compiler
from pushforward.training.batches import Batch
from pushforward.training.objectives import Objective
from pushforward.training.stopping import Limits
from pushforward.training.warning import warn

Compile = bool | Literal["auto"]

SURELY = 1.0
"""How many times over the steps ahead have to pay for compiling, whose cost is estimated rather too high."""

SHARE_RUN = 0.75
"""The share of its steps that a training counts on which may run out of patience."""

SHARE_SAVED = 0.25
"""The share of a time limit that is counted on to be saved."""


def compiles(choice: Compile, flow: Distribution, rows: int, limits: Limits, device: torch.device) -> bool:
    """Whether a training by batches of ``rows`` is to be compiled: as told, or where it surely pays.

    The answer follows from the flow, the batch and the limits alone, never from how fast the machine is just now, so
    that a training comes out the same each time.

    Raises:
        UsageError: if the choice is none.
    """
    if choice != "auto":
        if not isinstance(choice, bool):
            raise UsageError(f"compile expects True, False or 'auto', got {choice!r}")
        return choice
    if not isinstance(flow, Flow) or not flow.transform.capturable:
        # A distribution alone has no blocks; the steps of an adaptive solver stay as they are, and are nearly all of
        # the work.
        return False
    cost = compile_cost(flow, rows, device.type)
    if cost is None:
        return False
    ahead = [] if limits.steps is None else [limits.steps * cost.saved]
    ahead += [] if limits.seconds is None else [limits.seconds * SHARE_SAVED]
    counted_on = 1.0 if limits.patience is None else SHARE_RUN
    return min(ahead, default=0.0) * counted_on > SURELY * cost.compiling and has_compiler(device)


class Compiled:
    """A flow that is compiled while it is trained, and afterwards is called as before.

    What is compiled is made for the one shape of the training's batches: a flow that kept it would be compiled anew for
    each number of rows that it is asked about later.
    """

    def __init__(self, flow: Flow, objective: Objective, batch: Batch, device: torch.device) -> None:
        self._flow = flow
        self._before = compiled_form(flow)
        flow.compile_blocks()
        try:
            _try(flow, objective, batch, device)
        except Exception as error:
            self.release()
            # Faults of the objective or the data come back in the first step, where they are told as what they are.
            if is_compiler_failure(error):
                warn(f"the compiler failed, so the training goes on without it: {_first_line(error)}")

    def release(self) -> None:
        """Let the flow be called as it was before."""
        set_compiled_form(self._flow, self._before)


def _try(flow: Flow, objective: Objective, batch: Batch, device: torch.device) -> None:
    """Compile forward and backward by one call that leaves no trace: no draws, no gradients, no statistics."""
    x, context = (None if each is None else each.to(device) for each in batch[:2])
    assert x is not None
    weights = [weight for weight in flow.parameters() if weight.requires_grad]
    buffers = [(buffer, buffer.detach().clone()) for buffer in flow.buffers()]
    with torch.random.fork_rng([device] if device.type == "cuda" else []), quiet_compiler():
        loss = objective(flow, x, context)
        torch.autograd.grad(loss, weights, allow_unused=True)
    with torch.no_grad():
        for buffer, value in buffers:
            buffer.copy_(value)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
