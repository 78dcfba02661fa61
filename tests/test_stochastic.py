"""Stochastic layers and their weights against closed forms, quadrature and a diffusion's law."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import integrate
from torch import Tensor

import pushforward as pf
from pushforward import diagnostics, testing
from pushforward.distributions import DiagonalNormal, StandardNormal
from pushforward.errors import DataError, ShapeError, UsageError
from pushforward.kernels.derivatives import textbook_value_and_gradient, value_and_gradient
from pushforward.training import Mixed, PathKL, negative_log_likelihood
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


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Langevin(2, StandardNormal), "the class StandardNormal"),
        (lambda: Langevin(2, 3.0), "expects a log-density"),
        (lambda: Langevin(2, pf.models.snf(hidden=4)), "Langevin expects a target whose log-density is exact"),
        (lambda: Langevin(2, wells, 0.0), "step size above 0"),
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


# Targets and estimates ------------------------------------------------------------------------------------------------


def test_normalisers_of_the_targets() -> None:
    well, _ = integrate.quad(lambda a: math.exp(0.5 * a + 6 * a**2 - a**4 - 9), -6, 6, epsabs=1e-12, limit=200)
    expected = math.log(well) + 9 + 0.5 * math.log(2 * math.pi)
    assert expected == pytest.approx(10.293480, abs=1e-6)
    assert pf.data.ManyWell(2).log_normaliser == pytest.approx(expected, abs=1e-9)
    assert pf.data.ManyWell(32).log_normaliser == pytest.approx(164.695675, abs=1e-6)
    x = torch.randn(5, 10, dtype=torch.float64)
    parts = torch.distributions.Normal(0.0, 3.0).log_prob(x[:, 0])
    rest = torch.distributions.Normal(0.0, torch.exp(0.5 * x[:, :1])).log_prob(x[:, 1:]).sum(-1)
    torch.testing.assert_close(pf.data.Funnel(10)(x), parts + rest)
    a, b = torch.randn(2, 5, dtype=torch.float64)
    u = -0.5 * a - 6 * a**2 + a**4 + b**2 / 2
    torch.testing.assert_close(pf.data.ManyWell(2)(torch.stack([a, b], -1)), -u)


def test_estimates_of_known_weights() -> None:
    """Weights of ``N(0, 2^2)`` for ``N(1, 1)``: their effective size and errors in closed form."""
    proposal, target = torch.distributions.Normal(0.0, 2.0), torch.distributions.Normal(1.0, 1.0)
    torch.manual_seed(0)
    x = proposal.sample((200, 2000)).double()
    log_weight = target.log_prob(x) - proposal.log_prob(x) + 700.0
    second = math.exp(log_integral(lambda y: (2 * target.log_prob(y) - proposal.log_prob(y))[:, 0], -20, 20, 40000))
    estimates = [diagnostics.log_normaliser(row) for row in log_weight]
    values = np.array([each.value for each in estimates])
    assert values.mean() == pytest.approx(700, abs=0.01)
    error = math.sqrt((second - 1) / 2000)
    assert np.mean([each.error for each in estimates]) == pytest.approx(error, rel=0.05)
    assert values.std() == pytest.approx(error, rel=0.2)
    sizes = [diagnostics.effective_sample_size(row) for row in log_weight]
    assert np.mean(sizes) == pytest.approx(2000 / second, rel=0.03)
    differences = [diagnostics.free_energy_difference(row, y < 0, y > 0) for row, y in zip(log_weight, x, strict=True)]
    right = -math.log(target.cdf(torch.tensor(0.0)) / (1 - target.cdf(torch.tensor(0.0))))
    found = np.array([each.value for each in differences])
    assert found.mean() == pytest.approx(right, abs=0.02)
    assert found.std() == pytest.approx(np.mean([each.error for each in differences]), rel=0.2)
    region = diagnostics.free_energy(log_weight.flatten(), x.flatten() > 1)
    assert region.value == pytest.approx(math.log(2) - 700, abs=4 * region.error)
    assert diagnostics.free_energy(log_weight[0]).value == -estimates[0].value


def test_estimates_refuse_what_is_no_weight() -> None:
    for wrong in (torch.zeros(0), torch.tensor([0.0, torch.nan]), torch.full((3,), -torch.inf), torch.tensor([1e39])):
        with pytest.raises(DataError, match="logarithms of weights"):
            diagnostics.effective_sample_size(wrong)
    with pytest.raises(ShapeError, match="booleans"):
        diagnostics.free_energy(torch.zeros(3), torch.ones(3))
    assert diagnostics.log_normaliser(torch.tensor([2.0])).error == math.inf


# Flows ----------------------------------------------------------------------------------------------------------------


def test_log_weight_takes_contexts_and_keeps_to_the_seed() -> None:
    flow = pf.models.nsf(features=2, context=3, layers=1, hidden=8)
    context = torch.randn(4, 3)

    def posterior(x: Tensor, context: Tensor) -> Tensor:
        return -(x - context[..., :2]).square().sum(-1)

    x, log_weight = flow.log_weight(posterior, 5, context, generator=seeded())
    assert x.shape == (5, 4, 2) and log_weight.shape == (5, 4) and log_weight.requires_grad
    torch.testing.assert_close(log_weight, posterior(x, context.expand(5, 4, 3)) - flow.log_prob(x, context))
    torch.testing.assert_close(flow.log_weight(posterior, 5, context, generator=seeded())[1], log_weight)


def test_an_exact_flow_of_integers_has_weights_too() -> None:
    flow = pf.models.discrete_flow(features=2, classes=3, layers=1, hidden=8)
    x, log_weight = flow.log_weight(lambda x: torch.zeros(x.shape[:-1]), 2000)
    estimate = diagnostics.log_normaliser(log_weight)
    assert abs(estimate.value - math.log(9)) < 4 * estimate.error + 1e-3
    with pytest.raises(UsageError, match="carry gradients"):
        PathKL(lambda x: torch.zeros(x.shape[:-1]))(flow, x)


@pytest.mark.parametrize("name", ["snf", "hamiltonian-vi"])
def test_a_flow_towards_a_named_target_is_saved(name: str, tmp_path: Path) -> None:
    flow = pf.build(name, features=2, layers=2, hidden=8, target=pf.data.ManyWell(2))
    testing.randomise(flow, 0.1)
    pf.save(flow, tmp_path / "flow.safetensors")
    back, x = pf.load(tmp_path / "flow.safetensors"), torch.randn(5, 2)
    torch.testing.assert_close(back.log_prob(x, generator=seeded()), flow.log_prob(x, generator=seeded()))
    with pytest.raises(UsageError, match="which a file cannot name"):
        pf.save(pf.build(name, features=2, layers=2, hidden=8, target=lambda x: wells(x)), tmp_path / "other")


@pytest.mark.parametrize("name", ["snf", "hamiltonian-vi"])
def test_a_model_learns_data_by_its_bound(name: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(1000, 2) * torch.tensor([1.0, 0.3])
    x[:, 1] += 0.5 * x[:, 0].square()
    flow = pf.build(name, features=2, layers=2, hidden=16)
    flow.initialise(x)
    before = flow.log_prob(x).mean()
    pf.fit(flow, x, max_steps=40, learning_rate=1e-2, seed=0, progress=False)
    assert flow.log_prob(x).mean() > before + 0.1


def test_path_objectives_train_towards_a_density() -> None:
    torch.manual_seed(0)
    target = torch.distributions.Normal(torch.tensor([2.0, -1.0]), 0.5)
    objective = Mixed(
        [(0.5, PathKL(lambda x: target.log_prob(x).sum(-1))), (0.5, negative_log_likelihood)],
    )
    flow = pf.models.snf(features=2, layers=1, hidden=8, target=lambda x: target.log_prob(x).sum(-1))
    pf.fit(flow, target.sample((512,)), objective=objective, max_steps=60, learning_rate=2e-2, seed=0, progress=False)
    estimate = diagnostics.log_normaliser(flow.log_weight(lambda x: target.log_prob(x).sum(-1), 2000)[1])
    assert abs(estimate.value) < 4 * estimate.error + 0.02 and estimate.error < 0.1


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


def test_stochastic_layers_tighten_what_couplings_miss() -> None:
    """Between the wells of the double well: annealed acceptance steps raise the effective sample size of a base."""
    torch.manual_seed(0)
    target = pf.data.ManyWell(2)
    share = {}
    for steps in (1, 10):
        flow = pf.models.snf(layers=5, hidden=4, steps=steps, kernel="metropolis", step_size=0.4, target=target)
        with torch.no_grad():
            _, log_weight = flow.log_weight(target, 4000)
        share[steps] = diagnostics.effective_sample_size(log_weight) / 4000
        estimate = diagnostics.log_normaliser(log_weight)
        assert abs(estimate.value - target.log_normaliser) < 5 * estimate.error
    assert share[10] > 1.5 * share[1], share
