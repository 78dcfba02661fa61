"""Roots: found to the last bits whatever the parameters, the same in every batch, and told where there is none."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from scalars import NUMERICAL
from torch import Tensor

from pushforward import scalar
from pushforward.errors import ConvergenceError
from pushforward.scalar import ScalarBijection
from pushforward.scalar import root as roots
from pushforward.scalar.float_order import halfway, number, rank
from pushforward.scalar.root import invert, solve
from pushforward.spaces import Circle

ROUNDINGS = 16.0
"""How many roundings of the inputs, of the parameters and of the result stand for those inside of a function."""


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def targets(bijection: ScalarBijection, rows: int, dtype: torch.dtype) -> Tensor:
    if isinstance(bijection.codomain, Circle):
        # Off the ends, which are one point.
        return 6 * torch.rand(rows, dtype=dtype) - 3
    return (
        torch.rand(rows, dtype=dtype) if bijection.codomain != bijection.domain else 3 * torch.randn(rows, dtype=dtype)
    )


def misses(bijection: ScalarBijection, x: Tensor, z: Tensor, parameters: Tensor) -> Tensor:
    """Which values do not lie between those of the root's neighbours, all taken in float64, by more than rounding."""
    eps = torch.finfo(x.dtype).eps
    below, above = (torch.nextafter(x, torch.full_like(x, end)) for end in (-torch.inf, torch.inf))
    z, exact = z.double(), parameters.double().requires_grad_()
    point = x.double().requires_grad_()
    by_point, by_parameters = torch.autograd.grad(bijection.forward(point, exact)[0].sum(), (point, exact))
    with torch.no_grad():
        low, high = (bijection.forward(end.double(), exact)[0] for end in (below, above))
        # What a rounding of everything that goes in would change, and of what comes out.
        rounding = z.abs() + (by_point * point).abs() + (by_parameters * exact).abs().sum(-1)
        if bijection.reach is not None:
            rounding = rounding + bijection.reach.high * (1.0 + by_point)
        if isinstance(bijection.codomain, Circle):
            rounding = rounding + bijection.codomain.high * (1.0 + by_point)
        slack = ROUNDINGS * eps * rounding
        return ~((low - slack <= z) & (z <= high + slack))


def check_roots(name: str, factor: float, rows: int, dtype: torch.dtype) -> None:
    bijection = NUMERICAL[name]()
    parameters = factor * torch.randn(rows, bijection.num_parameters, dtype=dtype)
    z = targets(bijection, rows, dtype)
    with torch.no_grad():
        x = bijection.decode(z, parameters)
    assert x.isfinite().all()
    wrong = misses(bijection, x, z, parameters)
    assert not wrong.any(), f"{int(wrong.sum())} of {rows} roots miss, such as {x[wrong][:3]} for {z[wrong][:3]}"


@pytest.mark.parametrize("name", NUMERICAL)
@pytest.mark.parametrize("factor", [5.0, 200.0])
def test_twenty_thousand_roots(name: str, factor: float) -> None:
    check_roots(name, factor, 20_000, torch.float32)


@pytest.mark.slow
@pytest.mark.parametrize("name", NUMERICAL)
@pytest.mark.parametrize("factor", [1.0, 200.0])
def test_roots_in_float64(name: str, factor: float) -> None:
    # The same in float64 is the truth only for the bracketing, but the round trip shows it.
    bijection = NUMERICAL[name]()
    parameters = factor * torch.randn(2000, bijection.num_parameters, dtype=torch.float64)
    z = targets(bijection, 2000, torch.float64)
    x, log_dx = bijection.inverse(z, parameters)
    assert (bijection.forward(x, parameters)[0] - z).abs().le(1e-9 + 1e-13 * torch.exp(-log_dx) * (1 + x.abs())).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", NUMERICAL)
@pytest.mark.parametrize("factor", [1.0, 5.0, 30.0, 100.0, 200.0])
def test_a_million_roots(name: str, factor: float) -> None:
    for _ in range(10):
        check_roots(name, factor, 100_000, torch.float32)


@pytest.mark.parametrize("name", NUMERICAL)
@pytest.mark.parametrize("factor", [1.0, 100.0])
def test_a_root_does_not_depend_on_its_batch(name: str, factor: float) -> None:
    bijection = NUMERICAL[name]()
    parameters = factor * torch.randn(64, bijection.num_parameters)
    z = targets(bijection, 64, torch.float32)
    alone = bijection.decode(z, parameters)
    # Other company in the odd places: harder equations, which take more steps.
    others = 200 * torch.randn(64, bijection.num_parameters)
    odd = (torch.arange(64) % 2).bool()
    mixed = bijection.decode(z, torch.where(odd[:, None], others, parameters))
    assert torch.equal(mixed[~odd], alone[~odd])


