"""Heavy tails: log space against scipy, estimated indices, and beliefs that are honoured whatever the parameters."""

from __future__ import annotations

import math
import typing
from functools import partial

import pytest
import torch
from scipy import special, stats
from torch import Tensor

import pushforward as pf
from pushforward import distributions, transforms
from pushforward.cli.values import parse_value
from pushforward.diagnostics import student_degrees, tail_index
from pushforward.parts import model_named
from pushforward.scalar import TailTransform
from pushforward.scalar.normal_tails import log_mills, normal_excess, normal_of_excess
from pushforward.scalar.tail import from_normal, to_normal
from pushforward.testing import randomise
from pushforward.transforms.tails.regression import least_absolute


def heavy(count: int, *degrees: float, seed: int = 0) -> Tensor:
    """Independent Student t's, in double precision."""
    columns = [stats.t.rvs(each, size=count, random_state=seed + index) for index, each in enumerate(degrees)]
    return torch.stack([torch.from_numpy(column) for column in columns], -1)


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-13), (torch.float32, 1e-6)])
def test_excesses_of_a_normal_are_those_of_scipy(dtype: torch.dtype, tolerance: float) -> None:
    z = torch.logspace(-3, 3, 500, dtype=dtype)
    expected = torch.from_numpy(-special.log_ndtr(-z.double().numpy()) - math.log(2))
    torch.testing.assert_close(normal_excess(z).double(), expected, rtol=tolerance, atol=tolerance)
    back = normal_of_excess(expected.to(dtype))
    torch.testing.assert_close(back, z, rtol=2 * tolerance + 1e-12, atol=0)


