"""Flows on integers and categories: exactness, normalisation by enumeration, tails against a float64 reference."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.accuracy import Accuracy
from pushforward.distributions import (
    AutoregressiveCategorical,
    Categorical,
    CategoricalMass,
    Discrete,
    DiscretizedLogistic,
    GroupedDiscrete,
)
from pushforward.distributions.discrete.discretized_logistic import (
    DiscretizedLogisticMixture,
    discretized_logistic_log_mass,
)
from pushforward.distributions.discrete.mass import MassFunction
from pushforward.networks import DenseMLP, DenseNet, GatedConvNet, NetworkFactory, ReZero
from pushforward.scalar import Affine, CyclicShift, ModularAffine, RoundedShift
from pushforward.scalar.modular import modular_inverses
from pushforward.testing import randomise
from pushforward.transforms import (
    CategoricalEncoding,
    Coupling,
    Integers,
    Interlace,
    Inverse,
    Multipartite,
    OneHotAutoregressive,
    bipartite,
    masks,
    multipartite,
    quadripartite,
)

SMALL = partial(DenseMLP, hidden=8, blocks=1)


def reference_log_mass(distance: Tensor, scale: Tensor) -> Tensor:
    """The log-mass at ``distance >= 0`` from the mean, in float64 and in another form than the library's:
    ``F(-d + 1/2) - F(-d - 1/2) = sinh(1 / 2s) / (cosh(1 / 2s) + cosh(d / s))``."""
    a, b = 0.5 / scale, distance / scale

    def log_cosh(t: Tensor) -> Tensor:
        return t + torch.log1p(torch.exp(-2 * t)) - math.log(2)

    log_sinh = a + torch.log(-torch.expm1(-2 * a)) - math.log(2)
    return log_sinh - torch.logaddexp(log_cosh(a), log_cosh(b))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1e-3, 0.03, 0.3, 1.0, 7.0, 1e3])
def test_discretized_logistic_is_accurate_in_the_tails(scale: float, dtype: torch.dtype) -> None:
    log_scale = torch.tensor(math.log(scale), dtype=dtype)
    exact_scale = log_scale.double().exp()
    scales_away = torch.tensor([0.0, 0.1, 1, 3, 10, 30, 100, 1e3, 1e4], dtype=torch.float64)
    distance = torch.round(scales_away * exact_scale).unique()
    expected = reference_log_mass(distance, exact_scale)
    for sign in (1, -1):
        value = discretized_logistic_log_mass((sign * distance).to(dtype), torch.zeros((), dtype=dtype), log_scale)
        assert torch.isfinite(value).all()
        torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-30)


@pytest.mark.parametrize("mean", [0.0, 0.3, -12.5, 1000.25])
@pytest.mark.parametrize("scale", [1e-3, 0.1, 1.0, 20.0])
def test_discretized_logistic_sums_to_one(scale: float, mean: float) -> None:
    reach = math.ceil(40 * scale) + 2
    x = torch.arange(math.floor(mean) - reach, math.ceil(mean) + reach + 1, dtype=torch.float64)
    log_mass = discretized_logistic_log_mass(x, torch.tensor(mean).double(), torch.tensor(scale).double().log())
    assert log_mass.exp().sum().item() == pytest.approx(1, abs=1e-6)
    single = discretized_logistic_log_mass(x.float(), torch.tensor(mean), torch.tensor(scale).log())
    assert single.double().exp().sum().item() == pytest.approx(1, abs=1e-6)


BOUNDED = [
    DiscretizedLogisticMixture(1, center=8, unit=4, low=0, high=16),
    DiscretizedLogisticMixture(4, center=8, unit=4, low=0, high=16),
    CategoricalMass(17),
]


@pytest.mark.parametrize("mass", BOUNDED, ids=repr)
@pytest.mark.parametrize("factor", [0.0, 1.0, 10.0])
def test_bounded_mass_functions_sum_to_one_and_have_nothing_outside(mass: MassFunction, factor: float) -> None:
    parameters = factor * torch.randn(5, 1, mass.num_parameters, generator=torch.Generator().manual_seed(0))
    x = torch.arange(17.0).expand(5, 17)
    total = mass.log_prob(x, parameters.expand(5, 17, -1)).double().exp().sum(-1)
    torch.testing.assert_close(total, torch.ones(5).double(), rtol=0, atol=1e-6)
    outside = torch.tensor([-1.0, 17.0, -1e6, 1e6]).expand(5, 4)
    assert (mass.log_prob(outside, parameters.expand(5, 4, -1)) == -math.inf).all()


def test_edges_take_the_mass_of_the_tails() -> None:
    free = DiscretizedLogisticMixture(3, unit=10.0)
    bounded = DiscretizedLogisticMixture(3, unit=10.0, low=-5, high=5)
    parameters = torch.randn(9, generator=torch.Generator().manual_seed(0)).double()
    x = torch.arange(-2000.0, 2001.0).double()
    whole = free.log_prob(x, parameters.expand(4001, 9)).exp()
    edges = bounded.log_prob(torch.tensor([-5.0, 0.0, 5.0]).double(), parameters.expand(3, 9)).exp()
    expected = torch.stack([whole[x <= -5].sum(), whole[x == 0].sum(), whole[x >= 5].sum()])
    torch.testing.assert_close(edges, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("mass", [*BOUNDED, DiscretizedLogisticMixture(3)], ids=repr)
def test_mass_functions_stay_finite_with_gradients(mass: MassFunction) -> None:
    for factor in (1.0, 50.0, 1e4):
        parameters = torch.randn(3, mass.num_parameters, generator=torch.Generator().manual_seed(1)) * factor
        parameters.requires_grad_()
        log_mass = mass.log_prob(torch.tensor([0, 7, 16]), parameters)
        assert torch.isfinite(log_mass).all() and (log_mass <= 0).all()
        (gradient,) = torch.autograd.grad(log_mass.sum(), parameters)
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("mass", BOUNDED, ids=repr)
def test_samples_follow_the_mass(mass: MassFunction) -> None:
    generator = torch.Generator().manual_seed(0)
    parameters = torch.randn(mass.num_parameters, generator=generator)
    draws = mass.sample(parameters.expand(40_000, -1), generator=generator)
    counts = torch.bincount(draws.long(), minlength=17) / len(draws)
    expected = mass.log_prob(torch.arange(17.0), parameters.expand(17, -1)).exp()
    torch.testing.assert_close(counts, expected, rtol=0, atol=0.012)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int64, torch.float32, torch.float64])
def test_bases_take_any_dtype_that_holds_integers(dtype: torch.dtype) -> None:
    x = torch.tensor([[0, 3], [2, 1]])
    for base in (Categorical((2,), 4), DiscretizedLogistic((2,), 2, low=0, high=3)):
        torch.testing.assert_close(base.log_prob(x.to(dtype)), base.log_prob(x))


def all_images(levels: int, shape: tuple[int, ...]) -> Tensor:
    count = math.prod(shape)
    return torch.cartesian_prod(*[torch.arange(float(levels))] * count).reshape(-1, *shape)


@pytest.mark.parametrize("mass", [CategoricalMass(3), DiscretizedLogisticMixture(2, center=1, low=0, high=2)], ids=repr)
@pytest.mark.parametrize("groups", [(1, 1), (2,)])
def test_grouped_base_sums_to_one(mass: MassFunction, groups: tuple[int, ...]) -> None:
    base = randomise(
        GroupedDiscrete(mass, (2, 1, 2), groups, partial(DenseNet, hidden=4, blocks=1), context=(1, 1, 2)), 2.0
    )
    context = torch.tensor([[[[0.0, 1.0]]]])
    x = all_images(3, (2, 1, 2))
    total = base.log_prob(x, context.expand(len(x), -1, -1, -1)).double().exp().sum()
    assert total.item() == pytest.approx(1, abs=1e-5)


def test_grouped_base_is_autoregressive_over_its_groups() -> None:
    base = randomise(GroupedDiscrete(CategoricalMass(5), (4,), (1, 2, 1), SMALL), 2.0)
    x = torch.randint(5, (1, 4)).float()
    parameters = [base.group_parameters(1, x[:, :1])]
    assert parameters[0].shape == (1, 2, 5)
    changed = x.clone()
    changed[:, 3] = (changed[:, 3] + 1) % 5
    torch.testing.assert_close(base.group_parameters(2, changed[:, :3]), base.group_parameters(2, x[:, :3]))
    with pytest.raises(pf.errors.UsageError, match="add up"):
        GroupedDiscrete(CategoricalMass(5), (4,), (1, 2), SMALL)


def test_learned_base_reaches_the_entropy() -> None:
    counts = torch.tensor([1.0, 2.0, 5.0])
    data = torch.repeat_interleave(torch.arange(3.0), counts.long())[:, None]
    base = Discrete(CategoricalMass(3), (1,))
    optimiser = torch.optim.LBFGS(base.parameters(), max_iter=100)

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = -base.log_prob(data).mean()
        value.backward()
        return value

    optimiser.step(loss)
    p = counts / counts.sum()
    assert loss().item() == pytest.approx(-(p * p.log()).sum().item(), abs=1e-5)


LAYERS = {
    "bipartite": lambda: bipartite((8,), RoundedShift(20.0), SMALL, kept=0.75),
    "quadripartite": lambda: quadripartite((8,), RoundedShift(20.0), SMALL),
    "cyclic": lambda: quadripartite((8,), CyclicShift(256, 40.0), SMALL),
    "both operations": lambda: Multipartite(
        (8,), (3, 4, 1), [RoundedShift(9.0)] * 3, SMALL, first_operations=[None, CyclicShift(256, 9.0), None]
    ),
    "coupling": lambda: Coupling(masks.alternating(8), RoundedShift(20.0), SMALL),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("batch", [(), (1,), (7,), (512,), (0,), (3, 5)])
def test_integer_layers_are_exact_bit_for_bit(name: str, batch: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    layer = randomise(LAYERS[name](), 2.0)
    x = torch.randint(0, 256, (*batch, 8)).float()
    z, log_det = layer(x)
    assert torch.equal(z, z.round()) and not log_det.any()
    assert torch.equal(layer.inverse(z)[0], x)
    if math.prod(batch) > 6:
        assert not torch.equal(z, x)


@pytest.mark.parametrize("network", [partial(DenseNet, hidden=4), partial(GatedConvNet, hidden=4, blocks=1)])
def test_integer_couplings_of_images_are_exact_with_dense_and_gated_conditioners(network: NetworkFactory) -> None:
    torch.manual_seed(0)
    for layer in (
        quadripartite((6, 5, 3), RoundedShift(50.0), network, context=2),
        bipartite((6, 5, 3), RoundedShift(50.0), network, context=2, kept=0.75),
    ):
        randomise(layer, 2.0)
        x, context = torch.randint(0, 256, (7, 6, 5, 3)).float(), torch.randn(7, 2)
        z, _ = layer(x, context)
        assert torch.equal(layer.inverse(z, context)[0], x) and not torch.equal(z, x)


def test_cyclic_shift_permutes_its_levels() -> None:
    for levels in (1, 2, 17, 256):
        shift = CyclicShift(levels, unit=levels)
        for t in (-3.3, -0.51, 0.0, 0.4, 123.0):
            z, _ = shift.forward(torch.arange(float(levels)), torch.full((levels, 1), t))
            assert torch.equal(z.sort().values, torch.arange(float(levels)))
            assert torch.equal(shift.inverse(z, torch.full((levels, 1), t))[0], torch.arange(float(levels)))


def test_rounding_passes_the_gradient() -> None:
    parameters = torch.tensor([[0.3], [1.4]], requires_grad=True)
    x = torch.tensor([2.0, 5.0], requires_grad=True)
    z, _ = RoundedShift(3.0).forward(x, parameters)
    (2 * z).sum().backward()
    assert torch.equal(parameters.grad, torch.full((2, 1), 6.0)) and torch.equal(x.grad, torch.full((2,), 2.0))


def test_multipartite_with_two_parts_is_the_coupling() -> None:
    torch.manual_seed(0)
    coupling = randomise(Coupling(masks.halves(6), Affine(), SMALL))
    general = bipartite((6,), Affine(), SMALL)
    general.networks[1].load_state_dict(coupling.network.state_dict())
    x = torch.randn(5, 6)
    for ours, theirs in zip(general(x), coupling(x)):
        torch.testing.assert_close(ours, theirs)


def test_quadripartite_follows_the_formulas() -> None:
    """Equations 3.37 to 3.40 of the proposition's example, written out."""
    torch.manual_seed(0)
    layer = randomise(quadripartite((4,), RoundedShift(5.0), SMALL), 2.0)
    x = torch.randint(0, 20, (9, 4)).float()
    a, b, c, d = x.split(1, -1)

    def shift(index: int, *others: Tensor) -> Tensor:
        return torch.round(5.0 * layer.networks[index](torch.cat(others, -1)))

    a = a + shift(0, b, c, d)
    b = b + shift(1, a, c, d)
    c = c + shift(2, a, b, d)
    d = d + shift(3, a, b, c)
    assert torch.equal(layer(x)[0], torch.cat([a, b, c, d], -1))


