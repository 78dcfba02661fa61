"""How straight the trajectories of a continuous flow are."""

from __future__ import annotations

from typing import Any

import torch

from pushforward.errors import UsageError
from pushforward.flows.expected import require_flow
from pushforward.flows.flow import Flow
from pushforward.spaces import Reals
from pushforward.training.objectives.flow_matching.field import FieldOfFlow, contexts_for
from pushforward.transforms import FixedSteps
from pushforward.transforms.continuous.drift import Position
from pushforward.transforms.continuous.solver import Steps


@torch.no_grad()
def straightness(flow: Flow, context: Any = None, *, draws: int = 1000, times: int = 32, seed: int = 0) -> float:
    r"""Return how far the trajectories of a continuous flow are from straight lines, ``E int |v(t, x_t) - (x_1 -
    x_0)|^2 dt / E |x_1 - x_0|^2``: 0 for straight ones at constant speed.

    Args:
        flow: whose last transform is `Continuous`.
        context: contexts ``(N, ...)`` to draw for, of a conditional flow.
        draws: how many trajectories are followed.
        times: at how many points, by as many steps of the classical Runge-Kutta rule.
        seed: of the latents.

    Raises:
        UsageError: if the last transform of the flow is not continuous, or moves on a sphere, which has no straight
            lines.
        ShapeError: if contexts are missing, superfluous or misshapen.

    Source: Liu, Gong, Liu (2023), arXiv:2209.03003; here relative to the distance.

    Example:
        >>> import pushforward as pf
        >>> straightness(pf.models.cnf(features=2, hidden=[8]), draws=10)
        0.0
    """
    require_flow("straightness", flow)
    parts, given = FieldOfFlow.of(flow, "straightness"), contexts_for(flow, context, draws)
    if not isinstance(parts.continuous.domain, Reals):
        raise UsageError(f"straightness expects a flow of real vectors or images, got one of {parts.continuous.domain}")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        z, features = parts.checked(parts.latents(draws, given), given)
    drift, start, taken = Position(parts.continuous.velocity, z.shape[1:]), z.flatten(1), list[Steps]()
    end, _ = FixedSteps(times, "runge-kutta").solve(drift, start, (features,), (0.0, 1.0), taken.append)
    moved = end - start
    bends = [(drift(each.time, each.state, features) - moved).square().sum(1) for each in taken]
    distance = moved.square().sum(1).mean().clamp_min(torch.finfo(moved.dtype).tiny)
    return (torch.stack(bends).mean() / distance).item()
