"""The contract between parts: spaces, accuracy, contexts, generators, values alone."""

from __future__ import annotations

import copy
import math
from functools import partial

import pytest
import torch
from torch import nn

import pushforward as pf
from pushforward.accuracy import Accuracy, Draws
from pushforward.distributions import GaussianMixture, StandardNormal, Uniform
from pushforward.errors import DataError, ShapeError, UsageError
from pushforward.networks import MADE, MLP
from pushforward.scalar import Affine, CircularRationalQuadraticSpline, Exp, RationalQuadraticSpline, Sigmoid
from pushforward.spaces import Categories, Circle, Integers, Interval, Product, Reals, Sphere, product_of
from pushforward.transforms import (
    ActNorm,
    Autoregressive,
    Chain,
    Coupling,
    Dequantization,
    Elementwise,
    Inverse,
    Logit,
    flip,
    masks,
)

VECTOR_MODELS = ["maf", "iaf", "nsf", "nsf-coupling", "naf", "umnn", "planar", "radial", "sylvester", "realnvp", "nice"]


def test_spaces_know_their_points() -> None:
    x = torch.tensor([[0.0, 0.0], [1.5, 0.0], [-0.5, 3.0], [math.nan, 0.0], [math.inf, 1.0]])
    assert Interval(0, 2, (2,)).contains(x).tolist() == [True, True, False, False, False]
    assert Reals((2,)).contains(x).tolist() == [True, True, True, False, False]
    assert Integers(0, 3, (2,)).contains(x).tolist() == [True, False, False, False, False]
    for space in (Interval(0, 2, (2,)), Circle((2,)), Integers(0, 3, (2,)), Categories(3, (2,)), Sphere(1)):
        assert space.contains(space.nearest(x)).all(), space
    both = Product(Reals((1,)), Circle((1,)))
    assert both.select([1, 0]) == Product(Circle((1,)), Reals((1,)))
    assert product_of([Reals(), Reals()]) == Reals((2,))
    assert both.features(torch.tensor([[5.0, math.pi / 2]])).round(decimals=4).tolist() == [[5.0, -0.0, 1.0]]
    assert both.dimensions == 2 and Sphere(2).dimensions == 2 and Sphere(2).constraint.event_dim == 1


def test_parts_that_do_not_fit_are_told_when_they_are_put_together() -> None:
    with pytest.raises(UsageError, match=r"events of shape \(3,\)"):
        pf.Flow([ActNorm(3)], StandardNormal((2,)))
    with pytest.raises(UsageError, match=r"Interval\(low=0.0, high=1.0.* does not fit"):
        pf.Flow([Elementwise(Sigmoid(), (2,))], StandardNormal((2,)))
    with pytest.raises(UsageError, match="does not fit"):
        Chain([Elementwise(Exp(), (2,)), Elementwise(Affine(), (2,))])
    with pytest.raises(UsageError, match=r"the class Affine: write Affine\(\)"):
        Coupling(masks.halves(2), Affine, MLP)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="same context"):
        Chain([Coupling(masks.halves(2), Affine(), MLP, 2), Coupling(masks.halves(2), Affine(), MLP, 3)])
    assert pf.Flow([Elementwise(Sigmoid(), (2,))], Uniform((2,))).support == Reals((2,))
    assert pf.Flow([Inverse(Elementwise(Exp(), (2,)))], StandardNormal((2,))).support == Interval(0, math.inf, (2,))


def test_outside_of_the_support_there_is_nothing() -> None:
    positive = pf.Flow([Inverse(Elementwise(Exp(), (1,)))], StandardNormal((1,)))
    assert positive.log_prob([[-1.0]]).item() == -math.inf
    lognormal = torch.distributions.LogNormal(0.0, 1.0)
    assert positive.log_prob([[2.0]]).item() == pytest.approx(lognormal.log_prob(torch.tensor(2.0)).item(), abs=1e-6)
    assert positive.condition().support.check(torch.tensor([[2.0], [-2.0]])).tolist() == [True, False]
    inset = pf.Flow([Logit(0.05, event_dims=1)], StandardNormal((1,))).double()
    pf.testing.check_normalised(inset.log_prob, -1.0, 2.0, dims=1, points=20000)
    assert inset.log_prob([[1.2], [100.0]]).tolist() == [-math.inf] * 2
    counted = pf.build("idf-vector", features=2, levels=4)
    every = torch.cartesian_prod(torch.arange(-8, 12), torch.arange(-8, 12))
    assert counted.log_prob(every).exp().sum().item() == pytest.approx(1.0, abs=1e-4)
    assert counted.log_prob(torch.tensor([[4, 0], [-4, 400]])).tolist() == [-math.inf] * 2
    fractions = pf.distributions.Categorical((1,), 4).log_prob(torch.tensor([[0.5], [3.9], [3.0]]))
    assert fractions.isinf().tolist() == [True, True, False]