def test_the_way_back_from_an_excess_has_two_derivatives() -> None:
    excess = torch.tensor([0.1, 1.4, 1.6, 5.0, 50.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(normal_of_excess, excess)
    assert torch.autograd.gradgradcheck(normal_of_excess, excess)
    torch.testing.assert_close(
        torch.autograd.grad(normal_of_excess(excess).sum(), excess)[0].log(), log_mills(normal_of_excess(excess))
    )


@pytest.mark.parametrize("index", [0.5, 1.0, 3.0, math.inf])
def test_the_tail_transform_makes_generalised_pareto_tails(index: float) -> None:
    """Probabilities far below 1e-6, in single precision."""
    # Further out than 8 there is no single-precision number of index a half.
    z = torch.linspace(0.1, 8 if index < 1 else 12, 50)
    y, log_slope = from_normal(z, torch.tensor(1 / index), torch.tensor(2.0))
    survival = stats.genpareto(1 / index, scale=2.0).logsf(y.double().numpy())
    torch.testing.assert_close(torch.from_numpy(survival), -normal_excess(z).double(), rtol=2e-5, atol=1e-5)
    density = stats.genpareto(1 / index, scale=2.0).logpdf(y.double().numpy()) - math.log(2)
    ours = torch.distributions.Normal(0.0, 1.0).log_prob(z) - log_slope
    torch.testing.assert_close(ours.double(), torch.from_numpy(density), rtol=2e-5, atol=1e-4)
    back, log_back = to_normal(y, torch.tensor(1 / index), torch.tensor(2.0))
    torch.testing.assert_close(back, z, rtol=1e-5, atol=0)
    torch.testing.assert_close(log_back, -log_slope, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("x", [[0.0, 0.0], [0.0, 0.7], [-0.2, 0.0]])
def test_the_middle_has_the_slope_that_its_determinant_says(x: list[float]) -> None:
    """At 0, where ``abs()`` has none: columns of many zeros are there."""
    layer = transforms.ExtremeValueTails(2, [1.0, 3.0]).double()
    point = torch.tensor(x, dtype=torch.float64)
    for way in (layer.forward, layer.inverse):
        jacobian = torch.autograd.functional.jacobian(lambda at, way=way: way(at)[0], point)
        torch.testing.assert_close(torch.linalg.slogdet(jacobian)[1], way(point)[1])


def test_each_side_has_a_tail_of_its_own() -> None:
    flow = pf.Flow([transforms.Elementwise(TailTransform(), (1,))], distributions.StandardNormal((1,))).double()
    shapes = torch.tensor([math.log(5.0), math.log(20.0)])
    with torch.no_grad():
        # What bounded() makes of these raw numbers are the logarithms above.
        flow.transform[0].parameters_per_element[0, 2:] = shapes / torch.sqrt(1 - (shapes / 4.0) ** 2)
    for sign, index in ((-1, 2.0), (1, 0.5)):
        far = sign * torch.tensor([[1e12], [1e13]], dtype=torch.float64)
        first, second = flow.log_prob(far)
        assert (first - second).item() / math.log(10) == pytest.approx(1 + index, abs=1e-3)


@pytest.mark.parametrize("index", [0.5, 1.0, 2.0])
def test_hill_finds_the_index(index: float) -> None:
    found = tail_index(heavy(4000, *[index] * 20))
    assert (found / index - 1).mean().abs().item() < 0.1
    assert (found / index - 1).abs().mean().item() < 0.1


def test_hill_finds_the_index_of_what_is_mostly_zero() -> None:
    generator = torch.Generator().manual_seed(0)
    claims = torch.rand(40_000, 2, generator=generator, dtype=torch.float64).pow(-1 / 1.5)
    claims[torch.rand(40_000, 2, generator=generator) < 0.95] = 0
    torch.testing.assert_close(tail_index(claims, share=0.1), torch.full((2,), 1.5).double(), rtol=0.1, atol=0)
    assert tail_index(claims[:300]).tolist() == [math.inf, math.inf]


@pytest.mark.parametrize("degrees", [0.5, 4.0])
def test_degrees_of_freedom_are_the_most_likely(degrees: float) -> None:
    x = heavy(800, degrees, degrees)
    found = student_degrees(1e6 + 100 * x)
    for column, ours in zip(x.numpy().T, found.tolist(), strict=True):
        theirs, *_ = stats.t.fit(column, degrees)
        assert ours == pytest.approx(theirs, rel=1e-2)


def test_degrees_of_a_column_do_not_depend_on_the_others() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2000, 2, generator=generator)
    x[:, 0] /= torch.randn(2000, generator=generator).abs()
    x[:900, 1] = 0.0  # a spike, whose likelihood has no end
    assert torch.equal(student_degrees(x)[:1], student_degrees(x[:, :1])) and abs(student_degrees(x)[0] - 1) < 0.1
    x[:1000, 1] = 0.0
    with pytest.raises(pf.errors.DataError, match="50% in column 1"):
        student_degrees(x)


def test_degrees_of_freedom_of_light_tails() -> None:
    x = torch.rand(500, 2, generator=torch.Generator().manual_seed(0))
    assert student_degrees(x).tolist() == [math.inf, math.inf]
    with pytest.raises(pf.errors.DataError, match="20 or more"):
        student_degrees(x[:10])


def test_light_tails_are_light() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4000, 40, generator=generator)
    assert bool(torch.isinf(tail_index(x)).all())
    # Of a one-sided test at 5 %, so a few of a hundred are taken for heavy, however many rows there are.
    exponential = -torch.rand(20_000, 100, generator=generator).log()
    assert torch.isinf(tail_index(exponential)).sum().item() > 85
    assert bool(torch.isinf(tail_index(torch.ones(400, 1))).all())
    assert bool(torch.isinf(tail_index(torch.arange(400)[:, None])).all())
    with pytest.raises(pf.errors.UsageError, match="between 0 and 1"):
        tail_index(x, share=1.0)
    with pytest.raises(pf.errors.DataError, match="20 or more"):
        tail_index(x[:100])
    with pytest.raises(pf.errors.DataError, match="finite"):
        tail_index(torch.full((400, 1), torch.nan))


def test_least_absolute_deviations_hold_to_one_in_a_million() -> None:
    """Columns that reach to millions and differ by one; a wild residual moves nothing."""
    x = heavy(1000, 0.5)
    noise = heavy(1000, 1.0, seed=7)
    found = least_absolute(x, (x + noise)[:, 0])
    assert abs(found.item() - 1) < 10 / x.abs().max().item()
    minimum = (x[:, 0] + noise[:, 0] - x @ found).abs().sum()
    for step in (1e-7, -1e-7):
        assert (x[:, 0] + noise[:, 0] - x @ (found + step)).abs().sum() > minimum - 1e-3


def test_a_regression_keeps_light_dimensions_from_heavy_ones() -> None:
    layer = transforms.TriangularRegression(3, [1.0, math.inf, 2.0])
    assert layer.parents.tolist() == [[False, True, True], [False, False, False], [False, True, False]]
    x = heavy(500, 1.0, 30.0, 2.0).float()
    x = x + 0.3 * x.flip(-1)
    z = layer.initialise(x)
    assert bool(layer.coefficients[layer.parents].all()) and not layer.coefficients[~layer.parents].any()
    torch.testing.assert_close(layer.decode(z), x, rtol=1e-5, atol=1e-4)


def test_a_regression_does_not_take_noise_for_coefficients() -> None:
    layer = transforms.TriangularRegression(5)
    layer.initialise(torch.randn(25, 5, generator=torch.Generator().manual_seed(0)))
    assert bool(layer.coefficients[1:3].any(-1).all()) and not layer.coefficients[3:].any()
    with pytest.raises(pf.errors.DataError, match="1 that are not finite"):
        transforms.TriangularRegression(2).initialise(torch.tensor([[1.0, torch.nan]]))


def believer(context: int = 0) -> pf.Flow:
    """The model ``tails`` with indices that are told, at random parameters."""
    flow = pf.models.tails(features=3, layers=3, hidden=8, context=context, indices=[0.5, math.inf, 2.0])
    x = heavy(400, 3.0, 3.0, 3.0)
    flow.double().initialise(x, None if not context else x[:, :context])
    return randomise(flow, 1.0)


@pytest.mark.parametrize("context", [0, 1])
def test_a_belief_is_honoured_whatever_the_splines_do(context: int) -> None:
    """Beyond the splines' reach, of all other dimensions and contexts, what the tail transform is given is the base's
    own number: the marginal there is the generalised Pareto tail, exactly."""
    flow = believer(context).double()
    splines = transforms.Chain(list(flow.transform)[3:])
    generator = torch.Generator().manual_seed(0)
    z = 3 * torch.randn(2000, 3, generator=generator, dtype=torch.float64)
    given = torch.randn(2000, context, generator=generator, dtype=torch.float64) if context else None
    y = splines.decode(z, given)
    outside = z.abs() > 5
    assert bool(outside.any(0).all()) and torch.equal(y[outside], z[outside])
    assert bool((y[~outside].abs() <= 5).all())


def test_the_density_falls_as_it_is_believed_to() -> None:
    flow = believer().double()
    flow.transform[1].coefficients.zero_()
    for dimension, index in ((0, 0.5), (2, 2.0)):
        far = torch.zeros(2, 3, dtype=torch.float64)
        far[:, dimension] = torch.tensor([1e60, 1e61], dtype=torch.float64)
        first, second = flow.log_prob(far)
        # The conditional of the others moves where the first one does, by an amount that does not grow with it.
        others = transforms.Chain(list(flow.transform)[:3]).encode(far)
        assert others[1, dimension] > 10
        assert (first - second).item() / math.log(10) == pytest.approx(1 + index, abs=0.2)


def test_a_fitted_density_has_the_tail_that_was_believed_and_not_the_data_s() -> None:
    """The marginal of data of index 4, by quadrature over the other dimension, falls as ``x^-2``."""
    x = heavy(600, 4.0, 4.0)
    x[:, 1] += x[:, 0]
    flow = pf.models.tails(features=2, layers=2, hidden=8, indices=[1.0, 3.0])
    pf.fit(flow, x, max_steps=15, precision="64", learning_rate=1e-2, compile=False, progress=False, seed=0)
    u = torch.linspace(-14, 14, 1001, dtype=torch.float64)
    first, second = (torch.stack([torch.full_like(u, far), torch.sinh(u)], -1) for far in (1e8, 1e9))
    with torch.no_grad():
        falls = [torch.logsumexp(flow.log_prob(rows) + torch.log(torch.cosh(u)), 0).item() for rows in (first, second)]
    assert (falls[0] - falls[1]) / math.log(10) == pytest.approx(1 + 1.0, abs=1e-3)


def test_samples_have_the_index_that_was_told() -> None:
    flow = pf.models.tails(features=2, layers=2, hidden=8, bound=2.0, indices=[0.5, 1.0])
    x = randomise(flow, 0.3).double().sample(200_000, generator=torch.Generator().manual_seed(0))
    found = tail_index(x, share=0.01)
    torch.testing.assert_close(found, torch.tensor([0.5, 1.0]).double(), rtol=0.15, atol=0)


def test_the_model_learns_linked_heavy_tails() -> None:
    """Cauchy columns of which one is another plus a normal: near the entropy, and finite, after little training."""
    x = heavy(3000, 1.0, 1.0)
    x[:, 1] = x[:, 0] + torch.randn(3000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    flow = pf.models.tails(features=2, layers=1, hidden=16).double()
    flow.initialise(x[:2000])
    pf.fit(flow, x[:2000], max_steps=60, precision="64", learning_rate=1e-2, compile=False, progress=False, seed=0)
    entropy = math.log(4 * math.pi) + 0.5 * math.log(2 * math.pi * math.e)
    assert -flow.log_prob(x[2000:]).mean().item() == pytest.approx(entropy, abs=0.25)


def test_a_tail_adaptive_flow_keeps_light_and_heavy_apart() -> None:
    """Latents to data is a triangular linear map, the lightest first, and something bounded."""
    flow = randomise(pf.models.mtaf(features=3, layers=2, hidden=8, indices=[1.0, math.inf, 3.0]), 0.5).double()
    assert flow.base.degrees()[0] == math.inf and bool(flow.base.degrees()[1] > flow.base.degrees()[2])
    z = torch.zeros(3, 3, dtype=torch.float64)
    z.fill_diagonal_(1e9)
    moved = (flow.decode(z) - flow.decode(0 * z))[:, [1, 2, 0]].abs()
    # A number that is far out in a dimension moves that one, and none that is lighter by more than splines reach.
    assert bool((moved.diag() > 1e6).all()) and bool((moved.triu(0).tril(0) == moved.diag().diag()).all())
    assert bool((moved.tril(-1)[[1, 2, 2], [0, 0, 1]] < 1e3).all())


@pytest.mark.parametrize("degrees", [0.1, 5.0, 1e3, 1e6, 1e9])
def test_marginal_tails_of_many_degrees_in_single_precision(degrees: float) -> None:
    x = torch.tensor([[0.3], [3.0]])
    expected = torch.from_numpy(stats.t.logpdf(x[:, 0].double().numpy(), degrees)).float()
    torch.testing.assert_close(distributions.MarginalTails([degrees]).log_prob(x).detach(), expected)


def test_a_generalised_pareto_base_learns_its_index() -> None:
    generator = torch.Generator().manual_seed(0)
    x = distributions.GeneralisedPareto((2,), 1.5).sample(4000, generator=generator)
    base = distributions.GeneralisedPareto((2,))
    optimiser = torch.optim.LBFGS(base.parameters(), max_iter=50, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = -base.log_prob(x).mean()
        value.backward()
        return value

    optimiser.step(loss)
    torch.testing.assert_close(base.indices().detach(), torch.full((2,), 1.5), rtol=0.1, atol=0)
    expected = stats.genpareto(1 / 1.5).logpdf(x.double().numpy()).sum(-1)
    ours = distributions.GeneralisedPareto((2,), 1.5).double().log_prob(x.double())
    torch.testing.assert_close(ours.detach(), torch.from_numpy(expected), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("model", ["tails", "mtaf"])
def test_beliefs_are_numbers_tensors_or_text_of_a_command_line(model: str) -> None:
    believed = [parse_value("indices", "2,inf", typing.get_type_hints(model_named(model))["indices"]), [2.0, math.inf]]
    for indices in (*believed, torch.tensor([2.0, math.inf])):
        flow = pf.build(model, features=2, indices=indices)
        parts = [part for part in flow.transform if isinstance(part, transforms.ExtremeValueTails)]
        found = parts[0].indices() if parts else flow.base.degrees().flip(0)
        assert found.tolist() == pytest.approx([2.0, math.inf])


@pytest.mark.parametrize(
    "make, message",
    [
        (partial(transforms.ExtremeValueTails, 2, [1.0]), "2 positive tail indices"),
        (partial(transforms.ExtremeValueTails, 1, [0.0]), "1 positive tail indices"),
        (partial(transforms.TriangularRegression, 2, [1.0]), "2 tail indices"),
        (partial(distributions.MarginalTails, []), "positive degrees"),
        (partial(distributions.GeneralisedPareto, (1,), -1.0), "positive finite tail index"),
        (partial(pf.models.mtaf, features=2, indices=[1.0]), "each of 2 features"),
    ],
)
def test_what_does_not_fit_is_told(make: partial[object], message: str) -> None:
    with pytest.raises(pf.errors.UsageError, match=message):
        make()