def test_multipartite_rejects_wrong_parts() -> None:
    shift = RoundedShift()
    for parts, operations in [((3, 2), (shift, shift)), ((4,), (shift,)), ((2, 2), (shift,))]:
        with pytest.raises(pf.errors.UsageError, match="expects"):
            Multipartite((4,), parts, operations, SMALL)
    with pytest.raises(pf.errors.UsageError, match="first"):
        Multipartite((4,), (2, 2), (shift, shift), SMALL, first_operations=(shift, None))
    with pytest.raises(pf.errors.UsageError, match="at least 2 count, got count=0"):
        multipartite((4,), 0, shift, SMALL)


def test_interlace_orders_from_coarse_to_fine() -> None:
    for shape in [(1, 7, 7), (3, 4, 4), (2, 1, 5), (1, 1, 1)]:
        layer = Interlace(shape)
        x = torch.arange(float(math.prod(shape))).reshape(1, *shape)
        z, _ = layer(x)
        assert torch.equal(layer.inverse(z)[0], x)
        assert torch.equal(z.flatten().sort().values, x.flatten())
    z, _ = Interlace((1, 4, 4))(torch.arange(16.0).reshape(1, 4, 4))
    assert z.flatten()[:4].tolist() == [0, 10, 2, 8]


def test_rezero_starts_at_zero_and_learns() -> None:
    network = ReZero(DenseNet(2, 3, hidden=4, blocks=1))
    out = network(torch.randn(2, 2, 4, 4))
    assert not out.any()
    (out - 1).square().sum().backward()
    assert network.alpha.grad.abs() > 0


