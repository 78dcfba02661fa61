"""Every spline under parameters and inputs that break splines: the inverse holds and the gradients are finite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from pushforward import scalar
from pushforward.kernels.spline_between import between_knots
from pushforward.kernels.spline_search import searched_knots
from pushforward.kernels.spline_unrolled import unrolled_knots
from pushforward.scalar import ScalarBijection
from pushforward.scalar.splines.rational_quadratic import forward_in_bin

SPLINES: dict[str, Callable[[], ScalarBijection]] = {
    "linear": scalar.LinearSpline,
    "quadratic": scalar.QuadraticSpline,
    "cubic": scalar.CubicSpline,
    "rational quadratic": scalar.RationalQuadraticSpline,
    "circular rational quadratic": lambda: scalar.CircularRationalQuadraticSpline(bound=5.0),
}
ROWS = 2000
BOUND = 5.0


def inputs(place: str) -> Tensor:
    signs = torch.sign(torch.randn(ROWS))
    return {
        "+-1": signs,
        "inside": BOUND * (2 * torch.rand(ROWS) - 1),
        "edge": signs * BOUND,
        "just inside": signs * torch.nextafter(torch.tensor(BOUND), torch.tensor(0.0)),
        "outside": signs * (BOUND + 3 * torch.rand(ROWS)),
        "1e3": signs * 1e3,
        "1e6": signs * 1e6,
    }[place]


def distance(spline: ScalarBijection, a: Tensor, b: Tensor) -> Tensor:
    """The distance of two numbers, or of two points of the circle where the spline lives on one."""
    gap = (a - b).abs()
    if isinstance(spline, scalar.CircularRationalQuadraticSpline):
        gap = torch.minimum(gap.remainder(2 * BOUND), (-gap).remainder(2 * BOUND))
    return gap / b.abs().clamp_min(1.0)


@pytest.mark.parametrize("name", SPLINES)
@pytest.mark.parametrize("factor", [1.0, 10.0, 50.0, 200.0])
@pytest.mark.parametrize("place", ["+-1", "inside", "edge", "just inside", "outside", "1e3", "1e6"])
def test_round_trip_and_gradients(name: str, factor: float, place: str) -> None:
    torch.manual_seed(0)
    spline = SPLINES[name]()
    x = inputs(place)
    if name.startswith("circular"):
        # A float32 of 1e6 has an angle to 0.06 only: the round trip is a law of the circle's own numbers.
        x = x.remainder(2 * BOUND) - BOUND
    x.requires_grad_()
    parameters = (factor * torch.randn(ROWS, spline.num_parameters)).requires_grad_()
    z, log_dz = spline.forward(x, parameters)
    back, log_dx = spline.inverse(z, parameters)
    assert distance(spline, back, x).max() < 2e-4
    z2 = x.detach().clone().requires_grad_()
    x2, log_dx2 = spline.inverse(z2, parameters)
    assert distance(spline, spline.forward(x2, parameters)[0], z2).max() < 1e-4
    for outputs, arguments in [
        (z.sum() + log_dz.sum(), (x, parameters)),
        (back.sum() + log_dx.sum(), (x, parameters)),
        (x2.sum() + log_dx2.sum(), (z2, parameters)),
    ]:
        assert outputs.isfinite()
        for gradient in torch.autograd.grad(outputs, arguments, retain_graph=True):
            assert gradient.isfinite().all()


@pytest.mark.parametrize("name", SPLINES)
def test_slopes_stay_within_their_bounds(name: str) -> None:
    # What makes the round trips above hold: no derivative is so small that float32 loses the number.
    torch.manual_seed(0)
    spline = SPLINES[name]()
    parameters = 1000 * torch.randn(20000, spline.num_parameters)
    _, log_dz = spline.forward(BOUND * (2 * torch.rand(20000) - 1), parameters)
    assert log_dz.abs().max() < 8.0


@pytest.mark.parametrize("name", SPLINES)
def test_increasing_under_extreme_parameters(name: str) -> None:
    torch.manual_seed(0)
    spline = SPLINES[name]()
    x = torch.linspace(-BOUND, BOUND, 4001, dtype=torch.float64)[1:-1]
    for factor in (1.0, 200.0):
        for _ in range(5):
            parameters = factor * torch.randn(spline.num_parameters, dtype=torch.float64)
            if name.startswith("circular"):
                parameters[-1] = 0.0
            z, _ = spline.forward(x, parameters.expand(len(x), -1))
            assert (z.diff() > 0).all()


@pytest.mark.parametrize("knots", [unrolled_knots, searched_knots])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("bins", [2, 3, 8])
def test_the_fast_knots_are_the_textbooks(bins: int, axis: int, knots: Any) -> None:
    torch.manual_seed(0)
    spline = scalar.RationalQuadraticSpline(bins, BOUND)
    value = (4 * torch.randn(500, dtype=torch.float64)).clamp(-BOUND, BOUND)
    parameters = 3 * torch.randn(500, spline.num_parameters, dtype=torch.float64)
    fast = knots(value, axis, parameters, spline._bins)
    for one, other in zip(fast, spline._textbook_knots(value, axis, parameters)):
        for a, b in zip(one, other):
            torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("bins", [2, 3, 8])
def test_the_searched_knots_have_the_textbooks_gradients(bins: int, axis: int) -> None:
    torch.manual_seed(0)
    spline = scalar.RationalQuadraticSpline(bins, BOUND)
    value = (4 * torch.randn(200, dtype=torch.float64)).clamp(-BOUND, BOUND)
    parameters = (3 * torch.randn(200, spline.num_parameters, dtype=torch.float64)).requires_grad_()
    weights = torch.randn(6, 200, dtype=torch.float64)
    derivatives = []
    for left, right in (
        searched_knots(value, axis, parameters, spline._bins),
        spline._textbook_knots(value, axis, parameters),
    ):
        loss = (torch.stack([*left, *right]).sin() * weights).sum()
        (by_formula,) = torch.autograd.grad(loss, parameters, retain_graph=True)
        (first,) = torch.autograd.grad(loss, parameters, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), parameters)
        derivatives.append((by_formula, first.detach(), second))
    for one, other in zip(*derivatives):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
def test_the_gradient_by_formula_between_knots_is_the_recorded_one(scale: float) -> None:
    torch.manual_seed(0)
    spline = scalar.RationalQuadraticSpline(5, BOUND)
    x = (4 * torch.randn(300, dtype=torch.float64)).clamp(-BOUND, BOUND).requires_grad_()
    parameters = (scale * torch.randn(300, spline.num_parameters, dtype=torch.float64)).requires_grad_()
    weights, derivatives = torch.randn(2, 300, dtype=torch.float64), []
    for fast in (True, False):
        knots = spline._textbook_knots(x.detach(), 0, parameters)
        values = between_knots(forward_in_bin, x, *knots) if fast else forward_in_bin(x, *knots)
        loss = (torch.stack(values) * weights).sum()
        once = torch.autograd.grad(loss, (x, parameters), retain_graph=True)
        again = torch.autograd.grad(loss, (x, parameters), create_graph=True)
        second = torch.autograd.grad(sum(each.square().sum() for each in again), (x, parameters))
        derivatives.append([*once, *second])
    for one, other in zip(*derivatives):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-8)


def test_forward_mode_and_mapped_derivatives_of_a_spline_are_those_of_backward_mode() -> None:
    torch.manual_seed(0)
    spline = scalar.RationalQuadraticSpline(4, BOUND)
    x, parameters = torch.randn(7).double(), torch.randn(7, spline.num_parameters).double().requires_grad_()

    def value(parameters: torch.Tensor) -> torch.Tensor:
        return spline.forward(x, parameters)[0]

    backward = torch.autograd.functional.jacobian(value, parameters)
    torch.testing.assert_close(torch.func.jacfwd(value)(parameters), backward)
    torch.testing.assert_close(torch.func.jacrev(value)(parameters), backward)


@pytest.mark.parametrize("direction", ["encode", "decode"])
def test_compiled_values_alone_are_the_same(direction: str) -> None:
    torch.manual_seed(0)
    torch.compiler.reset()
    spline = scalar.RationalQuadraticSpline(3, BOUND)
    value, parameters = 4 * torch.randn(200).double(), 3 * torch.randn(200, spline.num_parameters).double()
    plain = getattr(spline, direction)
    for grad in (False, True):
        parameters = parameters.detach().requires_grad_(grad)
        compiled = torch.compile(plain, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(value, parameters), plain(value, parameters), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("direction", ["forward", "inverse"])
@pytest.mark.parametrize("bins", [2, 3, pytest.param(8, marks=pytest.mark.slow)])
def test_the_compiled_rational_quadratic_spline_is_the_same_function(direction: str, bins: int) -> None:
    torch.manual_seed(0)
    torch.compiler.reset()
    spline = scalar.RationalQuadraticSpline(bins, BOUND)
    value = (4 * torch.randn(200, dtype=torch.float64)).requires_grad_()
    parameters = (3 * torch.randn(200, spline.num_parameters, dtype=torch.float64)).requires_grad_()
    plain = getattr(spline, direction)
    compiled = torch.compile(plain, fullgraph=True, backend="aot_eager")
    results = []
    for function in (plain, compiled):
        outputs = function(value, parameters)
        weighted = sum((output * output.detach().cos()).sum() for output in outputs)
        results.append((*outputs, *torch.autograd.grad(weighted, (value, parameters))))
    for one, other in zip(*results):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-11)
