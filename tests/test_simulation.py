"""Simulation-based inference: no mass outside of the prior, closed-form posteriors, chains, rounds, simulators."""

from __future__ import annotations

import functools
import math
import pickle
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import (
    AffineTransform,
    Beta,
    Categorical,
    Dirichlet,
    ExpTransform,
    Gamma,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    SigmoidTransform,
    TransformedDistribution,
    Uniform,
    VonMises,
    constraints,
)

import pushforward as pf
from pushforward.diagnostics import sbc
from pushforward.errors import ConvergenceError, DataError, ShapeError, SimulationError, UsageError
from pushforward.inference import (
    NLE,
    NPE,
    ImageSummary,
    OneByOne,
    Prior,
    SeriesSummary,
    SetSummary,
    TruncatedPrior,
    Unbounded,
    simulate,
    simulate_in_rounds,
)
from pushforward.inference.simulation.chains import chains, effective_draws, split_r_hat, tempered
from pushforward.inference.simulation.ensemble import shares, warn_if_unconverged
from pushforward.inference.simulation.observations import Observations
from pushforward.inference.simulation.regression import RegressionResidual
from pushforward.inference.simulation.tasks import SLCP, TASKS, BernoulliGLM, TwoMoons
from pushforward.training import FitResult

BOX = Uniform(torch.tensor([0.0, -1.0]), torch.tensor([1.0, 3.0]))
MIXED = [BOX, Gamma(2.0, 1.0), Normal(0.0, 2.0)]
QUICK = {"members": 1, "max_steps": 20, "progress": False, "seed": 0}


def noisy(theta: Tensor) -> Tensor:
    return theta + 0.3 * torch.randn_like(theta)


def fitted(prior: object = BOX, count: int = 200, **options: object) -> NPE:
    theta, x = simulate(noisy, Prior.of(prior), count, seed=0, progress=False)
    return NPE(prior, hidden=8, layers=2).append_simulations(theta, x).fit(**{**QUICK, **options})


# Priors and their bounds ----------------------------------------------------------------------------------------------


def test_a_prior_of_several_kinds_knows_its_bounds_and_density() -> None:
    prior = Prior(MIXED)
    assert prior.low.tolist() == [0.0, -1.0, 0.0, -math.inf]
    assert prior.high.tolist() == [1.0, 3.0, math.inf, math.inf]
    theta = prior.sample((50,))
    expected = BOX.log_prob(theta[:, :2]).sum(-1) + Gamma(2.0, 1.0).log_prob(theta[:, 2])
    assert torch.allclose(prior.log_prob(theta), expected + Normal(0.0, 2.0).log_prob(theta[:, 3]), atol=1e-5)
    assert prior.log_prob(torch.tensor([1.5, 0.0, 1.0, 0.0])) == -math.inf


