"""Data and contexts of any scale, wild rows among them: vector recipes standardise before anything is learned."""

from __future__ import annotations

import math

import pytest
import torch
from model_helpers import CONDITIONAL, VECTORS, configuration
from torch import Tensor

import pushforward as pf

SMALL = {"layers": 2, "hidden": 32}


def entropy(*deviations: float) -> float:
    """Of independent normals, in nats."""
    return sum(0.5 * math.log(2 * math.pi * math.e) + math.log(each) for each in deviations)


def wild(x: Tensor) -> Tensor:
    x = x.clone()
    x[17] = 1e6
    return x


def fitted(name: str, x: Tensor, context: Tensor | None = None, steps: int = 60) -> pf.Flow:
    torch.manual_seed(0)
    flow = pf.build(name, features=2, context=0 if context is None else context.shape[1], **SMALL)
    data = x if context is None else (x, context)
    pf.fit(flow, data, max_steps=steps, progress=False, seed=0)
    return flow


@pytest.mark.parametrize("name", ["nsf", "nsf-coupling"])
@pytest.mark.parametrize("location, deviation", [(170.0, 10.0), (0.0, 1e-4), (-3e6, 1e4)])
def test_a_normal_of_any_scale_is_learned(name: str, location: float, deviation: float) -> None:
    torch.manual_seed(0)
    x = location + deviation * torch.randn(5000, 2)
    flow = fitted(name, x[:4000])
    assert flow.log_prob(x[4000:]).mean().item() == pytest.approx(-entropy(deviation, deviation), abs=0.05)


@pytest.mark.parametrize("name", ["nsf", "nsf-coupling"])
def test_one_wild_row_moves_nothing(name: str) -> None:
    torch.manual_seed(0)
    x = 170 + 10 * torch.randn(5000, 2)
    flow = fitted(name, wild(x[:4000]))
    assert flow.log_prob(x[4000:]).mean().item() == pytest.approx(-entropy(10, 10), abs=0.05)


@pytest.mark.parametrize("name", ["nsf", "nsf-coupling"])
def test_a_raw_context_is_as_good_as_a_standard_one(name: str) -> None:
    """The fit given ``5000 + 1000 c`` is that given ``c``."""
    torch.manual_seed(0)
    c = torch.randn(2000, 1)
    x = torch.cat([c, c.square()], 1) + 0.3 * torch.randn(2000, 2)
    raw = 5000 + 1000 * c
    ours = fitted(name, x, raw, steps=120).log_prob(x, raw).mean()
    theirs = fitted(name, x, c, steps=120).log_prob(x, c).mean()
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0.02)
    assert ours > fitted(name, x, steps=120).log_prob(x).mean() + 0.3


def test_an_image_context_is_standardised_by_channel() -> None:
    torch.manual_seed(0)
    context = torch.tensor([128.0, -3.0, 0.01])[:, None, None] + torch.tensor([60.0, 1e3, 1e-3])[
        :, None, None
    ] * torch.randn(100, 3, 4, 4)
    flow = pf.models.glow(shape=(1, 4, 4), levels=17, context=(3, 4, 4), layers=1, hidden=4, scales=1)
    flow.initialise(torch.randint(17, (100, 1, 4, 4)), context)
    taken = flow.take_context(context).movedim(1, 0).flatten(1)
    assert bool(taken.median(1).values.abs().max() < 0.02)
    torch.testing.assert_close(taken.std(1), torch.ones(3), rtol=0, atol=0.1)


@pytest.mark.parametrize("name", [name for name in VECTORS if name in CONDITIONAL])
def test_every_vector_recipe_begins_with_standard_data(name: str) -> None:
    torch.manual_seed(0)
    features = configuration(name)["features"]
    scales, locations = torch.tensor([10.0, 1e-3])[:features], torch.tensor([170.0, -4.0])[:features]
    x = wild(locations + scales * torch.randn(4000, features))
    context = wild(5e3 + 1e3 * torch.randn(4000, 1))
    flow = pf.build(name, **configuration(name, context=1))
    flow.initialise(x, context)
    first = flow.transform[0]
    assert isinstance(first, pf.transforms.Standardise)
    for standard in (first.encode(x), flow.take_context(context)):
        assert bool(standard.median(0).values.abs().max() < 1e-2)
        quantiles = standard.quantile(torch.tensor([0.15865525, 0.84134475]), dim=0)
        torch.testing.assert_close((quantiles[1] - quantiles[0]) / 2, torch.ones(standard.shape[1]), rtol=0, atol=0.01)
    assert bool(torch.isfinite(flow.log_prob(x, context)).all())
