r"""Probability integral transforms (PIT): whether a flow's distributions hold what they promise.

A continuous bijection of the line increases or decreases, and a flow may do either: a reflection maps ``x`` to
``-x``. With a latent ``z = f(y)`` and the base's distribution function ``F``, the PIT of ``y`` is ``F(z)`` where ``f``
increases and ``1 - F(z)`` where it decreases.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.diagnostics.subjects import flow_and_context, innermost_base
from pushforward.distributions import Distribution, StandardLogistic, StandardNormal, Uniform
from pushforward.errors import ShapeError, UsageError
from pushforward.flows import ConditionedFlow, Flow


def pit_values(flow: Flow | ConditionedFlow, data: Tensor, context: Tensor | None = None) -> NDArray[np.float64]:
    r"""Return the PIT of each dimension, ``(n, D)``: uniform on [0, 1] where the flow is right.

    ``u_d = F(z_d)`` where ``z_d`` increases with ``x_d``, else ``1 - F(z_d)``, with ``F`` the distribution function of
    the base. In an autoregressive flow it is the PIT of each dimension given the ones before it.

    Args:
        flow: a flow of vectors with one latent, or ``flow.condition(context)``.
        data: ``(n, D)``.
        context: one for all rows, or one for each.

    Raises:
        ShapeError: if the events are no vectors.
        UsageError: if the base is neither standard normal, nor logistic, nor uniform, or there are several latents.

    Source: Gneiting, Balabdaoui, Raftery (2007), J. R. Statist. Soc. B 69.

    Example:
        >>> from pushforward.transforms import Householder
        >>> mirrored = Flow([Householder(1)], StandardNormal((1,)))
        >>> pit_values(mirrored, torch.tensor([[-1.0], [0.0], [1.0]])).round(2).tolist()
        [[0.16], [0.5], [0.84]]
    """
    flow, context = flow_and_context(flow, context)
    marginal = base_marginal(innermost_base(flow))
    if len(flow.event_shape) != 1:
        raise ShapeError(f"pit_values expects a flow of vectors (D,), got events of shape {tuple(flow.event_shape)}")
    with torch.no_grad():
        z = flow.encode(data, context)
    if not isinstance(z, Tensor):
        raise UsageError("pit_values expects a flow with one latent, got one with several levels")
    if not len(z):
        return np.zeros(tuple(z.shape))
    below = marginal.cdf(z.double())
    return torch.where(directions(flow, context) > 0, below, 1.0 - below).cpu().numpy()


def directions(flow: Flow, context: Tensor | None = None) -> Tensor:
    r"""Return ``(D,)``, 1 where a dimension increases with its latent and -1 where it decreases.

    Found from the flow itself: the events of two latents that differ in one dimension alone (its quartiles, the others
    at their medians) are compared. Where ``x_d`` depends on ``z_1..z_d`` alone, as in one dimension or in an
    autoregressive flow, it is a continuous bijection of ``z_d`` and so monotone: two points decide. The same holds at
    every context and for all ``z_1..z_{d-1}``, as ``dx_d/dz_d`` is continuous in them and never zero, so that one
    context (the first, if there are several) decides as well.

    Raises:
        UsageError: as :func:`pit_values`.
    """
    low, high = base_marginal(innermost_base(flow)).quartiles
    features = flow.event_shape.numel()
    parameter = next(flow.parameters(), torch.zeros(()))
    offset = torch.eye(features, dtype=parameter.dtype, device=parameter.device) * (0.5 * (high - low))
    latents = 0.5 * (low + high) + torch.cat([-offset, offset])
    with torch.no_grad():
        below, above = flow.decode(latents, first_context(flow, context, 2 * features)).chunk(2)
    return torch.where((above - below).diagonal() < 0, -1.0, 1.0).double()


def first_context(flow: Flow, context: Tensor | None, count: int) -> Tensor | None:
    """The first of the contexts, repeated ``count`` times."""
    if context is None:
        return None
    own = context.shape[len(flow.condition(context).batch_shape) :]
    return context.reshape(-1, *own)[:1].expand(count, *own)


@dataclass(frozen=True)
class Marginal:
    """One dimension of a symmetric base: its distribution function and its first and third quartile."""

    cdf: Callable[[Tensor], Tensor]
    quartiles: tuple[float, float]


def base_marginal(base: Distribution) -> Marginal:
    """Return what each dimension of a base is distributed like.

    Raises:
        UsageError: for a base whose dimensions have no known distribution function.
    """
    if isinstance(base, StandardNormal):
        return Marginal(torch.special.ndtr, (-0.6744897501960817, 0.6744897501960817))
    if isinstance(base, StandardLogistic):
        return Marginal(torch.sigmoid, (-1.0986122886681098, 1.0986122886681098))
    if isinstance(base, Uniform):
        low, width = base.low, base.high - base.low
        return Marginal(lambda z: ((z - low) / width).clamp(0, 1), (low + 0.25 * width, low + 0.75 * width))
    raise UsageError(
        f"expected a flow with a standard normal, logistic or uniform base, got {type(base).__name__}: its latents' "
        f"distribution function is not known"
    )
