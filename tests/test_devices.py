"""On a GPU everything gives what it gives on the CPU, stays there, and trains. Skipped where there is none."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import model_helpers
import numpy as np
import pytest
import registry
import torch
from torch import Tensor

import pushforward as pf
from pushforward.accuracy import Accuracy, Draws

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

FITTED = ("nsf", "maf", "realnvp", "iaf", "sylvester", "glow", "flowpp", "idf")


def on_gpu(value: Any) -> Any:
    return None if value is None else value.double().cuda() if value.is_floating_point() else value.cuda()


def double(value: Any) -> Any:
    return None if value is None else value.double() if value.is_floating_point() else value


def assert_same(there: Any, here: Any) -> None:
    if isinstance(here, (list, tuple)):
        for first, second in zip(there, here, strict=True):
            assert_same(first, second)
        return
    assert there.is_cuda
    torch.testing.assert_close(there.cpu(), here, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", registry.TRANSFORMS)
def test_transforms(name: str) -> None:
    case = registry.TRANSFORMS[name]
    transform = pf.testing.randomise(case.make()).double().eval()
    x, context = double(case.x), double(case.context)
    with torch.no_grad():
        here = transform(x, context)
        moved = transform.cuda()
        z, log_det = moved(on_gpu(case.x), on_gpu(case.context))
        assert z.is_cuda and log_det.is_cuda
        if transform.draws in (Draws.NEVER, Draws.INVERSE):
            assert_same((z, log_det), here)
        back, _ = moved.inverse(z, on_gpu(case.context))
        assert back.is_cuda


@pytest.mark.parametrize("name", registry.DISTRIBUTIONS)
def test_distributions(name: str) -> None:
    make, context = registry.DISTRIBUTIONS[name]
    distribution = pf.testing.randomise(make()).double().eval()
    given = None if context is None else double(context)[0]
    x = distribution.sample(5, given) if given is not None else distribution.sample(5)
    here = distribution.log_prob(x, given)
    moved = distribution.cuda()
    there = None if given is None else given.cuda()
    assert_same(moved.log_prob(x.cuda(), there), here)
    assert moved.sample(5, there).is_cuda


@pytest.mark.parametrize("name", model_helpers.NAMES)
def test_models(name: str) -> None:
    flow = model_helpers.small(name).double()
    x = model_helpers.events(flow, 4)
    x = x.double() if x.is_floating_point() else x
    exact = flow.accuracy is Accuracy.EXACT
    with torch.no_grad():
        here = flow.log_prob(x)
        flow.cuda()
        there = flow.log_prob(x.cuda())
        assert there.is_cuda and there.isfinite().all()
        if exact:
            assert_same(there, here)
        assert flow.sample(3).is_cuda


@pytest.mark.parametrize("name, compiled", [*((name, False) for name in FITTED), ("nsf", True), ("realnvp", True)])
def test_training(name: str, compiled: bool, tmp_path: Path) -> None:
    flow = model_helpers.small(name)
    x = model_helpers.events(flow, 512)
    result = pf.fit(flow, x, x[:64], max_steps=30, accelerator="gpu", compile=compiled, progress=False, out=tmp_path)
    assert result.steps == 30 and math.isfinite(result.best_validation)
    loaded = pf.load(tmp_path / "model.safetensors")
    torch.manual_seed(0)
    first = flow.cpu().log_prob(x[:8])
    torch.manual_seed(0)
    torch.testing.assert_close(loaded.log_prob(x[:8]), first)


def test_generators_of_the_device() -> None:
    flow = model_helpers.small("nsf").cuda()

    def draw() -> Tensor:
        return flow.sample(4, generator=torch.Generator("cuda").manual_seed(3))

    assert torch.equal(draw(), draw())


def test_estimators() -> None:
    x = np.random.default_rng(0).normal([1.0, -2.0], [0.5, 3.0], (2000, 2))
    density = pf.sklearn.FlowDensity(random_state=0, accelerator="gpu").fit(x)
    truth = -0.5 * (((x - [1.0, -2.0]) / [0.5, 3.0]) ** 2).sum(1) - math.log(2 * math.pi * 1.5)
    assert abs(density.score(x) - truth.mean()) < 0.05
