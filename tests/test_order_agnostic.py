"""Vectors in any order: one network for all of them, and ensembles over some."""

from __future__ import annotations

import itertools
import math
from functools import partial

import pytest
import torch
from scipy import stats
from torch import Tensor

import pushforward as pf
from pushforward.distributions import BernoulliMass, CategoricalMass, OrderAgnosticDistribution
from pushforward.errors import DataError, ShapeError, UsageError
from pushforward.networks import DeepNADE
from pushforward.testing import randomise
from pushforward.training import OrderAgnosticLikelihood


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def outcomes(features: int, classes: int) -> Tensor:
    return torch.tensor(list(itertools.product(range(classes), repeat=features))).float()


def agnostic(orders: int = 3, **options: int) -> OrderAgnosticDistribution:
    network = partial(DeepNADE, hidden=8)
    return randomise(OrderAgnosticDistribution(3, BernoulliMass(), network, orders=orders, **options)).double()


def test_an_ensemble_over_orders_is_the_mean_of_its_masses_and_sums_to_one() -> None:
    base = agnostic()
    every = outcomes(3, 2).double()
    with torch.no_grad():
        each = torch.stack([base.log_prob_in_order(every, order).exp() for order in base.orders])
        torch.testing.assert_close(each.sum(1), torch.ones(3).double())
        torch.testing.assert_close(base.log_prob(every).exp(), each.mean(0))
        draws = base.sample(20_000)
    found = (draws[:, None] == every).all(-1).double().sum(0)
    assert stats.chisquare(found, each.mean(0) * len(draws)).pvalue > 1e-3


def test_an_order_is_that_of_an_autoregressive_distribution() -> None:
    """By hand: the second variable, then the first given it, then the third given both."""
    base = agnostic()
    x = torch.tensor([1.0, 0.0, 1.0]).double()
    expected = torch.zeros(()).double()
    known = torch.zeros(3, dtype=torch.bool)
    for variable in (1, 0, 2):
        expected = expected + BernoulliMass().log_prob(x, base.parameters_of(x, known))[variable]
        known[variable] = True
    torch.testing.assert_close(base.log_prob_in_order(x, torch.tensor([1, 0, 2])), expected)


@torch.no_grad()
def test_the_objective_is_the_mean_over_all_orders_without_bias() -> None:
    base = agnostic()
    x = torch.tensor([1.0, 0.0, 1.0]).double()
    orders = torch.tensor(list(itertools.permutations(range(3))))
    expected = base.log_prob_in_order(x, orders).mean()
    estimates = base.random_order_log_prob(x.expand(40_000, 3))
    assert (estimates.mean() - expected).abs() < 4 * estimates.std() / 200
    flow = pf.Flow([pf.transforms.Integers(2)], base)
    loss = OrderAgnosticLikelihood()(flow, x.expand(40_000, 3))
    assert (loss + expected).abs() < 5 * estimates.std() / 200


def test_a_network_sees_nothing_of_what_is_not_known() -> None:
    network = randomise(DeepNADE(3, 6, hidden=(8,)))
    known = torch.tensor([True, False, True])
    torch.testing.assert_close(
        network(torch.tensor([1.0, 5.0, 2.0]), known), network(torch.tensor([1.0, torch.nan, 2.0]), known)
    )


def test_a_network_of_all_orders_learns_and_completes() -> None:
    torch.manual_seed(1)
    first = torch.randint(2, (512, 1)).float()
    bits = torch.cat([first, first, 1 - first], 1)
    base = OrderAgnosticDistribution(3, BernoulliMass(), partial(DeepNADE, hidden=16), orders=2)
    flow = pf.Flow([pf.transforms.Integers(2)], base)
    pf.fit(flow, bits, objective=OrderAgnosticLikelihood(), max_steps=150, learning_rate=2e-2, progress=False, seed=0)
    with torch.no_grad():
        assert -flow.log_prob(bits).mean() < math.log(2) + 0.1
    completed = base.complete(torch.tensor([0.0, 0.0, 1.0]), torch.tensor([False, False, True]).expand(50, 3))
    assert (completed == torch.tensor([0.0, 0.0, 1.0])).double().mean() > 0.95
    with pytest.raises(UsageError, match="leave objective out"):
        pf.fit(pf.models.nade(features=3), bits, objective=OrderAgnosticLikelihood(), max_steps=1)


def test_ensembles_are_saved_with_their_orders(tmp_path: object) -> None:
    flow = pf.Flow([pf.transforms.Integers(2)], agnostic(orders=2, seed=3).float())
    pf.save(flow, f"{tmp_path}/flow.pt")
    again = pf.load(f"{tmp_path}/flow.pt")
    x = outcomes(3, 2)
    assert torch.equal(again.log_prob(x), flow.log_prob(x))


def test_many_contexts_of_one_event_broadcast_in_every_order() -> None:
    base = randomise(OrderAgnosticDistribution(3, CategoricalMass(3), partial(DeepNADE, hidden=8), 2, orders=1))
    x, context = torch.randint(3, (5, 1, 3)).float(), torch.randn(4, 2)
    expected = torch.stack([base.log_prob(x[:, 0], each) for each in context], 1)
    torch.testing.assert_close(base.log_prob_in_order(x, base.orders[0], context), expected)
    assert base.random_order_log_prob(x, context).shape == (5, 4)


def test_values_that_cannot_be_have_no_mass_whatever_is_known() -> None:
    base = agnostic()
    x = torch.tensor([[0.0, 1.0, 2.0], [torch.nan, 0.0, 1.0], [0.0, 0.5, 1.0]]).double()
    for log_mass in (
        base.random_order_log_prob(x),
        base.log_prob_in_order(x, torch.tensor([2, 1, 0])),
        base.log_prob(x),
    ):
        assert bool((log_mass == -torch.inf).all())


class _SeesAll(torch.nn.Linear):
    def forward(self, x: Tensor, known: Tensor, context: Tensor | None = None) -> Tensor:
        return super().forward(x)


def test_distributions_of_all_orders_say_what_does_not_fit() -> None:
    base, x = agnostic(), torch.zeros(5, 3).double()
    with pytest.raises(UsageError, match="what is known alone, got _SeesAll"):
        OrderAgnosticDistribution(3, BernoulliMass(), _SeesAll(3, 3))
    for network in (pf.networks.MADE, pf.networks.MLP):
        with pytest.raises(UsageError, match="known, context"):
            OrderAgnosticDistribution(3, BernoulliMass(), network)
    with pytest.raises(UsageError, match="expects orders"):
        base.log_prob_in_order(x, torch.tensor([0, 0, 1]))
    with pytest.raises(UsageError, match="booleans"):
        base.complete(x, torch.zeros(3))
    with pytest.raises(ShapeError, match="broadcast"):
        base.complete(x, torch.zeros(7, dtype=torch.bool))
    with pytest.raises(DataError, match="known"):
        base.complete(x + 7, torch.tensor([True, False, False]))
    assert base.complete(x + torch.nan, torch.tensor(False)).isfinite().all()
    with pytest.raises(ShapeError, match="3 inputs"):
        DeepNADE(3, 3)(torch.zeros(4, 2), torch.ones(2, dtype=torch.bool))
    with pytest.raises(UsageError, match="widths"):
        DeepNADE(3, 3, hidden=0)
