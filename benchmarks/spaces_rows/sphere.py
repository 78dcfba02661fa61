"""The sum of four exp(10 x . mu) on S^2 of Rezende et al. (2020), learned without data, from its density alone: the
Kullback-Leibler divergence to it in nats and the effective sample size of importance weights, of 20,000 samples. The
others are published: the Moebius and spline recursion and the 24-layer exponential map of Rezende et al., the convex
potentials of Cohen et al. (2021)."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

import pushforward as pf
from pushforward.transforms import Bijection, ConvexPotentialMap, ExponentialField, ExponentialMap, Inverse

BUDGET = 300.0
SAMPLES = 20_000
LOG_Z = 10.921586
PLACES = ((1.5, 0.7), (1.0, -1.0), (5.0, 0.6), (4.0, -0.7))
"""Longitudes and latitudes of the four modes."""


def run(seconds: float | None, data: Path) -> list[dict[str, object]]:
    """Train each model and measure."""
    budget = seconds or BUDGET
    rows: list[dict[str, object]] = []
    for name, flow, batch, rate, published, asked in (
        ("recursive", recursive(), 1024, 5e-3, (0.05, 90.0), ("< 0.02", "> 96")),
        ("exponential map, radial", radial(), 256, 1e-2, (0.10, 85.0), ("", "")),
        ("convex potential", convex(), 512, 1e-2, (0.003, 99.3), ("< 0.005", "> 99")),
    ):
        divergence, effective = trained(flow, batch, rate, budget)
        rows.append({"what": f"{name}: KL, nats", "ours": divergence, "other": published[0], "asked": asked[0]})
        rows.append({"what": f"{name}: ESS, %", "ours": effective, "other": published[1], "asked": asked[1]})
    return rows


def target(x: Tensor) -> Tensor:
    """The log-density, up to its constant."""
    angles = x.new_tensor(PLACES)
    longitude, latitude = angles.unbind(-1)
    across = torch.cos(latitude)
    modes = torch.stack([across * torch.cos(longitude), across * torch.sin(longitude), torch.sin(latitude)], -1)
    return torch.logsumexp(10.0 * x @ modes.mT, -1)


def recursive() -> pf.Flow:
    """Two recursive layers."""
    torch.manual_seed(0)
    return pf.models.sphere_recursive(features=3)


def radial() -> pf.Flow:
    """Twelve exponential maps of sums of radial bumps."""
    torch.manual_seed(0)
    return towards_target([ExponentialMap(2, ExponentialField(), 16) for _ in range(12)])


def convex() -> pf.Flow:
    """Four maps along gradients of soft maxima."""
    torch.manual_seed(0)
    return towards_target([ConvexPotentialMap(2, 16, sharpness=25.0) for _ in range(4)])


def towards_target(maps: list[Bijection]) -> pf.Flow:
    """A flow whose samples, not its densities, are the maps' closed forms."""
    return pf.Flow([Inverse(each) for each in maps], pf.distributions.UniformSphere(2))


def trained(flow: pf.Flow, batch: int, rate: float, seconds: float) -> tuple[float, float]:
    """Train on the flow's own samples, at a rate that falls to zero as the time is spent; return the divergence and the
    effective sample size in percent."""
    objective = pf.training.PathKL(target)
    blank = pf.distributions.UniformSphere(2).sample(100 * batch)
    pf.fit(
        flow,
        blank,
        objective=objective,
        batch_size=batch,
        max_time=seconds,
        learning_rate=rate,
        ema=0.99,
        seed=0,
        progress=False,
    )
    with torch.no_grad():
        _, log_weight = flow.log_weight(target, SAMPLES, generator=torch.Generator().manual_seed(1))
    log_effective = 2 * torch.logsumexp(log_weight, 0) - torch.logsumexp(2 * log_weight, 0)
    return LOG_Z - log_weight.mean().item(), 100 * math.exp(log_effective) / SAMPLES