def test_integers_take_any_dtype() -> None:
    x = torch.tensor([[0, 255]], dtype=torch.uint8)
    assert torch.equal(Integers(256)(x)[0], x.float())
    assert Integers(256)(x.double())[0].dtype == torch.float64


def test_idf_vector_is_exact_and_sums_to_one() -> None:
    torch.manual_seed(0)
    flow = randomise(pf.build("idf-vector", features=3, levels=6, hidden=8, blocks=1, components=2), 2.0)
    x = all_images(6, (3,))
    assert torch.equal(flow.decode(flow.encode(x.to(torch.uint8))), x)
    assert flow.log_prob(x).double().exp().sum().item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", ["idf", "idf-vector"])
def test_gradients_pass_through_rounded_shifts_to_the_layers_before(name: str) -> None:
    torch.manual_seed(0)
    kind = {"features": 5} if name == "idf-vector" else {"shape": (1, 8, 8), "hidden": [4]}
    flow = randomise(pf.build(name, levels=17, layers=2, blocks=1, **kind), 0.3)
    x = torch.randint(17, (20, *flow.event_shape))
    flow.log_prob(x).sum().backward()
    factors = [parameter for each, parameter in flow.named_parameters() if each.endswith("alpha")]
    assert factors and all(factor.grad is not None and factor.grad != 0 for factor in factors)


