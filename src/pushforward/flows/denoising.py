"""Denoising by the score: a flow of noisy data knows where less noise is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pushforward.distributions.base import Distribution
from pushforward.distributions.inputs import as_context, as_events
from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.networks.context import broadcast, check_context
from pushforward.transforms.chain import Chain, parts_in_turn
from pushforward.transforms.surjections.gaussian_dequantization import GaussianDequantization


def denoised(flow: Distribution, y: Tensor, noise: float, context: Any = None) -> Tensor:
    r"""Return what noisy events are of in the mean, ``E[x | y] = y + noise^2 grad log p(y)``.

    It holds for ``y = x + noise * e`` with standard normal ``e``, where ``p`` is the density of ``y`` (Robbins 1956;
    Tweedie's formula, see Efron 2011): so of a flow that was trained on data with such noise, and its samples.

    Args:
        flow: the density of noisy events, a flow or another distribution.
        y: noisy events; one with many contexts, and many with one context, broadcast.
        noise: the noise's standard deviation.
        context: the context, as for ``flow.log_prob``.

    Raises:
        ShapeError: if the events or the context do not fit the flow.

    Source: Zhai et al. (2024), arXiv:2412.06329.

    Example:
        >>> from pushforward.distributions import StandardNormal
        >>> from pushforward.scalar import Affine
        >>> from pushforward.transforms import Elementwise
        >>> flow = Flow([Elementwise(Affine(), (1,))], StandardNormal((1,)))
        >>> denoised(flow, torch.tensor([[2.0]]), noise=0.6).round(decimals=2)
        tensor([[1.2800]])
    """
    # Copies, since nothing that was made in inference mode can carry a gradient.
    with torch.inference_mode(False), torch.enable_grad():
        events = as_events(flow, y, discrete=False).detach().clone()
        given = as_context(flow, context)
        given = None if given is None else given.detach().clone()
        # Each with a context of its own has a score of its own.
        noisy = _with_contexts(flow, events, given).requires_grad_()
        (score,) = torch.autograd.grad(flow.log_prob(noisy, given).sum(), noisy)
    return noisy.detach() + noise**2 * score


def _with_contexts(flow: Distribution, events: Tensor, context: Tensor | None) -> Tensor:
    """Events for each of the contexts that they are broadcast with."""
    check_context(context, flow.context, "denoised")
    if context is None or flow.context is None:
        return events
    return broadcast(events, len(flow.event_shape), context, len(flow.context.shape), "denoised").clone()


def sample_denoised(
    flow: Flow,
    sample_shape: int | Sequence[int] = (),
    context: Any = None,
    *,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw samples of a flow of integers that were given normal noise, and take the noise off, by :func:`denoised`.

    Args:
        flow: a flow that begins with a ``GaussianDequantization``, as ``pf.models.tarflow(noise=0.05)`` makes.
        sample_shape, context, temperature, generator: as for ``flow.sample``.

    Raises:
        UsageError: if the flow begins with something else.

    Source: Zhai et al. (2024), arXiv:2412.06329.

    Example:
        >>> import pushforward as pf
        >>> flow = pf.models.tarflow(shape=(1, 4, 4), levels=17, noise=0.1, hidden=8, layers=2)
        >>> sample_denoised(flow, 3).shape
        torch.Size([3, 1, 4, 4])
    """
    first, *rest = parts_in_turn(flow.transform)
    if not isinstance(first, GaussianDequantization) or not rest:
        raise UsageError(
            f"sample_denoised expects a flow that begins with a GaussianDequantization, got one that begins with "
            f"{type(first).__name__}: make one with pf.models.tarflow(noise=0.05), or "
            "train tarflow --set noise=0.05"
        )
    noisy = Flow(Chain(rest), flow.base, context=flow.context or 0, embedding=flow.embedding).train(flow.training)
    y = noisy.sample(sample_shape, context, temperature=temperature, generator=generator)
    return first.decode(denoised(noisy, y, first.noise, context))