@pytest.mark.parametrize(
    "wrong, sentence",
    [
        (Uniform, "sample"),
        (torch.zeros(2), "sample"),
        (Dirichlet(torch.ones(3)), "bounds of its own"),
        (Categorical(torch.ones(3)), "continuous"),
        (Normal(torch.zeros(2, 2), 1.0), "vectors"),
        ([], "empty"),
    ],
)
def test_what_is_no_prior_is_told(wrong: object, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        NPE(wrong)


def test_the_bijection_of_the_bounds_obeys_the_laws() -> None:
    prior = Prior([*MIXED, torch.distributions.HalfNormal(1.0)])
    torch.manual_seed(0)
    pf.testing.check_transform(prior.unbounded(), prior.sample((8,)))
    below = Unbounded(torch.tensor([-torch.inf]), torch.tensor([2.0]))
    pf.testing.check_transform(below, 2.0 - torch.rand(8, 1))


def test_a_uniform_prior_becomes_a_standard_normal() -> None:
    unbounded = Prior(BOX).unbounded()
    theta = Prior(BOX).sample((100,))
    z, log_det = unbounded(theta)
    assert torch.allclose(Normal(0.0, 1.0).log_prob(z).sum(-1) + log_det, BOX.log_prob(theta).sum(-1), atol=1e-4)


def test_latents_however_far_come_back_strictly_inside() -> None:
    z = torch.tensor([-1e30, -60.0, -6.0, 6.0, 60.0, 1e30])[:, None].expand(-1, 2)
    theta = Prior(BOX).unbounded().decode(z)
    assert bool(BOX.log_prob(theta).isfinite().all())


# Posteriors -----------------------------------------------------------------------------------------------------------


def test_no_mass_leaks_out_of_the_prior() -> None:
    posterior = fitted().posterior(torch.tensor([1.4, 3.5]))
    samples = posterior.sample((2000,))
    assert bool(torch.isfinite(BOX.log_prob(samples)).all())
    # Distances from the corner that the mass is at, finer the nearer they are.
    share = (torch.arange(200) + 0.5) / 200
    grid = torch.cartesian_prod(1.0 - share**3, 3.0 - 4.0 * share**3)
    widths = torch.cartesian_prod(3 * share**2, 12 * share**2).prod(-1)
    with torch.no_grad():
        assert abs((posterior.log_prob(grid).exp() * widths).mean().item() - 1.0) < 1e-3
    assert posterior.log_prob(torch.tensor([1.1, 0.0])).item() == -math.inf


def test_batches_of_observations_have_posteriors_of_their_own() -> None:
    inference = fitted()
    x = torch.tensor([[0.2, 0.0], [0.8, 2.0], [0.5, 1.0]])
    together = inference.posterior(x)
    theta = together.sample((500,))
    assert theta.shape == (500, 3, 2)
    one = inference.posterior(x[1])
    assert torch.allclose(together.log_prob(theta)[:, 1], one.log_prob(theta[:, 1]), atol=1e-5)
    assert together.sample().shape == (3, 2) and together.sample((2, 4)).shape == (2, 4, 3, 2)
    # No sample is more probable than the mode.
    assert (together.log_prob(together.map()) >= together.log_prob(theta).amax(0) - 1e-3).all()


def test_an_ensemble_is_the_mixture_of_its_members() -> None:
    posterior = fitted(members=2).posterior(torch.tensor([0.2, 0.0]))
    theta = posterior.sample((10,))
    members = [flow.log_prob(theta, posterior._seen).exp() for flow in posterior._ensemble.flows]
    assert torch.allclose(posterior.log_prob(theta).exp(), sum(members) / 2, rtol=1e-4)


def test_a_normal_posterior_is_found() -> None:
    torch.manual_seed(0)
    prior = MultivariateNormal(torch.zeros(2), torch.tensor([[1.0, 0.5], [0.5, 2.0]]))
    theta, x = simulate(lambda theta: theta + 0.5 * torch.randn_like(theta), prior, 4000, seed=1, progress=False)
    seen = torch.tensor([0.7, -1.0])
    posterior = NPE(prior).append_simulations(theta, x).fit(**QUICK).posterior(seen)
    mean, covariance = conjugate(prior.covariance_matrix, 0.25, seen)
    samples = posterior.sample((10_000,))
    assert torch.allclose(samples.mean(0), mean, atol=0.05)
    assert torch.allclose(samples.T.cov(), covariance, atol=0.03)


def test_training_that_makes_nothing_better_leaves_the_regression() -> None:
    torch.manual_seed(0)
    prior = Normal(torch.zeros(8), 1.0)
    theta, x = simulate(one_noise, prior, 300, seed=1, progress=False)
    inference = NPE(prior).append_simulations(theta, x).fit(**{**QUICK, "max_steps": 60, "learning_rate": 3e-2})
    fresh, seen = simulate(one_noise, prior, 2000, seed=2, progress=False)
    exact = Independent(Normal(0.5 * seen, math.sqrt(0.5)), 1).log_prob(fresh).mean()
    # What the regression's own parameters cost, half a nat for as many as there are rows.
    assert exact - inference.posterior(seen).log_prob(fresh).mean() < 1.5 * 0.5 * (8 * 9 + 36) / 270


def conjugate(covariance: Tensor, noise: float, x: Tensor) -> tuple[Tensor, Tensor]:
    """The posterior of a normal mean with a normal prior around 0, from one observation."""
    gain = covariance @ torch.linalg.inv(covariance + noise * torch.eye(len(x)))
    return gain @ x, covariance - gain @ covariance


def least_squares(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The weight, the bias and the covariance of the errors of ``y`` by ``x``."""
    solution = torch.linalg.lstsq(torch.cat([x, torch.ones(len(x), 1)], 1), y).solution
    errors = y - x @ solution[:-1] - solution[-1]
    return solution[:-1], solution[-1], errors.T @ errors / len(x)


def by_posterior(theta: Tensor, x: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """The mean and covariance that the best linear normal posterior of some simulations has."""
    weight, bias, covariance = least_squares(x, theta)
    return seen @ weight + bias, covariance


def by_likelihood(theta: Tensor, x: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Those that the best linear normal likelihood has, under a standard normal prior."""
    weight, bias, noise = least_squares(theta, x)
    gain = weight @ torch.linalg.inv(noise)
    covariance = torch.linalg.inv(torch.eye(len(weight)) + gain @ weight.T)
    return covariance @ gain @ (seen - bias), covariance


@pytest.mark.slow
@pytest.mark.parametrize("make, best", [(NPE, by_posterior), (NLE, by_likelihood)])
def test_means_covariances_and_ranks_are_right_after_5000_simulations(
    make: type[NPE] | type[NLE], best: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
) -> None:
    torch.manual_seed(0)
    prior = Independent(Normal(torch.zeros(3), 1.0), 1)
    theta, x = simulate(one_noise, prior, 5000, seed=1, progress=False)
    inference = make(prior).append_simulations(theta, x).fit(seed=0, progress=False)
    seen = torch.tensor([1.0, -1.0, 0.5])
    samples = inference.posterior(seen).sample((100_000,))
    mean, covariance = best(theta, x, seen)
    # Two per cent of the posterior's standard deviation and variance, beside what so many simulations tell at best:
    # that by itself is two to four per cent from the truth.
    assert (samples.mean(0) - mean).abs().max() < 0.02 * math.sqrt(0.5)
    assert (samples.T.cov() - covariance).abs().max() < 0.02 * 0.5
    # Four standard errors.
    assert (samples.mean(0) - 0.5 * seen).abs().max() < 4 * math.sqrt(0.5 * (1 + 0.5 * seen.square().sum()) / 5000)
    assert (samples.T.cov() - 0.5 * torch.eye(3)).abs().max() < 4 * 0.5 * math.sqrt(2 / 5000)
    fresh, observed = simulate(one_noise, prior, 500, seed=2, progress=False)
    assert sbc(inference.posterior(observed).sample((99,)), fresh, observed).p_value > 0.01


def one_noise(theta: Tensor) -> Tensor:
    return theta + torch.randn_like(theta)


def test_flow_matching_makes_a_posterior_inside_of_the_prior() -> None:
    theta, x = simulate(noisy, Prior.of(BOX), 200, seed=0, progress=False)
    inference = NPE(BOX, "cnf", hidden=16, tolerance=1e-3).append_simulations(theta, x).fit(**QUICK)
    posterior = inference.posterior(torch.tensor([0.5, 1.0]))
    samples = posterior.sample((10,))
    assert bool(torch.isfinite(BOX.log_prob(samples)).all() & torch.isfinite(posterior.log_prob(samples)).all())


def test_a_fitted_estimator_is_pickled_with_its_flows() -> None:
    inference = fitted()
    again = pickle.loads(pickle.dumps(inference))
    theta, seen = torch.tensor([0.3, 1.0]), torch.tensor([0.5, 1.0])
    assert torch.equal(again.posterior(seen).log_prob(theta), inference.posterior(seen).log_prob(theta))


def test_a_regression_is_the_posterior_of_linear_normal_models() -> None:
    torch.manual_seed(0)
    matrix = torch.tensor([[1.0, 0.5], [0.0, 2.0], [1.0, -1.0]])
    theta = torch.randn(20_000, 2)
    x = theta @ matrix.T + torch.randn(20_000, 3)
    layer = RegressionResidual.fitted(theta, x)
    covariance = torch.linalg.inv(torch.eye(2) + matrix.T @ matrix)
    with torch.no_grad():
        mean = layer.decode(torch.zeros(20_000, 2), x)
    assert (mean - x @ (covariance @ matrix.T).T).square().mean().sqrt() < 0.02
    assert torch.allclose(layer.factor @ layer.factor.T, covariance, atol=0.01)
    pf.testing.check_transform(layer, theta[:8], x[:8])


def test_a_regression_on_noise_or_on_nothing_only_whitens() -> None:
    torch.manual_seed(0)
    theta, noise = torch.randn(60, 2) * torch.tensor([1.0, 10.0]) + 5.0, torch.randn(60, 50)
    layer = RegressionResidual.fitted(theta, noise)
    # Left to itself least squares on as many numbers would find residuals of a sixth of the variance.
    assert (layer.factor.diagonal() > 0.8 * theta.std(0)).all()
    assert RegressionResidual.fitted(theta, noise[:, :0])(theta)[0].T.cov().sub(torch.eye(2)).abs().max() < 0.05


# Observations ---------------------------------------------------------------------------------------------------------


def test_what_is_missing_is_marked_and_known_values_do_not_move() -> None:
    x = torch.randn(100, 3) * torch.tensor([1.0, 10.0, 100.0]) + 5.0
    x[::4, 1] = torch.nan
    observations = Observations.of(x)
    seen = observations(x)
    assert seen.shape == (100, 6) and bool(torch.isfinite(seen).all())
    assert torch.equal(seen[:, 4], torch.isnan(x[:, 1]).float()) and seen[0, 1] == 0.0
    assert torch.allclose(seen[:, :3].std(0), torch.ones(3), atol=0.4)


def test_missing_values_need_simulations_with_some() -> None:
    inference = fitted()
    with pytest.raises(DataError, match="NaN"):
        inference.posterior(torch.tensor([torch.nan, 0.0]))
    with pytest.raises(ShapeError, match="shape"):
        inference.posterior(torch.zeros(3))
    with pytest.raises(DataError, match="infinite"):
        NPE(BOX).append_simulations(torch.rand(50, 2), torch.full((50, 2), torch.inf)).fit(**QUICK)


def test_a_set_of_any_size_and_order_has_one_summary() -> None:
    x = torch.randn(4, 6, 2)
    x[2, 3:] = torch.nan
    observations = Observations.of(x)
    network = SetSummary(observations.seen_shape, observations.indicators)
    shuffled = x[:, torch.tensor([5, 1, 3, 0, 2, 4])]
    assert torch.allclose(network(observations(x)), network(observations(shuffled)), atol=1e-5)
    wider = torch.cat([x, torch.full((4, 2, 2), torch.nan)], 1)
    assert torch.allclose(network(observations(x)), network(_same_scale(observations, wider)), atol=1e-5)


def _same_scale(observations: Observations, x: Tensor) -> Tensor:
    missing = torch.isnan(x)
    values = torch.where(missing, 0.0, (x - observations.location) / observations.scale)
    return torch.cat([values, missing.float()], -1)


@pytest.mark.parametrize(
    "summary, shape", [(SetSummary, (5, 2)), (SeriesSummary, (20, 2)), (ImageSummary, (1, 8, 8))], ids=lambda v: str(v)
)
def test_summaries_are_trained_with_the_flow(summary: type[nn.Module], shape: tuple[int, ...]) -> None:
    theta = Prior.of(BOX).sample((100,))
    x = torch.randn(100, *shape) + theta.mean(-1).reshape(-1, *[1] * len(shape))
    x[0].flatten()[:2] = torch.nan
    inference = NPE(BOX, embedding=summary, hidden=8, layers=2).append_simulations(theta, x).fit(**QUICK)
    assert inference.posterior(x[:2]).sample((3,)).shape == (3, 2, 2)
    flow = inference._ensemble.flows[0]  # type: ignore[union-attr]
    fresh = summary(flow.context_shape, 2 if len(shape) == 2 else 1)
    assert type(flow.embedding) is type(fresh)


class Silent(nn.Module):
    """Raises without a word."""

    def forward(self, x: Tensor) -> Tensor:
        raise ValueError


def test_a_module_that_fails_without_a_word_is_told() -> None:
    inference = NPE(BOX, embedding=Silent()).append_simulations(torch.rand(50, 2), torch.rand(50, 4))
    with pytest.raises(UsageError, match=r"embedding cannot take .* ValueError"):
        inference.fit(**QUICK)


def test_a_module_that_does_not_take_observations_is_told() -> None:
    inference = NPE(BOX, embedding=nn.Linear(7, 3)).append_simulations(torch.rand(50, 2), torch.rand(50, 4))
    with pytest.raises(UsageError, match="embedding cannot take"):
        inference.fit(**QUICK)


# Likelihoods and chains -----------------------------------------------------------------------------------------------


def test_tempering_and_chains_find_two_modes_with_their_weights() -> None:
    torch.manual_seed(0)
    centres = torch.tensor([[-2.0, -2.0], [2.0, 2.0]])
    weights = torch.tensor([0.3, 0.7])

    def log_likelihood(z: Tensor) -> Tensor:
        modes = -0.5 * ((z[..., None, :] - centres) / 0.2).square().sum(-1) + weights.log()
        return torch.logsumexp(modes, -1)

    def log_prior(z: Tensor) -> Tensor:
        return -0.5 * (z / 5.0).square().sum(-1)

    start = tempered(5.0 * torch.randn(400, 1, 2), log_prior, log_likelihood)
    samples, told = chains(start, lambda z: log_prior(z) + log_likelihood(z), burn=50, draws=60, thin=20)
    right = samples[..., 0] > 0
    assert abs(right.float().mean() - 0.7) < 0.05
    assert told.r_hat < 1.1 and told.effective_sample_size > 500
    assert abs(samples[right].std(0).mean() - 0.2) < 0.02


def test_chains_that_disagree_are_seen() -> None:
    draws = torch.randn(200, 4, 1)
    assert split_r_hat(draws).max() < 1.05
    assert split_r_hat(draws + torch.arange(4.0)[:, None]).max() > 1.5
    correlated = torch.cumsum(draws, 0)
    assert effective_draws(correlated).item() < 0.1 * effective_draws(draws).item()


@functools.cache
def linear_likelihood() -> NLE:
    """Fitted to numbers with a noise of one, of which one has a prior much wider than that."""
    prior = Normal(torch.zeros(2), torch.tensor([1.0, 50.0]))
    theta, x = simulate(one_noise, prior, 2000, seed=1, progress=False)
    return NLE(prior, "maf", layers=1, hidden=8).append_simulations(theta, x).fit(**QUICK)


SEEN = torch.tensor([0.8, -0.4])


def test_a_likelihood_gives_the_normal_posterior() -> None:
    torch.manual_seed(0)
    posterior = linear_likelihood().posterior(SEEN)
    samples = posterior.sample((4000,))
    gain = torch.tensor([0.5, 2500 / 2501])
    assert torch.allclose(samples.mean(0), gain * SEEN, atol=0.07)
    assert torch.allclose(samples.std(0), gain.sqrt(), atol=0.05)
    assert posterior.diagnostics is not None and posterior.diagnostics.r_hat < 1.1


def test_a_likelihood_takes_another_prior_and_several_observations() -> None:
    torch.manual_seed(0)
    unit = Uniform(torch.zeros(2), torch.ones(2))
    positive = linear_likelihood().posterior(SEEN.expand(2, 2), unit).sample((1000,))
    assert positive.shape == (1000, 2, 2) and bool(((positive > 0) & (positive < 1)).all())
    grid = torch.linspace(0.0, 1.0, 1001)[:, None]
    density = Normal(SEEN, 1.0).log_prob(grid).exp()
    assert torch.allclose(positive.mean(0), (grid * density).sum(0) / density.sum(0), atol=0.05)


def test_a_likelihood_wants_whole_vectors() -> None:
    with pytest.raises(DataError, match="finite vectors"):
        NLE(BOX).append_simulations(torch.rand(5, 2), torch.full((5, 2), torch.nan))


# Rounds ---------------------------------------------------------------------------------------------------------------


class Known:
    """A posterior that is known: a normal."""

    def __init__(self, scale: float) -> None:
        self._normal = Independent(Normal(torch.tensor([0.2, 0.5]), scale), 1)

    def sample(self, shape: tuple[int, ...]) -> Tensor:
        return self._normal.sample(shape)

    def log_prob(self, theta: Tensor) -> Tensor:
        return self._normal.log_prob(theta)


def test_a_truncated_prior_is_the_prior_where_the_posterior_is() -> None:
    torch.manual_seed(0)
    theta = TruncatedPrior(BOX, Known(0.02), quantile=1e-2).sample((20_000,))
    distance = (theta - torch.tensor([0.2, 0.5])).norm(dim=-1)
    # The region of 99 % of a normal in two dimensions, in which the prior is uniform.
    radius = 0.02 * math.sqrt(-2 * math.log(0.01))
    assert distance.max() < 1.1 * radius
    assert abs(distance.square().mean() - distance.max() ** 2 / 2) < 0.05 * radius**2


def test_a_posterior_that_the_prior_does_not_reach_ends_with_a_sentence() -> None:
    lost = Known(1e-3)
    lost.log_prob = lambda theta: torch.full(theta.shape[:-1], -1.0)  # type: ignore[method-assign]
    with pytest.raises(ConvergenceError, match="too narrow"):
        TruncatedPrior(BOX, lost).sample((2,))


@pytest.mark.parametrize("make", [NPE, NLE])
def test_rounds_come_nearer_to_the_observation(make: type[NPE] | type[NLE]) -> None:
    torch.manual_seed(0)
    seen = torch.tensor([0.5, 2.0])
    inference = make(BOX, "maf", layers=2, hidden=16)
    simulate_in_rounds(
        inference,
        noisy,
        seen,
        rounds=2,
        simulations=300,
        seed=0,
        progress=False,
        members=1,
        max_steps=30,
        learning_rate=1e-2,
    )
    first, second = inference.simulations.theta.split(300)
    assert len(inference.simulations) == 600
    assert (second - seen)[:, 1].abs().mean() < 0.8 * (first - seen)[:, 1].abs().mean()


# Simulators -----------------------------------------------------------------------------------------------------------


def test_a_seed_gives_the_same_simulations_and_leaves_the_global_one_alone() -> None:
    torch.manual_seed(5)
    before = torch.rand(1)
    torch.manual_seed(5)
    first, second = (simulate(noisy, BOX, 50, seed=1, progress=False) for _ in range(2))
    assert torch.equal(first[1], second[1]) and torch.equal(torch.rand(1), before)
    assert not torch.equal(first[1][:2] - first[0][:2], first[1][3:5] - first[0][3:5])


def test_a_simulator_that_raises_keeps_what_was_done_and_goes_on(tmp_path: Path) -> None:
    calls: list[int] = []

    def breaks(theta: Tensor) -> Tensor:
        calls.append(len(theta))
        if len(calls) == 4:
            raise OverflowError("too far\nand more")
        return theta

    with pytest.raises(SimulationError, match=r"after 30 of 60 .*OverflowError: too far$") as caught:
        simulate(breaks, BOX, 60, batch_size=10, seed=1, out=tmp_path, progress=False)
    assert caught.value.theta.shape == caught.value.x.shape == (30, 2)
    theta, x = simulate(breaks, BOX, 60, batch_size=10, seed=1, out=tmp_path, progress=False)
    assert torch.equal(theta, x) and torch.equal(theta[:30], caught.value.theta) and len(calls) == 7


@pytest.mark.parametrize("wrong", [lambda theta: theta[:-1], lambda theta: torch.zeros(())])
def test_another_shape_is_told(wrong: object) -> None:
    with pytest.raises(SimulationError, match="one row for each expected"):
        simulate(wrong, BOX, 10, progress=False)  # type: ignore[arg-type]


def test_a_simulator_of_one_vector_and_a_number_for_each() -> None:
    theta, x = simulate(OneByOne(lambda theta: theta.sum()), BOX, 30, seed=0, progress=False)
    assert torch.allclose(x, theta.sum(-1, keepdim=True))


def test_two_workers_do_what_one_does() -> None:
    one = simulate(noisy, BOX, 40, batch_size=10, seed=3, progress=False)
    # Threads in place of processes, which a test must not start.
    from joblib import parallel_config

    with parallel_config(backend="threading"):
        two = simulate(torch.neg, BOX, 40, batch_size=10, workers=2, seed=3, progress=False)
    assert torch.equal(one[0], two[0]) and torch.equal(two[1], -two[0])


def test_neighbouring_seeds_have_nothing_in_common() -> None:
    one, other = (simulate(one_noise, Normal(torch.zeros(2), 1.0), 80, seed=seed, progress=False) for seed in (0, 1))
    numbers = [values for theta, x in (one, other) for values in (theta.flatten(), (x - theta).flatten())]
    # Of so many pairs of 32-bit numbers a few may agree by chance.
    for index, first in enumerate(numbers):
        for second in numbers[index + 1 :]:
            assert (first[:, None] - second).abs().lt(1e-7).sum() < 3


def test_all_generators_follow_the_seed_and_are_left_alone() -> None:
    def drawn(theta: Tensor) -> Tensor:
        return torch.tensor([[random.random(), np.random.rand(), float(torch.rand(()))] for _ in theta])

    before = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
    first, second = (simulate(drawn, BOX, 10, seed=4, progress=False)[1] for _ in range(2))
    assert torch.equal(first, second) and len(first.unique()) == 30
    assert random.getstate() == before[0] and bool((np.random.get_state()[1] == before[1]).all())
    assert torch.equal(torch.get_rng_state(), before[2])


def test_a_folder_goes_on_with_its_own_seed_and_takes_no_other(tmp_path: Path) -> None:
    first = simulate(noisy, BOX, 40, out=tmp_path, progress=False)
    (tmp_path / "observations-000003.safetensors").unlink()
    again = simulate(noisy, BOX, 40, out=tmp_path, progress=False)
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    simulate(noisy, BOX, 40, seed=1, out=tmp_path / "other", progress=False)
    with pytest.raises(UsageError, match="seed 1, not 2"):
        simulate(noisy, BOX, 40, seed=2, out=tmp_path / "other", progress=False)
    with pytest.raises(UsageError, match="40 parameters, and 60"):
        simulate(noisy, BOX, 60, seed=1, out=tmp_path / "other", progress=False)


@pytest.mark.parametrize("name", ["parameters", "observations-000002"])
def test_half_a_file_is_told(tmp_path: Path, name: str) -> None:
    simulate(noisy, BOX, 40, seed=1, out=tmp_path, progress=False)
    path = tmp_path / f"{name}.safetensors"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DataError, match=f"{name}.safetensors is no whole file"):
        simulate(noisy, BOX, 40, seed=1, out=tmp_path, progress=False)


def test_rounds_of_one_seed_are_the_same_whatever_the_global_one() -> None:
    def thetas(seed: int) -> Tensor:
        torch.manual_seed(seed)
        inference = NPE(BOX, "maf", layers=1, hidden=4)
        simulate_in_rounds(inference, noisy, torch.zeros(2), rounds=2, simulations=100, **{**QUICK, "max_steps": 3})
        return inference.simulations.theta

    assert torch.equal(thetas(1), thetas(2))


def test_rounds_that_go_on_draw_noise_of_their_own() -> None:
    inference = NPE(BOX, "maf", layers=1, hidden=4)
    for _ in range(2):
        simulate_in_rounds(inference, torch.randn_like, torch.zeros(2), rounds=1, simulations=50, **QUICK)
    first, second = inference.simulations.x.split(50)
    assert not bool(torch.isin(first, second).any())


@pytest.mark.parametrize("make", [NPE, NLE])
def test_rounds_want_a_single_observation(make: type[NPE] | type[NLE]) -> None:
    inference = make(BOX, "maf", layers=1, hidden=4).append_simulations(torch.rand(50, 2), torch.rand(50, 2))
    inference.fit(**{**QUICK, "max_steps": 1})
    with pytest.raises(UsageError, match="single observation"):
        inference.proposal(torch.zeros(3, 2))


def test_a_list_of_priors_is_simulated_as_it_is_estimated() -> None:
    theta, x = simulate(torch.neg, MIXED, 30, seed=0, progress=False)
    assert theta.shape == (30, 4) and torch.equal(x, -theta)


# Priors of other kinds ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "distribution, low, high",
    [
        (TransformedDistribution(Beta(2.0, 2.0), [AffineTransform(1.0, -10.0)]), -9.0, 1.0),
        (TransformedDistribution(Uniform(0.0, 1.0), [SigmoidTransform().inv]), -math.inf, math.inf),
        (TransformedDistribution(Uniform(1.0, 2.0), [ExpTransform()]), math.e, math.exp(2.0)),
        (VonMises(0.0, 1.0), -math.pi, math.pi),
        (MixtureSameFamily(Categorical(torch.ones(3)), Beta(torch.ones(3), 2.0)), 0.0, 1.0),
        (MixtureSameFamily(Categorical(torch.ones(3)), Normal(torch.arange(3.0), 1.0)), -math.inf, math.inf),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, torch.distributions.Distribution) else "",
)
def test_bounds_that_a_support_does_not_tell_are_found(distribution: object, low: float, high: float) -> None:
    prior = Prior(distribution)
    assert torch.allclose(prior.low, torch.tensor([low])) and torch.allclose(prior.high, torch.tensor([high]))
    assert bool(prior.log_prob(prior.sample((100,))).isfinite().all())


