"""Scalar bijections are differentiable twice, in both directions, and one by one under ``torch.func``."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from scalars import ALL, SMOOTH, arguments
from torch import Tensor

from pushforward import scalar

MANY_PARAMETERS = {
    ("forward", "ConvexCombination of several"),
    ("inverse", "Composition"),
    ("inverse", "ConicalCombination"),
    ("inverse", "ConvexCombination of several"),
    ("inverse", "DeepDenseSigmoidal"),
    ("inverse", "MixtureCDF gaussian"),
}
"""Second derivatives by every parameter that take ten times as long as others. What they are made of stays: mixtures,
sigmoids and a convex combination, both ways."""


def ways() -> list[Any]:
    """Each bijection in both directions."""
    return [
        pytest.param(way, name, marks=pytest.mark.slow if (way, name) in MANY_PARAMETERS else ())
        for way in ("forward", "inverse")
        for name in SMOOTH
    ]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def both_ways(name: str, rows: int) -> tuple[scalar.ScalarBijection, Tensor, Tensor, Tensor]:
    """A bijection, ``x`` and the ``z`` that it leads to, and parameters, in float64."""
    bijection = SMOOTH[name]()
    x, parameters = arguments(bijection, rows, torch.float64, 0.7)
    return bijection, x, bijection.forward(x, parameters)[0].detach(), parameters


@pytest.mark.parametrize("direction, name", ways())
def test_first_and_second_derivatives(name: str, direction: str) -> None:
    bijection, x, z, parameters = both_ways(name, 2)
    value = (x if direction == "forward" else z).requires_grad_()

    def function(value: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        mapped, log_slope = getattr(bijection, direction)(value, parameters)
        # Some log-slopes are constants, which a check of gradients takes for a mistake.
        return mapped, log_slope + 0.0 * mapped

    inputs = (value, parameters.requires_grad_())
    assert torch.autograd.gradcheck(function, inputs, atol=1e-6, rtol=1e-5)
    assert torch.autograd.gradgradcheck(function, inputs, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ALL)
def test_values_alone_are_the_same_values(name: str) -> None:
    for factor in (0.0, 1.0, 30.0):
        bijection = ALL[name]()
        x, parameters = arguments(bijection, 200, torch.float32, factor)
        z, _ = bijection.forward(x, parameters)
        torch.testing.assert_close(bijection.encode(x, parameters), z, rtol=0, atol=0)
        torch.testing.assert_close(bijection.decode(z, parameters), bijection.inverse(z, parameters)[0], rtol=0, atol=0)


@pytest.mark.parametrize("name", SMOOTH)
def test_values_alone_have_the_same_derivatives(name: str) -> None:
    bijection, x, z, parameters = both_ways(name, 20)
    parameters.requires_grad_()
    for alone, value in ((bijection.encode, x), (bijection.decode, z)):
        whole = bijection.forward if alone == bijection.encode else bijection.inverse
        value = value.clone().requires_grad_()
        inputs = (value, parameters) if bijection.num_parameters else (value,)
        got, expected = (
            torch.autograd.grad(y.sum(), inputs) for y in (alone(value, parameters), whole(value, parameters)[0])
        )
        for one, other in zip(got, expected):
            torch.testing.assert_close(one, other)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("name", SMOOTH)
def test_vmap_is_one_by_one(name: str) -> None:
    bijection, x, z, parameters = both_ways(name, 5)
    for function, value in (
        (bijection.forward, x),
        (bijection.inverse, z),
        (lambda x, p: (bijection.encode(x, p),), x),
        (lambda z, p: (bijection.decode(z, p),), z),
    ):
        for got, expected in zip(torch.func.vmap(function)(value, parameters), function(value, parameters)):
            torch.testing.assert_close(got, expected)
        # The same value with many parameters.
        for got, expected in zip(
            torch.func.vmap(function, in_dims=(None, 0))(value[0], parameters), function(value[0].expand(5), parameters)
        ):
            torch.testing.assert_close(got, expected)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("name", SMOOTH)
def test_gradients_one_by_one_and_forward_mode(name: str) -> None:
    bijection, _, z, parameters = both_ways(name, 5)

    def total(z: Tensor, parameters: Tensor) -> Tensor:
        x, log_dx = bijection.inverse(z, parameters)
        return (x + log_dx).sum()

    leaf = z.clone().requires_grad_()
    (expected,) = torch.autograd.grad(total(leaf, parameters), leaf)
    torch.testing.assert_close(torch.func.vmap(torch.func.grad(total))(z, parameters), expected)
    _, slope = torch.func.jvp(lambda z: total(z, parameters), (z,), (torch.ones_like(z),))
    torch.testing.assert_close(slope, expected.sum())


def test_modular_arithmetic_under_vmap() -> None:
    bijection = scalar.ModularAffine(5)
    x = torch.eye(5)[torch.randint(5, (7,))]
    parameters = torch.randn(7, bijection.num_parameters)
    for function in (bijection.forward, bijection.inverse):
        for got, expected in zip(torch.func.vmap(function)(x, parameters), function(x, parameters)):
            torch.testing.assert_close(got, expected)


def test_integral_network_has_the_right_hessian() -> None:
    network = scalar.IntegralNetwork()
    parameters = torch.randn(network.num_parameters, dtype=torch.float64)
    x = torch.tensor(0.7, dtype=torch.float64)

    def slope(x: Tensor) -> Tensor:
        return network.forward(x, parameters)[1].exp()

    step = 1e-5
    expected = (slope(x + step) - slope(x - step)) / (2 * step)
    hessian = torch.autograd.functional.hessian(lambda x: network.forward(x, parameters)[0], x)
    assert abs(expected) > 0.01
    torch.testing.assert_close(hessian, expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", ["MixtureCDF logistic", "DeepSigmoidal", "PerturbedAffine", "IntegralNetwork"])
def test_third_derivatives_through_a_root(name: str) -> None:
    # Of x(h(t)) = t all derivatives behind the first are zero.
    bijection = ALL[name]()
    parameters = 0.5 * torch.randn(bijection.num_parameters, dtype=torch.float64)
    t = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    value = bijection.decode(bijection.encode(t, parameters), parameters)
    for expected in (1.0, 0.0, 0.0):
        (value,) = torch.autograd.grad(value, t, create_graph=True)
        assert value.item() == pytest.approx(expected, abs=1e-6)
