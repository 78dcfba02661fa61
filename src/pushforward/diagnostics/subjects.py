"""What diagnostics and pictures look at: a flow, or a flow at a fixed context."""

from __future__ import annotations

from torch import Tensor

from pushforward.distributions import Distribution
from pushforward.errors import UsageError
from pushforward.flows import ConditionedFlow, Flow


def flow_and_context(subject: object, context: Tensor | None = None) -> tuple[Flow, Tensor | None]:
    """Return a flow and its context, of a flow itself or of ``flow.condition(context)``.

    Raises:
        UsageError: for anything else, or a second context for a flow that is at one already.

    Example:
        >>> import torch
        >>> import pushforward as pf
        >>> flow = pf.build("realnvp", features=2, context=3, layers=2)
        >>> _, context = flow_and_context(flow.condition(torch.zeros(3)))
        >>> context.shape
        torch.Size([3])
    """
    if isinstance(subject, Flow):
        return subject, context
    if not isinstance(subject, ConditionedFlow):
        raise UsageError(
            f"expected a flow or flow.condition(context), got {type(subject).__name__}, which has no latents"
        )
    if context is not None:
        raise UsageError("context expects None for a flow that is at a fixed context already: pass the flow itself")
    return subject.flow, subject.context


def innermost_base(flow: Flow) -> Distribution:
    """Return the distribution of the latents, also of a flow whose base is a flow itself."""
    base = flow.base
    while isinstance(base, Flow):
        base = base.base
    return base