def test_gradients_do_not_spread_from_outside_of_the_support() -> None:
    flow = pf.Flow([Inverse(Elementwise(Exp(), (1,))), Elementwise(Affine(), (1,))], StandardNormal((1,)))
    x = torch.tensor([[-1.0], [2.0]], requires_grad=True)
    flow.log_prob(x)[1:].sum().backward()
    assert x.grad is not None and torch.isfinite(x.grad).all()
    assert torch.isfinite(flow.transform[1].parameters_per_element.grad).all()


def test_accuracy_is_the_worst_of_the_parts() -> None:
    image = pf.Flow([Dequantization(4), Logit(0.05)], StandardNormal((1, 2, 2)))
    assert image.accuracy is Accuracy.LOWER_BOUND and image.transform.draws is Draws.FORWARD
    turned = Inverse(Dequantization(4))
    assert turned.accuracy is Accuracy.EXACT and turned.draws is Draws.INVERSE
    assert Inverse(turned).accuracy is Accuracy.LOWER_BOUND

    class Estimated(Elementwise):
        accuracy = Accuracy.ESTIMATE

    flow = pf.Flow([Estimated(Affine(), (2,))], StandardNormal((2,)))
    with pytest.raises(UsageError, match="average several"):
        flow.importance_log_prob(torch.zeros(2), importance_samples=8)


def test_rounding_turned_round_is_exact() -> None:
    """Uniform numbers whose integer part a table of probabilities describes: the histogram's density."""
    table = pf.testing.randomise(pf.distributions.Categorical((1,), 4))
    flow = pf.Flow([Inverse(Dequantization(4, event_dims=1))], table)
    mass = table.log_prob([[2.0]])
    assert torch.allclose(flow.log_prob([[0.6]]), mass + math.log(4.0))
    assert flow.sample(100).min() >= 0 and flow.sample(100).max() < 1


@pytest.mark.parametrize("name", VECTOR_MODELS)
def test_events_and_contexts_broadcast_alike(name: str) -> None:
    flow = pf.testing.randomise(pf.build(name, features=2, context=3, layers=2), 0.2).double()
    x, c = torch.randn(5, 2, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64)
    both = flow.log_prob(x, c)
    one_event = torch.stack([flow.log_prob(x[0], each) for each in c])
    assert flow.log_prob(x[0], c).shape == (5,) and torch.allclose(flow.log_prob(x[0], c), one_event, atol=1e-9)
    one_context = torch.stack([flow.log_prob(each, c[0]) for each in x])
    assert torch.allclose(flow.log_prob(x, c[0]), one_context, atol=1e-9)
    assert torch.allclose(flow.log_prob(x[:, None], c)[range(5), range(5)], both, atol=1e-9)
    part = [part for part in flow.transform if part.context is not None][-1]
    z, log_det = part(x[0], c)
    assert z.shape == (5, 2) and log_det.shape == (5,)
    with pytest.raises(ShapeError, match="batches broadcast"):
        flow.log_prob(x, c[:3])
    with pytest.raises(ShapeError, match="expects a context"):
        flow.log_prob(x)


def test_a_context_for_an_unconditional_flow_is_an_error() -> None:
    flow = pf.build("maf", features=2, layers=1)
    for call in (flow.log_prob, flow.encode, lambda x, c: flow.sample(2, c)):
        with pytest.raises(ShapeError, match="made without a context"):
            call(torch.zeros(2), torch.zeros(3))
    with pytest.raises(ShapeError, match="made without a context"):
        flow.transform(torch.zeros(2), torch.zeros(3))


