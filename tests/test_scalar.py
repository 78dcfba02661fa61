"""Scalar bijections: round trips, log-derivatives, gradients by implicit differentiation, extremes and errors."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from scalars import ALL, REALS, arguments
from torch import Tensor

from pushforward import scalar
from pushforward.errors import UsageError
from pushforward.scalar import ScalarBijection
from pushforward.spaces import Interval


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


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


LONG_GRAPHS = {"Composition", "ConicalCombination", "ConvexCombination of several", "MixtureCDF gaussian"}
"""Inverses of several maps, whose graphs take longest to trace; what they are made of stays."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in LONG_GRAPHS else ()) for name in ALL]
)
def test_inverse_compiles_without_graph_breaks(name: str) -> None:
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
        # As samples are: a generator's uniform numbers end at 2^-24, and at 0 itself.
        values = x.detach()
        if isinstance(bijection.codomain, Interval):
            values = values.clamp(bijection.codomain.low, bijection.codomain.high)
        values.requires_grad_()
        inputs = (values, parameters) if bijection.num_parameters else (values,)
        back, log_dx = bijection.inverse(values, parameters)
        _assert_finite((back, log_dx), (1e-20 * back + 1e-20 * log_dx).sum(), inputs)


def _assert_finite(outputs: tuple[Tensor, ...], loss: Tensor, inputs: tuple[Tensor, ...]) -> None:
    for output in outputs:
        assert output.isfinite().all()
    for gradient in torch.autograd.grad(loss, inputs, allow_unused=True):
        assert gradient is None or gradient.isfinite().all()


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
        (lambda: scalar.IntegralNetwork(bound=float("nan")), "bound"),
        (lambda: scalar.DeepSigmoidal(units=0), "DeepSigmoidal expects .* unit"),
        (lambda: scalar.DeepDenseSigmoidal(width=1.5), "whole number"),
        (lambda: scalar.Affine(bound=-1.0), "bound"),
        (lambda: scalar.Scaling(bound="5"), "bound"),
        (lambda: scalar.Composition(scalar.Affine), "such as Affine()"),
        (lambda: scalar.Composition(scalar.Sigmoid(), scalar.Exp(), scalar.Logit()), "onto the domain"),
        (lambda: scalar.RoundedShift(unit=0.0), "unit"),
        (lambda: scalar.CyclicShift(0), "level"),
        (lambda: scalar.ModularAffine(1), "classes"),
    ],
)
def test_wrong_settings_are_one_clear_error(make: Callable[[], ScalarBijection], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make()


@pytest.mark.parametrize(
    "name", [name for name in REALS if "Spline" in name or name in ("IntegralNetwork", "OddPolynomial")]
)
def test_straight_outside_of_its_reach(name: str) -> None:
    bijection = REALS[name]()
    assert isinstance(bijection.reach, Interval)
    low, high = bijection.reach.low, bijection.reach.high
    parameters = torch.randn(bijection.num_parameters, dtype=torch.float64).expand(3, -1)
    for x in (high + torch.tensor([0.5, 1.0, 1.5]).double(), low - torch.tensor([0.5, 1.0, 1.5]).double()):
        z, log_dz = bijection.forward(x, parameters)
        torch.testing.assert_close(z[2] - z[1], z[1] - z[0])
        torch.testing.assert_close(log_dz, log_dz[:1].expand(3))
    inside = torch.linspace(low, high, 9, dtype=torch.float64)[1:-1]
    assert bijection.forward(inside, parameters[:1].expand(7, -1))[1].std() > 1e-3


def test_a_bijection_shows_how_it_was_made() -> None:
    assert repr(scalar.Composition(scalar.Affine(), scalar.CubicSpline(4, bound=2.0))) == (
        "Composition(Affine(), CubicSpline(bins=4, bound=2.0))"
    )
