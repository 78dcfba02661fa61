"""Every named model: it builds, scores, samples, encodes and decodes, saves and loads, and is normalised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward import testing
from pushforward.models import recipe_options

SMALL = {"layers": 2, "hidden": 8}
# What a model cannot do without, or what keeps it small here.
SPECIAL: dict[str, dict[str, Any]] = {"cdf-1d": {"features": 1}, "idf": {"hidden": [8]}}
# Models of whole numbers, not of the reals.
DISCRETE = {"idf", "idf-vector", "discrete-flow", "categorical-flow"}


def configuration(name: str, **extra: Any) -> dict[str, Any]:
    options = recipe_options(name)
    kind = {"features": 2} if "features" in options else {"shape": [1, 8, 8], "levels": 5}
    config = {**kind, **SMALL, **SPECIAL.get(name, {}), **extra}
    return {key: value for key, value in config.items() if key in options}


def events(flow: pf.Flow, count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    if flow.levels is None:
        return torch.randn(count, *flow.event_shape, generator=generator)
    return torch.randint(flow.levels, (count, *flow.event_shape), generator=generator)


VECTORS = [name for name in pf.list_models() if "features" in recipe_options(name) and name not in DISCRETE]
CONDITIONAL = [name for name in pf.list_models() if "context" in recipe_options(name)]


@pytest.mark.parametrize("name", pf.list_models())
def test_model_scores_samples_and_comes_back_from_its_file(name: str, tmp_path: Path) -> None:
    flow = testing.randomise(pf.build(name, **configuration(name)), scale=0.1).eval()
    x = events(flow, 6)
    torch.manual_seed(0)
    log_prob = flow.log_prob(x)
    assert log_prob.shape == (6,) and bool(torch.isfinite(log_prob).all())
    assert flow.sample(3).shape == (3, *flow.event_shape)
    assert flow.sample(0).shape == (0, *flow.event_shape)
    back = flow.decode(flow.encode(x))
    assert torch.allclose(back.double(), x.double(), atol=1e-3 if flow.levels is None else 0)
    pf.save(flow, tmp_path / "flow.safetensors")
    loaded = pf.load(tmp_path / "flow.safetensors")
    torch.manual_seed(0)
    assert torch.equal(loaded.log_prob(x), log_prob)


@pytest.mark.parametrize("name", CONDITIONAL)
def test_model_listens_to_its_context(name: str) -> None:
    flow = testing.randomise(pf.build(name, **configuration(name, context=3)), scale=0.2).eval()
    x, context = events(flow, 6), torch.randn(6, 3)
    torch.manual_seed(0)
    first = flow.log_prob(x, context)
    torch.manual_seed(0)
    assert not torch.allclose(first, flow.log_prob(x, context + 1))
    assert flow.sample(2, context).shape == (2, 6, *flow.event_shape)
    with pytest.raises(pf.errors.ShapeError, match="context"):
        flow.log_prob(x)


@pytest.mark.parametrize("name", VECTORS)
def test_vector_model_is_normalised(name: str) -> None:
    flow = testing.randomise(pf.build(name, **configuration(name)), scale=0.2).double().eval()
    testing.check_normalised(flow.log_prob, -16, 16, dims=flow.event_shape[0], points=300)


@pytest.mark.parametrize("name", ["maf", "nsf", "nsf-coupling", "realnvp", "nice"])
def test_vector_model_takes_any_number_of_features(name: str) -> None:
    for features in (2, 3, 7):
        flow = pf.build(name, features=features, **SMALL)
        assert flow.log_prob(torch.randn(4, features)).shape == (4,)


@pytest.mark.parametrize("name", pf.list_models())
def test_random_numbers_are_drawn_outside_of_compiled_code(name: str) -> None:
    flow = pf.build(name, **configuration(name))
    assert not any(block.stochastic for block in flow.transform.blocks())
    assert not (flow.light and flow.transform.stochastic)


@pytest.mark.slow
@pytest.mark.parametrize("name", pf.list_models())
def test_compiled_model_scores_and_learns_the_same(name: str) -> None:
    options = {"features": 5} if name in VECTORS and name not in SPECIAL and name != "cdf-2d" else {}
    flow = testing.randomise(pf.build(name, **configuration(name, **options)), scale=0.1).eval()
    x = events(flow, 64)
    parameters = [parameter for parameter in flow.parameters() if parameter.requires_grad]

    def score_and_gradients() -> tuple[torch.Tensor, ...]:
        torch.manual_seed(0)
        log_prob = flow.log_prob(x)
        gradients = torch.autograd.grad(log_prob.mean(), parameters, allow_unused=True, materialize_grads=True)
        return log_prob.detach(), *gradients

    expected = score_and_gradients()
    torch.compiler.reset()
    flow.compile_blocks()
    # More than once: what is written out of bounds may be noticed late.
    for _ in range(5):
        found = score_and_gradients()
    for value, reference in zip(found, expected, strict=True):
        torch.testing.assert_close(value, reference, rtol=1e-3, atol=1e-3)
