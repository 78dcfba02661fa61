"""Around a fit: every kind of data, base and network that people have at hand is taken, or told in one sentence."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Independent, MultivariateNormal, StudentT
from torch.utils.data import DataLoader, TensorDataset
from training_helpers import affine_flow, fit, moons, same, weights

import pushforward as pf
from pushforward.distributions import StandardNormal
from pushforward.errors import DataError, ShapeError, UsageError
from pushforward.scalar import Affine
from pushforward.transforms import Chain, Coupling, Dequantization, Elementwise


@pytest.fixture(scope="module")
def fitted() -> pf.Flow:
    torch.manual_seed(0)
    flow = pf.build("maf", features=2, layers=2, hidden=8)
    fit(flow, moons(), max_steps=5)
    return flow


@pytest.fixture(scope="module")
def conditional() -> pf.Flow:
    torch.manual_seed(0)
    flow = pf.build("maf", features=2, context=1, layers=2, hidden=8)
    fit(flow, (moons(), moons()[:, :1]), max_steps=5)
    return flow


# What is scored and drawn


@pytest.mark.parametrize(
    "form",
    [Tensor.double, Tensor.numpy, lambda x: x.double().numpy(), Tensor.tolist, lambda x: pd.DataFrame(x.numpy())],
    ids=["float64", "numpy", "numpy float64", "list", "frame"],
)
def test_events_of_every_form_are_scored_alike(fitted: pf.Flow, form: Callable[[Tensor], Any]) -> None:
    x = moons(16)
    scores = fitted.log_prob(form(x))
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores, fitted.log_prob(x))


@pytest.mark.parametrize("form", [Tensor.double, Tensor.numpy, Tensor.tolist], ids=["float64", "numpy", "list"])
def test_contexts_of_every_form_are_taken(conditional: pf.Flow, form: Callable[[Tensor], Any]) -> None:
    x, context = moons(16), moons(16)[:, :1]
    torch.testing.assert_close(conditional.log_prob(form(x), form(context)), conditional.log_prob(x, context))
    assert conditional.sample(3, form(context)).shape == (3, 16, 2)


def test_what_is_no_number_is_not_scored(fitted: pf.Flow) -> None:
    with pytest.raises(DataError, match="events must be numbers"):
        fitted.log_prob([["a", "b"]])


@pytest.mark.parametrize("count", [np.int64(4), np.uint8(4), torch.tensor(4), 4])
def test_samples_are_counted_by_whole_numbers_of_any_kind(fitted: pf.Flow, count: Any) -> None:
    assert fitted.sample(count).shape == (4, 2)


@pytest.mark.parametrize("temperature", [float("nan"), float("inf"), 0.0, -1.0])
def test_a_temperature_is_a_positive_number(fitted: pf.Flow, temperature: float) -> None:
    with pytest.raises(UsageError, match="temperature expects a positive finite number"):
        fitted.sample(3, temperature=temperature)


def test_an_unconditional_flow_takes_no_context() -> None:
    flow, x, context = pf.build("maf", features=2, layers=1, hidden=8), moons(), moons()
    with pytest.raises(UsageError, match=r"takes no context, .* contexts of shape \(2,\): build the flow with"):
        fit(flow, (x, context))
    with pytest.raises(ShapeError, match="without a context"):
        flow.log_prob(x, context)
    with pytest.raises(ShapeError, match="without a context"):
        flow.sample(3, context)


# What is fitted


@pytest.mark.parametrize(
    "form",
    [
        lambda x, c: (pd.DataFrame(x.numpy()), pd.DataFrame(c.numpy())),
        lambda x, c: TensorDataset(x, c),
        lambda x, c: DataLoader(TensorDataset(x, c), batch_size=64),
        lambda x, c: (x.double().numpy(), c.tolist()),
    ],
    ids=["frames", "dataset", "loader", "arrays and lists"],
)
def test_pairs_of_every_form_are_fitted_alike(conditional: pf.Flow, form: Callable[[Tensor, Tensor], Any]) -> None:
    torch.manual_seed(0)
    flow = pf.build("maf", features=2, context=1, layers=2, hidden=8)
    fit(flow, form(moons(), moons()[:, :1]), max_steps=5, batch_size=256)
    assert same(weights(flow), weights(conditional))


@pytest.mark.parametrize(
    "base",
    [
        MultivariateNormal(torch.zeros(2), torch.eye(2)),
        Independent(StudentT(torch.full((2,), 4.0)), 1),
    ],
    ids=["normal", "student"],
)
def test_a_base_of_torch_is_fitted(base: torch.distributions.Distribution, tmp_path: Path) -> None:
    flow = pf.Flow([Elementwise(Affine(), (2,))], base)
    x = 3 + 2 * torch.randn(2048, 2, generator=torch.Generator().manual_seed(0))
    before = flow.log_prob(x).mean()
    fit(flow, x, max_steps=200, learning_rate=0.05, out=tmp_path)
    assert flow.log_prob(x).mean() > before + 1 and flow.sample(3).shape == (3, 2)
    torch.testing.assert_close(pf.load(tmp_path).log_prob(x), flow.log_prob(x))


def sequential(outputs: int) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(1, 16), nn.ReLU(), nn.Linear(16, outputs))


def test_a_ready_made_network_is_fitted() -> None:
    mask = torch.tensor([True, False])
    flow = pf.Flow([Coupling(mask, Affine(), sequential(2))], StandardNormal((2,)))
    before = weights(flow)
    fit(flow, moons(), max_steps=5, learning_rate=0.05)
    assert not same(before, weights(flow)) and torch.isfinite(flow.log_prob(moons())).all()
    wrong = pf.Flow([Coupling(mask, Affine(), sequential(5))], StandardNormal((2,)))
    with pytest.raises(ShapeError, match="expects 2 outputs of its network"):
        fit(wrong, moons())


def test_a_run_folder_is_loaded_whatever_the_flow_was_made_of(tmp_path: Path) -> None:
    flows = {"recipe": pf.build("nsf", features=2, layers=1, hidden=8), "hand": affine_flow()}
    for name, flow in flows.items():
        fit(flow, moons(), max_steps=3, out=tmp_path / name)
        loaded = pf.load(tmp_path / name)
        assert same(weights(loaded), weights(flow)) and loaded.recipe == flow.recipe
        assert torch.equal(loaded.log_prob(moons()), flow.log_prob(moons()))


LOAD = "import sys, pushforward as pf; print(pf.load(sys.argv[1]).log_prob([[1.0, 2.0]]).item())"


@pytest.mark.parametrize("name", ["recipe", "hand"])
def test_another_process_loads_what_one_has_trained(tmp_path: Path, name: str) -> None:
    networks = [Coupling(torch.tensor([True, False]), Affine(), pf.networks.MLP)]
    flow = pf.build("maf", features=2) if name == "recipe" else pf.Flow(networks, StandardNormal((2,)))
    fit(flow, moons(), max_steps=3, out=tmp_path)
    done = subprocess.run([sys.executable, "-c", LOAD, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(flow.log_prob([[1.0, 2.0]]).item(), abs=1e-5)


def test_standardisation_is_set_once_by_the_fit() -> None:
    torch.manual_seed(0)
    x = 170 + 10 * torch.randn(5000, 2)
    flow = pf.build("nsf", features=2)
    fit(flow, x[:4000], max_steps=60)
    # The data's own entropy is 2 (log 10 + 1.419) nats.
    assert -7.6 < flow.log_prob(x[4000:]).mean() < -7.3
    location = flow.transform[0].location.clone()
    fit(flow, x + 1, max_steps=1)
    assert torch.equal(flow.transform[0].location, location)


# What is looked at


def test_a_fitted_flow_is_drawn_at_a_context(conditional: pf.Flow) -> None:
    assert pf.plots.flow_2d(conditional.condition(moons(1)[0, :1]), moons()).axes


def test_a_slice_of_a_chain_is_a_chain(fitted: pf.Flow) -> None:
    first, rest = fitted.transform[:2], fitted.transform[2:]
    assert isinstance(first, Chain) and isinstance(rest, Chain)
    whole, log_det = fitted.transform(moons())
    middle, start = first(moons())
    end, more = rest(middle)
    torch.testing.assert_close((end, start + more), (whole, log_det))


# Other precisions


@pytest.mark.parametrize("name", ["maf", "realnvp", "nsf", "nsf-coupling", "naf", "planar"])
def test_flows_in_half_precision_score_as_those_in_single(name: str) -> None:
    torch.manual_seed(0)
    flow = pf.testing.randomise(pf.build(name, features=2, layers=2), 0.3).eval()
    half = copy.deepcopy(flow).half()
    scores = half.log_prob(moons().half())
    assert scores.dtype == torch.float16
    # Eleven bits of log-densities of about 3 through two layers.
    assert (scores.float() - flow.log_prob(moons().half().float())).abs().median() < 0.02


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_levels_come_back_in_few_bits(kind: torch.dtype) -> None:
    levels = torch.arange(256).reshape(1, 1, 16, 16)
    dequantization = Dequantization(256).to(kind)
    for _ in range(20):
        assert torch.equal(dequantization.decode(dequantization.encode(levels)).long(), levels)
