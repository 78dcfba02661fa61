"""Shared weights between conditionals, and mixtures of Laplacians."""

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
)
from pushforward.errors import ShapeError, UsageError
from pushforward.networks import NADE, CategoricalNADE, RescaledNADE
from pushforward.networks.masked.causal import check_causal
from pushforward.networks.masked.made import by_variable
from pushforward.testing import check_normalised, randomise
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


def test_conditionals_of_categories_take_any_order() -> None:
    base = randomise(
        AutoregressiveDistribution(
            3, CategoricalMass(3), partial(CategoricalNADE, classes=3, hidden=6), order=[2, 0, 1]
        )
    )
    with torch.no_grad():
        torch.testing.assert_close(base.log_prob(outcomes(3, 3)).exp().sum(), torch.tensor(1.0))
