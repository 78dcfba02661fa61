"""Masked networks and autoregressive transforms: masks, and the one-pass inverse against D passes of the network."""

from __future__ import annotations

import copy
import pickle
from functools import partial

import pytest
import torch
from torch import Tensor

from pushforward import distributions, scalar
from pushforward.errors import ShapeError, UsageError
from pushforward.kernels.compilation import PARTS
from pushforward.networks import MADE, ResidualMADE
from pushforward.networks.masked.made import by_variable, hidden_degrees
from pushforward.testing import check_normalised, randomise
from pushforward.transforms import Autoregressive, Inverse

NETWORKS = {
    "made": partial(MADE, hidden=(32, 24)),
    "narrow": partial(MADE, hidden=(3, 5)),
    "shallow": partial(MADE, hidden=(16,)),
    "residual": partial(ResidualMADE, hidden=20, blocks=2),
}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def inverse_by_passes(layer: Autoregressive, z: Tensor, context: Tensor | None = None) -> Tensor:
    """The textbook inverse: pass k of the whole network makes the first k dimensions right."""
    x = torch.zeros_like(z)
    for _ in range(z.shape[-1]):
        parameters = by_variable(layer.network(x[..., layer.order], context), z.shape[-1])
        x = layer.scalar.inverse(z[..., layer.order], parameters)[0][..., layer.inverse_order]
    return x


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("context", [0, 2])
@pytest.mark.parametrize("features", [1, 2, 7])
def test_an_output_sees_all_the_inputs_before_its_own_and_no_other(name: str, context: int, features: int) -> None:
    network = randomise(NETWORKS[name](features, 3 * features, context)).double()
    network.activation = torch.nn.SiLU()
    c = torch.randn(5, context, dtype=torch.float64) if context else None
    x = torch.randn(5, features, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda x: network(x, c).sum(0), x).sum(1)
    sees = jacobian.abs().reshape(3, features, features).amax(0) > 0
    allowed = torch.ones(features, features).tril(-1).bool()
    assert not (sees & ~allowed).any()
    if name != "narrow":
        assert torch.equal(sees, allowed)
    if context:
        by_context = torch.autograd.functional.jacobian(lambda c: network(x, c).sum(0), c).abs().sum(1)
        assert (by_context > 0).all()


@pytest.mark.parametrize("width", [1, 2, 6, 7, 50])
@pytest.mark.parametrize("inputs", [1, 2, 3, 7])
@pytest.mark.parametrize("context", [0, 1])
def test_degrees_ascend_and_reach_the_highest(width: int, inputs: int, context: int) -> None:
    degrees = hidden_degrees(width, inputs, context)
    assert degrees == sorted(degrees) and len(degrees) == width
    assert set(degrees) <= set(range(inputs))
    if width >= inputs:
        assert set(range(1, inputs)) <= set(degrees)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("context", [0, 2])