class Joint(torch.distributions.Distribution):
    """Two parameters, without a support."""

    arg_constraints: dict[str, constraints.Constraint] = {}

    def sample(self, sample_shape: object = ()) -> Tensor:
        return torch.rand(*sample_shape, 2)  # type: ignore[misc]

    def log_prob(self, value: Tensor) -> Tensor:
        return value.sum(-1)


class OfTwoKinds(Joint):
    """One parameter between 0 and 1, and one of any size."""

    support = constraints.cat([constraints.unit_interval, constraints.real], -1, [1, 1])  # type: ignore[assignment]


def test_a_prior_without_a_support_is_unbounded_and_bounds_not_told_are_an_error() -> None:
    prior = Joint(torch.Size(), torch.Size([2]), validate_args=False)
    assert not Prior(prior).bounded
    with pytest.raises(UsageError, match="bounds of its own"):
        Prior(OfTwoKinds(torch.Size(), torch.Size([2]), validate_args=False))
    apart = MixtureSameFamily(Categorical(torch.ones(2)), Uniform(torch.tensor([0.0, 5.0]), torch.tensor([1.0, 6.0])))
    with pytest.raises(UsageError, match="same bounds"):
        Prior(apart)


def test_a_prior_is_looked_at_without_moving_the_global_seed() -> None:
    torch.manual_seed(3)
    before = torch.rand(1)
    torch.manual_seed(3)
    Prior(Normal(0.0, 1.0))
    assert torch.equal(torch.rand(1), before)


