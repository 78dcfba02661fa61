"""The error of a training step whose numbers are not finite."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.errors import TrainingError
from pushforward.flows.flow import Flow
from pushforward.kernels.random_state import set_random_state
from pushforward.training.batches import Batch
from pushforward.training.checks import named_rows
from pushforward.training.diagnosis import first_nonfinite_part, has_nonfinite, rows_at_fault
from pushforward.training.objectives import Objective


def step_failure(flow: Flow, objective: Objective, batch: Batch, step: int, state: list[Tensor]) -> TrainingError:
    """Run a failed step again and tell which part of the flow fails first, and for which rows if it is a few.

    Args:
        flow: with the failed step's gradients; its buffers are left as they are.
        objective: the loss.
        batch: of the failed step.
        step: its number, from 1.
        state: of the random numbers before the step.

    Returns:
        The error, with ``step``, ``rows`` (of the batch), ``part`` and ``rows_at_fault`` as attributes.
    """
    x, context, rows = batch
    weights = [weight for weight in flow.parameters() if weight.requires_grad]
    buffers = [buffer.clone() for buffer in flow.buffers()]

    def fails(some: Tensor) -> bool:
        set_random_state(state)
        at = some.to(x.device)
        loss = objective(flow, x[at], None if context is None else context[at])
        return has_nonfinite(loss) or has_nonfinite(torch.autograd.grad(loss, weights, allow_unused=True))

    set_random_state(state)
    with torch.compiler.set_stance("force_eager"):
        part = first_nonfinite_part(flow, lambda: objective(flow, x, context), x)
        culprits = rows[rows_at_fault(fails, len(rows))]
    for buffer, kept in zip(flow.buffers(), buffers):
        buffer.copy_(kept)

    remedy = "try a lower learning rate"
    if len(culprits):
        remedy = f"it fails for {named_rows(culprits)} alone, look at them"
    error = TrainingError(
        f"the loss or its gradient is not finite at step {step}, batch of {len(rows)} {named_rows(rows)}; "
        f"the first part to fail is {part}; the last good weights are kept, {remedy}"
    )
    error.step, error.rows, error.part = step, rows, part  # type: ignore[attr-defined]
    error.rows_at_fault = culprits  # type: ignore[attr-defined]
    return error