@pytest.mark.parametrize("name", NUMERICAL)
@pytest.mark.parametrize("dtype, most", [(torch.float32, 28), (torch.float64, 30)])
def test_few_evaluations_at_ordinary_parameters(
    name: str, dtype: torch.dtype, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bijection = NUMERICAL[name]()
    count = 0
    original = roots._step

    def counting(*arguments: Any) -> tuple[Tensor, ...]:
        nonlocal count
        count += 1
        return original(*arguments)

    monkeypatch.setattr(roots, "_step", counting)
    parameters = torch.randn(1000, bijection.num_parameters, dtype=dtype)
    bijection.decode(targets(bijection, 1000, dtype), parameters)
    assert count <= (2 * most if name == "ConicalCombination" else most)


# Brackets and failures


def cubed(x: Tensor) -> tuple[Tensor, Tensor]:
    return x + x**3, torch.log1p(3.0 * x * x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "low, high",
    [(-1.0, 1.0), (2.0, 2.0), (5.0, 4.0), (-torch.inf, torch.inf), (torch.nan, 0.0), (0.0, torch.nan), (1e30, 1e35)],
)
def test_any_bracket_will_do(low: float, high: float, dtype: torch.dtype) -> None:
    z = torch.tensor([-30.0, -1e-20, 0.0, 1e-30, 0.3, 10.0, 1e20], dtype=dtype)
    x = solve(cubed, z, torch.full_like(z, low), torch.full_like(z, high))
    torch.testing.assert_close(cubed(x)[0], z, rtol=4 * torch.finfo(dtype).eps, atol=0)


def test_a_step_is_found_where_it_is() -> None:
    # Almost flat on either side: Newton's steps say nothing, the middle and the ranks do.
    place = torch.tensor([-1e8, -3.0, 1e-12, 0.7, 5e5], dtype=torch.float64)

    def step(x: Tensor) -> tuple[Tensor, Tensor]:
        u = 1e6 * (x - place)
        return torch.tanh(u) + 1e-12 * u, torch.log(1e6 * (1e-12 + 1.0 / torch.cosh(u.clamp(-300, 300)).square()))

    x = solve(step, torch.zeros(5, dtype=torch.float64), place - 1e9, place + 1e10)
    torch.testing.assert_close(x, place, rtol=1e-15, atol=1e-21)


def test_no_root_is_told() -> None:
    def saturating(x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.tanh(x), -2.0 * torch.log(torch.cosh(x.clamp(-40, 40)))

    ends = torch.full((3,), -1.0), torch.full((3,), 1.0)
    with pytest.raises(ConvergenceError, match=r"got 2 of 3 without a root: look for"):
        solve(saturating, torch.tensor([0.5, 2.0, -3.0]), *ends)
    with pytest.raises(ConvergenceError, match="1 of 3"):
        invert(cubed, torch.tensor([0.5, torch.nan, -3.0]), *ends)
    with pytest.raises(ConvergenceError, match="1 of 2"):
        scalar.MixtureCDF().inverse(torch.zeros(2), torch.tensor([[torch.nan], [0.0]]).expand(2, 26))
    with pytest.raises(ConvergenceError, match="1 of 1"):
        torch.func.vmap(lambda z: solve(saturating, z, ends[0][0], ends[1][0]))(torch.tensor([2.0]))


def test_no_root_is_nan_in_compiled_code() -> None:
    torch.compiler.reset()
    compiled = torch.compile(scalar.PerturbedAffine().decode, fullgraph=True, backend="aot_eager")
    x = compiled(torch.tensor([0.5, torch.nan]), torch.zeros(2, 5))
    assert x.isfinite().tolist() == [True, False]


def test_the_value_of_a_root_is_the_one_that_was_found() -> None:
    # The steps that carry derivatives must not move it.
    bijection = scalar.DeepSigmoidal()
    parameters, z = 100 * torch.randn(1000, bijection.num_parameters), 3 * torch.randn(1000)
    with torch.no_grad():
        expected = bijection.decode(z, parameters)
    got, _ = bijection.inverse(z.requires_grad_(), parameters.requires_grad_())
    assert torch.equal(got, expected)


@pytest.mark.parametrize("name", ["MixtureCDF logistic", "PerturbedAffine", "CubicSpline"])
def test_compiled_roots_are_the_same(name: str) -> None:
    torch.compiler.reset()
    bijection = NUMERICAL[name]()
    parameters = (3 * torch.randn(6, bijection.num_parameters)).requires_grad_()
    z = targets(bijection, 6, torch.float32).requires_grad_()
    results = []
    for function in (bijection.inverse, torch.compile(bijection.inverse, fullgraph=True, backend="aot_eager")):
        x, log_dx = function(z, parameters)
        results.append((x, log_dx, *torch.autograd.grad((x.cos() + log_dx).sum(), (z, parameters))))
    for one, other in zip(*results):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


# The order of floating-point numbers


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_ranks_are_in_order(dtype: torch.dtype) -> None:
    info = torch.finfo(dtype)
    x = torch.tensor(
        [-torch.inf, info.min, -1.0, -info.tiny, 0.0, info.tiny, 0.5, 1.0, info.max, torch.inf], dtype=dtype
    )
    ranks = rank(x)
    assert (ranks[1:] > ranks[:-1]).all()
    assert torch.equal(number(ranks, dtype), x)
    assert torch.equal(halfway(ranks, ranks), ranks)
    assert (halfway(ranks[:-1], ranks[1:]) >= ranks[:-1]).all() and (halfway(ranks[:-1], ranks[1:]) <= ranks[1:]).all()


def test_neighbours_differ_by_one() -> None:
    x = torch.randn(100) * torch.exp(20 * torch.randn(100))
    assert ((rank(torch.nextafter(x, torch.tensor(torch.inf))) - rank(x)) == 1).all()