def test_modular_inverse_of_every_number_up_to_256() -> None:
    for classes in range(2, 257):
        inverses = modular_inverses(classes)
        for number, inverse in enumerate(inverses):
            if math.gcd(number, classes) == 1:
                assert number * inverse % classes == 1
            else:
                assert inverse == 0


@pytest.mark.parametrize("classes", [2, 3, 6, 10, 16, 256])
def test_modular_affine_is_the_formula_and_permutes(classes: int) -> None:
    generator = torch.Generator().manual_seed(classes)
    operation = ModularAffine(classes)
    parameters = torch.randn(40, 1, 2 * classes, generator=generator)
    x = torch.eye(classes).expand(40, -1, -1)
    z, log_dz = operation.forward(x, parameters.expand(-1, classes, -1))
    location = parameters[:, 0, :classes].argmax(-1)
    scale_logits = parameters[:, 0, classes:].clone()
    scale_logits[:, [s for s in range(classes) if math.gcd(s, classes) != 1]] = -torch.inf
    expected = (location[:, None] + scale_logits.argmax(-1)[:, None] * torch.arange(classes)) % classes
    assert torch.equal(z.argmax(-1), expected) and torch.equal(z.sum(-1), torch.ones(40, classes))
    assert torch.equal(z.argmax(-1).sort(-1).values, torch.arange(classes).expand(40, -1))
    assert torch.equal(operation.inverse(z, parameters.expand(-1, classes, -1))[0], x)
    assert log_dz.shape == (40, classes) and not log_dz.any()
    assert torch.equal(operation.forward(x, torch.zeros(40, classes, 2 * classes))[0], x)


