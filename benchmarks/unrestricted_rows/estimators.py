"""Log-determinants of residual layers: estimates against the exact determinant, and Russian roulette beside normflows.

The first rows hold the mean of 2,000 draws against the exact log-determinant, in standard errors of the
mean over a few events. The others compare a training step of one layer (values, and gradients by Neumann
series) with normflows' `Residual`: the same network, the same numbers of terms, in turn. Its
number of terms is 1 or more behind the exact ones, as ours is. Times are medians of one draw; at the same accuracy they
are weighed by the variance of the estimate, which Rademacher noise makes smaller than normal noise does.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.networks import LipschitzConvNet, LipschitzMLP, normalised_once
from pushforward.testing import randomise
from pushforward.transforms import (
    Contractive,
    ExactLogDeterminant,
    NeumannGradients,
    RussianRoulette,
    TruncatedSeries,
)

DRAWS, EVENTS, BATCH, REPEATS = 2000, 4, 256, 60
SHAPES: list[tuple[int, ...]] = [(2,), (10,), (64,), (1, 8, 8), (3, 8, 8)]


def run(seconds: float | None, data: Path) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for shape in SHAPES:
        rows += [_mean_row(name, rule, shape) for name, rule in _rules().items()]
    for shape in SHAPES[1:]:
        rows += _beside_normflows(shape)
    return rows


def _rules() -> dict[str, Any]:
    return {"Russian roulette": RussianRoulette(exact_terms=2), "60 terms": TruncatedSeries(60)}


def _layer(shape: tuple[int, ...], rule: Any) -> Contractive:
    """A layer at random weights that use much of its Lipschitz constant."""
    torch.manual_seed(0)
    network = (
        partial(LipschitzMLP, hidden=(64, 64), lipschitz=0.9)
        if len(shape) == 1
        else partial(LipschitzConvNet, plane=shape[1:], hidden=32, lipschitz=0.9)
    )
    return randomise(Contractive(network, shape, rule), 2.0, torch.Generator().manual_seed(1))


@torch.no_grad()
def _mean_row(name: str, rule: Any, shape: tuple[int, ...]) -> dict[str, object]:
    layer = _layer(shape, rule).train()
    x = torch.randn(EVENTS, *shape, generator=torch.Generator().manual_seed(2))
    exact = _layer(shape, ExactLogDeterminant())(x)[1].double()
    draws = _draws(layer, x).double()
    # Events share the number of terms, so their errors are no independent tests: one, of their mean.
    draws, exact = draws.mean(1), exact.mean()
    errors = (draws.mean() - exact).abs() / (draws.std() / DRAWS**0.5)
    what = f"{name}, {'x'.join(map(str, shape))}: standard errors off the exact {exact:.3f}"
    return {"what": what, "ours": errors.item(), "other": None, "asked": "below 3"}


def _draws(layer: Contractive, x: Tensor) -> Tensor:
    """Independent estimates of each event, ``(draws, events)``: a number of terms is drawn once for a call, the noise
    of a fixed number of terms for each event."""
    generator = torch.Generator().manual_seed(3)
    with normalised_once(layer.network):
        if isinstance(layer.log_det, TruncatedSeries):
            return layer(x.expand(DRAWS, *x.shape), generator=generator)[1]
        return torch.stack([layer(x, generator=generator)[1] for _ in range(DRAWS)])


def _beside_normflows(shape: tuple[int, ...]) -> list[dict[str, object]]:
    import normflows

    network = _Plain(shape)
    layer = Contractive(network, shape, NeumannGradients(RussianRoulette(exact_terms=2))).train()
    theirs = normflows.flows.Residual(network, reverse=False, n_exact_terms=2, geom_p=0.5).train()
    x = torch.randn(BATCH, *shape, generator=torch.Generator().manual_seed(2))

    def step(call: Callable[[Tensor], tuple[Tensor, Tensor]], module: nn.Module) -> float:
        began = time.perf_counter()
        z, log_det = call(x.clone().requires_grad_())
        (z.square().mean() - log_det.mean()).backward()
        module.zero_grad()
        return time.perf_counter() - began

    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(REPEATS):
        times[0].append(step(layer, layer))
        times[1].append(step(theirs, theirs))
    # Its number of terms is random as ours is: means, of what is left of outliers.
    mine, other = (statistics.fmean(sorted(each)[: -REPEATS // 10]) for each in times)
    # The value of its training estimate is no log-determinant: that of its evaluation is, from as many terms.
    basic = normflows.flows.Residual(network, reverse=False, n_exact_terms=2, geom_p=0.5, reduce_memory=False).train()
    plain = Contractive(network, shape, RussianRoulette(exact_terms=2)).train()
    spreads = [_variance(call, x[:EVENTS]) for call in (plain, basic)]
    name = "x".join(map(str, shape))
    asked = "at most 0.7x"
    return [
        {"what": f"{name}: ms of a training step", "ours": 1e3 * mine, "other": 1e3 * other, "asked": asked},
        {"what": f"{name}: variance of an estimate", "ours": spreads[0], "other": spreads[1], "asked": "as small"},
        {
            "what": f"{name}: time x variance, the time at one accuracy",
            "ours": 1e3 * mine * spreads[0],
            "other": 1e3 * other * spreads[1],
            "asked": asked,
        },
    ]


class _Plain(nn.Module):
    """A network whose weights are small as they are: what normalising them costs is not the estimators' business."""

    def __init__(self, shape: tuple[int, ...], hidden: int = 64, lipschitz: float = 0.9) -> None:
        super().__init__()
        torch.manual_seed(0)
        sizes = [shape[0], hidden, hidden, shape[0]]
        made = nn.Linear if len(shape) == 1 else partial(nn.Conv2d, kernel_size=3, padding=1)
        layers = [made(a, b) for a, b in pairwise(sizes)]
        for layer in layers:
            layer.weight.data *= lipschitz ** (1 / 3) / _bound(layer.weight)
        self.lipschitz = lipschitz
        self.layers = nn.Sequential(layers[0], nn.ELU(), layers[1], nn.ELU(), layers[2])

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.layers(x)


def _bound(weight: Tensor) -> Tensor:
    """The norm of a matrix; of a convolution no less than its norm, the sum over the places of the kernel."""
    if weight.dim() == 2:
        return torch.linalg.matrix_norm(weight.detach(), 2)
    return torch.linalg.matrix_norm(weight.detach().permute(2, 3, 0, 1), 2).sum()


def _variance(call: Callable[[Tensor], tuple[Tensor, Tensor]], x: Tensor) -> float:
    """The variance of an event's estimate over calls, the mean over events."""
    many = x.repeat_interleave(8, 0)
    draws = torch.stack([call(many)[1].detach().reshape(len(x), 8) for _ in range(250)])
    return draws.permute(1, 0, 2).flatten(1).var(1).mean().item()
