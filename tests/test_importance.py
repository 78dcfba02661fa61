"""Importance weights of flows and what is estimated from them, against closed forms and quadrature."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import integrate
from torch import Tensor

import pushforward as pf
from pushforward import diagnostics, testing
from pushforward.errors import DataError, ShapeError, UsageError
from pushforward.training import Mixed, PathKL, negative_log_likelihood


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# Targets and estimates ------------------------------------------------------------------------------------------------


def test_normalisers_of_the_targets() -> None:
    well, _ = integrate.quad(lambda a: math.exp(0.5 * a + 6 * a**2 - a**4 - 9), -6, 6, epsabs=1e-12, limit=200)
    expected = math.log(well) + 9 + 0.5 * math.log(2 * math.pi)
    assert expected == pytest.approx(10.293480, abs=1e-6)
    assert pf.data.ManyWell(2).log_normaliser == pytest.approx(expected, abs=1e-9)
    assert pf.data.ManyWell(32).log_normaliser == pytest.approx(164.695675, abs=1e-6)
    x = torch.randn(5, 10, dtype=torch.float64)
    parts = torch.distributions.Normal(0.0, 3.0).log_prob(x[:, 0])
    rest = torch.distributions.Normal(0.0, torch.exp(0.5 * x[:, :1])).log_prob(x[:, 1:]).sum(-1)
    torch.testing.assert_close(pf.data.Funnel(10)(x), parts + rest)
    a, b = torch.randn(2, 5, dtype=torch.float64)
    u = -0.5 * a - 6 * a**2 + a**4 + b**2 / 2
    torch.testing.assert_close(pf.data.ManyWell(2)(torch.stack([a, b], -1)), -u)


def test_estimates_of_known_weights() -> None:
    """Weights of ``N(0, 2^2)`` for ``N(1, 1)``: their effective size and errors in closed form."""
    proposal, target = torch.distributions.Normal(0.0, 2.0), torch.distributions.Normal(1.0, 1.0)
    torch.manual_seed(0)
    x = proposal.sample((200, 2000)).double()
    log_weight = target.log_prob(x) - proposal.log_prob(x) + 700.0
    grid = torch.linspace(-20, 20, 40_001, dtype=torch.float64)
    second = float((2 * target.log_prob(grid) - proposal.log_prob(grid)).exp().sum()) * 1e-3
    estimates = [diagnostics.log_normaliser(row) for row in log_weight]
    values = np.array([each.value for each in estimates])
    assert values.mean() == pytest.approx(700, abs=0.01)
    error = math.sqrt((second - 1) / 2000)
    assert np.mean([each.error for each in estimates]) == pytest.approx(error, rel=0.05)
    assert values.std() == pytest.approx(error, rel=0.2)
    sizes = [diagnostics.effective_sample_size(row) for row in log_weight]
    assert np.mean(sizes) == pytest.approx(2000 / second, rel=0.03)
    differences = [diagnostics.free_energy_difference(row, y < 0, y > 0) for row, y in zip(log_weight, x, strict=True)]
    right = -math.log(target.cdf(torch.tensor(0.0)) / (1 - target.cdf(torch.tensor(0.0))))
    found = np.array([each.value for each in differences])
    assert found.mean() == pytest.approx(right, abs=0.02)
    assert found.std() == pytest.approx(np.mean([each.error for each in differences]), rel=0.2)
    region = diagnostics.free_energy(log_weight.flatten(), x.flatten() > 1)
    assert region.value == pytest.approx(math.log(2) - 700, abs=4 * region.error)
    assert diagnostics.free_energy(log_weight[0]).value == -estimates[0].value


def test_estimates_refuse_what_is_no_weight() -> None:
    for wrong in (torch.zeros(0), torch.tensor([0.0, torch.nan]), torch.full((3,), -torch.inf), torch.tensor([1e39])):
        with pytest.raises(DataError, match="logarithms of weights"):
            diagnostics.effective_sample_size(wrong)
    with pytest.raises(ShapeError, match="booleans"):
        diagnostics.free_energy(torch.zeros(3), torch.ones(3))
    assert diagnostics.log_normaliser(torch.tensor([2.0])).error == math.inf


@pytest.mark.parametrize("wrong", [pf.data.ManyWell, "well", 3.0])
def test_what_is_no_log_density_is_told(wrong: object) -> None:
    flow = pf.models.realnvp(features=2, layers=1, hidden=4)
    with pytest.raises(UsageError, match="log_weight expects a log-density"):
        flow.log_weight(wrong, 3)
    with pytest.raises(UsageError, match="log_weight expects a log-density"):
        PathKL(wrong)(flow, torch.zeros(3, 2))


def test_weights_and_regions_may_be_arrays() -> None:
    x, log_weight = np.array([-1.0, 1.0, 2.0]), np.log([2.0, 1.0, 3.0])
    assert diagnostics.effective_sample_size(log_weight) == pytest.approx(36 / 14)
    assert diagnostics.free_energy_difference(log_weight, x < 0, x > 0).value == pytest.approx(math.log(2))
    assert diagnostics.free_energy(list(log_weight), x > 0).value == pytest.approx(-math.log(4 / 3))


@pytest.mark.parametrize(
    "target", [pf.data.ManyWell(2), torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2))]
)
def test_a_target_without_a_context_weighs_a_flow_with_one(target: Any) -> None:
    flow = pf.models.snf(features=2, context=3, layers=1, hidden=4, target=pf.data.ManyWell(2))
    context = torch.randn(4, 3)
    x, log_weight = flow.log_weight(target, 5, context, generator=seeded())
    density = target if isinstance(target, pf.data.ManyWell) else target.log_prob
    _, with_context = flow.log_weight(lambda x, context: density(x), 5, context, generator=seeded())
    torch.testing.assert_close(log_weight, with_context)
    assert PathKL(target)(flow, x[0], context).isfinite()


# Flows ----------------------------------------------------------------------------------------------------------------


def test_log_weight_takes_contexts_and_keeps_to_the_seed() -> None:
    flow = pf.models.nsf(features=2, context=3, layers=1, hidden=8)
    context = torch.randn(4, 3)

    def posterior(x: Tensor, context: Tensor) -> Tensor:
        return -(x - context[..., :2]).square().sum(-1)

    x, log_weight = flow.log_weight(posterior, 5, context, generator=seeded())
    assert x.shape == (5, 4, 2) and log_weight.shape == (5, 4) and log_weight.requires_grad
    torch.testing.assert_close(log_weight, posterior(x, context.expand(5, 4, 3)) - flow.log_prob(x, context))
    torch.testing.assert_close(flow.log_weight(posterior, 5, context, generator=seeded())[1], log_weight)


def test_an_exact_flow_of_integers_has_weights_too() -> None:
    flow = pf.models.discrete_flow(features=2, classes=3, layers=1, hidden=8)
    x, log_weight = flow.log_weight(lambda x: torch.zeros(x.shape[:-1]), 2000)
    estimate = diagnostics.log_normaliser(log_weight)
    assert abs(estimate.value - math.log(9)) < 4 * estimate.error + 1e-3
    with pytest.raises(UsageError, match="carry gradients"):
        PathKL(lambda x: torch.zeros(x.shape[:-1]))(flow, x)


@pytest.mark.parametrize("name", ["snf", "hamiltonian-vi"])
def test_a_flow_towards_a_named_target_is_saved(name: str, tmp_path: Path) -> None:
    flow = pf.build(name, features=2, layers=2, hidden=8, target=pf.data.ManyWell(2))
    testing.randomise(flow, 0.1)
    pf.save(flow, tmp_path / "flow.safetensors")
    back, x = pf.load(tmp_path / "flow.safetensors"), torch.randn(5, 2)
    torch.testing.assert_close(back.log_prob(x, generator=seeded()), flow.log_prob(x, generator=seeded()))
    with pytest.raises(UsageError, match="which a file cannot name"):
        pf.save(
            pf.build(name, features=2, layers=2, hidden=8, target=lambda x: -x.square().sum(-1)), tmp_path / "other"
        )


@pytest.mark.parametrize("name", ["snf", "hamiltonian-vi"])
def test_a_model_learns_data_by_its_bound(name: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(1000, 2) * torch.tensor([1.0, 0.3])
    x[:, 1] += 0.5 * x[:, 0].square()
    flow = pf.build(name, features=2, layers=2, hidden=16)
    flow.initialise(x)
    before = flow.log_prob(x).mean()
    pf.fit(flow, x, max_steps=40, learning_rate=1e-2, seed=0, progress=False)
    assert flow.log_prob(x).mean() > before + 0.1


def test_path_objectives_train_towards_a_density() -> None:
    torch.manual_seed(0)
    target = torch.distributions.Normal(torch.tensor([2.0, -1.0]), 0.5)
    objective = Mixed(
        [(0.5, PathKL(lambda x: target.log_prob(x).sum(-1))), (0.5, negative_log_likelihood)],
    )
    flow = pf.models.snf(features=2, layers=1, hidden=8, target=lambda x: target.log_prob(x).sum(-1))
    pf.fit(flow, target.sample((512,)), objective=objective, max_steps=60, learning_rate=2e-2, seed=0, progress=False)
    estimate = diagnostics.log_normaliser(flow.log_weight(lambda x: target.log_prob(x).sum(-1), 2000)[1])
    assert abs(estimate.value) < 4 * estimate.error + 0.02 and estimate.error < 0.1


def test_stochastic_layers_tighten_what_couplings_miss() -> None:
    """Between the wells of the double well: annealed acceptance steps raise the effective sample size of a base."""
    torch.manual_seed(0)
    target = pf.data.ManyWell(2)
    share = {}
    for steps in (1, 10):
        flow = pf.models.snf(layers=5, hidden=4, steps=steps, kernel="metropolis", step_size=0.4, target=target)
        with torch.no_grad():
            _, log_weight = flow.log_weight(target, 4000)
        share[steps] = diagnostics.effective_sample_size(log_weight) / 4000
        estimate = diagnostics.log_normaliser(log_weight)
        assert abs(estimate.value - target.log_normaliser) < 5 * estimate.error
    assert share[10] > 1.5 * share[1], share
