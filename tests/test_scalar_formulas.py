"""Each scalar bijection against its formula: closed forms, quadrature and scipy's distributions."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import scipy.integrate
import scipy.special
import scipy.stats
import torch
from scalars import ONTO, REALS, arguments
from torch import Tensor

from pushforward import scalar
from pushforward.scalar import ScalarBijection
from pushforward.scalar.mixture_components import GaussianComponent
from pushforward.spaces import Interval


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


# Mixtures


def mixture_of(kind: str, components: int) -> tuple[ScalarBijection, Tensor, list[tuple[float, float, float]]]:
    """A CDF, parameters, and the weights, locations and scales that they stand for, by the documented constraints."""
    bijection = scalar.LogisticMixtureCDF(components) if kind == "logistic" else scalar.GaussianMixtureCDF(components)
    parameters = torch.randn(3 * components, dtype=torch.float64)
    weights, locations, log_scales = (value.exp().tolist() for value in bijection._mixture.constrain(parameters))
    return bijection, parameters, list(zip(weights, (math.log(value) for value in locations), log_scales))


@pytest.mark.parametrize("kind, distribution", [("logistic", scipy.stats.logistic), ("gaussian", scipy.stats.norm)])
def test_mixture_cdf_is_scipys(kind: str, distribution: object) -> None:
    bijection, parameters, mixture = mixture_of(kind, 5)
    x = torch.linspace(-9, 9, 91, dtype=torch.float64)
    z, log_dz = bijection.forward(x, parameters.expand(91, -1))
    cdf = sum(w * distribution.cdf(x.numpy(), m, s) for w, m, s in mixture)  # type: ignore[attr-defined]
    pdf = sum(w * distribution.pdf(x.numpy(), m, s) for w, m, s in mixture)  # type: ignore[attr-defined]
    torch.testing.assert_close(z, torch.as_tensor(cdf), rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(log_dz.exp(), torch.as_tensor(pdf), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("kind", ["logistic", "gaussian"])
def test_mixture_density_integrates_to_one(kind: str) -> None:
    bijection, parameters, _ = mixture_of(kind, 6)
    x = torch.linspace(-300, 300, 200001, dtype=torch.float64)
    _, log_dz = bijection.forward(x, parameters.expand(len(x), -1))
    assert abs(torch.trapezoid(log_dz.exp(), x).item() - 1) < 1e-6


@pytest.mark.parametrize("kind", ["logistic", "gaussian"])
def test_flowpp_map_is_the_logit_of_the_cdf(kind: str) -> None:
    cdf, parameters, _ = mixture_of(kind, 4)
    flowpp = scalar.MixtureCDF(kind, 4)
    x = torch.linspace(-5, 5, 41, dtype=torch.float64)
    own = torch.cat([parameters, torch.tensor([0.3, -0.7], dtype=torch.float64)]).expand(41, -1)
    z, log_dz = flowpp.forward(x, own)
    u, log_du = cdf.forward(x, parameters.expand(41, -1))
    logit, log_slope = scalar.Logit().forward(u, own)
    expected, log_scale = scalar.Affine().forward(logit, own[:, -2:])
    torch.testing.assert_close(z, expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(log_dz, log_du + log_slope + log_scale, rtol=1e-9, atol=1e-9)


def test_far_tails_of_a_gaussian_mixture_in_float32() -> None:
    # Far to the right the upper tail is the density times 1 / u, so logit(F) ~ u^2 / 2 and its derivative ~ u.
    flowpp = scalar.MixtureCDF("gaussian", 1)
    scale = 4 / math.sqrt(2 * math.pi)
    for x in (1e2, 1e4, 1e6):
        _, log_dz = flowpp.forward(torch.tensor(x), torch.zeros(5))
        assert log_dz.item() == pytest.approx(math.log(x / scale / scale), abs=1e-3)


def test_log_hazard_of_the_normal() -> None:
    component = GaussianComponent()
    u = torch.linspace(-30, 60, 1001, dtype=torch.float64, requires_grad=True)
    log_hazard = component.log_hazard(u)
    expected = scipy.stats.norm.logpdf(u.detach().numpy()) - scipy.special.log_ndtr(-u.detach().numpy())
    torch.testing.assert_close(log_hazard.detach(), torch.as_tensor(expected), rtol=0, atol=1e-11)
    (derivative,) = torch.autograd.grad(log_hazard.sum(), u)
    # The derivative of the log-hazard is hazard - u.
    torch.testing.assert_close(derivative, log_hazard.detach().exp() - u.detach(), rtol=1e-9, atol=1e-10)


def test_components_start_out_different() -> None:
    # Equal components would get equal gradients and stay equal for ever.
    bijection = scalar.MixtureCDF("logistic", 4)
    parameters = torch.zeros(4, bijection.num_parameters, requires_grad=True)
    bijection.forward(torch.randn(4), parameters)[1].sum().backward()
    gradient = parameters.grad.sum(0)[4:8]  # type: ignore[union-attr]
    assert len(set(gradient.tolist())) == 4


# Elementary functions


@pytest.mark.parametrize(
    "bijection, function",
    [
        (scalar.Sigmoid(), torch.sigmoid),
        (scalar.Exp(), torch.exp),
        (scalar.Softplus(), lambda x: torch.log1p(torch.exp(x))),
        (scalar.Tanh(), torch.tanh),
        (scalar.LeakyReLU(0.1), lambda x: torch.nn.functional.leaky_relu(x, 0.1)),
    ],
    ids=["sigmoid", "exp", "softplus", "tanh", "leaky ReLU"],
)
def test_elementary_values(bijection: ScalarBijection, function: Callable[[Tensor], Tensor]) -> None:
    x = torch.linspace(-15, 15, 301, dtype=torch.float64)
    torch.testing.assert_close(bijection.forward(x, torch.empty(301, 0))[0], function(x), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", ["Sigmoid", "Exp", "Softplus", "Tanh"])
def test_elementary_inverse_is_finite_on_the_boundary(name: str) -> None:
    bijection = ONTO[name]()
    assert isinstance(bijection.codomain, Interval)
    ends = torch.tensor(
        [end for end in (bijection.codomain.low, bijection.codomain.high) if math.isfinite(end)], requires_grad=True
    )
    x, log_dx = bijection.inverse(ends, torch.empty(len(ends), 0))
    assert x.isfinite().all() and log_dx.isfinite().all()
    (gradient,) = torch.autograd.grad(x.sum() + log_dx.sum(), ends)
    assert gradient.isfinite().all()


def test_elementary_log_derivatives_do_not_saturate() -> None:
    x = torch.tensor([-1e6, 1e6])
    nothing = torch.empty(2, 0)
    assert scalar.Sigmoid().forward(x, nothing)[1].tolist() == [-1e6, -1e6]
    assert scalar.Exp().forward(x, nothing)[1].tolist() == [-1e6, 1e6]
    assert scalar.Softplus().forward(x, nothing)[1].tolist() == [-1e6, 0.0]
    assert scalar.Tanh().forward(x, nothing)[1].tolist() == pytest.approx([-2e6, -2e6])


# Polynomials, perturbations, networks, integrals


def test_odd_polynomial_is_one() -> None:
    polynomial = scalar.OddPolynomial(5, bound=10.0)
    x = torch.linspace(-9, 9, 19, dtype=torch.float64)
    z, _ = polynomial.forward(x, torch.zeros(19, 4, dtype=torch.float64))
    torch.testing.assert_close(z, x + 1e-4 * x**3 + 1e-6 * x**5)


def test_odd_polynomial_goes_on_straight() -> None:
    polynomial = scalar.OddPolynomial(7, bound=2.0)
    parameters = torch.randn(5, dtype=torch.float64).expand(3, -1)
    z, log_dz = polynomial.forward(torch.tensor([2.0, 3.0, 1e6], dtype=torch.float64), parameters)
    torch.testing.assert_close((z[2] - z[1]) / (1e6 - 3), (z[1] - z[0]))
    assert log_dz[0] == log_dz[1] == log_dz[2]


def test_perturbed_affine_is_the_formula_and_increases() -> None:
    perturbed = scalar.PerturbedAffine()
    x = torch.linspace(-20, 20, 4001, dtype=torch.float64)
    for factor in (1.0, 10.0, 200.0):
        for parameters in factor * torch.randn(20, 5, dtype=torch.float64):
            z, _ = perturbed.forward(x, parameters.expand(len(x), -1))
            assert (z.diff() > 0).all()
    raw = torch.tensor([0.0, 0.4, 1e9, 0.0, 0.5], dtype=torch.float64)
    z, _ = perturbed.forward(x, raw.expand(len(x), -1))
    c = 0.95 * 8 * math.sqrt(3) / 9
    torch.testing.assert_close(z, x + 0.4 + c / (1 + (x + 0.5) ** 2), rtol=1e-6, atol=1e-6)


def test_deep_sigmoidal_layer_is_the_logit_of_a_mixture() -> None:
    network = scalar.DeepSigmoidal(units=3, layers=1)
    x = torch.linspace(-4, 4, 9, dtype=torch.float64)
    parameters = torch.randn(network.num_parameters, dtype=torch.float64)
    z, _ = network.forward(x, parameters.expand(9, -1))
    ((_, log_a, b, log_w),) = network._constrain(parameters)
    mixed = (log_w.exp() * torch.sigmoid(log_a.exp() * x[:, None] + b)).sum(-1)
    torch.testing.assert_close(z, torch.logit(mixed))


def test_integral_network_is_the_integral() -> None:
    network = scalar.IntegralNetwork(hidden=4)
    parameters = torch.randn(network.num_parameters, dtype=torch.float64)
    shift = parameters[-1].item()

    def integrand(t: float) -> float:
        value = torch.tensor(t, dtype=torch.float64)
        return network.forward(value, parameters)[1].exp().item()

    for x in (-8.0, -3.0, 0.5, 4.9, 6.0):
        expected, _ = scipy.integrate.quad(integrand, 0.0, x, points=None, epsabs=1e-11, limit=200)
        z, _ = network.forward(torch.tensor(x, dtype=torch.float64), parameters)
        assert z.item() == pytest.approx(expected + shift, abs=1e-7)


def test_conical_combination_is_the_sum() -> None:
    parts = (scalar.Affine(), scalar.OddPolynomial(3))
    combination = scalar.ConicalCombination(*parts)
    x, parameters = arguments(combination, 7, torch.float64)
    parameters[:, -3:-1] = 0.0
    first, second = parts[0].forward(x, parameters[:, :2])[0], parts[1].forward(x, parameters[:, 2:5])[0]
    z, _ = combination.forward(x, parameters)
    torch.testing.assert_close(z, (first + second) / 2 + parameters[:, -1])


# Splines


@pytest.mark.parametrize("name", [name for name in REALS if "Spline" in name])
def test_spline_maps_the_box_onto_itself(name: str) -> None:
    spline = REALS[name]()
    parameters = 3 * torch.randn(spline.num_parameters, dtype=torch.float64)
    x = torch.tensor([-5.0 + 1e-12, 5.0 - 1e-12, 5.0, -7.5], dtype=torch.float64)
    z, log_dz = spline.forward(x, parameters.expand(4, -1))
    torch.testing.assert_close(z, x, rtol=0, atol=1e-9)
    assert log_dz[2:].tolist() == [0.0, 0.0]


def test_rational_quadratic_derivative_is_continuous() -> None:
    spline = scalar.RationalQuadraticSpline()
    parameters = torch.randn(spline.num_parameters, dtype=torch.float64)
    x = torch.linspace(-5.5, 5.5, 200001, dtype=torch.float64)
    _, log_dz = spline.forward(x, parameters.expand(len(x), -1))
    assert log_dz.diff().abs().max() < 5e-3


def test_quadratic_spline_has_a_polyline_for_derivative() -> None:
    spline = scalar.QuadraticSpline(bins=3)
    parameters = torch.randn(spline.num_parameters, dtype=torch.float64)
    x = torch.linspace(-4.999, 4.999, 30001, dtype=torch.float64)
    _, log_dz = spline.forward(x, parameters.expand(len(x), -1))
    bends = log_dz.exp().diff().diff().abs() > 1e-9
    assert 1 <= bends.sum() <= 4


def test_circular_spline_is_continuous_around_the_circle() -> None:
    spline = scalar.CircularRationalQuadraticSpline()
    parameters = torch.randn(spline.num_parameters, dtype=torch.float64)
    parameters[-1] = 1.3
    x = torch.linspace(-math.pi, 3 * math.pi, 100001, dtype=torch.float64)
    z, log_dz = spline.forward(x, parameters.expand(len(x), -1))
    steps = torch.stack([torch.cos(z), torch.sin(z)]).diff().norm(dim=0)
    assert steps.max() < 1e-2 and log_dz.diff().abs().max() < 1e-2
    torch.testing.assert_close(log_dz[:50000], log_dz[50000:-1])
    density = torch.trapezoid(log_dz[:50001].exp(), x[:50001]) / (2 * math.pi)
    assert abs(density.item() - 1) < 1e-6
