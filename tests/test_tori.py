"""Circles and tori: maps against their formulas, densities without seams, von Mises distributions against scipy's."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import pytest
import torch
from scipy import special, stats
from torch import Tensor

import pushforward as pf
from pushforward import scalar
from pushforward.cli import main as cli
from pushforward.distributions import LearnedVonMises, UniformCircles, VonMises
from pushforward.distributions.manifolds.von_mises import log_von_mises
from pushforward.errors import UsageError
from pushforward.networks import CircleVelocity
from pushforward.spaces import Circle, Product, Reals
from pushforward.training.objectives.flow_matching import FlowMatching, WrappedLine
from pushforward.transforms import Autoregressive, Continuous, DormandPrince, Inverse, Radians

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
    "all kinds": scalar.ConvexCombination(
        scalar.Moebius(),
        scalar.NonCompactProjection(),
        scalar.Centred(scalar.CircularRationalQuadraticSpline(4)),
        copies=2,
    ),
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


CLOCKS = pf.Flow(
    [Continuous(pf.networks.VelocityMLP, Circle((2,), 0.0, 24.0))], UniformCircles(Circle((2,), 0.0, 24.0))
)


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
        (lambda: pf.models.torus(2, space="degrees"), "2 circles"),  # type: ignore[arg-type]
        (lambda: pf.models.torus(3, low=0, high=[24, 360]), "one high, or 3"),
        (lambda: pf.models.torus(2, low=0, high=24, space=Circle((2,), 0, 24)), "leave one out"),
        (lambda: pf.models.torus(2, low=5, high=1), "low < high"),
        (lambda: pf.models.torus(2, high=["a", "b"]), "a number or numbers as high"),  # type: ignore[list-item]
        (lambda: pf.models.torus_coupling(1), "at least 2 features"),
        (lambda: Continuous(pf.networks.VelocityMLP, Circle()), "vectors of Circles"),
        (lambda: CircleVelocity(torch.nn.Identity(), Circle()), "vectors of circles"),
        (lambda: FlowMatching(WrappedLine(Circle((2,)))).check(CLOCKS), "Circle"),
    ],
)
def test_wrong_settings_are_one_clear_error(make: object, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make()  # type: ignore[operator]


# Tori


@pytest.mark.parametrize("name", ["torus", "torus-coupling"])
def test_a_torus_has_no_seam_in_any_coordinate(name: str) -> None:
    flow = pf.testing.randomise(pf.build(name, features=3, hidden=16, layers=2, space=HOURS_AND_DEGREES), 1.0)
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


def test_the_ends_of_circles_are_their_space() -> None:
    ends = {"low": [0, -180, -180], "high": [24.0, 180, 180]}
    for flow in (
        pf.models.torus(features=3, **ends),
        pf.models.torus_coupling(features=3, **ends),
        pf.models.torus_cnf(features=3, **ends),
    ):
        assert flow.support == HOURS_AND_DEGREES
    assert pf.models.torus(features=2, low=0, high=24).support == Circle((2,), 0, 24)


def test_the_command_line_takes_hours_and_degrees(tmp_path: Path) -> None:
    table, run, out = tmp_path / "a.csv", str(tmp_path / "run"), tmp_path / "samples.csv"
    rows = torch.tensor([24.0, 360.0]) * torch.rand(60, 2)
    table.write_text("hour,degrees\n" + "\n".join(f"{hour},{degrees}" for hour, degrees in rows.tolist()))
    small = ["--set", "hidden=4", "--set", "layers=1", "--max-steps", "2", "-q"]
    ends = ["--set", "low=0", "--set", "high=24,360"]
    assert cli.run(["train", "torus", "-d", str(table), "-o", run, *ends, *small]) == 0
    assert cli.run(["sample", run, "--count", "20", "--out", str(out), "-q"]) == 0
    header, *lines = out.read_text().splitlines()
    assert header == "hour,degrees"
    drawn = torch.tensor([[float(each) for each in line.split(",")] for line in lines])
    assert Product(Circle((1,), 0, 24), Circle((1,), 0, 360)).contains(drawn).all() and drawn[:, 1].max() > 24


def test_doubles_close_the_circle_though_the_flow_was_made_of_singles() -> None:
    days = Circle((1,), 2_459_000.3, 2_459_007.3)
    radians, ends = Radians(days).double(), torch.tensor([[days.low], [days.high]], dtype=torch.float64)
    z, _ = radians(ends)
    torch.testing.assert_close(z[:, 0], math.pi * torch.tensor([-1.0, 1.0], dtype=torch.float64), rtol=0, atol=1e-8)
    torch.testing.assert_close(radians.decode(z), ends, rtol=0, atol=1e-9)


# Along a velocity field


def test_a_continuous_torus_is_normalised_without_a_seam() -> None:
    flow = pf.testing.randomise(pf.models.torus_cnf(hidden=[8], low=0, high=[24, 360]), 0.4).double()
    scale, sides = torch.tensor([24.0, 360.0]), torch.arange(24, dtype=torch.float64) / 24
    with torch.no_grad():
        density = flow.log_prob(scale * torch.cartesian_prod(sides, sides)).exp()
        before, after = flow.log_prob([[0.0, 90.0], [3.0, 0.0]]), flow.log_prob([[24.0, 90.0], [3.0, 360.0]])
    assert density.log().std() > 0.05
    assert density.mean().item() * 24 * 360 == pytest.approx(1, abs=1e-4)
    torch.testing.assert_close(before, after, rtol=0, atol=1e-4)


def test_the_volume_along_a_velocity_on_circles_is_that_of_its_jacobian() -> None:
    velocity = CircleVelocity(pf.networks.VelocityMLP(4, hidden=(8,)), Circle((2,), 0.0, 24.0))
    layer = pf.testing.randomise(Continuous(pf.networks.VelocityMLP, velocity.circles, DormandPrince(1e-9)), 0.3)
    layer, x = layer.double(), torch.tensor([23.9, 0.1], dtype=torch.float64)
    z, log_det = layer(x)
    jacobian = torch.autograd.functional.jacobian(layer.encode, x)
    torch.testing.assert_close(log_det, torch.slogdet(jacobian).logabsdet, rtol=0, atol=1e-6)
    assert velocity.circles.contains(z) and (z - x).abs().max() > 0.1


def test_paths_on_circles_go_the_short_way_round() -> None:
    late = WrappedLine(Circle((2,), 0.0, 24.0))
    time = torch.tensor([[0.0], [0.5], [1.0]])
    at, velocity = late(time, torch.tensor([22.0, 6.0]), torch.tensor([4.0, 3.0]))
    torch.testing.assert_close(at, torch.tensor([[22.0, 6.0], [1.0, 4.5], [4.0, 3.0]]))
    torch.testing.assert_close(velocity, torch.tensor([6.0, -3.0]))


def test_flow_matching_learns_angles_about_the_seam() -> None:
    x = Circle((2,)).wrap(math.pi + 0.4 * torch.randn(1000, 2))
    flow = pf.models.torus_cnf(hidden=[16])
    pf.fit(flow, x, max_steps=150, batch_size=128, learning_rate=1e-2, seed=0, progress=False)
    normal = -1.0 - 2 * math.log(0.4) - math.log(2 * math.pi)
    with torch.no_grad():
        assert flow.log_prob(x[:200]).mean() > normal - 0.3  # nats; the uniform density lies 2.7 below


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


@pytest.mark.parametrize("concentration", [0.5, 29.0, 31.0, 1e3, 1e6])
def test_the_score_of_a_concentration_keeps_its_digits(concentration: float) -> None:
    kappa = torch.tensor(concentration, requires_grad=True)
    (score,) = torch.autograd.grad(log_von_mises(torch.zeros(()), kappa), kappa)
    # 1 - I_1 / I_0, in double precision.
    k = kappa.detach().double()
    exact = 1 - special.i1e(k) / special.i0e(k)
    assert score.item() == pytest.approx(exact.item(), rel=2e-5)


def test_a_location_of_many_turns_is_the_same_angle() -> None:
    far, near = VonMises((1,), 1.0 + 2000 * math.pi, 1e4), VonMises((1,), 1.0, 1e4)
    x = torch.tensor([1.01])
    torch.testing.assert_close(far.log_prob(x), near.log_prob(x))


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
