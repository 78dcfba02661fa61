"""Gradients of a log-determinant by a Neumann series, whose graph does not grow with the terms."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.transforms.residual.log_determinants.base import Perturbation, differentiable
from pushforward.transforms.residual.log_determinants.series import PowerSeries, Probe, products, traces


class NeumannGradients(PowerSeries):
    r"""A power series whose gradient is estimated by ``d log det(I + J) = tr((I + J)^-1 dJ)`` (Chen et al. 2019,
    arXiv:1906.02735, equation 8).

    The inverse is the series ``sum_k (-1)^k w_k J^k`` with the same random terms, of which no graph is kept: only the
    last product, with ``dJ``, is differentiated. The values are those of the series itself, the gradients are right in
    the mean where its values are.

    Args:
        series: the power series, with its terms and noise.

    Raises:
        nothing of its own: what the series raises.

    Example:
        >>> from pushforward.transforms import RussianRoulette
        >>> g = Perturbation(torch.nn.Linear(2, 2, bias=False))
        >>> _ = g.network.weight.data.copy_(torch.diag(torch.tensor([0.5, -0.5])))
        >>> shift, log_det = NeumannGradients(RussianRoulette(exact_terms=20))(g, torch.ones(1, 2))
        >>> (gradient,) = torch.autograd.grad(log_det.sum(), g.network.weight)
        >>> gradient.diagonal().round(decimals=4)
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
        points = differentiable(x)
        shift = g(points)
        logarithm, inverse = torch.zeros_like(points), probe.noise
        for k, product in enumerate(products(shift, points, probe, create_graph=False), 1):
            term = (-1) ** k * probe.weights[k - 1]
            logarithm = logarithm.add(product, alpha=-term / k)
            inverse = inverse.add(product, alpha=term)
        (product,) = torch.autograd.grad(shift, points, inverse, create_graph=True)
        carrier = traces(product, probe)
        return shift, traces(logarithm, probe) + (carrier - carrier.detach())
