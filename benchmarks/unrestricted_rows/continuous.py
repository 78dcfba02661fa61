"""FFJORD on two moons and on an 8-D table (the inputs and the output of kin40k but its last input): one velocity is
trained, and then solved by us and by zuko (`FreeFormJacobianTransform`, exact trace), to the same tolerance, 1e-5
relative and absolute, in the largest norm: a log-density of 1,000 events and a training step of 500. Besides, by
torchode, whose samples have steps of their own too: the log-density. Each number is the ratio of medians of runs that
take turns, in processor time. And how far the log-density of an event alone is from that in its batch."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import pushforward as pf
from pushforward.transforms.continuous.drift import PositionAndVolume

TOLERANCE = 1e-5
BUDGET = 300.0
EVENTS, BATCH, RUNS = 1000, 500, 7
LogProb = Callable[[Tensor], Tensor]


def run(seconds: float | None, data: Path) -> list[dict[str, object]]:
    """Measure on both sets of data."""
    budget = seconds or BUDGET
    moons = pf.data.toys.moons().sample(20000, generator=torch.Generator().manual_seed(0))
    return [*compared("two moons", moons, budget), *compared("kin40k, 8-D", kin40k(data), budget)]


def kin40k(data: Path) -> Tensor:
    """Eight columns, standardised."""
    rows = np.loadtxt(data / "uci" / "kin40k.csv.gz", delimiter=",", dtype=np.float32)[:, [0, 1, 2, 3, 4, 5, 6, -1]]
    return torch.from_numpy((rows - rows.mean(0)) / rows.std(0))


def compared(name: str, x: Tensor, seconds: float) -> list[dict[str, object]]:
    """Train a velocity, and measure it in each library."""
    torch.manual_seed(0)
    dims = x.shape[1]
    velocity = partial(pf.networks.VelocityMLP, hidden=(64, 64), frequencies=3)
    solver = pf.transforms.DormandPrince(TOLERANCE)
    layer = pf.transforms.Continuous(velocity, dims, solver)
    flow = pf.Flow(layer, pf.distributions.StandardNormal((dims,)))
    pf.fit(flow, x, batch_size=BATCH, max_time=seconds, learning_rate=3e-3, seed=0, progress=False)
    events, batch = x[:EVENTS], x[-BATCH:]
    theirs, torchode = partial(zuko_log_prob, layer.velocity), torchode_log_prob(layer.velocity, dims)
    with torch.no_grad():
        together = flow.log_prob(events)
        steps = layer.statistics.evaluations
        alone = torch.cat([flow.log_prob(each) for each in events[:100].split(1)])
        apart = (alone - together[:100]).abs().max().item()
        zuko_alone = torch.cat([theirs(each) for each in events[:100].split(1)])
        zuko_apart = (zuko_alone - theirs(events)[:100]).abs().max().item()
    scoring = in_turn([without_gradient(each, events) for each in (flow.log_prob, theirs, torchode)])
    training = in_turn([partial(step, each, list(layer.parameters()), batch) for each in (flow.log_prob, theirs)])
    mean, spread = f"{steps.float().mean().item():.0f}", f"{int(steps.min())} to {int(steps.max())}"
    difference = (together - theirs(events)).abs().mean().item()
    return [
        {"what": f"{name}: evaluations of the velocity, mean and range over samples", "ours": f"{mean} ({spread})"},
        {"what": f"{name}: mean difference of log p to zuko's", "ours": difference, "asked": "the tolerance"},
        row(f"{name}: log-density of {EVENTS}, ms", scoring[0], scoring[1], "2x zuko"),
        row(f"{name}: training step of {BATCH}, ms", training[0], training[1], "2x zuko"),
        row(f"{name}: log-density, ms, beside torchode", scoring[0], scoring[2], "the faster is kept"),
        {
            "what": f"{name}: log p alone and in a batch, largest difference (other: zuko)",
            "ours": apart,
            "other": zuko_apart,
            "asked": "the tolerance",
        },
    ]


def row(what: str, ours: float, other: float, asked: str) -> dict[str, object]:
    """Times in milliseconds, with their ratio."""
    return {"what": f"{what} ({other / ours:.1f}x)", "ours": 1e3 * ours, "other": 1e3 * other, "asked": asked}


def zuko_log_prob(velocity: torch.nn.Module, x: Tensor) -> Tensor:
    """The log-density of the same flow by zuko."""
    from zuko.transforms import FreeFormJacobianTransform

    def field(t: Tensor, points: Tensor) -> Tensor:
        return velocity(t.expand(points.shape[:-1]), points, None)

    transform = FreeFormJacobianTransform(
        field, 1.0, 0.0, velocity.parameters() if torch.is_grad_enabled() else (), TOLERANCE, TOLERANCE
    )
    z, log_det = transform.call_and_ladj(x)
    return normal(z) + log_det


def torchode_log_prob(velocity: torch.nn.Module, dims: int) -> LogProb:
    """The log-density of the same flow by torchode, with our trace."""
    import torchode

    drift = PositionAndVolume(velocity, torch.Size([dims]), pf.transforms.ExactTrace())
    term = torchode.ODETerm(lambda t, y: drift(t, y, None, None))
    largest = partial(torch.amax, dim=1)
    controller = torchode.IntegralController(TOLERANCE, TOLERANCE, norm=lambda values: largest(values.abs()), term=term)
    solver = torchode.AutoDiffAdjoint(torchode.Dopri5(term), controller)

    def log_prob(x: Tensor) -> Tensor:
        start = torch.cat([x, x.new_zeros(len(x), 1)], -1)
        problem = torchode.InitialValueProblem(start, x.new_ones(len(x)), x.new_zeros(len(x)))
        end = solver.solve(problem).ys[:, -1]
        return normal(end[:, :-1]) + end[:, -1]

    return log_prob


def normal(z: Tensor) -> Tensor:
    """The standard normal's log-density."""
    return -0.5 * (z.square() + float(np.log(2 * np.pi))).sum(-1)


def without_gradient(log_prob: LogProb, x: Tensor) -> Callable[[], Any]:
    """A call that scores."""
    return torch.no_grad()(lambda: log_prob(x))  # type: ignore[no-any-return]


def step(log_prob: LogProb, parameters: list[torch.nn.Parameter], x: Tensor) -> None:
    """The loss and its gradient."""
    torch.autograd.grad(-log_prob(x).mean(), parameters)


def in_turn(calls: list[Callable[[], Any]]) -> list[float]:
    """The median processor time of each call, all of them in turn."""
    times: list[list[float]] = [[] for _ in calls]
    for turn in range(RUNS + 1):
        for call, found in zip(calls, times, strict=True):
            began = time.process_time()
            call()
            if turn:
                found.append(time.process_time() - began)
    return [statistics.median(found) for found in times]