# Members, wild values, small scales -----------------------------------------------------------------------------------


def test_single_draws_come_of_all_members_alike() -> None:
    torch.manual_seed(0)
    counts = torch.stack([torch.tensor([len(own) for own in shares(4, 3)]) for _ in range(3000)])
    assert bool((counts.sum(1) == 4).all()) and set(counts.flatten().tolist()) == {1, 2}
    # Each of three has the odd one in a third of all cases, four standard errors.
    assert ((counts - 1).float().mean(0) - 1 / 3).abs().max() < 4 * math.sqrt(2 / 9 / 3000)
    assert torch.equal(torch.cat(shares(7, 3)).sort().values, torch.arange(7))


def test_a_wild_simulation_does_not_drown_the_others() -> None:
    torch.manual_seed(0)
    prior = Normal(torch.zeros(2), 1.0)
    theta, x = simulate(one_noise, prior, 1000, seed=1, progress=False)
    x[0] = 1e20
    posterior = NPE(prior).append_simulations(theta, x).fit(**QUICK).posterior(torch.tensor([1.0, 0.0]))
    samples = posterior.sample((4000,))
    assert torch.allclose(samples.mean(0), torch.tensor([0.5, 0.0]), atol=0.1)
    assert torch.allclose(samples.std(0), torch.full((2,), math.sqrt(0.5)), atol=0.1)