@pytest.mark.parametrize("inverse", [False, True])
def test_modular_affine_gradient_is_that_of_every_choice(inverse: bool) -> None:
    """Each logit learns what the category that it leads to would cost, by least squares."""
    classes = 5
    operation = ModularAffine(classes)
    parameters = torch.randn(2 * classes, generator=torch.Generator().manual_seed(0)).requires_grad_()
    x = torch.eye(classes)[3].requires_grad_()
    cost = torch.randn(classes, generator=torch.Generator().manual_seed(1))
    ((operation.inverse if inverse else operation.forward)(x, parameters)[0] * cost).sum().backward()
    logits = parameters.detach().clone().requires_grad_()
    location, scale = logits[:classes], logits[classes + 1 :]
    mu, sigma = int(location.argmax()), 1 + int(scale.argmax())

    def led_to(value: int, mu: int, sigma: int) -> int:
        return (pow(sigma, -1, classes) * (value - mu) if inverse else mu + sigma * value) % classes

    by_location = cost[[led_to(3, other, sigma) for other in range(classes)]]
    by_scale = cost[[led_to(3, mu, other) for other in range(1, classes)]]
    for chosen, costs in ((location, by_location), (scale, by_scale)):
        size = costs.std(correction=0)
        (0.5 * size * ((chosen - chosen.mean()) + (costs - costs.mean()) / size).square().sum()).backward()
    torch.testing.assert_close(parameters.grad, logits.grad)
    torch.testing.assert_close(x.grad, cost[[led_to(value, mu, sigma) for value in range(classes)]])


def test_inverse_discrete_layers_learn() -> None:
    layer = Inverse(OneHotAutoregressive(3, ModularAffine(4)))
    x = torch.eye(4)[torch.randint(4, (9, 3), generator=torch.Generator().manual_seed(0))]
    (layer(x)[0] * torch.arange(4.0)).sum().backward()
    assert all(p.grad is not None for p in layer.parameters())


def test_modular_affine_takes_parameters_of_half_precision() -> None:
    x, parameters = torch.eye(5), torch.randn(5, 10, generator=torch.Generator().manual_seed(0)).bfloat16()
    z, _ = ModularAffine(5).forward(x, parameters)
    assert z.dtype == x.dtype and torch.equal(ModularAffine(5).inverse(z, parameters)[0], x)


