"""Evaluation scores every event."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from training_helpers import moons, small_flow

import pushforward as pf
from pushforward.accuracy import Accuracy
from pushforward.distributions import StandardNormal
from pushforward.networks import LipschitzMLP
from pushforward.scalar import Affine
from pushforward.training.evaluate import default_batch_size, log_probs
from pushforward.transforms import Contractive, Dequantization, Elementwise, ExactLogDeterminant, RussianRoulette


def test_evaluate_is_the_mean_over_all_events() -> None:
    flow = small_flow()
    x = moons(301)
    found = pf.evaluate(flow, x, batch_size=64)
    values = flow.log_prob(x).double()
    assert found.log_prob == pytest.approx(values.mean().item(), rel=1e-6)
    assert found.bits_per_dim == pytest.approx(-values.mean().item() / (2 * math.log(2)), rel=1e-6)
    assert found.log_prob_error == pytest.approx(values.std(correction=0).item() / math.sqrt(301), rel=1e-5)
    assert found.accuracy is Accuracy.EXACT and found.events == 301


def test_importance_samples_tighten_the_bound() -> None:
    x = torch.randint(0, 2, (200, 1, 4, 4), generator=torch.Generator().manual_seed(0)).float()
    flow = pf.Flow([Dequantization(2), Elementwise(Affine(), (1, 4, 4))], StandardNormal((1, 4, 4)))
    with torch.no_grad():
        for weight in flow.parameters():
            weight.fill_(0.5)
    state = torch.get_rng_state()
    one, many = (pf.evaluate(flow, x, importance_samples=samples) for samples in (1, 64))
    assert torch.equal(state, torch.get_rng_state())
    # The truth: each pixel's mass is an integral of the normal over its cell, z = (u + 0.5) exp(0.5 / 1.1).
    normal = torch.distributions.Normal(0.0, 1.0)
    low, high = ((edge + 0.5) * math.exp(0.5 / 1.1) for edge in (x / 2, x / 2 + 0.5))
    truth = (normal.cdf(high) - normal.cdf(low)).log().sum((1, 2, 3)).mean().item()
    assert one.log_prob < many.log_prob - 0.5 and many.accuracy is Accuracy.LOWER_BOUND
    assert many.log_prob == pytest.approx(truth, abs=0.1)


def test_an_estimate_is_averaged_and_the_error_of_its_draws_is_told() -> None:
    flow = pf.Flow(
        Contractive(partial(LipschitzMLP, hidden=(8,)), 3, RussianRoulette(exact_terms=0, evaluation_terms=0)),
        StandardNormal((3,)),
    )
    pf.testing.randomise(flow, 2.0, torch.Generator().manual_seed(0))
    x = torch.randn(100, 3, generator=torch.Generator().manual_seed(1))
    exact = pf.Flow(Contractive(flow.transform.network, 3, ExactLogDeterminant()), flow.base)
    truth = pf.evaluate(exact, x)
    # Two batches, whose events share a number of terms each.
    found = [pf.evaluate(flow, x, draws=5, batch_size=50, seed=seed) for seed in range(30)]
    assert truth.draws == 1 and truth.log_prob_draws_error == truth.bits_per_dim_draws_error == 0.0
    errors = torch.tensor([each.log_prob_draws_error for each in found])
    off = torch.tensor([each.log_prob for each in found]) - truth.log_prob
    assert off.std().item() == pytest.approx(errors.square().mean().sqrt().item(), rel=0.4)
    assert abs(off.mean().item()) < 4 * off.std().item() / math.sqrt(30)
    assert found[0].bits_per_dim_draws_error == pytest.approx(found[0].log_prob_draws_error / (3 * math.log(2)))
    assert found[0].draws == 5 and found[0] == pf.evaluate(flow, x, draws=5, batch_size=50)
    for draws in (1, 2.5):
        with pytest.raises(pf.errors.UsageError, match="at least 2"):
            pf.evaluate(flow, x, draws=draws)  # type: ignore[arg-type]


def test_the_batch_size_changes_nothing_but_the_memory() -> None:
    flow, x = small_flow(), moons(301)
    expected = log_probs(flow, x)
    assert all(torch.allclose(log_probs(flow, x, batch_size=rows), expected, atol=1e-6) for rows in (1, 7, 301, 1000))


@pytest.mark.parametrize("dimensions", [1, 8, 784, 3072, 10**6])
def test_default_batches_are_bounded(dimensions: int) -> None:
    rows = default_batch_size(dimensions)
    assert 32 <= rows <= 8192 and (rows == 32 or rows * dimensions <= 2**17)


def test_mode_comes_back_after_an_error() -> None:
    flow = small_flow().train()

    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pf.evaluate(flow, moons(10), progress=stop)
    assert flow.training