def test_observations_of_more_numbers_than_quantiles_take_are_standardised() -> None:
    x = torch.randn(17, 1, 1000, 1000)
    observations = Observations.of(3.0 * x + 1.0)
    assert abs(observations.location.item() - 1.0) < 0.01 and abs(observations.scale.item() - 3.0) < 0.02


def test_chains_of_a_tiny_scale_tell_the_same() -> None:
    torch.manual_seed(0)
    draws = torch.randn(100, 4, 1) + torch.arange(4.0)[:, None]
    assert torch.allclose(split_r_hat(1e-20 * draws), split_r_hat(draws), rtol=1e-4)
    assert torch.allclose(effective_draws(1e-20 * draws), effective_draws(draws), rtol=1e-4)


def test_tempering_reaches_a_posterior_much_narrower_than_its_prior() -> None:
    torch.manual_seed(0)

    def log_likelihood(z: Tensor) -> Tensor:
        return -0.5 * ((z - 1.0) / 1e-5).square().sum(-1)

    def log_prior(z: Tensor) -> Tensor:
        return -0.5 * (z / 100.0).square().sum(-1)

    ends = tempered(100.0 * torch.randn(200, 1, 2), log_prior, log_likelihood)
    assert (ends.mean((0, 1)) - 1.0).abs().max() < 1e-5 and (ends.std(0) / 1e-5 - 1.0).abs().max() < 0.3