@pytest.mark.parametrize("autoregressive", [False, True])
@pytest.mark.parametrize("features, classes", [(2, 2), (3, 4), (2, 6)])
def test_discrete_flow_is_exact_and_sums_to_one(features: int, classes: int, autoregressive: bool) -> None:
    torch.manual_seed(0)
    flow = pf.build(
        "discrete-flow", features=features, classes=classes, hidden=[16], autoregressive=autoregressive, layers=3
    )
    randomise(flow, 3.0)
    x = all_images(classes, (features,))
    z = flow.encode(x.long())
    assert torch.equal(flow.decode(z), x) and (classes == 2 or not torch.equal(z, x))
    assert len(torch.unique(z, dim=0)) == len(x)
    assert flow.log_prob(x).double().exp().sum().item() == pytest.approx(1, abs=1e-5)
    assert (flow.log_prob(x + classes) == -torch.inf).all()
    draws = flow.sample((2, 5))
    assert (
        draws.shape == (2, 5, features)
        and draws.max() < classes
        and flow.accuracy is Accuracy.EXACT
        and flow.levels == classes
    )


def test_discrete_flow_takes_a_context_and_256_classes() -> None:
    for autoregressive in (False, True):
        flow = pf.build("discrete-flow", features=3, classes=256, context=2, hidden=[8], autoregressive=autoregressive)
        randomise(flow, 2.0)
        context = torch.randn(4, 2)
        x = torch.randint(256, (4, 3), dtype=torch.uint8)
        assert torch.equal(flow.decode(flow.encode(x, context), context), x.float())
        loss = -flow.log_prob(x, context).mean()
        loss.backward()
        assert all(torch.isfinite(p.grad).all() for p in flow.parameters() if p.grad is not None)
        with pytest.raises(pf.errors.ShapeError, match="context"):
            flow.log_prob(x)


XOR = torch.tensor([[0.63, 0.07], [0.03, 0.27]])


def test_xor_factorises_exactly() -> None:
    """The example of the discrete flows paper: y2 = x1 xor x2 is independent of y1 = x1."""
    x = all_images(2, (2,))
    weights = XOR.flatten()
    torch.manual_seed(0)
    flow = pf.build("discrete-flow", features=2, classes=2, layers=1, hidden=[8])
    optimiser = torch.optim.Adam(flow.parameters(), lr=0.05)
    for _ in range(300):
        optimiser.zero_grad()
        (-weights @ flow.log_prob(x)).backward()
        optimiser.step()
    entropy = -(weights * weights.log()).sum()
    independent = [XOR.sum(1), XOR.sum(0)]
    apart = -sum((p * p.log()).sum() for p in independent)
    cost = (-weights @ flow.log_prob(x)).item()
    assert cost == pytest.approx(entropy.item(), abs=1e-3) and cost < apart.item() - 0.2
    latent = flow.encode(x)
    assert torch.equal(latent[:, 0], x[:, 0])
    xor = (x[:, 0] != x[:, 1]).float()
    assert torch.equal(latent[:, 1], xor) or torch.equal(latent[:, 1], 1 - xor)


def test_autoregressive_categorical_sums_to_one_and_follows_its_order() -> None:
    torch.manual_seed(0)
    base = randomise(AutoregressiveCategorical(3, 3, hidden=[16], order=[2, 0, 1]), 3.0)
    x = all_images(3, (3,))
    log_prob = base.log_prob(x).detach()
    assert log_prob.double().exp().sum().item() == pytest.approx(1, abs=1e-5)
    table = log_prob.exp().reshape(3, 3, 3)
    last = table.sum((0, 1))
    expected = torch.softmax(base.one_hot.network(torch.zeros(3, 3))[0], -1)
    torch.testing.assert_close(last, expected, rtol=1e-4, atol=1e-5)
    draws = base.sample(20_000, generator=torch.Generator().manual_seed(0)).long()
    counts = torch.bincount(draws[:, 2], minlength=3) / len(draws)
    torch.testing.assert_close(counts, last, rtol=0, atol=0.015)


def test_categorical_encoding_bounds_the_log_mass() -> None:
    """With one category certain and a base that is the encoder itself, the bound is the exact log-mass."""
    torch.manual_seed(0)
    layer = CategoricalEncoding(1, 3, dimensions=1)
    with torch.no_grad():
        layer.means.copy_(torch.tensor([[-20.0], [0.0], [20.0]]))
        layer.logits.copy_(torch.tensor([0.2, 0.5, 0.3]).log())
    x = torch.tensor([[0], [1], [2]])
    z, log_det = layer(x)
    mixture = torch.logsumexp(layer._log_joint(z.unflatten(-1, (1, 1))), -1).sum(-1)
    torch.testing.assert_close(mixture + log_det, torch.tensor([0.2, 0.5, 0.3]).log())
    back, inverse_log_det = layer.inverse(z)
    assert torch.equal(back, x.float())
    torch.testing.assert_close(inverse_log_det, -log_det)


