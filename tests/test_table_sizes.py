"""Sizes of flows for tables, the choice of the best one, and its calibration."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.tables.calibrating import WORTH, calibrated
from pushforward.tables.sizes import suitable_size


def test_more_rows_get_no_smaller_flows_and_no_shorter_trainings() -> None:
    for conditional in (False, True):
        sizes = [suitable_size(rows, 5, conditional) for rows in (20, 200, 2000, 10_000, 50_000, 10**6)]
        work = [size.layers * sum(size.hidden) * size.steps * size.batch_size for size in sizes]
        assert work == sorted(work)


def test_wide_tables_get_wider_networks_and_smaller_batches() -> None:
    narrow, wide = suitable_size(5000, 10), suitable_size(5000, 300)
    assert min(wide.hidden) > max(narrow.hidden) and wide.batch_size < narrow.batch_size


def normal_flow(context: int = 0) -> pf.Flow:
    parts = [pf.transforms.Autoregressive(2, pf.scalar.Affine(), context=context)]
    return pf.Flow(parts, pf.distributions.StandardNormal((2,)))


def test_the_spread_of_the_latents_is_that_of_highest_likelihood_drawn_towards_one() -> None:
    torch.manual_seed(0)
    flow, events = normal_flow(), torch.randn(400, 2) * torch.tensor([2.0, 0.5])
    better = calibrated(flow, events, None, np.ones(400))
    squares = events.double().square().sum(0)
    expected = ((squares + WORTH) / (400 + WORTH)).sqrt()
    torch.testing.assert_close(better.encode(events).double(), events.double() / expected, rtol=1e-5, atol=1e-6)
    assert better.log_prob(events).mean() > flow.log_prob(events).mean()
    # A density still: the change of the spread is in the determinant.
    torch.testing.assert_close(
        better.log_prob(torch.zeros(2)).double(), flow.log_prob(torch.zeros(2)).double() - expected.log().sum()
    )


def test_a_row_that_counts_twice_is_the_row_twice() -> None:
    torch.manual_seed(0)
    flow, events, context = normal_flow(context=1), 2 * torch.randn(50, 2), torch.randn(50, 1)
    counts = np.where(np.arange(50) < 10, 2.0, 1.0)
    twice = np.repeat(np.arange(50), counts.astype(int))
    one = calibrated(flow, events, context, counts)
    other = calibrated(flow, events[twice], context[twice], np.ones(60))
    torch.testing.assert_close(one.log_prob(events, context), other.log_prob(events, context))


@pytest.mark.slow
def test_many_gaussian_columns_are_no_worse_than_factor_analysis() -> None:
    from sklearn.decomposition import FactorAnalysis

    from pushforward.sklearn import FlowDensity

    rng = np.random.default_rng(0)
    loadings = rng.normal(size=(5, 100))
    train, test = (rng.normal(size=(n, 5)) @ loadings + 0.5 * rng.normal(size=(n, 100)) for n in (1500, 1000))
    density = FlowDensity(random_state=0, max_steps=60).fit(train)
    assert density.score(test) >= FactorAnalysis(5).fit(train).score(test) - 2.0
