"""Scalar bijections against closed forms, quadrature and implicit differentiation: what the law suite cannot say."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import scipy.integrate
import scipy.special
import scipy.stats
import torch
from torch import Tensor

from pushforward import scalar
from pushforward.errors import UsageError
from pushforward.scalar import ScalarBijection

REALS: dict[str, Callable[[], ScalarBijection]] = {
    "Additive": scalar.Additive,
    "Affine": scalar.Affine,
    "MixtureCDF logistic": lambda: scalar.MixtureCDF("logistic", 4),
    "MixtureCDF gaussian": lambda: scalar.MixtureCDF("gaussian", 4),
    "PerturbedAffine": scalar.PerturbedAffine,
    "OddPolynomial": lambda: scalar.OddPolynomial(5),
    "OddPolynomial 9": lambda: scalar.OddPolynomial(9),
    "DeepSigmoidal": lambda: scalar.DeepSigmoidal(4, 2),
    "DeepDenseSigmoidal": lambda: scalar.DeepDenseSigmoidal(4, 3, 3),
    "IntegralNetwork": lambda: scalar.IntegralNetwork(4),
    "ConicalCombination": lambda: scalar.ConicalCombination(
        scalar.Affine(), scalar.LeakyReLU(0.3), scalar.MixtureCDF("logistic", 3)
    ),
    "Composition": lambda: scalar.Composition(scalar.PerturbedAffine(), scalar.MixtureCDF("gaussian", 3)),
    "LeakyReLU": scalar.LeakyReLU,
    "LinearSpline": scalar.LinearSpline,
    "QuadraticSpline": scalar.QuadraticSpline,
    "CubicSpline": scalar.CubicSpline,
    "RationalQuadraticSpline": scalar.RationalQuadraticSpline,
}
ONTO: dict[str, Callable[[], ScalarBijection]] = {
    "LogisticMixtureCDF": lambda: scalar.LogisticMixtureCDF(4),
    "GaussianMixtureCDF": lambda: scalar.GaussianMixtureCDF(4),
    "Sigmoid": scalar.Sigmoid,
    "Exp": scalar.Exp,
    "Softplus": scalar.Softplus,
    "Tanh": scalar.Tanh,
}
PERIODIC: dict[str, Callable[[], ScalarBijection]] = {
    "CircularRationalQuadraticSpline": scalar.CircularRationalQuadraticSpline
}
ALL = REALS | ONTO | PERIODIC


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def arguments(bijection: ScalarBijection, rows: int, dtype: torch.dtype, factor: float = 1.0) -> tuple[Tensor, Tensor]:
    return torch.randn(rows, dtype=dtype).clamp(-3, 3), factor * torch.randn(
        rows, bijection.num_parameters, dtype=dtype
    )


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-4), (torch.float64, 1e-9)])
def test_round_trip(name: str, dtype: torch.dtype, tolerance: float) -> None:
    bijection = ALL[name]()
    x, parameters = arguments(bijection, 500, dtype)
    z, log_dz = bijection.forward(x, parameters)
    back, log_dx = bijection.inverse(z, parameters)
    # Where a float32 next to 1 stands for a wide stretch of the tail, no inverse can tell which number it was.
    lost = torch.finfo(dtype).eps * (1 + z.abs()) * torch.exp(-log_dz)
    assert ((back - x).abs() <= tolerance + 2 * lost).all()
    assert ((log_dx + log_dz).abs() <= 10 * tolerance + 20 * lost).all()


@pytest.mark.parametrize("name", ALL)
def test_log_derivative_is_autograds(name: str) -> None:
    bijection = ALL[name]()
    x, parameters = arguments(bijection, 300, torch.float64, 2.0)
    x.requires_grad_()
    z, log_dz = bijection.forward(x, parameters)
    (derivative,) = torch.autograd.grad(z.sum(), x)
    torch.testing.assert_close(log_dz, torch.log(derivative), rtol=1e-8, atol=1e-8)
    z = z.detach().requires_grad_()
    back, log_dx = bijection.inverse(z, parameters)
    (derivative,) = torch.autograd.grad(back.sum(), z)
    torch.testing.assert_close(log_dx, torch.log(derivative), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("name", ALL)
def test_gradients_through_the_inverse(name: str) -> None:
    # Implicit differentiation, checked against it: dx = (dz - dh/dp dp) / h', for x and for a function of log_dx.
    bijection = ALL[name]()
    x, parameters = arguments(bijection, 50, torch.float64)
    z = bijection.forward(x, parameters)[0].detach().requires_grad_()
    parameters.requires_grad_()
    weights = torch.randn(50, dtype=torch.float64)
    root, log_dx = bijection.inverse(z, parameters)
    got = torch.autograd.grad((weights * root).sum(), (z, parameters), retain_graph=True, allow_unused=True)
    got_log = (
        torch.autograd.grad(log_dx.sum(), (z, parameters), allow_unused=True, retain_graph=True)
        if (log_dx.requires_grad)
        else (None, None)
    )

    point = root.detach().requires_grad_()
    value, log_slope = bijection.forward(point, parameters)
    slope = torch.exp(log_slope).detach()
    (by_parameters,) = torch.autograd.grad(
        (-weights / slope * value).sum(), parameters, retain_graph=True, allow_unused=True
    )
    torch.testing.assert_close(got[0], weights / slope, rtol=1e-6, atol=1e-8)
    _assert_gradient(got[1], by_parameters)

    if log_slope.requires_grad:
        by_point, direct = torch.autograd.grad(
            -log_slope.sum(), (point, parameters), retain_graph=True, allow_unused=True
        )
        by_point = torch.zeros_like(point) if by_point is None else by_point
        _assert_gradient(got_log[0], by_point / slope)
        if value.requires_grad and parameters.numel():
            (through,) = torch.autograd.grad((-by_point.detach() / slope * value).sum(), parameters, allow_unused=True)
            _assert_gradient(got_log[1], _sum(direct, through))


def _sum(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    return b if a is None else a if b is None else a + b


def _assert_gradient(got: Tensor | None, expected: Tensor | None) -> None:
    if got is None or expected is None:
        present = expected if got is None else got
        assert present is None or not present.abs().any()
    else:
        torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ALL)
def test_inverse_compiles_without_graph_breaks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # All steps of an iterative inverse are the same, so a few show whether it can be captured.
    monkeypatch.setattr(scalar.root, "FEWEST_STEPS", 3)
    bijection = ALL[name]()
    x, parameters = arguments(bijection, 5, torch.float32)
    z, _ = bijection.forward(x, parameters)
    torch.compiler.reset()
    compiled = torch.compile(bijection.inverse, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(z, parameters), bijection.inverse(z, parameters), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "name",
    [name for name in REALS if name not in ("LeakyReLU", "MixtureCDF gaussian", "Composition", "ConicalCombination")],
)
def test_zeros_are_close_to_the_identity(name: str) -> None:
    bijection = REALS[name]()
    x = torch.linspace(-3, 3, 61)
    z, _ = bijection.forward(x, torch.zeros(61, bijection.num_parameters))
    assert (z - x).abs().max() < 0.2


@pytest.mark.parametrize(
    "name", ["Additive", "Affine", "PerturbedAffine", "IntegralNetwork", *(n for n in REALS if "Spline" in n)]
)
def test_zeros_are_the_identity(name: str) -> None:
    bijection = REALS[name]()
    x = torch.linspace(-7, 7, 57)
    z, log_dz = bijection.forward(x, torch.zeros(57, bijection.num_parameters))
    torch.testing.assert_close(z, x, rtol=0, atol=2e-6)
    assert log_dz.abs().max() < 2e-6


@pytest.mark.parametrize("name", ALL)
def test_finite_under_extreme_inputs_and_parameters(name: str) -> None:
    bijection = ALL[name]()
    for factor in (1.0, 10.0, 50.0, 200.0):
        x = torch.tensor([-1e6, -1e3, -1.0, 0.0, 1.0, 1e3, 1e6]).repeat(20).requires_grad_()
        parameters = (factor * torch.randn(140, bijection.num_parameters)).requires_grad_()
        z, log_dz = bijection.forward(x, parameters)
        inputs = (x, parameters) if bijection.num_parameters else (x,)
        _assert_finite((z, log_dz), (1e-20 * z + log_dz).sum() + z.clamp(-1e6, 1e6).sum(), inputs)
        low, high = bijection.codomain
        # As samples are: a generator's uniform numbers end at 2^-24, and at 0 itself.
        values = x.detach().clamp(max(low, -1e6), min(high, 1e6)).requires_grad_()
        inputs = (values, parameters) if bijection.num_parameters else (values,)
        back, log_dx = bijection.inverse(values, parameters)
        _assert_finite((back, log_dx), (1e-20 * back + 1e-20 * log_dx).sum(), inputs)


def _assert_finite(outputs: tuple[Tensor, ...], loss: Tensor, inputs: tuple[Tensor, ...]) -> None:
    for output in outputs:
        assert output.isfinite().all()
    for gradient in torch.autograd.grad(loss, inputs, allow_unused=True):
        assert gradient is None or gradient.isfinite().all()


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
    component = scalar.mixture_cdf.GaussianComponent()
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
    ends = torch.tensor([end for end in bijection.codomain if math.isfinite(end)], requires_grad=True)
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


# Errors


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: scalar.RationalQuadraticSpline(bins=1), "2 bins"),
        (lambda: scalar.LinearSpline(bound=0.0), "bound"),
        (lambda: scalar.MixtureCDF("cauchy"), "logistic"),
        (lambda: scalar.LogisticMixtureCDF(0), "component"),
        (lambda: scalar.OddPolynomial(4), "degree"),
        (lambda: scalar.LeakyReLU(-1.0), "slope"),
        (lambda: scalar.ConicalCombination(scalar.Sigmoid()), "reals"),
        (lambda: scalar.Composition(), "at least one"),
        (lambda: scalar.IntegralNetwork(hidden=0), "hidden"),
        (lambda: scalar.DeepSigmoidal(units=0), "unit"),
    ],
)
def test_wrong_settings_are_one_clear_error(make: Callable[[], ScalarBijection], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make()