# Errors and warnings --------------------------------------------------------------------------------------------------


def test_what_comes_too_early_or_does_not_fit_is_told() -> None:
    with pytest.raises(UsageError, match="append_simulations"):
        NPE(BOX).fit(**QUICK)
    with pytest.raises(UsageError, match="fit"):
        NPE(BOX).posterior(torch.zeros(2))
    with pytest.raises(DataError, match="as many observations"):
        NPE(BOX).append_simulations(torch.rand(5, 2), torch.rand(4, 2))
    with pytest.raises(DataError, match="as many observations"):
        NPE(BOX).append_simulations(torch.rand(5, 3), torch.rand(5, 2))
    with pytest.raises(DataError, match="numbers"):
        NPE(BOX).append_simulations(2 + torch.rand(50, 2), torch.rand(50, 2)).fit(**QUICK)
    with pytest.raises(UsageError, match="nope"):
        NPE(BOX, "nope")
    for make in (NPE, NLE):
        with pytest.raises(UsageError, match="no option hiden"):
            make(BOX, hiden=3)
    with pytest.raises(DataError, match="must be numbers"):
        NPE(BOX).append_simulations([["a", "b"]], [["a", "b"]])
    with pytest.raises(DataError, match="real numbers"):
        NPE(BOX).append_simulations(torch.rand(5, 2), torch.rand(5, 2) + 1j)
    with pytest.raises(UsageError, match="count"):
        simulate(noisy, BOX, 0, progress=False)
    with pytest.raises(UsageError, match="workers"):
        simulate(noisy, BOX, 10, workers=0, progress=False)
    with pytest.raises(UsageError, match="member"):
        fitted(members=0)