def test_categorical_flow_learns_the_xor_table() -> None:
    torch.manual_seed(0)
    flow = pf.build("categorical-flow", features=2, classes=2, layers=2, hidden=[16], dimensions=1)
    x = all_images(2, (2,))
    data = x.repeat_interleave((100 * XOR.flatten()).round().long(), 0)
    flow.initialise(data)
    optimiser = torch.optim.Adam(flow.parameters(), lr=0.02)
    for _ in range(200):
        optimiser.zero_grad()
        (-flow.log_prob(data.repeat(3, 1)).mean()).backward()
        optimiser.step()
    assert flow.accuracy is Accuracy.LOWER_BOUND
    weights = XOR.flatten()
    entropy = -(weights * weights.log()).sum().item()
    with torch.no_grad():
        bound = flow.importance_log_prob(x, importance_samples=300)
    cost = -(weights @ bound).item()
    assert entropy - 0.02 < cost < entropy + 0.08
    # A bound on probabilities that sum to at most 1.
    assert bound.exp().sum().item() < 1.05
    draws = flow.sample(4000).long()
    counts = torch.bincount(draws[:, 0] * 2 + draws[:, 1], minlength=4) / 4000
    torch.testing.assert_close(counts, weights, rtol=0, atol=0.08)


def test_idf_sums_to_one_by_enumeration() -> None:
    torch.manual_seed(0)
    flow = randomise(
        pf.build("idf", shape=(1, 2, 2), levels=5, layers=1, hidden=[4], blocks=1, last_hidden=8, components=2), 2.0
    )
    assert flow.log_prob(all_images(5, (1, 2, 2))).double().exp().sum().item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 12, 10), (1, 7, 5), (2, 1, 1)])
@pytest.mark.parametrize("batch", [1, 7, 0])
def test_idf_is_exact_and_its_latents_are_integers_in_range(shape: tuple[int, ...], batch: int) -> None:
    torch.manual_seed(0)
    flow = pf.build("idf", shape=shape, levels=17, layers=2, hidden=[4], blocks=1, coupling_hidden=4, last_hidden=4)
    randomise(flow)
    x = torch.randint(17, (batch, *shape), dtype=torch.uint8)
    latents = flow.latents(x)
    for z in latents:
        assert torch.equal(z, z.round()) and (z >= 0).all() and (z <= 16).all()
    assert torch.equal(flow.from_latents(latents), x.float())
    assert flow.log_prob(x).shape == (batch,) and torch.isfinite(flow.log_prob(x)).all()
    assert flow.accuracy is Accuracy.EXACT and flow.levels == 17


def test_idf_takes_a_context() -> None:
    flow = randomise(pf.build("idf", shape=(1, 8, 8), levels=4, context=3, hidden=[4], blocks=1, last_hidden=4))
    context = torch.randn(5, 3)
    x = flow.sample((2,), context)
    assert x.shape == (2, 5, 1, 8, 8) and x.min() >= 0 and x.max() <= 3
    assert flow.log_prob(x[0], context).shape == (5,)
    assert not torch.allclose(flow.log_prob(x[0], context), flow.log_prob(x[0], context + 3))


def test_idf_sample_is_the_distribution_that_log_prob_states() -> None:
    torch.manual_seed(0)
    flow = randomise(pf.build("idf", shape=(1, 2, 1), levels=3, hidden=[4], blocks=1, last_hidden=8), 3.0)
    draws = flow.sample(20_000, generator=torch.Generator().manual_seed(0)).long().flatten(1)
    counts = torch.bincount(draws[:, 0] * 3 + draws[:, 1], minlength=9) / len(draws)
    expected = flow.log_prob(all_images(3, (1, 2, 1))).exp().detach()
    torch.testing.assert_close(counts, expected, rtol=0, atol=0.015)