def test_no_dimension_of_a_context_is_guessed() -> None:
    options = {"shape": (1, 8, 8), "levels": 17, "context": 10, "layers": 2, "hidden": 8}
    flow = pf.testing.randomise(pf.build("mnist-simple", **options), 1.0).double().eval()
    for count in (9, 10):
        c = torch.eye(10, dtype=torch.float64)[:count]
        one = flow.sample(10, c, generator=torch.Generator().manual_seed(0))
        same = flow.sample((), c.repeat(10, 1, 1), generator=torch.Generator().manual_seed(0))
        assert torch.equal(one, same)
    network = pf.testing.randomise(pf.networks.GatedConvNet(1, 2, context=3)).double()
    x, c = torch.randn(3, 7, 1, 4, 4).double(), torch.randn(3, 7, 3).double()
    each = torch.stack([torch.stack([network(x[i, j], c[i, j]) for j in range(7)]) for i in range(3)])
    assert torch.allclose(network(x, c), each, atol=1e-9)
    larger = pf.build("multiscale", shape=(1, 4, 4), levels=4, context=(2, 8, 8), layers=1, hidden=4)
    c = torch.randn(3, 2, 8, 8)
    assert larger.log_prob(larger.sample((2,), c), c).shape == (2, 3)


def test_one_pass_draws_and_scores() -> None:
    flow = pf.testing.randomise(pf.build("nsf", features=3, context=2, layers=2))
    c = torch.randn(4, 2)
    x, log_q = flow.rsample_and_log_prob((5,), c)
    assert torch.allclose(log_q, flow.log_prob(x, c), atol=1e-4)
    (log_q - x.sum(-1)).mean().backward()
    assert any(weight.grad is not None and weight.grad.any() for weight in flow.parameters())
    for flow in (
        pf.build("categorical-flow", features=2, classes=3),
        pf.Flow([Dequantization(4), Logit(0.05)], StandardNormal((1, 2, 2))),
        pf.Flow([flip(2)], GaussianMixture((2,))),
    ):
        assert not flow.condition().has_rsample
        with pytest.raises(UsageError, match="cannot be reparametrised"):
            flow.rsample_and_log_prob()


