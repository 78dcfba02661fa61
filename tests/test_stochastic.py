"""Stochastic layers and their weights against closed forms, quadrature and a diffusion's law."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward import diagnostics, testing
from pushforward.distributions import DiagonalNormal, StandardNormal
from pushforward.errors import ShapeError, UsageError
from pushforward.kernels.derivatives import textbook_value_and_gradient, value_and_gradient
from pushforward.training import Mixed
from pushforward.transforms import Annealed, Hamiltonian, Kernel, Langevin, Metropolis, Relaxation, TiltedNormal

LINE = (1,)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def wells(x: Tensor) -> Tensor:
    """Two wells of unequal depth in each dimension."""
    return (3 * x.square() - x.pow(4) + 0.4 * x).sum(-1)


def log_integral(log_density: Any, low: float = -6, high: float = 6, points: int = 4000) -> float:
    """The logarithm of an integral on the line, by the midpoint rule."""
    step = (high - low) / points
    grid = low + step * (torch.arange(points, dtype=torch.float64) + 0.5)
    return float(torch.logsumexp(log_density(grid[:, None]), 0)) + math.log(step)


def kernels(target: Any, features: int = 1) -> dict[str, Kernel]:
    return {
        "langevin": Langevin(features, target, 0.02),
        "mala": Metropolis(Langevin(features, target, 0.1)),
        "hamiltonian": Hamiltonian(features, target, 0.15, leaps=2),
        "partial": Hamiltonian(features, target, 0.1, leaps=3, persistence=0.7),
        "hmc": Metropolis(Hamiltonian(features, target, 0.4, leaps=3, persistence=0.9)),
    }


KINDS = list(kernels(wells))


# The identity of weights ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_weights_along_paths_have_the_normaliser_as_their_mean(kind: str) -> None:
    half = Annealed(StandardNormal(LINE), wells, 0.5)
    layers = [Relaxation(kernels(each)[kind], 3) for each in (wells, half)]
    flow = pf.Flow(layers, DiagonalNormal(LINE)).double()
    with torch.no_grad():
        x, log_weight = flow.log_weight(wells, 40_000, generator=seeded())
    expected = math.exp(log_integral(wells))
    weights = log_weight.exp()
    assert x.shape == (40_000, 1)
    assert abs(weights.mean().item() - expected) < 4 * weights.std().item() / 200, (weights.mean(), expected)
    estimate = diagnostics.log_normaliser(log_weight)
    assert abs(estimate.value - math.log(expected)) < 4.5 * estimate.error


@pytest.mark.parametrize("kind", KINDS)
def test_the_bound_has_the_marginal_density_as_its_mean(kind: str) -> None:
    """The density of data is that of the base carried along the kernel, which a histogram of samples shows."""
    flow = pf.Flow(Relaxation(kernels(wells)[kind], 2), StandardNormal(LINE)).double()
    edges = torch.linspace(-1.5, 1.5, 7, dtype=torch.float64)
    with torch.no_grad():
        samples = flow.sample(100_000, generator=seeded(1)).flatten()
        inside = edges[0] + 3 * torch.rand(100_000, 1, generator=seeded(2), dtype=torch.float64)
        weights = 3 * flow.log_prob(inside, generator=seeded(3)).exp()
    for low, high in pairwise(edges):
        share = ((samples >= low) & (samples < high)).double().mean()
        mine = weights * ((inside[:, 0] >= low) & (inside[:, 0] < high))
        error = (mine.var() / len(mine) + share / len(samples)).sqrt()
        assert abs(mine.mean() - share) < 4.5 * error, (float(low), float(mine.mean()), float(share))


def test_langevin_on_a_gaussian_is_the_marginal_in_closed_form() -> None:
    """One step from ``N(0, 1)`` towards ``N(0, s^2)`` is normal with variance ``(1 - h / s^2)^2 + 2 h``."""
    target, h = torch.distributions.Normal(torch.zeros(1).double(), 0.5), 0.05
    layer = Relaxation(Langevin(1, lambda x: target.log_prob(x).sum(-1), h)).double()
    flow = pf.Flow(layer, StandardNormal(LINE)).double()
    x = torch.tensor([[-1.0], [0.2], [0.8]]).double()
    with torch.no_grad():
        weights = flow.log_prob(x.expand(40_000, 3, 1), generator=seeded()).exp()
    variance = (1 - h / 0.25) ** 2 + 2 * h
    expected = torch.distributions.Normal(0.0, math.sqrt(variance)).log_prob(x[:, 0]).exp()
    # Of the normal approximation of means: the standard error.
    error = weights.std(0) / 200
    assert bool(((weights.mean(0) - expected).abs() < 4 * error).all())
    kernel, forward = layer.kernel, flow.transform(x, generator=seeded(5))
    force = kernel.at(x, None).force
    there = torch.distributions.Normal(x + h * force, math.sqrt(2 * h)).log_prob(forward[0]).sum(-1)
    force = kernel.at(forward[0], None).force
    back = torch.distributions.Normal(forward[0] + h * force, math.sqrt(2 * h)).log_prob(x).sum(-1)
    # The force is the drift, bounded.
    assert torch.allclose(forward[1], back - there, atol=1e-10)


@pytest.mark.parametrize("kind", ["mala", "hmc"])
def test_a_metropolis_kernel_leaves_its_target_as_it_is(kind: str) -> None:
    target = StandardNormal((2,))
    layer = Relaxation(kernels(target, 2)[kind], 5).double()
    flow = pf.Flow(layer, StandardNormal((2,))).double()
    with torch.no_grad():
        _, log_weight = flow.log_weight(target, 500, generator=seeded())
        start = torch.randn(20_000, 2, generator=seeded(1), dtype=torch.float64)
        moved = layer.encode(start, generator=seeded(2))
    assert bool((log_weight.abs() < 1e-9).all()), "in equilibrium every path weighs the same"
    assert not torch.equal(moved, start)
    assert abs(moved.var().item() - 1) < 0.03 and abs(moved.mean().item()) < 0.03


@pytest.mark.parametrize("kind", ["mala", "hmc"])
def test_moves_there_are_as_frequent_as_back_in_equilibrium(kind: str) -> None:
    """Detailed balance, ``f(x) K(y | x) = f(y) K(x | y)``, between cells of the line."""
    count, edges = 200_000, torch.tensor([-9.0, -1.2, -0.6, 0.0, 0.6, 1.2, 9.0]).double()
    grid = torch.linspace(-4, 4, 8001, dtype=torch.float64)
    cumulative = wells(grid[:, None]).softmax(0).cumsum(0)
    noise = torch.rand(2, count, generator=seeded(1), dtype=torch.float64)
    x = (grid[torch.searchsorted(cumulative, noise[0]).clamp(max=8000)] + 1e-3 * (noise[1] - 0.5))[:, None]
    with torch.no_grad():
        y = Relaxation(kernels(wells)[kind].double()).decode(x, generator=seeded(2))
    cells = [torch.bucketize(each[:, 0], edges) - 1 for each in (x, y)]
    moves = torch.bincount(6 * cells[0] + cells[1], minlength=36).double().view(6, 6)
    assert bool(((moves - moves.T).abs() < 4 * (moves + moves.T).sqrt() + 1).all())
    assert 0.2 < float((x != y).double().mean()) < 1


def test_the_law_of_bounds_finds_wrong_weights() -> None:
    class Wrong(Langevin):
        def move(self, *arguments: Any) -> Any:
            point, log_ratio = super().move(*arguments)
            return point, -log_ratio

    target = Annealed(StandardNormal(LINE), wells, 0.3)
    testing.check_bound(Relaxation(Langevin(1, target, 0.02), 2), torch.randn(6, 1))
    with pytest.raises(AssertionError, match="expected 1"):
        testing.check_bound(Relaxation(Wrong(1, target, 0.02), 2), torch.randn(6, 1))


# Kernels --------------------------------------------------------------------------------------------------------------


def test_leapfrog_keeps_volume_and_runs_back_with_the_momentum_turned() -> None:
    kernel = Hamiltonian(2, TiltedNormal(2), 0.3)
    testing.randomise(kernel, 0.5, seeded()).double()
    state = torch.randn(4, generator=seeded(), dtype=torch.float64)

    def leap(state: Tensor) -> Tensor:
        point, momentum = kernel.leap(kernel.at(state[:2], None), state[2:], kernel.step_size, None)
        return torch.cat([point.x, momentum])

    jacobian = torch.func.jacrev(leap)(state)
    assert abs(torch.linalg.slogdet(jacobian).logabsdet.item()) < 1e-12
    there = leap(state)
    turned = leap(torch.cat([there[:2], -there[2:]]))
    assert torch.allclose(torch.cat([turned[:2], -turned[2:]]), state, atol=1e-12)


def test_small_langevin_steps_are_the_diffusion() -> None:
    """From ``N(m, s^2)`` the diffusion to a standard normal is ``N(m e^-t, 1 + (s^2 - 1) e^-2t)`` at the time ``t``."""
    time, mean, variance = 0.5, 2.0, 0.25
    errors = []
    for steps in (2, 10, 50):
        layer = Relaxation(Langevin(1, StandardNormal(LINE), time / steps), steps).double()
        start = mean + math.sqrt(variance) * torch.randn(40_000, 1, generator=seeded(1), dtype=torch.float64)
        with torch.no_grad():
            x = layer.decode(start, generator=seeded(2))
        right = mean * math.exp(-time), 1 + (variance - 1) * math.exp(-2 * time)
        errors.append(abs(x.mean().item() - right[0]) + abs(x.var().item() - right[1]))
    assert errors[0] > 2 * errors[1] and errors[2] < 0.03, errors


def test_small_hamiltonian_steps_change_no_weight() -> None:
    """Along exact Hamiltonian dynamics the energy stays, so that the target rises by what the momenta lose."""
    gaps = []
    for leaps in (5, 20, 80):
        kernel = Hamiltonian(2, StandardNormal((2,)), 1.0 / leaps, leaps).double()
        point = kernel.at(torch.randn(64, 2, generator=seeded(), dtype=torch.float64), None)
        with torch.no_grad():
            moved, log_ratio = kernel.move(point, None, seeded(1))
        gaps.append((moved.log_density - point.log_density + log_ratio).abs().max().item())
    assert gaps[0] / gaps[1] == pytest.approx(16, rel=0.3) and gaps[1] / gaps[2] == pytest.approx(16, rel=0.3), gaps


def test_encode_takes_the_steps_of_forward() -> None:
    for kernel in kernels(wells).values():
        layer, x = Relaxation(kernel, 3), torch.randn(5, 1)
        torch.testing.assert_close(layer.encode(x, generator=seeded()), layer(x, generator=seeded())[0])


def test_value_and_gradient_is_the_textbooks() -> None:
    target, x = testing.randomise(TiltedNormal(3), 0.5, seeded()), torch.randn(6, 3)
    for inputs in (x, x.clone().requires_grad_()):
        found, expected = value_and_gradient(target, inputs), textbook_value_and_gradient(target, inputs)
        wanted = [*target.parameters(), *([inputs] if inputs.requires_grad else [])]
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other)
            options: dict[str, Any] = {"allow_unused": True, "materialize_grads": True, "retain_graph": True}
            gradients = (torch.autograd.grad(each.square().sum(), wanted, **options) for each in (one, other))
            for mine, theirs in zip(*gradients, strict=True):
                torch.testing.assert_close(mine, theirs)
    with torch.no_grad():
        assert not any(each.requires_grad for each in value_and_gradient(target, x))
    with torch.inference_mode():
        torch.testing.assert_close(value_and_gradient(target, x + 0)[1], expected[1].detach())
    assert not value_and_gradient(lambda x: torch.zeros(6), x)[1].any()


def test_steep_targets_stay_finite_in_float32() -> None:
    for target in (pf.data.ManyWell(4), pf.data.Funnel(4)):
        for kernel in kernels(target, 4).values():
            x = torch.tensor([1e-3, 30.0, 1e4, -1e6])[:, None].expand(4, 4).clone().requires_grad_()
            z, log_det = Relaxation(kernel, 2)(x, generator=seeded())
            assert bool(z.isfinite().all() and log_det.isfinite().all())
            (gradient,) = torch.autograd.grad(z.sum() + log_det.sum(), x)
            assert bool(gradient.isfinite().all())


@pytest.mark.parametrize("kind", [torch.float16, torch.float32, torch.float64])
def test_forces_without_bound_are_bounded(kind: torch.dtype) -> None:
    """A target that falls like an exponential: where it overflows its force is still known to point back."""
    x = torch.tensor([[-2.0], [5.0], [30.0], [70.0], [90.0], [1000.0]]).to(kind)
    force = Langevin(1, lambda x: (3 * x - x.exp()).sum(-1)).to(kind).at(x, None).force
    slope = (3 - x.double().exp()).clamp(min=-1e9)
    expected = 1000 * slope / (1e6 + slope.square()).sqrt()
    torch.testing.assert_close(force.double(), expected, rtol=1e-2 if kind == torch.float16 else 1e-3, atol=1e-2)
    assert bool((force[2:] < -999).all())


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Langevin(2, StandardNormal), "the class StandardNormal"),
        (lambda: Langevin(2, 3.0), "expects a log-density"),
        (lambda: Langevin(2, pf.models.snf(hidden=4)), "Langevin expects a target whose log-density is exact"),
        (lambda: Langevin(2, wells, 0.0), "step size above 0"),
        (
            lambda: Metropolis(Langevin(2, pf.models.snf(hidden=4).condition())),
            "ConditionedFlow, whose log_prob is a",
        ),
        (lambda: Langevin(2, pf.models.snf(hidden=4).log_prob), "got Flow, whose log_prob is a lower bound"),
        (lambda: Hamiltonian(2, wells, leaps=0), "at least 1 leap"),
        (lambda: Metropolis(wells), "expects a kernel"),
        (lambda: Relaxation(wells), "expects a kernel"),
        (lambda: Relaxation(Langevin(2, wells), 0), "at least 1 step"),
        (lambda: Annealed(StandardNormal((2,)), wells, 0.0), "share above 0"),
        (lambda: pf.models.snf(kernel="gibbs"), "got kernel='gibbs'"),
        (lambda: pf.data.ManyWell(3), "even number"),
        (lambda: pf.data.Funnel(1), "at least 2 features"),
        (lambda: Mixed([]), "at least one pair"),
    ],
)
def test_wrong_arguments_are_told(make: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


def test_a_target_of_the_wrong_shape_is_told() -> None:
    with pytest.raises(ShapeError, match="one number for each event"):
        Relaxation(Langevin(2, torch.square))(torch.zeros(3, 2))
    with pytest.raises(ShapeError, match="points"):
        pf.data.ManyWell(4)(torch.zeros(3, 2))


def test_the_picture_shows_every_leap_over_the_targets_density() -> None:
    layers = {
        "langevin": Relaxation(Langevin(2, pf.data.ManyWell(2), 0.01), steps=4),
        "hamiltonian": Relaxation(Hamiltonian(2, pf.data.ManyWell(2), 0.05, leaps=5), steps=2),
    }
    start = torch.randn(3, 2, generator=seeded())
    figure = pf.plots.relaxation_2d(layers, start, (-3, 3, -3, 3), generator=seeded())
    assert [axes.get_title() for axes in figure.axes] == list(layers)
    for axes, stages in zip(figure.axes, (5, 11), strict=True):
        ways = np.stack([line.get_xydata() for line in axes.lines])
        assert ways.shape == (3, stages, 2)
        assert np.allclose(ways[:, 0], start)
        shown = axes.images[0].get_array()
        x, y = np.meshgrid(*[np.linspace(-3, 3, 200)] * 2)
        u = -0.5 * x - 6 * x**2 + x**4 + y**2 / 2
        assert np.allclose(shown / shown.max(), np.exp(u.min() - u), atol=1e-3)
    expected = layers["langevin"].encode(start, generator=seeded())
    assert np.allclose(np.stack([line.get_xydata()[-1] for line in figure.axes[0].lines]), expected.detach(), atol=1e-5)
    with pytest.raises(UsageError, match="2 features"):
        pf.plots.relaxation_2d({"three": Relaxation(Langevin(3, StandardNormal((3,))))}, start, (-3, 3, -3, 3))