def test_a_fit_that_has_not_converged_is_warned_of() -> None:
    def result(losses: list[float]) -> FitResult:
        return FitResult([{"val_loss": loss} for loss in losses], min(losses), 100, 1.0, "steps")

    with pytest.warns(RuntimeWarning, match="not converged"):
        warn_if_unconverged(result([10.0 - index for index in range(10)]))
    warn_if_unconverged(result([10.0] + [3.0] * 9))


# The tasks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(TASKS))
def test_tasks_simulate_what_their_priors_draw(name: str) -> None:
    task = TASKS[name]()
    theta, x = simulate(task, task.prior, 20, seed=0, progress=False)
    assert theta.shape[1] == Prior(task.prior).features and bool(torch.isfinite(x).all())


def test_the_points_of_slcp_have_the_covariance_of_its_parameters() -> None:
    torch.manual_seed(0)
    theta = torch.tensor([1.0, -2.0, 1.2, 0.7, 0.5])
    points = SLCP()(theta.expand(20_000, 5)).reshape(-1, 2)
    one, other = theta[2] ** 2, theta[3] ** 2
    across = torch.tanh(theta[4]) * one * other
    assert torch.allclose(points.mean(0), theta[:2], atol=0.02)
    assert torch.allclose(points.T.cov(), torch.tensor([[one**2, across], [across, other**2]]), atol=0.03)


