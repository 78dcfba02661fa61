"""The recipes for vectors: laws of a density, contexts, saving, and sampling in one pass."""

from __future__ import annotations

import pytest
import torch

import pushforward as pf
from pushforward import testing

SMALL = {"layers": 2, "hidden": (16, 16)}
REAL_LINE = ["maf", "iaf", "nsf", "nsf-coupling"]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("name", REAL_LINE)
def test_density_in_two_dimensions_integrates_to_one(name: str) -> None:
    flow = testing.randomise(pf.build(name, features=2, **SMALL)).double()
    testing.check_normalised(flow.log_prob, -40.0, 40.0, 2, points=1000)


@pytest.mark.parametrize("name", REAL_LINE)
@pytest.mark.parametrize("context", [0, 2])
def test_encode_decode_and_sample(name: str, context: int) -> None:
    flow = testing.randomise(pf.build(name, features=5, context=context, **SMALL))
    c = torch.randn(7, context) if context else None
    x = flow.sample((7,)) if c is None else flow.sample((), c)
    assert x.shape == (7, 5)
    torch.testing.assert_close(flow.decode(flow.encode(x, c), c), x, rtol=1e-3, atol=1e-4)
    assert flow.exact and flow.log_prob(x, c).shape == (7,)


@pytest.mark.parametrize("name", REAL_LINE)
def test_a_saved_flow_comes_back(name: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    flow = testing.randomise(pf.build(name, features=3, hidden=16, layers=2))
    pf.save(flow, tmp_path / "flow.safetensors")
    x = torch.randn(4, 3)
    assert torch.equal(pf.load(tmp_path / "flow.safetensors").log_prob(x), flow.log_prob(x))
