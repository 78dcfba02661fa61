"""Log-determinants of residual layers: estimates against the exact determinant, and Russian roulette beside normflows.

The first rows hold 2,000 draws against the exact log-determinant of four events, in standard errors: how far their mean
over the events is off, and how far the worst event is. Events share the number of terms, so their errors are no
independent tests.

The others compare a training step of one layer with normflows' `Residual`: the same network, the same numbers of terms
(one or more behind two exact ones), and the same way to gradients on both sides: once that which is normflows' default,
a Neumann series whose gradients are computed in the forward pass (Chen et al. 2019), and once through all terms. Times
are means of steps taken in turn; at the same accuracy they are weighed by the variance of the estimate, which the noise
of signs, ours by default, makes smaller than normal noise does.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
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
    GradientsInForward,
    NeumannGradients,
    RussianRoulette,
    TruncatedSeries,
)
from pushforward.transforms.residual.log_determinants.series import PowerSeries

DRAWS, EVENTS, BATCH, REPEATS = 2000, 4, 256, 60
ASKED, FASTER = "below 3", "at most 0.7x"
SHAPES: list[tuple[int, ...]] = [(2,), (10,), (64,), (1, 8, 8), (3, 8, 8)]
WAYS: dict[str, tuple[Callable[[], PowerSeries], bool]] = {
    "gradients in forward": (lambda: GradientsInForward(NeumannGradients(RussianRoulette(exact_terms=2))), True),
    "gradients of all terms": (lambda: RussianRoulette(exact_terms=2), False),
}
"""How gradients are computed: our rule, and `reduce_memory` of normflows."""


def run(seconds: float | None, data: Path, shapes: Sequence[tuple[int, ...]] = SHAPES) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for shape in shapes:
        rows += [row for name, rule in _rules().items() for row in _mean_rows(name, rule, shape)]
    for shape in shapes:
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
def _mean_rows(name: str, rule: Any, shape: tuple[int, ...]) -> list[dict[str, object]]:
    layer = _layer(shape, rule).train()
    x = torch.randn(EVENTS, *shape, generator=torch.Generator().manual_seed(2))
    exact = _layer(shape, ExactLogDeterminant())(x)[1].double()
    draws = _draws(layer, x).double()
    place = f"{name}, {_text(shape)}: standard errors off the exact {exact.mean():.3f}"
    return [
        {
            "what": f"{place}, the mean over events",
            "ours": _off(draws.mean(1), exact.mean()),
            "other": None,
            "asked": ASKED,
        },
        {"what": f"{place}, the worst event", "ours": _off(draws, exact), "other": None, "asked": ASKED},
    ]


def _off(draws: Tensor, exact: Tensor) -> float:
    """How many standard errors the mean of the draws is off, at most."""
    return ((draws.mean(0) - exact).abs() / (draws.std(0) / DRAWS**0.5)).max().item()


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
    x = torch.randn(BATCH, *shape, generator=torch.Generator().manual_seed(2))
    theirs_with = partial(normflows.flows.Residual, network, reverse=False, n_exact_terms=2, geom_p=0.5)
    # The value of its estimate with Neumann gradients is no log-determinant: that without is, from as many terms.
    plain = Contractive(network, shape, RussianRoulette(exact_terms=2)).train()
    spreads = [_variance(call, x[:EVENTS]) for call in (plain, theirs_with(reduce_memory=False).train())]
    name, rows = _text(shape), []
    variance = {
        "what": f"{name}: variance of an estimate",
        "ours": spreads[0],
        "other": spreads[1],
        "asked": "as small",
    }
    for way, (rule, reduce_memory) in WAYS.items():
        ours = Contractive(network, shape, rule()).train()
        mine, other = _times(x, ours, theirs_with(reduce_memory=reduce_memory).train())
        rows += [
            {"what": f"{name}, {way}: ms of a training step", "ours": mine, "other": other, "asked": FASTER},
            {
                "what": f"{name}, {way}: time x variance, the time at one accuracy",
                "ours": mine * spreads[0],
                "other": other * spreads[1],
                "asked": FASTER,
            },
        ]
    return [variance, *rows]


def _times(x: Tensor, *layers: nn.Module) -> list[float]:
    """Milliseconds of a training step of each layer, in turn: means, since numbers of terms are random, of what is left
    of outliers."""
    times: list[list[float]] = [[] for _ in layers]
    for _ in range(REPEATS):
        for layer, taken in zip(layers, times, strict=True):
            began = time.perf_counter()
            z, log_det = layer(x.clone().requires_grad_())
            (z.square().mean() - log_det.mean()).backward()
            layer.zero_grad()
            taken.append(1e3 * (time.perf_counter() - began))
    return [statistics.fmean(sorted(each)[: -REPEATS // 10]) for each in times]


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


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
