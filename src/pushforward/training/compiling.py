"""Whether a training is compiled, and for how long."""

from __future__ import annotations

import logging
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Literal

import torch

from pushforward.flows.flow import Flow
from pushforward.kernels.compilation import compiled_form, set_compiled_form
from pushforward.kernels.compile_cost import compile_cost
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


def compiles(choice: Compile, flow: Flow, rows: int, limits: Limits, device: torch.device) -> bool:
    """Whether a training by batches of ``rows`` is to be compiled: as told, or where it surely pays.

    The answer follows from the flow, the batch and the limits alone, never from how fast the machine is just now, so
    that a training comes out the same each time.
    """
    if choice != "auto":
        return choice
    cost = compile_cost(flow, rows, device.type)
    if cost is None:
        return False
    ahead = [] if limits.steps is None else [limits.steps * cost.saved]
    ahead += [] if limits.seconds is None else [limits.seconds * SHARE_SAVED]
    counted_on = 1.0 if limits.patience is None else SHARE_RUN
    return min(ahead, default=0.0) * counted_on > SURELY * cost.compiling and has_compiler(device)


def has_compiler(device: torch.device) -> bool:
    """Whether what ``torch.compile`` needs for a device is installed: a C++ compiler, and Triton for a GPU."""
    if device.type == "cuda" and find_spec("triton") is None:
        return False
    # Not with the rest: it takes a second, and few trainings come this far.
    from torch._dynamo.eval_frame import is_dynamo_supported

    compilers = [os.environ[name] for name in ("CXX",) if name in os.environ] or ["g++", "clang++", "c++", "cl"]
    return is_dynamo_supported() and any(shutil.which(compiler) for compiler in compilers)


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
            if _is_compilers(error):
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


def _is_compilers(error: Exception) -> bool:
    from torch._dynamo.exc import TorchDynamoException

    return isinstance(error, TorchDynamoException) or type(error).__module__.startswith("torch._inductor")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


@contextmanager
def quiet_compiler() -> Iterator[None]:
    """Without the compiler's notices, which are for those who write it."""
    loggers = [logging.getLogger(name) for name in ("torch._dynamo", "torch._inductor", "torch._functorch")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels):
                logger.setLevel(level)
