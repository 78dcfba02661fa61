"""Circles and tori: maps against their formulas, densities without seams, von Mises distributions against scipy's."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from scipy import special, stats
from torch import Tensor

import pushforward as pf
from pushforward import scalar
from pushforward.distributions import LearnedVonMises, UniformCircles, VonMises
from pushforward.errors import UsageError
from pushforward.spaces import Circle, Product, Reals
from pushforward.transforms import Autoregressive, Inverse, Radians

HOURS_AND_DEGREES = Product(Circle((1,), 0.0, 24.0), Circle((2,), -180.0, 180.0))
CONCENTRATIONS = [1e-3, 0.5, 5.0, 80.0, 1e4, 1e6]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def around(points: int) -> Tensor:
    return torch.linspace(-math.pi, math.pi, points, dtype=torch.float64)


def raw(bijection: scalar.ScalarBijection, *shape: int) -> Tensor:
    return torch.randn(*shape, bijection.num_parameters, dtype=torch.float64)


# Maps


def test_moebius_is_the_formula_on_the_complex_plane() -> None:
    x, parameters = around(101), 2 * raw(scalar.Moebius(), 101)
    scale = 0.99 / (1 + parameters.square().sum(-1)).sqrt()
    w = torch.complex(*(scale * parameters.t()))

    def moebius(z: Tensor) -> Tensor:
        return (1 - w.abs() ** 2) / (z - w).abs() ** 2 * (z - w) - w

    expected = moebius(torch.polar(torch.ones_like(x), x)) / moebius(torch.ones_like(w))
    z, _ = scalar.Moebius().forward(x, parameters)
    torch.testing.assert_close(torch.polar(torch.ones_like(z), z), expected, rtol=0, atol=1e-6)


def test_projection_is_the_affine_map_of_the_tangent() -> None:
    projection = scalar.NonCompactProjection()
    x, parameters = 2 * math.pi * torch.rand(100, dtype=torch.float64), raw(projection, 100)
    log_a, b = pf.numerics.bounded(parameters[:, 0], 3.0), pf.numerics.bounded(parameters[:, 1], 6.0)
    a, b = log_a.exp(), b * (0.5 * log_a).exp()
    expected = 2 * torch.atan(a * torch.tan(x / 2 - math.pi / 2) + b) + math.pi
    z, log_dz = projection.forward(x, parameters)
    torch.testing.assert_close(z.remainder(2 * math.pi), expected, rtol=0, atol=1e-9)
    at_zero = projection.forward(torch.zeros_like(x), parameters)[1]
    torch.testing.assert_close(at_zero, -log_a, rtol=0, atol=1e-12)
    # The density is a wrapped Cauchy's, as that of a Moebius map.
    level, cos, sin = (a**2 + b**2 + 1) / 2, (a**2 - b**2 - 1) / 2, -a * b
    ratio = torch.hypot(cos, sin) / level
    radius = (1 - (1 - ratio**2).sqrt()) / ratio
    phase = torch.atan2(-sin, -cos)
    kernel = (1 - radius**2) / (1 + radius**2 - 2 * radius * torch.cos(x - phase))
    torch.testing.assert_close(log_dz.exp(), kernel, rtol=1e-9, atol=1e-9)


MAPS = {
    "moebius": scalar.Moebius(),
    "projection": scalar.NonCompactProjection(),
    "moebius maps": scalar.ConvexCombination(scalar.Moebius(), copies=8),
    "projections": scalar.ConvexCombination(scalar.NonCompactProjection(), copies=8),
    "splines": scalar.ConvexCombination(scalar.Centred(scalar.CircularRationalQuadraticSpline(4)), copies=3),
    "compositions": scalar.ConvexCombination(
        scalar.Centred(scalar.Rotation(), scalar.CircularRationalQuadraticSpline(4), scalar.Moebius()),
        scalar.Moebius(),
        copies=2,
    ),
}


@pytest.mark.parametrize("name", MAPS)
def test_a_map_keeps_0_and_its_lift_goes_on_round_the_circle(name: str) -> None:
    bijection = MAPS[name]
    assert isinstance(bijection, scalar.CircleMap) and bijection.keeps_zero
    x = torch.linspace(-3 * math.pi, 3 * math.pi, 6001, dtype=torch.float64)
    for _ in range(5):
        parameters = raw(bijection).expand(len(x), -1)
        z, log_dz = bijection.lift(x, parameters)
        assert z[3000].abs() < 1e-12
        torch.testing.assert_close(z[2000:] - z[:-2000], torch.full_like(x[2000:], 2 * math.pi), rtol=0, atol=1e-9)
        assert (z.diff() > 0).all() and log_dz.diff().abs().max() < 0.5
        mass = log_dz.exp()[:2000].mean()
        assert abs(mass.item() - 1) < 1e-3


@pytest.mark.parametrize("name", ["moebius maps", "projections", "splines"])
def test_copies_differ_at_zeros_where_their_mean_is_near_the_identity(name: str) -> None:
    bijection = MAPS[name]
    x = around(201)
    parameters = torch.zeros(201, bijection.num_parameters, dtype=torch.float64, requires_grad=True)
    z, _ = bijection.lift(x, parameters)
    assert (z - x).abs().max() < 0.1
    (gradient,) = torch.autograd.grad((z * torch.sin(x + 1)).sum(), parameters)
    copies = bijection.copies  # type: ignore[attr-defined]
    first, second = gradient.sum(0)[:-copies].unflatten(0, (copies, -1))[:2]
    assert not torch.allclose(first, second)


def test_a_convex_combination_of_one_copy_is_the_map() -> None:
    moebius, one = scalar.Moebius(), scalar.ConvexCombination(scalar.Moebius(), copies=1)
    x, parameters = around(50), raw(one, 50)
    for ours, theirs in zip(one.forward(x, parameters), moebius.forward(x, parameters[:, :2]), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_rotation_turns_all_the_way_round_as_its_parameters_do() -> None:
    a = around(200)
    parameters = torch.stack([torch.cos(a) - 1, torch.sin(a)], -1)
    z, _ = scalar.Rotation().forward(torch.full_like(a, 0.3), parameters)
    torch.testing.assert_close(torch.cos(z), torch.cos(a + 0.3))
    origin = torch.tensor([-1.0, 0.0], requires_grad=True)
    scalar.Rotation().forward(torch.tensor(0.3), origin)[0].backward()
    assert origin.grad is not None and origin.grad.isfinite().all()


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: scalar.ConvexCombination(), "at least one map"),
        (lambda: scalar.ConvexCombination(scalar.Affine()), "such as Moebius"),
        (lambda: scalar.ConvexCombination(scalar.CircularRationalQuadraticSpline()), "write Centred"),
        (lambda: scalar.ConvexCombination(scalar.Moebius(), copies=0), "at least 1 copies"),
        (lambda: scalar.Centred(scalar.Moebius(), scalar.CircularRationalQuadraticSpline(4, 5.0)), "of one circle"),
        (lambda: VonMises((2,), concentration=-1.0), "0 or more"),
        (lambda: LearnedVonMises((2,), concentration=0.0), "1e-5 to 1e5"),
        (lambda: UniformCircles(Reals((2,))), "such as Circle"),
        (lambda: Radians(Product(Circle((1,)), Reals((1,)))), "vectors of circles"),
        (lambda: Radians(Circle()), "vectors of circles"),
        (lambda: pf.models.torus(3, space=Circle((2,))), "3 circles"),
    ],
)
def test_wrong_settings_are_one_clear_error(make: object, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make()  # type: ignore[operator]


# Tori


def test_a_torus_has_no_seam_in_any_coordinate() -> None:
    flow = pf.testing.randomise(pf.models.torus(features=3, hidden=16, space=HOURS_AND_DEGREES), 1.0)
    x = flow.sample(200)
    assert HOURS_AND_DEGREES.contains(x).all()
    for dimension, (low, high) in enumerate([(0.0, 24.0), (-180.0, 180.0), (-180.0, 180.0)]):
        ends = x.clone(), x.clone()
        ends[0][:, dimension], ends[1][:, dimension] = low, high
        before, after = map(flow.log_prob, ends)
        assert before.isfinite().all() and (before - after).abs().max() < 1e-3
    assert (flow.decode(flow.encode(x)) - x).div(torch.tensor([24.0, 360.0, 360.0])).abs().max() < 1e-5


def test_a_torus_in_other_units_is_normalised_in_them() -> None:
    space = Circle((2,), 0.0, 24.0)
    flow = pf.testing.randomise(pf.models.torus(hidden=16, components=4, space=space), 0.5).double()
    pf.testing.check_normalised(flow.log_prob, 0.0, 24.0, dims=2, points=200)


def test_a_torus_fits_a_density_in_which_one_angle_turns_with_the_other() -> None:
    def log_density(x: Tensor) -> Tensor:
        return torch.cos(x.sum(-1) - 1.94)

    # Turned round, so that samples need no root.
    maps = scalar.ConvexCombination(scalar.Moebius(), copies=6)
    layer = Inverse(Autoregressive(2, maps, partial(pf.networks.MADE, hidden=(32,))))
    flow = pf.Flow([layer], UniformCircles(Circle((2,))))
    optimiser = torch.optim.Adam(flow.parameters(), 5e-3)
    for _ in range(60):
        x, log_q = flow.rsample_and_log_prob(256)
        optimiser.zero_grad()
        (log_q - log_density(x)).mean().backward()
        optimiser.step()
    x, log_q = flow.rsample_and_log_prob(5000)
    assert 3.911668 - (log_density(x) - log_q).mean().item() < 0.05


def test_the_model_is_saved_with_its_space(tmp_path: object) -> None:
    flow = pf.testing.randomise(pf.models.torus(features=3, hidden=8, space=HOURS_AND_DEGREES), 0.3)
    pf.save(flow, f"{tmp_path}/torus.safetensors")
    loaded = pf.load(f"{tmp_path}/torus.safetensors")
    assert loaded.support == HOURS_AND_DEGREES
    assert torch.equal(loaded.log_prob(x := flow.sample(5)), flow.log_prob(x))


# Von Mises


@pytest.mark.parametrize("concentration", CONCENTRATIONS)
def test_von_mises_has_scipys_density(concentration: float) -> None:
    # Where the mass is, and on the far side, where the logarithm is -2 concentration.
    x = torch.tensor([0.0, 0.5, -2.0]) / math.sqrt(max(concentration, 1.0))
    x = torch.cat([x, torch.tensor([2.0, math.pi])])
    expected = torch.as_tensor(stats.vonmises.logpdf(x.double().numpy(), concentration))
    for base in (VonMises((1,), concentration=concentration), VonMises((1,), 0.7, concentration)):
        found = base.log_prob(base.support.wrap(x[:, None] + base.location))
        torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-3 + 1e-6 * concentration**0.5)


@pytest.mark.parametrize("concentration", [0.0, *CONCENTRATIONS])
def test_von_mises_numbers_follow_it(concentration: float) -> None:
    x = VonMises((1,), concentration=concentration).sample(4000)[:, 0].double().numpy()
    known = stats.vonmises(concentration) if concentration else stats.uniform(-math.pi, 2 * math.pi)
    assert stats.kstest(x, known.cdf).pvalue > 1e-3


@pytest.mark.parametrize("concentration", [1e-3, 0.5, 5.0, 80.0, 1e4])
def test_von_mises_numbers_carry_the_gradient_of_their_mean(concentration: float) -> None:
    # d/dk E[cos x] = d/dk I_1 / I_0 = 1 - A^2 - A / k, and the mean direction moves with the location.
    base = LearnedVonMises((1,), concentration).double()
    x = base.rsample(40_000, generator=torch.Generator().manual_seed(0))
    weights = torch.autograd.grad(torch.cos(x).mean(), base.raw_concentrations, retain_graph=True)[0]
    (factor,) = torch.autograd.grad(base.concentrations().sum(), base.raw_concentrations)
    exact = 1 - (a := special.i1e(concentration) / special.i0e(concentration)) ** 2 - a / concentration
    if concentration > 1e3:
        exact = 0.5 / concentration**2
    assert (weights / factor).item() == pytest.approx(exact, rel=0.05)
    (turn,) = torch.autograd.grad(x.mean(), base.directions)
    assert turn[0, 1].item() == pytest.approx(1.0)


def test_a_learned_von_mises_finds_direction_and_concentration() -> None:
    x = VonMises((2,), 3.0, 20.0).sample(2000)
    base = LearnedVonMises((2,))
    optimiser = torch.optim.Adam(base.parameters(), 0.05)
    for _ in range(200):
        optimiser.zero_grad()
        (-base.log_prob(x).mean()).backward()
        optimiser.step()
    assert (base.locations() - 3.0).abs().max() < 0.02 and (base.concentrations() / 20.0 - 1).abs().max() < 0.1
