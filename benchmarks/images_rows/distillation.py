"""Parallel WaveNet: a teacher of chirps, one moment after the other, and a student that draws them in one pass.

The teacher is a WaveNet whose conditionals are mixtures of five Gaussians, the student inverse autoregressive WaveNets
that learn it by probability density distillation, with one value of each moment (as ``match_density``) and with eight.
Said are the divergence of the student from the teacher, in bits a moment, from 2,000 of the student's samples; the
time of drawing 64 waves by the teacher with kept columns, and by the student; and the teacher's drawing with a pass of
the network for each moment.

What several values gain: the variance of the gradient, summed over the parameters, of a batch of 32 waves and the
student that has learned with eight, from 40 gradients with each number of values, as a part of that with one; and the
milliseconds of a gradient. The limit of many values (64 here) is the inner mean, which has no closed form where the
teacher's conditionals are mixtures.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

import pushforward as pf
from pushforward import training
from pushforward.networks import WaveNet
from pushforward.transforms import Autoregressive, Inverse

LENGTH = 128
BUDGET = 300.0
VALUES = (1, 2, 4, 8, 16, 64)
GRADIENTS = 40
NETWORK = partial(WaveNet, hidden=24, dilations=(1, 2, 4, 8, 16, 32))


def run(seconds: float | None, data: Path) -> list[dict[str, object]]:
    """Measure the row."""
    torch.manual_seed(0)
    budget = BUDGET if seconds is None else seconds
    teacher = pf.distributions.RNADE(LENGTH, 5, network=NETWORK)
    waves = pf.data.chirps(20_000, LENGTH)
    _train(teacher, lambda: -teacher.log_prob(waves[torch.randint(len(waves), (64,))]).mean(), budget)
    rows: list[dict[str, object]] = []
    for draws in (1, 8):
        student = _student()
        objective = training.match_conditionals(teacher, draws)
        _train(student, partial(objective, student, torch.zeros(32, LENGTH)), budget)
        rows.append({"what": f"KL to the teacher, bits a moment, {draws} draws", "ours": _divergence(student, teacher)})
    rows += _gains(student, teacher)
    sampled = {"teacher, kept columns": teacher.sample, "student": student.sample}
    times = {name: _time(partial(sample, 64)) for name, sample in sampled.items()}
    times["teacher, a pass for each moment"] = _time(lambda: _naive(teacher, 64))
    rows += [{"what": f"ms for 64 waves: {name}", "ours": 1000 * each} for name, each in times.items()]
    return rows


def _student() -> pf.Flow:
    layers = [Inverse(Autoregressive(LENGTH, pf.scalar.Affine(), NETWORK)) for _ in range(4)]
    return pf.Flow(layers, pf.distributions.StandardNormal((LENGTH,)))


def _train(model: torch.nn.Module, loss_of: Callable[[], torch.Tensor], seconds: float) -> None:
    optimiser = torch.optim.Adam(model.parameters(), 2e-3)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        loss = loss_of()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()


@torch.no_grad()
def _divergence(student: pf.Flow, teacher: pf.distributions.Distribution) -> float:
    losses = [training.match_density(teacher)(student, torch.zeros(200, LENGTH), None) for _ in range(10)]
    return torch.stack(losses).mean().item() / (LENGTH * math.log(2))


@torch.no_grad()
def _naive(teacher: pf.distributions.AutoregressiveDistribution, count: int) -> torch.Tensor:
    network, x = teacher.network, torch.zeros(count, LENGTH)
    for moment in range(LENGTH):
        parameters = network(x).unflatten(-1, (-1, LENGTH)).transpose(-1, -2)[:, moment]
        x[:, moment] = teacher.conditional.sample(parameters)
    return x


def _gains(student: pf.Flow, teacher: pf.distributions.AutoregressiveDistribution) -> list[dict[str, object]]:
    """The variance of the gradient and its price, with each number of values."""
    rows: list[dict[str, object]] = []
    single = None
    for draws in VALUES:
        objective = partial(training.match_conditionals(teacher, draws), student, torch.zeros(32, LENGTH))
        began = time.perf_counter()
        gradients = torch.stack([_gradient(student, objective) for _ in range(GRADIENTS)])
        passed, variance = 1000 * (time.perf_counter() - began) / GRADIENTS, gradients.var(0).sum().item()
        single = variance if single is None else single
        rows.append({"what": f"variance of the gradient, {draws} draws, of that with 1", "ours": variance / single})
        rows.append({"what": f"ms of a gradient, {draws} draws", "ours": passed})
    return rows


def _gradient(student: pf.Flow, loss_of: Callable[[], torch.Tensor]) -> torch.Tensor:
    gradients = torch.autograd.grad(loss_of(), list(student.parameters()))
    return torch.cat([gradient.flatten() for gradient in gradients])


def _time(call: Callable[[], torch.Tensor]) -> float:
    with torch.no_grad():
        call()
        began = time.perf_counter()
        call()
    return time.perf_counter() - began
