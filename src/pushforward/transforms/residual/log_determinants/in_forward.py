"""Gradients of a log-determinant computed on the way forward, so that no graph of it is kept."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pushforward.transforms.residual.log_determinants.base import Perturbation
from pushforward.transforms.residual.log_determinants.series import PowerSeries, Probe


class GradientsInForward(PowerSeries):
    r"""A power series whose gradients are computed with its values: where ``dL / d log_det_n = c`` for all events,
    ``dL / dp = c d(sum_n log_det_n) / dp`` (Chen et al. 2019, arXiv:1906.02735, section 3.2).

    What is kept for the backward pass is the graph of ``g(x)`` and one gradient for each input and parameter, however
    many terms there are. A mean or a sum of log-densities weighs all events of a batch alike, so the summed gradient is
    enough; where a loss does not, the estimates are evaluated again, with the same noise, in the backward pass. There
    are no gradients of gradients.

    Args:
        series: the power series; with `NeumannGradients` the memory on the way does not grow with the terms either.

    Shapes: ``x`` and ``g(x)`` are ``(..., D)`` or ``(..., C, H, W)``, ``log_det`` is ``(...)``.

    Raises:
        nothing of its own: what the series raises.

    Example:
        >>> from pushforward.transforms import NeumannGradients, RussianRoulette
        >>> g = Perturbation(torch.nn.Linear(2, 2, bias=False))
        >>> _ = g.network.weight.data.copy_(torch.diag(torch.tensor([0.5, -0.5])))
        >>> rule = GradientsInForward(NeumannGradients(RussianRoulette(exact_terms=20)))
        >>> shift, log_det = rule(g, torch.ones(1, 2))
        >>> log_det.sum().backward()
        >>> g.network.weight.grad.diagonal().round(decimals=4)
        tensor([0.6667, 2.0000])
    """

    def __init__(self, series: PowerSeries) -> None:
        super().__init__()
        self.series = series

    def probe(self, x: Tensor, generator: torch.Generator | None) -> Probe:
        return self.series.probe(x, generator)

    def bias(self, dimensions: int, lipschitz: float) -> float:
        return self.series.bias(dimensions, lipschitz)

    def evaluate(self, g: Perturbation, x: Tensor, probe: Probe) -> tuple[Tensor, Tensor]:
        if not torch.is_grad_enabled():
            return self.series.evaluate(g, x, probe)
        shift, log_det = _WithGradients.apply(self.series, g, probe, x, *g.sources)
        return shift, log_det


class _WithGradients(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, series: PowerSeries, g: Perturbation, probe: Probe, x: Tensor, *sources: Tensor
    ) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            points = x.detach().requires_grad_()
            shift, log_det = series.evaluate(g, points, probe)
            inputs = (points, *sources)
            gradients = torch.autograd.grad(log_det.sum(), inputs, retain_graph=True, allow_unused=True)
        ctx.again, ctx.inputs, ctx.gradients, ctx.shift = (series, g, probe), inputs, gradients, shift
        return shift.detach(), log_det.detach()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_shift: Tensor, of_log_det: Tensor) -> tuple[Any, ...]:
        shift, ctx.shift = _shift(ctx), None
        through_shift = torch.autograd.grad(shift, ctx.inputs, of_shift, allow_unused=True)
        through_log_det = _through_log_det(ctx, of_log_det)
        return None, None, None, *map(_sum, through_shift, through_log_det)


def _shift(ctx: Any) -> Tensor:
    """``g(x)``, whose graph is gone after the first of several passes backwards."""
    if ctx.shift is not None:
        return ctx.shift
    _, g, _ = ctx.again
    with torch.enable_grad():
        return g(ctx.inputs[0])


def _through_log_det(ctx: Any, weights: Tensor) -> tuple[Tensor | None, ...]:
    """The gradients of the weighted sum of the estimates: in proportion to those of the plain sum, where the weights
    are all the same."""
    if bool((weights == weights[:1]).all()):
        weight = weights[:1].sum()
        return tuple(None if each is None else weight * each for each in ctx.gradients)
    series, g, probe = ctx.again
    with torch.enable_grad():
        _, log_det = series.evaluate(g, ctx.inputs[0], probe)
    return torch.autograd.grad(log_det, ctx.inputs, weights, allow_unused=True)


def _sum(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    if first is None or second is None:
        return second if first is None else first
    return first + second
