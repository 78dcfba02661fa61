"""Clips on the command line: the first frames are given, those behind them are scored."""

from __future__ import annotations

from torch import Tensor

from pushforward.flows.flow import Flow

#: Events, alone or with the contexts that they are scored given.
Scored = Tensor | tuple[Tensor, Tensor]


def given_frames(flow: Flow) -> int:
    """How many first frames of a clip a flow is given; 0 of flows of anything else."""
    shape = flow.context_shape
    return shape[0] if shape is not None and len(shape) == len(flow.event_shape) == 4 else 0


def scored(flow: Flow, x: Tensor) -> Scored:
    """Data as a flow scores them: of whole clips ``(N, T, C, H, W)``, where the first frames are given, the others with
    those as contexts."""
    first = given_frames(flow)
    return (x[:, first:], x[:, :first]) if first else x


def in_pair(events: Scored) -> tuple[Tensor, Tensor | None]:
    """Events and their contexts, None for none."""
    return events if isinstance(events, tuple) else (events, None)


def whole(first: Tensor, future: Tensor) -> Tensor:
    """Clips of the given frames and what follows."""
    import torch

    return torch.cat([first.to(future), future], 1)
