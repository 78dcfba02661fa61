"""Flows and distributions on spheres, where the laws alone do not say what is right."""

from __future__ import annotations

import itertools
import math
from functools import partial

import numpy as np
import pytest
import torch
from scipy import integrate, special, stats
from torch import Tensor
from torch.nn import functional as F

import pushforward as pf
from pushforward import testing
from pushforward.distributions import Antipodal, Kent, UniformSphere, VonMisesFisher
from pushforward.distributions.manifolds.axial import log_integral, log_surface
from pushforward.errors import ConvergenceError, DataError, UsageError
from pushforward.scalar import CircularRationalQuadraticSpline, RationalQuadraticSpline
from pushforward.testing import randomise
from pushforward.testing.spheres import points_on_sphere, scattered_on_sphere
from pushforward.transforms import (
    ConformalField,
    EvenField,
    ExponentialField,
    ExponentialMap,
    RecursiveSphere,
    Rotation,
)
from pushforward.transforms.manifolds.exponential_map import log_volume
from pushforward.transforms.manifolds.geodesics import distance, exponential, logarithm, tangent
from pushforward.transforms.manifolds.poles import Cap, HeightSpline
from pushforward.transforms.manifolds.potentials import Potential

SMALL = partial(pf.networks.MLP, hidden=(8,))
DOUBLE = torch.float64


def points(count: int, n: int, dtype: torch.dtype = DOUBLE, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(count, n + 1, dtype=DOUBLE, generator=generator), dim=-1).to(dtype)


def moved(part: torch.nn.Module, seed: int = 0, scale: float = 0.5) -> torch.nn.Module:
    return randomise(part, scale, torch.Generator().manual_seed(seed)).eval()


# Geodesics.


@pytest.mark.parametrize("length", [0.0, 1e-8, 1e-3, 0.0999, 0.1001, 1.0, 3.1])
def test_the_logarithm_is_the_inverse_of_the_exponential(length: float) -> None:
    x = points(20, 3)
    v = length * F.normalize(tangent(x, points(20, 3, seed=1)), dim=-1)
    y = exponential(x, v)
    assert torch.allclose(torch.linalg.vector_norm(y, dim=-1), torch.ones(20, dtype=DOUBLE), atol=1e-14)
    assert torch.allclose(distance(x, y), torch.full((20,), length, dtype=DOUBLE), rtol=1e-7, atol=1e-15)
    assert torch.allclose(logarithm(x, y), v, rtol=1e-7, atol=1e-15)


@pytest.mark.parametrize("away", [1e-2, 1e-4, 1e-6])
def test_the_logarithm_near_the_antipode_is_tangent_in_single_precision(away: float) -> None:
    x = points(50, 2, torch.float32)
    aside = F.normalize(tangent(x, points(50, 2, torch.float32, seed=1)), dim=-1)
    v = logarithm(x, -(math.cos(away) * x + math.sin(away) * aside))
    assert (v * x).sum(-1).abs().max() < 1e-5
    # What the point is away by has itself only the digits of single precision.
    assert (v / (math.pi - away) + aside).abs().max() < 1e-3 + 1e-6 / away


def test_gradients_of_geodesics_are_finite_at_no_distance_and_at_the_antipode() -> None:
    x = points(5, 2, torch.float32)
    for y in (x.clone(), -x):
        y.requires_grad_()
        v = logarithm(x, y)
        (gradient,) = torch.autograd.grad(v.sum(), y)
        assert bool(v.isfinite().all()) and bool(gradient.isfinite().all())
    v = torch.zeros_like(x, requires_grad=True)
    (gradient,) = torch.autograd.grad(exponential(x, v).sum(), v)
    assert torch.allclose(gradient, torch.ones_like(gradient))


# Distributions.


@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_surfaces_and_integrals_over_spheres(n: int) -> None:
    assert log_surface(n) == pytest.approx(math.log(2 * math.pi ** ((n + 1) / 2) / math.gamma((n + 1) / 2)))
    like = torch.zeros((), dtype=DOUBLE)
    # The mean of a squared coordinate is 1 / (n + 1).
    second = log_integral(n, lambda below, above: 2 * torch.log((1.0 - below).abs() + 1e-300), like)
    assert (second - log_surface(n)).exp().item() == pytest.approx(1 / (n + 1), rel=1e-8)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("concentration", [1e-3, 1.0, 30.0, 1e3, 9e5])
