"""Guidance: a flow pushed towards its context."""

from __future__ import annotations

from torch import Tensor

from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.networks.causal import CausalNetwork
from pushforward.networks.embeddings.dropped import DroppedContext
from pushforward.networks.guided import Guided
from pushforward.transforms.autoregressive.autoregressive import Autoregressive
from pushforward.transforms.base import Transform
from pushforward.transforms.chain import parts_in_turn


def guided(flow: Flow, weight: float) -> Flow:
    r"""Return the flow whose parameters are pushed towards the context, ``theta_c + w (theta_c - theta_none)``.

    Every autoregressive layer of it says ``1 + w`` times what it would with the context, less ``w`` times what without
    one: samples become more typical of their context, and less diverse. It is a flow of its own, with an exact density,
    and shares its weights with the one given.

    Args:
        flow: a flow of autoregressive layers that was trained with contexts left out: one whose embedding is a
            ``DroppedContext``, as ``pf.models.tarflow(context=..., unconditional=0.1)`` makes.
        weight: ``w``; 0 is the flow itself.

    Raises:
        UsageError: if the flow has no such embedding, or no autoregressive layer with a context, or the weight is no
            finite number.

    Source: Ho, Salimans (2022), arXiv:2207.12598; of flows, Zhai et al. (2024), arXiv:2412.06329.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.tarflow(shape=(1, 4, 4), levels=17, context=10, unconditional=0.1, hidden=8, layers=2)
        >>> guided(flow, 1.0).sample(3, torch.eye(10)[:1]).shape
        torch.Size([3, 1, 1, 4, 4])
    """
    if not isinstance(flow.embedding, DroppedContext):
        raise UsageError(
            "guided expects a flow that was trained with contexts left out: make it with an embedding that is a "
            "DroppedContext, as pf.models.tarflow(context=..., unconditional=0.1) does, and train tarflow "
            "--context label --set unconditional=0.1"
        )
    before = list(parts_in_turn(flow.transform))
    parts = [_guided(part, flow.embedding.none.detach(), weight) for part in before]
    if parts == before:
        raise UsageError("guided expects a flow with autoregressive layers that take the context, got one without")
    return Flow(parts, flow.base, context=flow.context or 0, embedding=flow.embedding).train(flow.training)


def _guided(part: Transform, none: Tensor, weight: float) -> Transform:
    """The part, or in its place one whose network is guided."""
    if not isinstance(part, Autoregressive) or part.context is None or not isinstance(part.network, CausalNetwork):
        return part
    network = Guided(part.network, none, weight)
    pushed = Autoregressive(part.event_shape[0], part.scalar, network, part.context, part.order)
    pushed.shared = part.shared
    return pushed