def test_two_moons_are_symmetric_and_the_spikes_sum_to_their_statistic() -> None:
    torch.manual_seed(0)
    x = TwoMoons()(torch.tensor([0.3, -0.1]).expand(5000, 2))
    radius = (x - torch.tensor([0.25 - 0.2 / math.sqrt(2), -0.4 / math.sqrt(2)])).norm(dim=-1)
    assert abs(radius.mean() - 0.1) < 1e-3 and abs(radius.std() - 0.01) < 1e-3
    spikes = BernoulliGLM()(torch.tensor([50.0] + [0.0] * 9)[None])
    assert torch.allclose(spikes, BernoulliGLM().design.sum(0), atol=1e-4)
    # The beginning of the published stimulus.
    assert torch.allclose(BernoulliGLM().design[:3, 1], torch.tensor([0.49671415, -0.1382643, 0.64768854]))


def test_observations_of_thousands_of_numbers_are_not_regressed_on() -> None:
    theta = torch.rand(100, 1)
    inference = NPE(Uniform(torch.zeros(1), torch.ones(1)), hidden=4, layers=1)
    inference.append_simulations(theta, theta + torch.randn(100, 4000))
    posterior = inference.fit(members=1, max_steps=2, seed=0, progress=False).posterior(torch.zeros(4000))
    points = torch.linspace(0, 1, 2001)[1:-1, None]
    assert abs(posterior.log_prob(points).exp().mean() - 1) < 2e-2