def test_the_von_mises_fisher_normaliser_is_the_bessel_function(n: int, concentration: float) -> None:
    base = VonMisesFisher(n, concentration).double()
    mode = base.direction().detach()
    concentration, order = base.concentration().item(), 0.5 * (n - 1)
    log_bessel = math.log(special.ive(order, concentration))
    expected = order * math.log(concentration) - 0.5 * (n + 1) * math.log(2 * math.pi) - log_bessel
    assert base.log_prob(mode).item() == pytest.approx(expected, abs=2e-6)
    single = VonMisesFisher(n, concentration)
    assert single.log_prob(mode.float()).item() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("n, concentration", [(100, 1e4), (500, 1e4), (500, 9e5)])
def test_the_von_mises_fisher_normaliser_is_right_in_many_dimensions(n: int, concentration: float) -> None:
    base = VonMisesFisher(n, concentration).double()
    expected = stats.vonmises_fisher(np.eye(n + 1)[-1], base.concentration().item()).logpdf(np.eye(n + 1)[-1])
    assert base.log_prob(torch.eye(n + 1, dtype=DOUBLE)[-1]).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("n", [1, 2, 3, 7])
@pytest.mark.parametrize("concentration", [0.5, 20.0, 1e5])
def test_von_mises_fisher_samples_lie_as_far_from_the_mode_as_they_should(n: int, concentration: float) -> None:
    base = VonMisesFisher(n, concentration, [1.0] * (n + 1))
    x = base.sample(20_000, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(torch.linalg.vector_norm(x, dim=-1), torch.ones(()), atol=1e-5)
    depth = 0.5 * (x - base.direction()).square().sum(-1)
    expected = 1 - special.ive((n + 1) / 2, concentration) / special.ive((n - 1) / 2, concentration)
    error = depth.std().item() / math.sqrt(len(x))
    assert abs(depth.double().mean().item() - expected) < 5 * error + 1e-2 / concentration


def test_gradients_of_von_mises_fisher_samples_are_those_of_their_mean() -> None:
    base = VonMisesFisher(2, 3.0).double()
    x = base.rsample(40_000, generator=torch.Generator().manual_seed(0))
    (found,) = torch.autograd.grad(x[:, 2].mean(), base.raw_log_concentration)
    # The mean height is coth k - 1 / k.
    raw = base.raw_log_concentration.detach().clone().requires_grad_()
    k = torch.exp(pf.numerics.bounded(raw, 14.0))
    (expected,) = torch.autograd.grad(1 / torch.tanh(k) - 1 / k, raw)
    assert found.item() == pytest.approx(expected.item(), rel=0.05)


@pytest.mark.parametrize("concentration, ovalness", [(0.5, 0.5), (20.0, 0.9), (300.0, 0.999), (1e5, 0.3)])
def test_the_kent_normaliser_is_that_of_its_paper(concentration: float, ovalness: float) -> None:
    base = Kent(concentration, ovalness).double()
    beta = 0.5 * base.ovalness().item() * base.concentration().item()

    def integrand(depth: float) -> float:
        oval = beta * depth * (2 - depth)
        return math.exp(-concentration * depth + oval) * special.i0e(oval)

    knots = [min(2.0, s / concentration) for s in (0.0, 1.0, 5.0, 20.0, 100.0, 1000.0, 1e9)]
    total = sum(integrate.quad(integrand, *ends, epsabs=0)[0] for ends in itertools.pairwise(knots))
    mode = base.frame()[0].detach()
    assert base.log_prob(mode).item() == pytest.approx(-math.log(2 * math.pi * total), abs=1e-5)


@pytest.mark.parametrize("concentration, ovalness", [(2.0, 0.5), (500.0, 0.99)])
def test_kent_samples_have_the_moments_of_the_density(concentration: float, ovalness: float) -> None:
    base = Kent(concentration, ovalness).double()
    x = base.sample(20_000, generator=torch.Generator().manual_seed(0))
    grid, weights = points_on_sphere(2, 400)
    mass = weights * base.log_prob(grid).detach().exp()
    assert mass.sum().item() == pytest.approx(1, abs=1e-6)
    for index in range(3):
        squares = x[:, index].square()
        error = squares.std().item() / math.sqrt(len(x))
        assert abs(squares.mean().item() - (mass @ grid[:, index].square()).item()) < 5 * error


def test_wrong_arguments_of_distributions_on_spheres_are_refused() -> None:
    with pytest.raises(UsageError, match="concentration"):
        VonMisesFisher(2, -1.0)
    with pytest.raises(UsageError, match="direction of 3"):
        VonMisesFisher(2, 1.0, [1.0, 0.0])
    with pytest.raises(UsageError, match="ovalness"):
        Kent(1.0, 1.5)
    with pytest.raises(UsageError, match="on a sphere"):
        Antipodal(pf.distributions.StandardNormal((3,)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_densities_on_spheres_work_in_half_precision(dtype: torch.dtype) -> None:
    x = points(1000, 2, dtype)
    assert bool(UniformSphere(2).to(dtype).log_prob(x).isfinite().all())
    flow = pf.Flow([Rotation(2), moved(ExponentialMap(2, centers=3))], VonMisesFisher(2, 3.0))
    expected = flow.log_prob(F.normalize(x.float(), dim=-1))
    assert torch.allclose(flow.to(dtype).log_prob(x).float(), expected, atol=40 * torch.finfo(dtype).eps)
    high = VonMisesFisher(3, 20.0).to(dtype).sample(200, generator=torch.Generator().manual_seed(0))
    assert high[:, 3].float().mean().item() == pytest.approx(1 - 1.5 / 20, abs=0.02)


def test_data_that_are_no_unit_vectors_are_told_their_length() -> None:
    flow = pf.build("sphere-recursive", features=3, layers=1, hidden=8)
    with pytest.raises(DataError, match=r"vectors of 3 numbers and length 1, got a vector of length 1.25"):
        pf.fit(flow, 1.25 * points(50, 2, torch.float32), max_steps=1, progress=False)


# Recursive flows.


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_recursive_flow_starts_as_the_identity(n: int) -> None:
    x = points(50, n)
    z, log_det = RecursiveSphere(n, network=SMALL).double()(x)
    assert torch.allclose(z, x, atol=1e-12) and torch.allclose(log_det, torch.zeros(50, dtype=DOUBLE), atol=1e-12)


def test_a_height_spline_sees_the_same_from_both_poles() -> None:
    spline = HeightSpline(5)
    parameters = torch.randn(200, spline.num_parameters, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))
    share = torch.linspace(0.3, 0.7, 200, dtype=DOUBLE)
    north = spline.forward(Cap(share, torch.zeros(200, dtype=torch.bool)), parameters)
    south = spline.forward(Cap(1 - share, torch.ones(200, dtype=torch.bool)), parameters)
    assert torch.allclose(north.share, 1 - south.share, atol=1e-12)
    assert torch.allclose(north.log_slope, south.log_slope, atol=1e-12)
    back = spline.inverse(Cap(south.share, torch.ones(200, dtype=torch.bool)), parameters)
    assert torch.allclose(back.share, 1 - share, atol=1e-12)
    assert torch.allclose(back.stretch * south.stretch, torch.ones(200, dtype=DOUBLE))


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("away", [0.0, 1e-9, 1e-6, 1e-4, 1e-2])
def test_no_digit_is_lost_near_a_pole_in_single_precision(n: int, away: float) -> None:
    layer = moved(RecursiveSphere(n, bins=5, network=SMALL))
    aside = away * points(40, n - 1, torch.float32)
    for pole in (1.0, -1.0):
        x = torch.cat([aside, torch.full((40, 1), pole * math.sqrt(1 - away**2))], -1).requires_grad_()
        z, log_det = layer(x)
        back, _ = layer.inverse(z)
        assert torch.allclose(back[:, :-1], aside, rtol=1e-3, atol=1e-5 * away)
        exact = layer.double()(x.double())[1]
        assert torch.allclose(log_det.double(), exact, atol=1e-4)
        at_pole = layer(torch.tensor([0.0] * n + [pole], dtype=DOUBLE))[1]
        assert (exact - at_pole).abs().max() < 30 * away + 1e-9
        (gradient,) = torch.autograd.grad(log_det.sum(), x)
        assert bool(gradient.isfinite().all()) and gradient.abs().max() < 1e3
        layer.float()


class _Stretching(CircularRationalQuadraticSpline):
    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return super().forward(x, parameters + 1.0 * torch.arange(self.num_parameters))


@pytest.mark.parametrize("scalar", [RationalQuadraticSpline(), CircularRationalQuadraticSpline(4, 2.0), _Stretching()])
def test_a_scalar_that_would_make_a_density_jump_at_a_pole_is_refused(scalar: pf.scalar.ScalarBijection) -> None:
    with pytest.raises(UsageError, match="RecursiveSphere expects a scalar bijection"):
        RecursiveSphere(2, scalar)


# Exponential maps.


@pytest.mark.parametrize("field", [ExponentialField(), ConformalField(), EvenField(ConformalField())])
def test_the_second_derivative_of_a_field_is_that_of_the_first(field: pf.transforms.ScalarField) -> None:
    cosine = torch.linspace(-1, 1, 401, dtype=DOUBLE).requires_grad_()
    for raw in (-3.0, -0.2, 0.01, 1.0, 4.0):
        slope, second = field.slopes(cosine, torch.tensor(raw, dtype=DOUBLE))
        (expected,) = torch.autograd.grad(slope.sum(), cosine)
        # At the ends the square root in the closed form has no derivative.
        assert torch.allclose(second[1:-1], expected[1:-1], rtol=1e-7, atol=1e-9)
        assert bool(second.isfinite().all())


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("raw", [-2.0, 0.3, 1.5])
def test_one_conformal_center_makes_a_moebius_map(n: int, raw: float) -> None:
    x, center = points(40, n), points(1, n, seed=1)
    one = torch.ones(1, dtype=DOUBLE)
    potential = Potential(ConformalField(), center, raw * one, one)
    v, hessian = potential.gradient_and_hessian(x)
    assert torch.allclose(v, potential.gradient(x))
    z, k, cosine = exponential(x, v), 0.9 * math.tanh(raw), x @ center[0]
    before, after = distance(x, center), distance(z, center)
    assert torch.allclose(torch.tan(after / 2), (1 - k) / (1 + k) * torch.tan(before / 2), rtol=1e-9)
    expected = n * torch.log((1 - k**2) / (1 + 2 * k * cosine + k**2))
    assert torch.allclose(log_volume(x, v, hessian), expected, atol=1e-9)


@pytest.mark.parametrize("field", [ExponentialField(), ConformalField()])
@pytest.mark.parametrize("scale", [0.5, 5.0, 500.0])
def test_every_inverse_of_an_exponential_map_is_found(field: pf.transforms.ScalarField, scale: float) -> None:
    for seed in range(3):
        layer = moved(ExponentialMap(2, field, 8), seed, scale)
        z = points(500, 2, torch.float32, seed)
        x, log_det = layer.inverse(z)
        again, forward_log_det = layer(x)
        assert torch.allclose(again, z, atol=1e-5)
        assert torch.allclose(log_det, -forward_log_det)
        assert torch.allclose(layer.decode(layer.encode(z)), z, atol=3e-5)


def test_gradients_pass_through_the_inverse_of_an_exponential_map() -> None:
    layer = moved(ExponentialMap(2, centers=3)).double()
    z, weights = points(4, 2), points(4, 2, seed=1)
    offset = layer.parameters_of.offset

    def value() -> Tensor:
        x, log_det = layer.inverse(z)
        return (weights * x).sum() + log_det.sum()

    (found,) = torch.autograd.grad(value(), offset)
    direction = torch.randn(offset.shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(2))
    step, values = 1e-6, []
    with torch.no_grad():
        for sign in (1, -1):
            offset.add_(sign * step * direction)
            values.append(value().item())
            offset.sub_(sign * step * direction)
    assert (found @ direction).item() == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-5)


def test_an_inverse_that_cannot_be_found_says_so() -> None:
    layer = ExponentialMap(2, centers=3)
    with pytest.raises(ConvergenceError, match="exponential map"):
        layer.inverse(torch.tensor([[0.0, 0.0, torch.nan]]))


def test_rotated_centers_rotate_the_density() -> None:
    rotation = moved(Rotation(2)).double()
    layer = moved(ExponentialMap(2, centers=4)).double()
    flow = pf.Flow([layer], UniformSphere(2)).double()
    x = points(30, 2)
    before = flow.log_prob(x)
    assert torch.allclose(before, pf.Flow([rotation, layer], UniformSphere(2)).double().log_prob(rotation.decode(x)))
    with torch.no_grad():
        centers = layer.parameters_of.offset[:12].view(3, 4)
        centers.copy_(rotation.encode(centers.mT.contiguous()).mT)
    assert torch.allclose(flow.log_prob(rotation.encode(x)), before)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_rotation_is_one_reflection_after_the_other(n: int) -> None:
    rotation = Rotation(n).double()
    x = points(10, n)
    expected = x
    for vector in F.normalize(rotation.vectors_of.offset.view(-1, n + 1), dim=-1):
        expected = expected - 2.0 * (expected @ vector)[:, None] * vector
    assert torch.allclose(rotation.encode(x), expected)
    assert torch.linalg.det(rotation.encode(torch.eye(n + 1, dtype=DOUBLE))).item() == pytest.approx(1)


# Antipodes, models, laws.

PIECES = {"sphere-recursive": {"bins": 4}, "sphere-exponential": {"centers": 8}}
"""What keeps densities at random as smooth as a quadrature sees: splines of 16 bins are rougher."""


@pytest.mark.parametrize("name", ["sphere-recursive", "sphere-exponential"])
def test_a_density_of_rotations_is_the_same_at_both_quaternions(name: str) -> None:
    flow = moved(pf.build(name, features=4, layers=2, hidden=8, antipodal=True, **PIECES[name]))
    q = flow.sample(20)
    assert torch.allclose(flow.log_prob(q), flow.log_prob(-q), atol=1e-4)
    grid, weights = scattered_on_sphere(3, 2**15)
    with torch.no_grad():
        assert (weights @ flow.double().log_prob(grid).exp()).item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("name", ["sphere-recursive", "sphere-exponential"])
def test_models_of_spheres_integrate_to_one_and_are_continuous(name: str) -> None:
    flow = moved(pf.build(name, features=3, layers=2, hidden=8, **PIECES[name]))
    x = points(6, 2, torch.float32)
    testing.check_mass(flow, x)
    testing.check_continuity(flow, x)


@pytest.mark.parametrize("features", [3, 4])
@pytest.mark.parametrize("layer", [1, 3])
@pytest.mark.parametrize("pole", [1.0, -1.0])
def test_a_density_is_continuous_at_the_poles_of_every_layer(features: int, layer: int, pole: float) -> None:
    flow = moved(pf.build("sphere-recursive", features=features, layers=2, hidden=8), scale=2.0).double()
    before = list(flow.transform.parts)[:layer]
    aside = 1e-7 * points(40, features - 2)
    values = []
    for each in (aside, -aside, 0.0 * aside):
        x = F.normalize(torch.cat([each, torch.full((40, 1), pole, dtype=DOUBLE)], -1), dim=-1)
        for part in reversed(before):
            x = part.decode(x)
        values.append([flow.log_prob(x), flow.float().log_prob(x.float())])
        flow.double()
    for one, other, at_pole in zip(*values, strict=True):
        assert bool(one.isfinite().all())
        assert (one - other).abs().max() < 1e-3 and (one - at_pole).abs().max() < 1e-3


class _Unfaded(RecursiveSphere):
    def _told(self, seen: list, x: Tensor, context: Tensor | None) -> Tensor:  # type: ignore[type-arg]
        faded = super()._told(seen, x, context)
        return faded / seen[-1].radius.clamp_min(1e-9)[..., None] if seen else faded


def test_the_law_of_continuity_finds_a_jump_at_a_pole() -> None:
    layer = moved(_Unfaded(2, bins=5, network=SMALL))
    with pytest.raises(AssertionError, match="at both sides of a pole"):
        testing.check_continuity(layer, points(6, 2, torch.float32))


class _Twice(RecursiveSphere):
    def forward(self, *arguments: object) -> tuple[Tensor, Tensor]:
        z, log_det = super().forward(*arguments)  # type: ignore[arg-type]
        return z, log_det + 0.01


def test_the_law_of_mass_finds_what_is_missing_on_a_sphere() -> None:
    with pytest.raises(AssertionError, match=r"integrates to 1\.01"):
        testing.check_mass(_Twice(2, bins=5, network=SMALL), points(6, 2, torch.float32))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_quadrature_on_spheres_is_exact_for_polynomials(n: int) -> None:
    grid, weights = points_on_sphere(n, 6)
    assert weights.sum().item() == pytest.approx(math.exp(log_surface(n)))
    # The mean of x^4 y^2 over S^n is 3 / ((n + 1) (n + 3) (n + 5)).
    found = (weights @ (grid[:, -1] ** 4 * grid[:, 0] ** 2)).item() / math.exp(log_surface(n))
    assert found == pytest.approx(3 / ((n + 1) * (n + 3) * (n + 5)))
    assert np.allclose(torch.linalg.vector_norm(grid, dim=-1), 1)