@pytest.mark.parametrize("features", [1, 2, 9, 40])
def test_one_pass_inverse_equals_d_passes(name: str, context: int, features: int) -> None:
    order = torch.randperm(features)
    layer = randomise(Autoregressive(features, scalar.Affine(), NETWORKS[name], context, order))
    z = torch.randn(11, 2, features)
    c = torch.randn(11, 2, context) if context else None
    expected = inverse_by_passes(layer, z, c)
    with torch.no_grad():
        fast, log_det = layer.inverse(z, c)
    slow, slow_log_det = layer.inverse(z, c)
    scale = expected.abs().clamp_min(1)
    assert ((fast - expected) / scale).abs().max() < 3e-6
    assert ((slow - expected) / scale).abs().max() < 3e-6
    torch.testing.assert_close(log_det, slow_log_det)
    torch.testing.assert_close(log_det, -layer(fast, c)[1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("make", [scalar.Additive, scalar.RationalQuadraticSpline])
def test_one_pass_inverse_for_other_scalars(make: type) -> None:
    layer = randomise(Autoregressive(12, make(), NETWORKS["made"]))
    z = 2 * torch.randn(50, 12)
    with torch.no_grad():
        torch.testing.assert_close(layer.inverse(z)[0], inverse_by_passes(layer, z), rtol=3e-6, atol=3e-6)


def test_shared_parameters_follow_the_order() -> None:
    layer = randomise(Autoregressive(5, scalar.LearnedBoundAffine(), NETWORKS["made"], order=[3, 1, 4, 0, 2]))
    assert layer.network.outputs == 10 and layer.shared.shape == (5, 1)
    x = torch.randn(6, 5)
    z, log_det = layer(x)
    back, inverse_log_det = layer.inverse(z)
    torch.testing.assert_close(back, x, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(inverse_log_det, -log_det, rtol=1e-5, atol=1e-5)


def test_gradients_of_the_inverse_are_those_of_d_passes() -> None:
    layer = randomise(Autoregressive(6, scalar.Affine(), NETWORKS["residual"], 2, torch.randperm(6))).double()
    z, c = torch.randn(4, 6).double().requires_grad_(), torch.randn(4, 2).double().requires_grad_()
    wanted = [z, c, *layer.network.parameters()]
    weights = torch.randn(4, 6).double()
    one = torch.autograd.grad((layer.inverse(z, c)[0] * weights).sum(), wanted)
    many = torch.autograd.grad((inverse_by_passes(layer, z, c) * weights).sum(), wanted)
    for first, second in zip(one, many):
        torch.testing.assert_close(first, second)


def test_the_inverse_of_the_layer_trains_as_an_inverse_autoregressive_flow() -> None:
    layer = Inverse(Autoregressive(3, scalar.Affine(), NETWORKS["made"]))
    optimiser = torch.optim.Adam(layer.parameters(), 1e-2)
    x = torch.randn(256, 3) @ torch.tensor([[1.0, 0.8, 0.3], [0.0, 0.5, 0.6], [0.0, 0.0, 0.4]])
    losses = []
    for _ in range(60):
        z, log_det = layer(x)
        loss = (0.5 * z.square().sum(-1) - log_det).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.3


def test_inverse_takes_any_batch_shape_and_broadcasts_the_context() -> None:
    layer = randomise(Autoregressive(3, scalar.Affine(), NETWORKS["made"], 2))
    context = torch.randn(2)
    for batch in [(), (4,), (0,), (2, 0), (2, 3)]:
        z = torch.randn(*batch, 3)
        x, log_det = layer.inverse(z, context)
        assert x.shape == z.shape and log_det.shape == z.shape[:-1]
        torch.testing.assert_close(layer(x, context)[0], z, rtol=1e-4, atol=1e-4)


def test_wrong_use_is_said_clearly() -> None:
    with pytest.raises(UsageError, match="order"):
        Autoregressive(3, scalar.Affine(), order=[0, 1, 1])
    with pytest.raises(UsageError, match="causal"):
        Autoregressive(3, scalar.Affine(), lambda inputs, outputs, context: torch.nn.Linear(inputs, outputs))
    with pytest.raises(UsageError, match="multiple"):
        MADE(3, 4)
    layer = Autoregressive(3, scalar.Affine(), context=2)
    for context in (None, torch.zeros(4, 3), torch.zeros(5, 2)):
        with pytest.raises((ShapeError, RuntimeError)):
            layer(torch.zeros(4, 3), context)
    with pytest.raises(ShapeError, match="events"):
        layer.inverse(torch.zeros(4, 2), torch.zeros(4, 2))


def test_inverses_without_gradients_can_be_trained_on() -> None:
    layer = randomise(Autoregressive(3, scalar.Affine(), NETWORKS["made"]))
    with torch.no_grad():
        x, log_det = layer.inverse(torch.randn(5, 3))
    assert not x.is_inference() and not log_det.is_inference()
    layer(x)[0].square().sum().backward()


@pytest.mark.slow
def test_compiled_layer_inverts_the_same() -> None:
    layer = randomise(Autoregressive(5, scalar.RationalQuadraticSpline(), NETWORKS["made"]))
    z = torch.randn(20, 5)
    with torch.no_grad():
        expected = layer.inverse(z)
        layer.compile(fullgraph=True)
        for value, reference in zip(layer.inverse(z), expected):
            torch.testing.assert_close(value, reference, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("order", [None, [2, 0, 3, 1]])
def test_binary_made_sums_to_one_and_samples_what_it_says(order: list[int] | None) -> None:
    made = randomise(distributions.BinaryMADE(4, NETWORKS["made"], order=order))
    outcomes = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 4)
    with torch.no_grad():
        mass = made.log_prob(outcomes).exp()
    torch.testing.assert_close(mass.sum(), torch.tensor(1.0))
    draws = made.sample(20_000)
    codes = (draws * torch.tensor([8.0, 4.0, 2.0, 1.0])).sum(-1).long()
    frequencies = torch.bincount(codes, minlength=16) / len(draws)
    assert ((frequencies - mass).abs() < 5 * (mass * (1 - mass) / len(draws)).sqrt() + 1e-6).all()
    assert made.log_prob(torch.full((4,), 0.5)) == -torch.inf


def test_binary_made_learns_a_parity() -> None:
    made = distributions.BinaryMADE(3, partial(MADE, hidden=(32, 32)))
    bits = torch.tensor([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]).float()
    optimiser = torch.optim.Adam(made.parameters(), 1e-2)
    for _ in range(300):
        loss = -made.log_prob(bits).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < torch.log(torch.tensor(4.0)) + 0.05


def test_rnade_is_a_density_and_its_first_conditional_is_a_mixture() -> None:
    rnade = randomise(distributions.RNADE(2, 3, NETWORKS["made"])).double()
    check_normalised(rnade.log_prob, -15.0, 15.0, 2)
    x = rnade.sample(40_000)
    grid = torch.linspace(-15, 15, 1201).double()
    with torch.no_grad():
        density = rnade.log_prob(torch.stack([grid[:, None].expand(-1, 301), grid[::4].expand(1201, -1)], -1)).exp()
    mean = (density.sum(1) * (grid[4] - grid[0]) * grid).sum() * (grid[1] - grid[0])
    assert (x[:, 0].mean() - mean).abs() < 5 * x[:, 0].std() / 200


def test_samples_of_rnade_follow_the_context() -> None:
    rnade = distributions.RNADE(2, 1, NETWORKS["made"], context=1)
    with torch.no_grad():
        rnade.network.linears[-1].weight.fill_(0.3)
    draws = rnade.sample(500, torch.tensor([[-5.0], [5.0]]))
    assert draws.shape == (500, 2, 2)
    assert (draws[:, 0] - draws[:, 1]).mean().abs() > 0.1


def test_a_compiled_layer_copies_and_pickles() -> None:
    layer = randomise(Autoregressive(3, scalar.RationalQuadraticSpline(), NETWORKS["made"]))
    layer.compile()
    x = torch.randn(4, 3)
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(twin.inverse(x)[0], layer.__class__.inverse(twin, x)[0])
        assert not twin.__dict__.get(PARTS) and torch.equal(twin.order, layer.order)
