"""Shared weights between conditionals, mixtures of Laplacians, and one network for all orders."""

from __future__ import annotations

import itertools
import math
from functools import partial

import pytest
import torch
from scipy import stats
from torch import Tensor

import pushforward as pf
from pushforward.distributions import (
    RNADE,
    AutoregressiveDistribution,
    BernoulliMass,
    CategoricalMass,
    LaplaceMixtureConditional,
    OrderAgnosticDistribution,
)
from pushforward.errors import DataError, ShapeError, UsageError
from pushforward.networks import NADE, CategoricalNADE, DeepNADE, RescaledNADE
from pushforward.networks.masked.causal import check_causal
from pushforward.networks.masked.made import by_variable
from pushforward.testing import check_normalised, randomise
from pushforward.training import OrderAgnosticLikelihood
from pushforward.transforms import Autoregressive

SHARED = {
    "nade": partial(NADE, hidden=6),
    "rescaled": partial(RescaledNADE, hidden=6),
    "categorical": partial(CategoricalNADE, hidden=6, classes=3),
}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def values(name: str, *shape: int) -> Tensor:
    return torch.randint(3, shape).double() if name == "categorical" else torch.randn(*shape).double()


def outcomes(features: int, classes: int) -> Tensor:
    return torch.tensor(list(itertools.product(range(classes), repeat=features))).float()


def test_nade_is_the_recursion_of_its_paper() -> None:
    network = randomise(NADE(4, 8, hidden=5)).double()
    x = torch.randn(4).double()
    activation, expected = network.bias, []
    for i in range(4):
        expected.append(torch.sigmoid(activation) @ network.last_weight[i] + network.last_bias[i, 0])
        activation = activation + network.weight[i, 0] * x[i]
    torch.testing.assert_close(by_variable(network(x), 4), torch.stack(expected))


def test_categories_are_one_hot_variables() -> None:
    categories = randomise(CategoricalNADE(3, 6, classes=4, hidden=5)).double()
    one_hot = NADE(3, 6, hidden=5, numbers=4).double()
    one_hot.load_state_dict(categories.state_dict())
    x = torch.randint(4, (7, 3))
    torch.testing.assert_close(categories(x.double()), one_hot(torch.nn.functional.one_hot(x, 4).double().flatten(1)))


@pytest.mark.parametrize("name", ["nade", "rescaled"])
def test_the_outputs_for_a_variable_see_those_before_it(name: str) -> None:
    network = randomise(SHARED[name](4, 8)).double()
    jacobian = torch.autograd.functional.jacobian(network, torch.randn(4).double())
    seen = by_variable(jacobian.transpose(0, 1), 4).abs().sum(-1)
    assert (seen.triu(1) > 0).sum() == 6 and bool((seen.tril(0) == 0).all())
    check_causal(network, 4, 1, None, "the test")


@pytest.mark.parametrize("name", SHARED)
@pytest.mark.parametrize("batch", [(), (0,), (5,), (2, 3)])
def test_what_is_generated_is_what_a_pass_says(name: str, batch: tuple[int, ...]) -> None:
    network = randomise(SHARED[name](4, 12, 2)).double()
    x, context = values(name, *batch, 4), torch.randn(*batch, 2).double()
    rows = x.reshape(-1, 4).t()
    said: list[Tensor] = []

    def choose(variables: slice, outputs: Tensor) -> Tensor:
        said.append(outputs)
        return rows[variables]

    with torch.no_grad():
        network.generate(choose, torch.Size(batch), context)
        expected = by_variable(network(x, context), 4).reshape(-1, 4, 3).transpose(0, 1)
    torch.testing.assert_close(torch.cat(said), expected)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_masses_of_nade_sum_to_one_and_are_what_is_drawn(classes: int) -> None:
    flow = randomise(pf.models.nade(features=3, classes=classes, hidden=6))
    every = outcomes(3, classes)
    with torch.no_grad():
        mass = flow.log_prob(every).exp()
    torch.testing.assert_close(mass.sum(), torch.tensor(1.0))
    draws = flow.sample(20_000)
    found = (draws[:, None] == every).all(-1).float().sum(0)
    assert stats.chisquare(found.double(), mass.double() / mass.double().sum() * len(draws)).pvalue > 1e-3


def test_nade_learns_a_parity() -> None:
    bits = torch.tensor([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]).float()
    base = AutoregressiveDistribution(3, BernoulliMass(), partial(NADE, hidden=16))
    optimiser = torch.optim.Adam(base.parameters(), 5e-2)
    for _ in range(200):
        loss = -base.log_prob(bits).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < math.log(4) + 0.05


def test_rnade_of_shared_weights_is_a_density() -> None:
    check_normalised(randomise(RNADE(2, 3, partial(RescaledNADE, hidden=6))).double().log_prob, -15.0, 15.0, 2)


def test_mixtures_of_laplacians_agree_with_scipy() -> None:
    conditional = LaplaceMixtureConditional(3)
    parameters = torch.randn(9).double()
    x = torch.linspace(-8, 8, 33).double()
    logits, location, log_scale = conditional._components(parameters)
    weights, scale = torch.softmax(logits, -1), log_scale.exp()
    expected = sum(
        w.item() * stats.laplace.pdf(x.numpy(), m.item(), s.item())
        for w, m, s in zip(weights, location, scale, strict=True)
    )
    torch.testing.assert_close(conditional.log_prob(x, parameters.expand(33, -1)).exp(), torch.as_tensor(expected))
    draws = conditional.sample(parameters.expand(4000, -1))

    def distribution_function(at: Tensor) -> Tensor:
        return sum(
            w.item() * stats.laplace.cdf(at, m.item(), s.item())
            for w, m, s in zip(weights, location, scale, strict=True)
        )

    assert stats.kstest(draws.numpy(), distribution_function).pvalue > 1e-3


@pytest.mark.parametrize("scalar", ["affine", "spline"])
def test_shared_weights_decide_the_layers_of_flows_too(scalar: str) -> None:
    scalars = {"affine": pf.scalar.Affine(), "spline": pf.scalar.RationalQuadraticSpline()}
    layer = randomise(Autoregressive(4, scalars[scalar], partial(RescaledNADE, hidden=6))).double()
    x = torch.randn(5, 4).double()
    z, log_det = layer(x)
    torch.testing.assert_close(layer.inverse(z)[0], x)
    jacobian = torch.autograd.functional.jacobian(lambda row: layer(row)[0], x[0])
    torch.testing.assert_close(torch.linalg.slogdet(jacobian)[1], log_det[0])


def test_nade_says_what_does_not_fit() -> None:
    with pytest.raises(UsageError, match="multiple"):
        NADE(3, 7)
    with pytest.raises(UsageError, match="hidden unit"):
        NADE(3, 6, hidden=0)
    with pytest.raises(ShapeError, match="3 inputs"):
        NADE(3, 6)(torch.zeros(2, 4))
    with pytest.raises(UsageError, match="gaussian, laplace"):
        pf.models.rnade(features=2, mixture="cauchy")


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


def test_conditionals_of_categories_take_any_order() -> None:
    base = randomise(
        AutoregressiveDistribution(
            3, CategoricalMass(3), partial(CategoricalNADE, classes=3, hidden=6), order=[2, 0, 1]
        )
    )
    with torch.no_grad():
        torch.testing.assert_close(base.log_prob(outcomes(3, 3)).exp().sum(), torch.tensor(1.0))