class Triangular(nn.Linear):
    """A matrix that is multiplied by a mask, strictly lower triangular or its transpose."""

    def __init__(self, causal: bool = True) -> None:
        super().__init__(3, 3, bias=False)
        self.register_buffer("mask", torch.ones(3, 3).tril(-1) if causal else torch.ones(3, 3).triu(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(x, self.weight * self.mask)


def test_any_causal_network_makes_an_autoregressive_transform() -> None:
    shifts = Triangular()
    layer = Autoregressive(3, pf.scalar.Additive(), shifts)
    x = torch.randn(6, 3)
    z, log_det = layer(x)
    assert torch.allclose(z, x + x @ (shifts.weight * shifts.mask).T, atol=1e-6) and not log_det.any()
    assert torch.allclose(layer.inverse(z)[0], x, atol=1e-5) and torch.allclose(layer.decode(z), x, atol=1e-5)


@pytest.mark.parametrize("network", [Triangular(causal=False), nn.Linear(3, 3), MLP, MLP(3, 3)])
def test_a_network_that_is_not_causal_is_refused_also_when_it_starts_at_zero(network: object) -> None:
    with pytest.raises(UsageError, match="expects a causal network"):
        Autoregressive(3, pf.scalar.Additive(), network)  # type: ignore[arg-type]


def test_the_sweep_is_the_textbook_inverse_and_steps_aside_for_hooks() -> None:
    layer = pf.testing.randomise(Autoregressive(6, RationalQuadraticSpline(), MADE, 2, torch.randperm(6))).double()
    z, c = torch.randn(7, 6).double(), torch.randn(7, 2).double()
    swept, log_det = layer.inverse(z, c)
    textbook, textbook_log_det = layer.inverse_in_turn(z, c)
    assert torch.allclose(swept, textbook, atol=1e-9) and torch.allclose(log_det, textbook_log_det, atol=1e-9)
    assert torch.allclose(layer.decode(z, c), swept, atol=1e-12)
    calls: list[int] = []
    layer.network.register_forward_hook(lambda *_: calls.append(1))
    layer(z, c)
    assert len(calls) == 1
    assert torch.allclose(layer.inverse(z, c)[0], textbook, atol=1e-9) and len(calls) == 7


@pytest.mark.parametrize("structure", ["coupling", "autoregressive"])
def test_conditioners_see_no_seam_on_a_circle(structure: str) -> None:
    spline = CircularRationalQuadraticSpline()
    if structure == "coupling":
        layer: pf.transforms.Transform = Coupling(masks.halves(2), spline, MLP)
    else:
        layer = Autoregressive(2, spline, MADE)
    pf.testing.randomise(layer.double(), 1.0)
    edge = torch.tensor([[-math.pi, 0.4], [math.pi, 0.4]], dtype=torch.float64)
    z, log_det = layer(edge)
    assert torch.allclose(z[0, 1], z[1, 1], atol=1e-9) and torch.allclose(log_det[0], log_det[1], atol=1e-9)
    assert torch.allclose(layer.inverse(z)[0][:, 1], edge[:, 1], atol=1e-9)
    flow = pf.Flow([layer], Uniform((2,), -math.pi, math.pi))
    assert isinstance(flow.support, Circle)
    pf.testing.check_normalised(flow.log_prob, -math.pi, math.pi, dims=2, points=200)


def test_a_vector_of_numbers_and_angles_has_a_product_space() -> None:
    space = Product(Circle((1,)), Reals((2,)))
    layer = Coupling(torch.tensor([True, False, False]), Affine(), MLP, space=space)
    assert layer.domain == layer.codomain == space
    pf.testing.randomise(layer, 1.0)
    shifted = torch.tensor([[-math.pi, 1.0, 2.0], [math.pi, 1.0, 2.0]])
    assert torch.allclose(*layer(shifted)[0][:, 1:], atol=1e-5)


def test_the_temperature_and_sample_shapes_are_checked() -> None:
    flow = pf.build("maf", features=2, layers=1)
    for temperature in (math.nan, 0.0, -1.0, math.inf):
        with pytest.raises(UsageError, match="temperature"):
            flow.sample(2, temperature=temperature)
    with pytest.raises(UsageError, match="sample shape"):
        flow.sample(2.5)
    with pytest.raises(UsageError, match="sample shape"):
        flow.sample(-1)


def test_values_in_parts_are_the_values_at_once() -> None:
    flow = pf.testing.randomise(pf.build("nsf", features=8, context=1, layers=2))
    x, c = torch.randn(40_000, 8), torch.randn(40_000, 1)
    with torch.no_grad():
        parts = flow.log_prob(x, c)
    assert torch.allclose(parts[::1000], flow.log_prob(x[::1000], c[::1000]), atol=1e-4)
    z = flow.encode(x[:5], c[:5])
    assert torch.allclose(flow.decode(z, c[:5]), x[:5], atol=1e-3)


def test_a_conditioned_flow_is_a_distribution_of_torch() -> None:
    flow = pf.Flow([Elementwise(Affine(), (2,))], StandardNormal((2,)))
    with torch.no_grad():
        flow.transform[0].parameters_per_element[..., 1] = -3.0
    one = flow.condition()
    assert one.batch_shape == () and one.expand((3,)).sample((2,)).shape == (2, 3, 2)
    assert torch.allclose(one.mean, torch.tensor([3.0, 3.0]), atol=0.1)
    assert torch.allclose(one.variance, torch.ones(2), atol=0.1)
    assert one.entropy().item() == pytest.approx(1 + math.log(2 * math.pi), abs=0.05)
    assert "event_shape=(2,)" in repr(one) and "exact" in repr(one)
    conditional = pf.build("maf", features=2, context=3, layers=1)
    many = conditional.condition(torch.zeros(5, 3)).expand((4, 5))
    assert many.rsample().shape == (4, 5, 2) and many.log_prob(torch.zeros(2)).shape == (4, 5)


def test_integers_are_taken_by_flows_of_any_integer_part() -> None:
    shift = pf.transforms.bipartite((4,), pf.scalar.RoundedShift(), MLP)
    flow = pf.Flow([shift], pf.distributions.DiscretizedLogistic((4,)))
    x = torch.randint(5, (3, 4))
    for each in (flow, flow.double()):
        assert torch.equal(each.log_prob(x), each.log_prob(x.to(next(each.parameters()).dtype)))


def test_what_is_not_finite_starts_nothing() -> None:
    for layer in (ActNorm(2), pf.transforms.Standardise(2)):
        flow = pf.Flow([layer], StandardNormal((2,)))
        for bad in (math.nan, math.inf):
            with pytest.raises(DataError, match="not finite"):
                flow.initialise(torch.tensor([[bad, 0.0], [1.0, 2.0]]))
        with pytest.raises(DataError, match="empty batch"):
            flow.initialise(torch.zeros(0, 2))
        flow.initialise(torch.randn(100, 2) * 1e30)
        assert torch.isfinite(flow.log_prob(torch.zeros(2)))


def test_contexts_and_events_to_encode_are_those_of_their_spaces() -> None:
    flow = pf.models.maf(2, context=Categories(4, (1,)), layers=1)
    assert flow.log_prob(torch.zeros(2), torch.tensor([3])).shape == ()
    for call in (flow.log_prob, flow.encode, lambda x, c: flow.sample(2, c)):
        with pytest.raises(DataError, match=r"a context expects points of Categories\(classes=4.*got 7"):
            call(torch.zeros(2), torch.tensor([7]))
    with pytest.raises(DataError, match="encode expects"):
        pf.build("categorical-flow", features=2, classes=4).encode([[4, 0]])


def test_a_coupling_leads_onto_the_space_that_it_says() -> None:
    for mask, shape in ((masks.halves(2), (2,)), (masks.channel((2, 4, 4)), (2, 4, 4))):
        network = MLP if len(shape) == 1 else pf.networks.GatedConvNet
        with pytest.raises(UsageError, match="changed elements"):
            Coupling(mask, Affine(), network, space=Interval(0.0, 1.0, shape))


def test_the_ends_of_a_circle_may_be_rounded() -> None:
    flow = pf.Flow([Elementwise(CircularRationalQuadraticSpline(), (1,))], Uniform((1,), -math.pi, math.pi)).double()
    end = torch.atan2(torch.tensor([[0.0]]), torch.tensor([[-1.0]]))
    assert flow.log_prob(end).item() == pytest.approx(-math.log(2 * math.pi), abs=1e-6)


def test_statistics_of_a_batch_are_those_of_all_of_it() -> None:
    flow = pf.Flow([pf.transforms.BatchNorm(8)], StandardNormal((8,)))
    x = torch.randn(40_000, 8) * torch.linspace(0.1, 10, 40_000)[:, None]
    with torch.no_grad():
        assert torch.allclose(flow.log_prob(x), copy.deepcopy(flow).requires_grad_().log_prob(x), atol=1e-3)
    with torch.no_grad():
        found = copy.deepcopy(flow).log_prob(x)
    assert torch.allclose(found, flow.log_prob(x), atol=1e-3)


def test_natural_mistakes_are_told() -> None:
    class Nameless(pf.scalar.ScalarBijection):
        def forward(self, x, parameters):  # type: ignore[no-untyped-def]
            return x, torch.zeros_like(x)

        inverse = forward

    class Spaceless(pf.transforms.Transform):
        pass

    class Unsummed(Elementwise):
        def forward(self, x, context=None, generator=None):  # type: ignore[no-untyped-def]
            return x, torch.zeros_like(x)

    with pytest.raises(UsageError, match="num_parameters"):
        Nameless()
    with pytest.raises(UsageError, match="domain"):
        Spaceless()
    with pytest.raises(ShapeError, match="log-determinant"):
        pf.Flow([Unsummed(Affine(), (2,))], StandardNormal((2,))).log_prob(torch.zeros(2, 2))
    assert StandardNormal(2).event_shape == Elementwise(Affine(), 2).event_shape == (2,)
    assert Coupling([True, False], Affine(), partial(MLP, hidden=8)).event_shape == (2,)
    assert pf.transforms.Permutation([1, 0]).order.tolist() == [1, 0]
    with pytest.raises(UsageError, match=r"the class StandardNormal: write StandardNormal\("):
        pf.Flow([flip(2)], StandardNormal)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="a base expects"):
        pf.Flow([flip(2)], None)  # type: ignore[arg-type]
    layer = Coupling(masks.halves(2), Affine(), MLP, 4)
    with pytest.raises(UsageError, match=r"features of shape \(4,\)"):
        pf.Flow([layer], StandardNormal((2,)), context=3, embedding=nn.Linear(3, 5))
    with pytest.raises(UsageError, match="cannot take contexts"):
        pf.Flow([layer], StandardNormal((2,)), context=3, embedding=nn.Linear(2, 4))
    with pytest.raises(DataError, match="complex"):
        pf.build("maf", features=2, layers=1).log_prob(torch.zeros(2, dtype=torch.complex64))
    with pytest.raises(ShapeError, match=r"events of shape \(2,\)"):
        pf.build("maf", features=2, layers=1).condition().log_prob(torch.zeros(5, 1))
    with pytest.raises(UsageError, match="importance_samples"):
        pf.build("maf", features=2, layers=1).bits_per_dim(torch.zeros(2), importance_samples="a")
    image = pf.build("multiscale", shape=(1, 4, 4), levels=4, layers=1, hidden=4)
    with pytest.raises(UsageError, match="latents, got"):
        image.decode(torch.zeros(1, 4, 4))
