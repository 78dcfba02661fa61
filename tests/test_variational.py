"""Variational inference against closed forms: conjugate posteriors, known normalisers, gradients and tails."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch import Tensor
from torch.distributions import Beta, Gamma, MultivariateNormal, constraints
from torch.func import jacrev, vmap

import pushforward as pf
from pushforward import diagnostics, inference
from pushforward.data.toys.energies import ENERGIES
from pushforward.diagnostics.pareto import fit_generalised_pareto
from pushforward.errors import DataError, ShapeError, TrainingError, UsageError
from pushforward.inference import AlphaDivergence, ForwardKL, ReverseKL, StickingTheLanding, fit_posterior, neutra
from pushforward.inference.variational.declared import coordinates_of
from pushforward.inference.variational.divergences import reverse_divergence
from pushforward.inference.variational.posterior import effective_sample_size_with_error


def normal_flow(features: int) -> pf.Flow:
    """All normals: a triangular map behind which a standard normal lies."""
    layers = [pf.transforms.Triangular(features), pf.transforms.Elementwise(pf.scalar.Affine(), (features,))]
    return pf.Flow(layers, pf.distributions.StandardNormal((features,)))


def diagonal_flow(features: int) -> pf.Flow:
    layer = pf.transforms.Elementwise(pf.scalar.Affine(), (features,))
    return pf.Flow([layer], pf.distributions.StandardNormal((features,)))


def banana(x: Tensor) -> Tensor:
    """A normalised density: ``x_1 ~ N(0, 4)``, ``x_2 ~ N((x_1^2 - 4) / 4, 1)``."""
    first, second = x.unbind(-1)
    bent = second - 0.25 * (first.square() - 4)
    return -0.5 * ((first / 2).square() + bent.square()) - math.log(2 * math.pi) - math.log(2.0)


# Parameters -----------------------------------------------------------------------------------------------------------

DECLARED: dict[str, tuple[Any, Callable[[Tensor], Tensor]]] = {
    "positive": (constraints.positive, lambda value: value[None]),
    "positives": ((constraints.positive, (2, 2)), torch.flatten),
    "interval": (pf.spaces.Interval(-1.0, 3.0, (2,)), torch.flatten),
    "bounds of each": (constraints.interval(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 5.0])), torch.flatten),
    "from above": (pf.spaces.Interval(-math.inf, 3.0, (2,)), torch.flatten),
    "simplex": ((constraints.simplex, 4), lambda value: value[:-1]),
    "ordered": ((inference.ordered_vector, (4,)), torch.flatten),
    "correlations": ((constraints.corr_cholesky, (3, 3)), lambda value: value[[1, 2, 2], [0, 0, 1]]),
    "reals": (pf.spaces.Reals((3,)), torch.flatten),
    "product": (pf.spaces.Product(pf.spaces.Interval(0.0, 1.0, (2,)), pf.spaces.Reals((1,))), torch.flatten),
}


@pytest.mark.parametrize("name", DECLARED)
def test_parameters_lie_in_their_set_and_know_their_jacobian(name: str) -> None:
    declared, free = DECLARED[name]
    coordinates = coordinates_of(declared)
    torch.manual_seed(0)
    u = torch.randn(6, coordinates.features, dtype=torch.float64)
    value, log_det = coordinates.constrain(u)
    if isinstance(declared, pf.spaces.Space):
        assert bool(declared.contains(value).all())
    else:
        constraint = declared[0] if isinstance(declared, tuple) else declared
        assert bool(constraint.check(value).all())
    jacobian = vmap(jacrev(lambda each: free(coordinates.constrain(each)[0])))
    torch.testing.assert_close(log_det, torch.linalg.slogdet(jacobian(u)).logabsdet)
    torch.testing.assert_close(coordinates.unconstrain(value), u)


def test_named_parameters_are_a_dictionary_and_one_vector() -> None:
    coordinates = coordinates_of({"mean": pf.spaces.Reals((2,)), "weights": (constraints.simplex, (3,))})
    u = torch.randn(5, 4)
    values, log_det = coordinates.constrain(u)
    assert {name: tuple(value.shape) for name, value in values.items()} == {"mean": (5, 2), "weights": (5, 3)}
    assert log_det.shape == (5,)
    torch.testing.assert_close(coordinates.unconstrain(values), u)


# Divergences ----------------------------------------------------------------------------------------------------------

PRECISION = torch.tensor([4.0, 2.0], dtype=torch.float64)


def target(x: Tensor) -> Tensor:
    return -0.5 * (PRECISION * (x - 1.0).square()).sum(-1)


def gradient(flow: pf.Flow, loss: Tensor) -> Tensor:
    return torch.cat([each.flatten() for each in torch.autograd.grad(loss, list(flow.parameters()))])


def shifted_flow() -> pf.Flow:
    torch.manual_seed(1)
    flow = diagonal_flow(2).double()
    with torch.no_grad():
        for weight in flow.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return flow


@pytest.mark.parametrize("divergence", [ReverseKL(), StickingTheLanding()])
def test_the_gradient_of_the_reverse_divergence(divergence: inference.Divergence) -> None:
    flow = shifted_flow()
    torch.manual_seed(2)
    x, log_q = flow.rsample_and_log_prob(400_000)
    loss = divergence(flow, target, 400_000)
    torch.testing.assert_close(loss, (log_q - target(x)).mean(), rtol=0.01, atol=0.01)
    torch.testing.assert_close(gradient(flow, loss), gradient(flow, (log_q - target(x)).mean()), rtol=0.02, atol=0.02)


def test_path_gradients_are_for_flows_that_have_their_latents_in_one_pass() -> None:
    for name in ("nsf", "nsf_coupling"):
        assert reverse_divergence(getattr(pf.models, name)(features=2)) == StickingTheLanding()
    solved = pf.Flow([pf.transforms.Inverse(pf.transforms.Planar(2))], pf.distributions.StandardNormal((2,)))
    for flow in (pf.models.iaf(features=2), solved):
        assert reverse_divergence(flow) == ReverseKL()


def test_uniform_parameters_of_an_interval_are_normal() -> None:
    low, high = torch.tensor([-1.0, 2.0]), torch.tensor([3.0, 2.5])
    coordinates = coordinates_of(constraints.interval(low, high))
    u = torch.tensor([[-9.0, 5.0], [0.0, -2.0], [1.0, 9.0]])
    x, log_det = coordinates.constrain(u)
    normal = torch.distributions.Normal(0.0, 1.0)
    torch.testing.assert_close(log_det - (high - low).log().sum(), normal.log_prob(u).sum(-1))
    torch.testing.assert_close(x[1], torch.tensor([1.0, 2.0 + 0.5 * 0.0227501]))
    assert bool(coordinates.contains(x).all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_interval_has_all_digits_at_its_lower_end(dtype: torch.dtype) -> None:
    u = torch.tensor([[-12.0], [-9.0], [-6.0], [-5.0], [-1.0], [0.0], [3.0]], dtype=dtype, requires_grad=True)
    x, log_det = coordinates_of(constraints.interval(0.0, 3.0)).constrain(u)
    exact = torch.from_numpy(3 * stats.norm.cdf(u[:, 0].detach().double()))
    torch.testing.assert_close(x.double(), exact, rtol=2e-5 if dtype == torch.float32 else 1e-12, atol=0.0)
    (slope,) = torch.autograd.grad(x.sum(), u)
    torch.testing.assert_close(log_det, slope[:, 0].log(), rtol=1e-5 if dtype == torch.float32 else 1e-12, atol=1e-6)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 0.0), (1000.0, 1001.0)])
def test_no_number_is_rounded_to_the_ends_of_an_interval(low: float, high: float) -> None:
    x, _ = coordinates_of(constraints.interval(low, high)).constrain(torch.tensor([[-40.0], [-5.0], [5.5], [40.0]]))
    assert bool(((x > low) & (x < high)).all())
    assert bool((1 / (x - low)).isfinite().all() and (1 / (high - x)).isfinite().all())


def test_a_density_that_is_infinite_at_the_ends_of_an_interval() -> None:
    torch.manual_seed(0)
    arcsine = fit_posterior(
        Beta(0.5, 0.5), diagonal_flow(1), parameters=constraints.unit_interval, steps=200, learning_rate=3e-2, seed=0
    )
    assert arcsine.log_normaliser.value == pytest.approx(0.0, abs=5 * arcsine.log_normaliser.error)
    assert arcsine.elbo.value == pytest.approx(0.0, abs=0.01)
    assert arcsine.pareto_shape < 0.7


def test_a_uniform_prior_far_from_zero_has_no_samples_at_its_ends() -> None:
    def log_joint(x: Tensor) -> Tensor:
        prior = torch.distributions.Uniform(1000.0, 1001.0, validate_args=False)
        return prior.log_prob(x) + torch.distributions.Normal(1000.9, 0.3).log_prob(x)

    options: dict[str, Any] = {"steps": 200, "learning_rate": 3e-2, "seed": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        posterior = fit_posterior(
            log_joint, diagonal_flow(1), parameters=constraints.interval(1000.0, 1001.0), **options
        )
    exact = math.log(stats.norm.cdf(1 / 3) - stats.norm.cdf(-3))
    assert posterior.log_normaliser.value == pytest.approx(exact, abs=0.01)


@pytest.mark.parametrize("divergence", [None, ForwardKL()], ids=str)
def test_layers_with_statistics_of_batches_are_one_map_for_samples_and_densities(
    divergence: inference.Divergence | None,
) -> None:
    ends = [pf.transforms.Elementwise(pf.scalar.Affine(), (1,)) for _ in range(2)]
    flow = pf.Flow([ends[0], pf.transforms.BatchNorm(1), ends[1]], pf.distributions.StandardNormal((1,)))
    normal = torch.distributions.Independent(torch.distributions.Normal(torch.full((1,), 3.0), 2.0), 1)
    posterior = fit_posterior(normal, flow, divergence=divergence, steps=200, learning_rate=3e-2, seed=0)
    assert posterior.elbo.value == pytest.approx(0.0, abs=2e-3)


def test_a_fit_leaves_what_is_not_its_own() -> None:
    """Neither the gradients of a network in the log-density nor a caller without gradients."""
    network = torch.nn.Linear(2, 1)

    def log_density(x: Tensor) -> Tensor:
        return log_normal(x) + network(x)[..., 0]

    flow = diagonal_flow(2)
    with torch.no_grad():
        posterior = fit_posterior(
            log_density, flow, divergence=ReverseKL(), steps=300, learning_rate=3e-2, batch_size=128, seed=0
        )
    assert network.weight.grad is None
    exact = math.log(2 * math.pi) + 0.5 * network.weight.square().sum().item() + network.bias.item()
    assert posterior.log_normaliser.value == pytest.approx(exact, abs=0.02)


@pytest.mark.parametrize("alpha", [-0.5, 0.0, 0.5])
def test_the_gradient_of_alpha_divergences_is_that_of_the_bound(alpha: float) -> None:
    flow, draws = shifted_flow(), 400_000
    torch.manual_seed(2)
    x, log_q = flow.rsample_and_log_prob(draws)
    order = 1 - alpha
    bound = (torch.logsumexp(order * (target(x) - log_q), 0) - math.log(draws)) / order
    loss = AlphaDivergence(alpha)(flow, target, draws)
    torch.testing.assert_close(loss, -bound, rtol=0.02, atol=0.02)
    torch.testing.assert_close(gradient(flow, loss), gradient(flow, -bound), rtol=0.03, atol=0.03)


def test_the_gradient_of_the_forward_divergence_is_that_of_the_likelihood() -> None:
    flow = shifted_flow()
    torch.manual_seed(3)
    samples = 1.0 + torch.randn(400_000, 2, dtype=torch.float64) / PRECISION.sqrt()
    likelihood = -flow.log_prob(samples).mean()
    loss = ForwardKL()(flow, target, 400_000)
    torch.testing.assert_close(loss, likelihood, rtol=0.02, atol=0.02)
    torch.testing.assert_close(gradient(flow, loss), gradient(flow, likelihood), rtol=0.03, atol=0.03)


# Posteriors in closed form --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("divergence", [None, ReverseKL(), AlphaDivergence(0.5), ForwardKL()], ids=str)
def test_a_regression_has_the_posterior_of_the_textbook(divergence: inference.Divergence | None) -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.cat([torch.ones(20, 1), torch.randn(20, 2, generator=generator)], 1)
    outputs = inputs @ torch.tensor([0.5, -1.0, 0.8]) + 0.7 * torch.randn(20, generator=generator)

    def log_joint(weights: Tensor) -> Tensor:
        prior = torch.distributions.Normal(0.0, 2.0).log_prob(weights).sum(-1)
        return prior + torch.distributions.Normal(weights @ inputs.T, 0.7).log_prob(outputs).sum(-1)

    torch.manual_seed(0)
    posterior = fit_posterior(
        log_joint, normal_flow(3), divergence=divergence, steps=400, learning_rate=0.05, batch_size=512, seed=0
    )
    covariance = torch.linalg.inv(inputs.T @ inputs / 0.49 + torch.eye(3) / 4)
    mean = covariance @ inputs.T @ outputs / 0.49
    marginal = MultivariateNormal(torch.zeros(20), 4 * inputs @ inputs.T + 0.49 * torch.eye(20))
    exact = marginal.log_prob(outputs).item()
    assert posterior.log_normaliser.value == pytest.approx(exact, abs=0.01)
    assert posterior.elbo.value == pytest.approx(exact, abs=0.02)
    assert posterior.effective_sample_size.value > 0.95 * posterior.draws
    samples = posterior.sample(100_000, torch.Generator().manual_seed(1))
    torch.testing.assert_close(samples.mean(0), mean, rtol=0.02, atol=0.02)
    torch.testing.assert_close(samples.T.cov(), covariance, rtol=0.02, atol=0.0015)


def test_constrained_parameters_come_back_constrained_with_their_density() -> None:
    def log_density(parameters: dict[str, Tensor]) -> Tensor:
        return Gamma(5.0, 2.0).log_prob(parameters["rate"]) + Beta(2.0, 5.0).log_prob(parameters["share"])

    declared = {"rate": constraints.positive, "share": constraints.unit_interval}
    posterior = fit_posterior(
        log_density, diagonal_flow(2), parameters=declared, steps=300, learning_rate=3e-2, batch_size=128, seed=0
    )
    assert abs(posterior.log_normaliser.value) < 5 * posterior.log_normaliser.error + 1e-3
    assert posterior.elbo.value < posterior.log_normaliser.value
    samples = posterior.sample((3, 4))
    assert {name: tuple(value.shape) for name, value in samples.items()} == {"rate": (3, 4), "share": (3, 4)}
    weighted, weights = posterior.weighted_sample(50_000, torch.Generator().manual_seed(1))
    assert (weights * weighted["rate"]).sum().item() == pytest.approx(2.5, rel=0.02)
    assert (weights * weighted["share"]).sum().item() == pytest.approx(2 / 7, rel=0.02)
    rate, share = torch.meshgrid(torch.linspace(0.005, 14, 700), torch.linspace(0.002, 0.998, 300), indexing="ij")
    with torch.no_grad():
        density = posterior.log_prob({"rate": rate, "share": share}).exp()
    mass = torch.trapezoid(torch.trapezoid(density, share[0], dim=1), rate[:, 0])
    assert mass.item() == pytest.approx(1.0, abs=0.01)
    outside = {"rate": torch.tensor([1.0, -1.0, 1.0]), "share": torch.tensor([0.5, 0.5, 1.5])}
    assert posterior.log_prob(outside).isfinite().tolist() == [True, False, False]


def test_a_strip_of_an_energy_has_its_normaliser() -> None:
    """The second energy of Rezende and Mohamed on ``|z_1| <= 4``: ``log Z = 2.082714`` by quadrature."""
    strip = pf.spaces.Product(pf.spaces.Interval(-4.0, 4.0, (1,)), pf.spaces.Reals((1,)))
    energy = ENERGIES["energy-2"]
    torch.manual_seed(0)
    flow = pf.models.maf(features=2, layers=2, hidden=32)
    options: dict[str, Any] = {"steps": 300, "learning_rate": 1e-2, "batch_size": 128, "draws": 20_000, "seed": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        posterior = fit_posterior(lambda z: -energy(z), flow, parameters=strip, **options)
    assert posterior.log_normaliser.value == pytest.approx(2.082714, abs=0.05)
    assert posterior.sample(1000)[:, 0].abs().max() <= 4


@pytest.mark.parametrize("name", ENERGIES)
def test_energies_have_second_derivatives_far_out(name: str) -> None:
    z = (4 * torch.randn(500, 2, generator=torch.Generator().manual_seed(0))).requires_grad_()
    (force,) = torch.autograd.grad(ENERGIES[name](z).sum(), z, create_graph=True)
    (second,) = torch.autograd.grad(force.sum(), z)
    assert bool(second.isfinite().all())


def test_standardised_by_a_start_a_model_reaches_what_is_far_away() -> None:
    where, spread = torch.tensor([500.0, -3.0]), torch.tensor([40.0, 0.01])
    log_density = torch.distributions.Independent(torch.distributions.Normal(where, spread), 1).log_prob
    start = where + 2 * spread * torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    flow = pf.models.maf(features=2, layers=2, hidden=16)
    posterior = fit_posterior(log_density, flow, start=start, steps=400, batch_size=64, learning_rate=1e-2, seed=0)
    assert abs(posterior.log_normaliser.value) < 0.05
    assert posterior.effective_sample_size.value > 0.8 * posterior.draws


def test_an_annealed_fit_has_both_modes() -> None:
    def two_modes(x: Tensor) -> Tensor:
        return torch.logaddexp(*(-0.5 * ((x[..., 0] - mode) / 0.4).square() for mode in (-1.5, 1.5)))

    torch.manual_seed(0)
    spline = pf.transforms.Elementwise(pf.scalar.RationalQuadraticSpline(8, 5.0), (1,))
    flow = pf.Flow([spline], pf.distributions.StandardNormal((1,)))
    posterior = fit_posterior(two_modes, flow, annealing=0.5, steps=500, learning_rate=3e-2, batch_size=128, seed=0)
    exact = math.log(2 * 0.4) + 0.5 * math.log(2 * math.pi)
    assert posterior.log_normaliser.value == pytest.approx(exact, abs=0.05)
    share = (posterior.sample(10_000)[:, 0] > 0).float().mean().item()
    assert share == pytest.approx(0.5, abs=0.1)


def test_stochastic_flows_are_fitted_along_their_paths() -> None:
    log_density = torch.distributions.Independent(torch.distributions.Normal(torch.ones(2), 0.5), 1).log_prob
    torch.manual_seed(0)
    flow = pf.models.hamiltonian_vi(features=2, layers=3, hidden=8, target=log_density)
    posterior = fit_posterior(log_density, flow, steps=100, batch_size=64, learning_rate=3e-2, seed=0)
    assert posterior.log_normaliser.value == pytest.approx(0.0, abs=5 * posterior.log_normaliser.error + 0.02)
    assert posterior.elbo.value < 0
    with pytest.raises(UsageError, match="a path gradient expects a flow whose log_prob is exact"):
        StickingTheLanding()(flow, log_density, 4)


# Weights --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [0.2, 0.5, 0.9])
def test_pareto_shapes_of_known_tails(shape: float) -> None:
    """The tail has 2,122 weights, whose shape is known to ``(1 + k) / sqrt(2122)``."""
    uniform = torch.rand(500_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = diagnostics.pareto_shape(-shape * uniform.log())
    assert found == pytest.approx(shape, abs=0.07 * (1 + shape))
    assert diagnostics.pareto_shape(700 - shape * uniform.log()) == pytest.approx(found, abs=1e-6)


def test_the_fit_of_a_tail_is_near_the_likeliest() -> None:
    excess = np.sort(stats.genpareto(0.4, scale=3.0).rvs(2000, random_state=0))
    shape, _, scale = stats.genpareto.fit(excess, floc=0)
    found = fit_generalised_pareto(torch.from_numpy(excess))
    assert found[0] == pytest.approx(shape, abs=0.02)
    assert found[1] == pytest.approx(scale, rel=0.02)


def test_weights_without_a_tail_and_too_few_for_one() -> None:
    assert diagnostics.pareto_shape(torch.zeros(1000)) == -math.inf
    assert diagnostics.pareto_shape(torch.zeros(20)) == math.inf
    torch.testing.assert_close(diagnostics.smoothed_weights(torch.zeros(4, 5)), torch.full((4, 5), 0.05).double())


def test_smoothing_lowers_the_error_of_heavy_weights() -> None:
    """The mean of ``x^2`` under ``N(0, 1)``, weighed from a normal that is too narrow."""
    torch.manual_seed(0)
    x = 0.75 * torch.randn(300, 1000, dtype=torch.float64)
    log_weights = -0.5 * x.square() + 0.5 * (x / 0.75).square()
    raw, smoothed = torch.softmax(log_weights, 1), torch.stack([*map(diagnostics.smoothed_weights, log_weights)])
    errors = [((weights * x.square()).sum(1) - 1).square().mean().item() for weights in (raw, smoothed)]
    assert errors[1] < errors[0]
    assert bool((smoothed.sum(1) - 1).abs().max() < 1e-9)


def test_the_error_of_the_effective_sample_size_is_its_spread() -> None:
    torch.manual_seed(0)
    estimates = [effective_sample_size_with_error(0.5 * torch.randn(1000)) for _ in range(300)]
    values, errors = np.array([(each.value, each.error) for each in estimates]).T
    assert errors.mean() == pytest.approx(values.std(), rel=0.2)
    assert values.mean() == pytest.approx(1000 * math.exp(-0.25), rel=0.01)


def test_a_flow_that_is_too_narrow_is_warned_of() -> None:
    """Independent dimensions for dependent ones: the divergence that prefers modes leaves out the most."""
    diagonal = MultivariateNormal(torch.zeros(2), torch.tensor([[1.0, 0.99], [0.99, 1.0]]))
    with pytest.warns(UserWarning, match=r"Pareto-k of the importance weights is .*, above 0\.7"):
        posterior = fit_posterior(diagonal, diagonal_flow(2), steps=300, learning_rate=3e-2, seed=0)
    assert posterior.pareto_shape > 0.7
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit_posterior(lambda x: -0.5 * x.square().sum(-1), diagonal_flow(1), steps=20, seed=0)


def test_a_posterior_that_is_wider_than_the_splines_of_a_flow_is_warned_of() -> None:
    """Of what lies beyond their edge no weight tells: the normaliser looks exact, and is too small."""
    wide = torch.distributions.Independent(torch.distributions.Normal(torch.zeros(1), 3.0), 1)
    torch.manual_seed(0)
    options: dict[str, Any] = {"steps": 100, "learning_rate": 3e-2, "batch_size": 128, "seed": 0}
    with pytest.warns(pf.transforms.conditioning.ReachWarning, match=r"at the edge of \(-5, 5\), .*start="):
        narrow = fit_posterior(wide, pf.models.nsf(features=1, layers=1, hidden=8), **options)
    assert narrow.log_normaliser.value < -0.03
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", pf.transforms.conditioning.ReachWarning)
        started = fit_posterior(
            wide, pf.models.nsf(features=1, layers=1, hidden=8), start=4 * torch.randn(100, 1), **options
        )
    assert started.log_normaliser.value == pytest.approx(0.0, abs=0.01)


# NeuTra ---------------------------------------------------------------------------------------------------------------


def hamiltonian_monte_carlo(log_density: Callable[[Tensor], Tensor], z: Tensor, moves: int, step: float) -> Tensor:
    """Samples ``(moves, chains, D)`` by ten leapfrog steps and an acceptance in each move."""

    def force(z: Tensor) -> Tensor:
        place = z.detach().requires_grad_()
        return torch.autograd.grad(log_density(place).sum(), place)[0]

    def energy(z: Tensor, momentum: Tensor) -> Tensor:
        return -log_density(z).detach() + 0.5 * momentum.square().sum(-1)

    samples = []
    for _ in range(moves):
        start = momentum = torch.randn_like(z)
        moved = z
        momentum = momentum + 0.5 * step * force(moved)
        for _ in range(10):
            moved = moved + step * momentum
            momentum = momentum + step * force(moved)
        momentum = momentum - 0.5 * step * force(moved)
        accepted = torch.rand(len(z)).log() < energy(z, start) - energy(moved, momentum)
        z = torch.where(accepted[:, None], moved, z)
        samples.append(z)
    return torch.stack(samples)


def test_a_warped_density_is_the_density_of_the_latents() -> None:
    torch.manual_seed(0)
    flow = pf.models.maf(features=2, layers=2, hidden=8).double()
    declared = pf.spaces.Interval(0.0, math.inf, (2,))

    def log_density(x: Tensor) -> Tensor:
        return Gamma(3.0, 2.0).log_prob(x).sum(-1)

    warped = neutra(log_density, flow, parameters=declared)
    z = torch.randn(5, 2, dtype=torch.float64)
    jacobian = vmap(jacrev(lambda each: flow.decode(each).exp()))(z)
    expected = log_density(warped.to_parameters(z)) + torch.linalg.slogdet(jacobian).logabsdet
    torch.testing.assert_close(warped(z), expected)
    torch.testing.assert_close(warped.to_latents(warped.to_parameters(z)), z)
    assert warped.start((3, 4)).shape == (3, 4, 2)
    assert warped(z[:0]).shape == (0,)


def test_a_warped_density_is_zero_where_a_diverging_sampler_gets_to() -> None:
    warped = neutra(Gamma(3.0, 2.0).log_prob, diagonal_flow(1), parameters=constraints.positive)
    z = torch.tensor([[0.5], [200.0], [math.inf], [math.nan]], requires_grad=True)
    value = warped(z)
    assert value.isfinite().tolist() == [True, False, False, False]
    (slope,) = torch.autograd.grad(value[0], z)
    assert bool(slope.isfinite().all())


def test_a_sampler_on_the_warped_density_samples_the_density_itself() -> None:
    torch.manual_seed(0)
    flow = pf.models.maf(features=2, layers=2, hidden=16)
    fit_posterior(banana, flow, steps=150, batch_size=128, learning_rate=1e-2, seed=0)
    warped = neutra(banana, flow)
    z = hamiltonian_monte_carlo(warped, warped.start(400), moves=40, step=0.25)
    x = warped.to_parameters(z[10:].flatten(0, 1))
    assert x[:, 0].var().item() == pytest.approx(4.0, rel=0.1)
    assert x[:, 1].mean().item() == pytest.approx(0.0, abs=0.1)
    assert x[:, 1].var().item() == pytest.approx(1 + 32 / 16, rel=0.15)


# What is refused ------------------------------------------------------------------------------------------------------


def log_normal(x: Tensor) -> Tensor:
    return -0.5 * x.square().sum(-1)


@pytest.mark.parametrize(
    ("log_density", "error", "sentence"),
    [
        (
            lambda x: x.sum(-1).log(),
            DataError,
            r"log_density returned NaN at \d+ of 256 points, the first of them \[-?\d+\.\d+, -?\d+\.\d+\]",
        ),
        (lambda x: x.sum(-1) + math.inf, DataError, r"log_density returned plus infinity at 256 of 256 points"),
        (
            lambda x: log_normal(x).sum(),
            ShapeError,
            r"one number for each of .* \(256,\), got shape \(\)",
        ),
        (lambda x: x.square(), ShapeError, r"shape \(256,\), got shape \(256, 2\)"),
        (lambda x: 1.0, ShapeError, r"got float"),
        (lambda x: x @ torch.zeros(3), UsageError, r"log_density raised RuntimeError \(.*\) when it was .* \(256, 2\)"),
        (lambda x: log_normal(x.detach()), UsageError, r"log_density returned numbers without a gradient"),
        (lambda x: torch.where(x[:, 0] > 0, log_normal(x), -math.inf), TrainingError, r"not finite at step 1"),
        (3, UsageError, r"the posterior expects a log-density"),
    ],
)
def test_a_log_density_that_is_none_is_told_in_one_sentence(log_density: Any, error: type, sentence: str) -> None:
    flow = diagonal_flow(2)
    before = [weight.clone() for weight in flow.parameters()]
    with pytest.raises(error, match=sentence):
        fit_posterior(log_density, flow, steps=5, seed=0)
    assert all(bool((weight == kept).all()) for weight, kept in zip(flow.parameters(), before, strict=True))


def test_a_flow_without_finite_samples_is_not_blamed_on_the_log_density() -> None:
    flow = diagonal_flow(2)
    with torch.no_grad():
        next(flow.parameters()).fill_(torch.nan)
    with pytest.raises(TrainingError, match="the flow's samples are not finite"):
        fit_posterior(log_normal, flow, steps=5, seed=0)


def test_the_forward_divergence_needs_no_gradient_and_bears_zeros() -> None:
    def half(x: Tensor) -> Tensor:
        return torch.where(x[:, 0] > 0, log_normal(x.detach()), -torch.inf)

    flow = diagonal_flow(2)
    posterior = fit_posterior(half, flow, divergence=ForwardKL(), steps=200, learning_rate=3e-2, seed=0)
    exact, _ = integrate.quad(lambda x: math.exp(-0.5 * x**2), 0, 9)
    exact = math.log(exact) + 0.5 * math.log(2 * math.pi)
    assert posterior.log_normaliser.value == pytest.approx(exact, abs=5 * posterior.log_normaliser.error)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"steps": 0}, "whole number of at least 1 steps, got steps=0"),
        ({"max_time": 0.0}, r"positive, finite max_time, got max_time=0\.0"),
        ({"batch_size": 1}, "whole number of at least 2 batch_size, got batch_size=1"),
        ({"learning_rate": -1.0}, r"positive, finite learning_rate, got learning_rate=-1\.0"),
        ({"annealing": 2.0}, r"annealing expects a share from 0 to 1, got 2\.0"),
        ({"steps": 2.5}, r"whole number of at least 1 steps, got steps=2\.5"),
        ({"steps": math.inf}, "whole number of at least 1 steps, got steps=inf"),
        ({"learning_rate": "fast"}, "positive, finite learning_rate, got learning_rate='fast'"),
        ({"divergence": ReverseKL}, r"divergence expects"),
        ({"draws": 100.5}, r"whole number of at least 100 draws, got draws=100\.5"),
        ({"draws": 10}, "whole number of at least 100 draws, got draws=10"),
        ({"parameters": {}}, "parameters expects one parameter at least, got none"),
        ({"parameters": constraints.simplex}, r"expects its shape, as in \(constraint, \(3,\)\)"),
        ({"parameters": {"n": constraints.nonnegative_integer}}, "expects a set that a bijection leads to"),
        ({"parameters": constraints.interval(0.0, math.inf)}, "bounds are finite numbers in order"),
        ({"parameters": constraints.interval(3.0, 1.0)}, "bounds are finite numbers in order"),
        ({"parameters": (constraints.interval(torch.zeros(2), torch.ones(2)), (3,))}, r"of shape \(3,\) expects a set"),
        ({"parameters": (constraints.corr_cholesky, (3, 2))}, r"of shape \(3, 2\) expects a set"),
        ({"parameters": (constraints.stack([constraints.positive, constraints.real]), 2)}, "are a mapping of names"),
        ({"parameters": (constraints.positive, -3)}, r"a shape of sizes of at least 1, got \(-3,\)"),
        ({"parameters": (constraints.positive, 3.0)}, r"a shape expects a whole number or several, got 3\.0"),
        ({"parameters": {"n": "positive"}}, "the parameter 'n' expects a space"),
        ({"parameters": {"n": constraints.positive}}, "1 free dimensions and expect a flow of vectors"),
    ],
)
def test_an_option_that_does_not_fit_is_told_in_one_sentence(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        fit_posterior(log_normal, diagonal_flow(2), **options)


def test_flows_that_cannot_be_fitted_are_refused() -> None:
    with pytest.raises(UsageError, match=r"without a context.*inference\.NPE"):
        fit_posterior(log_normal, pf.models.maf(features=2, context=3, hidden=8))
    with pytest.raises(UsageError, match="parameters to train"):
        fit_posterior(log_normal, diagonal_flow(2).requires_grad_(False))
    with pytest.raises(UsageError, match="AlphaDivergence expects a finite alpha other than 1"):
        AlphaDivergence(1.0)
    with pytest.raises(UsageError, match="neutra expects a flow that is exact"):
        neutra(log_normal, pf.models.hamiltonian_vi(features=2, layers=1, hidden=8))
    with pytest.raises(UsageError, match="expected a mapping of the parameters mean, got scale"):
        coordinates_of({"mean": constraints.real}).unconstrain({"scale": 1.0})


def test_a_start_outside_of_its_set_is_told() -> None:
    flow = pf.models.maf(features=1, layers=1, hidden=8)
    with pytest.raises(DataError, match="start expects parameters that lie in their sets, got 1 of 3 outside"):
        fit_posterior(Gamma(2.0, 1.0), flow, parameters=constraints.positive, start=torch.tensor([1.0, -1.0, 2.0]))


def test_densities_of_named_parameters_broadcast_and_take_whole_numbers() -> None:
    declared = {"rate": constraints.nonnegative, "share": constraints.unit_interval}
    options: dict[str, Any] = {"steps": 1, "batch_size": 8, "draws": 100, "seed": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        posterior = fit_posterior(
            lambda each: Gamma(2.0, 1.0).log_prob(each["rate"]) + 0 * each["share"], diagonal_flow(2),
            parameters=declared, **options
        )  # fmt: skip
    rate, share = torch.rand(5, 1) + 0.1, torch.rand(7)
    whole = posterior.log_prob({"rate": rate.expand(5, 7), "share": share.expand(5, 7)})
    torch.testing.assert_close(posterior.log_prob({"rate": rate, "share": share}), whole)
    one = posterior.log_prob({"rate": torch.tensor(1), "share": 0.5})
    torch.testing.assert_close(one, posterior.log_prob({"rate": torch.tensor(1.0), "share": torch.tensor(0.5)}))
    assert posterior.log_prob({"rate": torch.tensor([0, 1]), "share": 0.5}).isfinite().tolist() == [False, True]
    assert posterior.log_prob({"rate": 0.0, "share": 0.5}).item() == -math.inf
    with pytest.raises(ShapeError, match=r"batch dimensions broadcast, got \(2,\), \(3,\)"):
        posterior.log_prob({"rate": torch.ones(2), "share": torch.ones(3)})
    with pytest.raises(ShapeError, match=r"expected parameters of shape \(2,\) behind"):
        coordinates_of(pf.spaces.Reals((2,))).unconstrain(torch.zeros(3))
    with pytest.raises(UsageError, match="weighted_sample expects a whole number of at least 1"):
        posterior.weighted_sample(0)


def test_a_seed_and_a_time_limit() -> None:
    options: dict[str, Any] = {"steps": 20, "batch_size": 32, "draws": 100, "seed": 3}
    first, second = (fit_posterior(banana, diagonal_flow(2), **options).history for _ in range(2))
    assert first == second and len(first) == 20
    short = fit_posterior(banana, diagonal_flow(2), steps=10**9, max_time=0.2, batch_size=32, draws=100)
    assert 0 < len(short.history) < 10**6
    assert len(fit_posterior(banana, diagonal_flow(2), max_time=1e-9, draws=100).history) == 1
