"""Inverses of trained residual flows: the largest error in float32, and the time beside normflows at the same error.

A small residual flow is trained on a checkerboard. What is inverted are images of new data, so that the error is known.
normflows' fixed-point iteration, of the same networks, stops where the *square* of a step is below its tolerance: its
tolerance is lowered, a factor of ten at a time, until its error is no larger than ours.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

import pushforward as pf
from pushforward.networks import LipschitzMLP, normalised_once
from pushforward.transforms import ActNorm, Contractive

LAYERS, ROWS, REPEATS, SECONDS = 8, 2000, 7, 20.0


def run(seconds: float | None, data: Path) -> list[dict[str, object]]:
    flow = _trained(SECONDS if seconds is None else seconds)
    x = pf.data.toy("checkerboard").sample(ROWS, generator=torch.Generator().manual_seed(7))
    with torch.no_grad():
        z = flow.transform.encode(x)
        ours, mine = _measure(flow.transform.decode, x, z)
        tolerance, theirs, other = 1e-5, float("inf"), 0.0
        while theirs > ours and tolerance > 1e-16:
            theirs, other = _measure(partial(_by_normflows, flow, tolerance), x, z)
            tolerance *= 0.1
        first, default = _measure(partial(_by_normflows, flow, 1e-5), x, z)
    return [
        {"what": "largest error in float32", "ours": ours, "other": first, "asked": "below 1e-5"},
        {"what": "ms at the same error", "ours": 1e3 * mine, "other": 1e3 * other, "asked": "at most 3x"},
        {"what": "the error of the other then", "ours": ours, "other": theirs, "asked": "the same"},
        {"what": "ms beside its default tolerance", "ours": 1e3 * mine, "other": 1e3 * default, "asked": "at most 3x"},
    ]


def _trained(seconds: float) -> pf.Flow:
    torch.manual_seed(0)
    network = partial(LipschitzMLP, hidden=(64, 64))
    parts = [part for _ in range(LAYERS) for part in (Contractive(network, 2), ActNorm(2))]
    flow = pf.Flow(parts, pf.distributions.StandardNormal((2,)))
    board, generator = pf.data.toy("checkerboard"), torch.Generator().manual_seed(1)
    flow.initialise(board.sample(2048, generator=generator))
    optimiser = torch.optim.Adam(flow.parameters(), 2e-3)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        loss = -flow.log_prob(board.sample(512, generator=generator)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return flow.eval()


def _measure(decode: object, x: Tensor, z: Tensor) -> tuple[float, float]:
    """The largest error and the median time."""
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        back = decode(z)  # type: ignore[operator]
        times.append(time.perf_counter() - began)
    return (back - x).abs().max().item(), sorted(times)[REPEATS // 2]


def _by_normflows(flow: pf.Flow, tolerance: float, z: Tensor) -> Tensor:
    """The inverse with normflows' iteration in the place of ours; weights are normalised once for it too."""
    from normflows.flows.residual import iResBlock

    for part in reversed(list(flow.transform)):  # type: ignore[call-overload]
        if isinstance(part, Contractive):
            with normalised_once(part.network):
                z = iResBlock(part.network)._inverse_fixed_point(z, atol=tolerance, rtol=tolerance)
        else:
            z = part.decode(z)
    return z
