"""Diagnostics of posteriors on conjugate normal models, where the right posterior is known: it passes, and those that
are over-confident, too wide, shifted or that ignore the observation fail in the way that they should."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

import pushforward as pf
from pushforward import diagnostics
from pushforward.diagnostics.posteriors.standardised import standardised_rows
from pushforward.diagnostics.posteriors.uniformity import uniformity
from pushforward.errors import DataError, ShapeError, UsageError

NOISE = 0.5
# Of theta given x, where theta ~ N(0, I) and x ~ N(theta, NOISE^2 I).
SHRINKAGE, WIDTH = 1 / (1 + NOISE**2), NOISE / (1 + NOISE**2) ** 0.5


class Conjugate:
    """``N(mean + shift, (scale width)^2)`` with the mean and the width of the right posterior."""

    def __init__(self, scale: float = 1.0, shift: float = 0.0) -> None:
        self.scale, self.shift = scale * WIDTH, shift * WIDTH

    def sample(self, n: int, x: Tensor) -> Tensor:
        return SHRINKAGE * x + self.shift + self.scale * torch.randn(n, *x.shape)

    def log_prob(self, theta: Tensor, x: Tensor) -> Tensor:
        return torch.distributions.Normal(SHRINKAGE * x + self.shift, self.scale).log_prob(theta).sum(-1)


class Prior:
    def sample(self, n: int, x: Tensor) -> Tensor:
        return torch.randn(n, *x.shape)

    def log_prob(self, theta: Tensor, x: Tensor) -> Tensor:
        return torch.distributions.Normal(torch.zeros_like(x), 1.0).log_prob(theta).sum(-1)


RIGHT, NARROW, WIDE, SHIFTED, PRIOR = Conjugate(), Conjugate(0.6), Conjugate(1.6), Conjugate(shift=0.6), Prior()


def pairs(count: int, features: int = 2, seed: int = 0) -> tuple[Tensor, Tensor]:
    theta, noise = torch.randn(2, count, features, generator=torch.Generator().manual_seed(seed))
    return theta, theta + NOISE * noise


def log_likelihood(theta: Tensor, x: Tensor) -> Tensor:
    return -(x - theta).square().sum(-1)


def test_ranks_of_the_right_posterior_are_uniform_and_others_have_their_shapes() -> None:
    theta, x = pairs(400)
    right, narrow, wide, shifted = (diagnostics.sbc(each, theta, x) for each in (RIGHT, NARROW, WIDE, SHIFTED))
    assert right.p_value > 0.05 and max(each.p_value for each in (narrow, wide, shifted)) < 0.01
    spread = (200**2 / 12) ** 0.5
    assert abs(right.ranks.double().std() / spread - 1) < 0.05
    # A bowl, a hump, and a slope.
    assert narrow.ranks.double().std() > 1.1 * spread > 0.9 * spread > wide.ranks.double().std()
    assert shifted.ranks.double().mean() < 0.8 * 100


def test_ranks_of_the_prior_are_uniform_and_only_a_quantity_of_the_observation_tells() -> None:
    theta, x = pairs(400)
    assert diagnostics.sbc(PRIOR, theta, x).p_value > 0.05
    assert diagnostics.sbc(PRIOR, theta, x, quantity=log_likelihood).p_value < 0.01
    assert diagnostics.sbc(RIGHT, theta, x, quantity=log_likelihood).p_value > 0.05


def test_the_p_value_of_ranks_is_uniform_and_the_band_holds_its_share() -> None:
    random = torch.Generator().manual_seed(0)
    tests = [uniformity(torch.randint(0, 51, (100, 20), generator=random), 50, seed=seed) for seed in range(10)]
    p_values = np.concatenate([each.p_values for each in tests])
    assert stats.kstest(p_values, "uniform").pvalue > 0.01
    outside = [((each.shares < each.low[:, None]) | (each.shares > each.high[:, None])).any(0).mean() for each in tests]
    assert abs(np.mean(outside) - 0.05) < 0.04


def test_ties_are_broken_by_chance() -> None:
    theta = torch.zeros(500, 1)
    assert diagnostics.sbc(torch.zeros(60, 500, 1), theta, theta).p_value > 0.01


def test_ranks_of_whole_numbers_are_uniform_for_their_exact_posterior() -> None:
    generator = torch.Generator().manual_seed(0)
    rates = torch.arange(4.0)
    theta = torch.randint(4, (1000, 1), generator=generator).float()
    x = torch.poisson(theta + 0.5, generator=generator)
    odds = torch.distributions.Poisson(rates + 0.5).log_prob(x)
    exact = torch.distributions.Categorical(logits=odds).sample((199,))[..., None].float()
    assert diagnostics.sbc(exact, theta, x).p_value > 0.01
    assert diagnostics.sbc((exact + 1).clamp(max=3.0), theta, x).p_value < 0.01


def test_the_p_value_of_several_quantities_is_uniform_where_they_are_independent() -> None:
    random = torch.Generator().manual_seed(0)
    tests = [uniformity(torch.randint(0, 51, (100, 4), generator=random), 50, seed=seed) for seed in range(40)]
    assert stats.kstest([each.p_value for each in tests], "uniform").pvalue > 0.01


def test_coverage_is_that_of_the_normal_law() -> None:
    theta, x = pairs(1000, features=1)
    right, narrow = (diagnostics.expected_coverage(each, theta, x) for each in (RIGHT, NARROW))
    assert right.p_value > 0.05 and narrow.p_value < 0.01
    assert right.calibration_error < 0.02 < narrow.calibration_error
    # Regions of a normal that is too narrow by a factor hold the right one's share of an interval.
    expected = 2 * stats.norm.cdf(0.6 * stats.norm.ppf(0.5 + narrow.levels / 2)) - 1
    np.testing.assert_allclose(narrow.coverage, expected, atol=0.05)


def test_coverage_falls_short_of_the_over_confident_and_exceeds_that_of_the_wide() -> None:
    theta, x = pairs(400)
    for test in (diagnostics.expected_coverage, diagnostics.tarp):
        right, narrow, wide = (test(each, theta, x) for each in (RIGHT, NARROW, WIDE))
        assert abs(right.excess) < 3 * right.excess_error and right.p_value > 0.02
        assert max(each.p_value for each in (narrow, wide)) < 0.01
    hpd = [diagnostics.expected_coverage(each, theta, x) for each in (NARROW, WIDE, SHIFTED)]
    assert hpd[0].excess < -3 * hpd[0].excess_error and hpd[1].excess > 3 * hpd[1].excess_error
    assert hpd[2].excess < 0


def test_coverage_by_density_does_not_tell_the_prior_and_random_points_do() -> None:
    theta, x = pairs(400)
    assert diagnostics.expected_coverage(PRIOR, theta, x).p_value > 0.02
    assert diagnostics.tarp(PRIOR, theta, x).p_value < 0.01
    fixed = torch.zeros_like(theta)
    assert diagnostics.tarp(PRIOR, theta, x, references=fixed).p_value > 0.02
    assert diagnostics.tarp(RIGHT, theta, x, references=lambda given: given.square()).p_value > 0.02


def test_random_points_count_the_draws_that_are_nearer_than_the_truth() -> None:
    theta, x = pairs(30)
    points, drawn = torch.rand(30, 2), RIGHT.sample(50, x)
    found = diagnostics.tarp(drawn, theta, x, references=points)
    for index in range(30):
        # Distances between parameters in units of the prior's deviation.
        truth, others = ((each - points[index]) / theta.std(0) for each in (theta[index], drawn[:, index]))
        assert found.ranks[index] == int((others.norm(dim=1) < truth.norm()).sum())


class Estimator:
    """Gives a distribution of torch for each batch of observations."""

    def posterior(self, x: Tensor) -> torch.distributions.Distribution:
        return torch.distributions.Independent(torch.distributions.Normal(SHRINKAGE * x, WIDTH), 1)


def test_draws_a_function_an_object_and_an_estimator_are_the_same_posterior() -> None:
    theta, x = pairs(50)
    first = diagnostics.sbc(RIGHT, theta, x, seed=3)
    second = diagnostics.sbc(RIGHT.sample, theta, x, seed=3)
    assert first.ranks.equal(second.ranks) and first.p_value == second.p_value
    assert diagnostics.expected_coverage(Estimator(), theta, x).p_value > 0.01
    assert diagnostics.tarp(RIGHT.sample(30, x), theta, x).draws == 30


def test_the_global_random_state_stays() -> None:
    theta, x = pairs(50)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    diagnostics.sbc(RIGHT, theta, x)
    assert torch.rand(1).equal(expected)


def test_the_local_test_tells_at_one_observation() -> None:
    theta, x = pairs(800, features=1)
    observed = torch.tensor([1.0])
    p_values = {
        name: diagnostics.local_c2st(each, theta, x, observed, draws=300, trials=39, steps=150).p_value
        for name, each in {"right": RIGHT, "prior": PRIOR, "shifted": Conjugate(shift=1.5)}.items()
    }
    assert p_values["right"] > 0.05 and p_values["prior"] <= 0.05 and p_values["shifted"] <= 0.05


def test_predictions_of_the_right_posterior_hold_the_observation() -> None:
    observed = torch.tensor([2.0, -1.0])

    def simulator(theta: Tensor) -> Tensor:
        return theta + NOISE * torch.randn_like(theta)

    right = diagnostics.posterior_predictive(RIGHT, simulator, observed)
    far = diagnostics.posterior_predictive(Conjugate(shift=8.0), simulator, observed)
    assert right.p_value > 0.1 and far.p_value < 0.01
    # Of one feature the predictive is N(SHRINKAGE x, WIDTH^2 + NOISE^2).
    spread = (WIDTH**2 + NOISE**2) ** 0.5
    expected = 2 * stats.norm.sf((1 - SHRINKAGE) * observed.abs().numpy() / spread)
    np.testing.assert_allclose(right.p_values.numpy(), expected, atol=0.08)


def test_the_distance_of_predictions_does_not_depend_on_units() -> None:
    def simulator(theta: Tensor) -> Tensor:
        return torch.randn(len(theta), 2) * torch.tensor([1e6, 1e-3])

    far, near = (
        diagnostics.posterior_predictive(PRIOR, simulator, torch.tensor([0.0, second])) for second in (0.1, 5e-4)
    )
    assert math.isclose(far.value, 100, rel_tol=0.1) and far.p_value < 0.01 < near.p_value


def test_p_values_of_predictions_of_many_features_are_uniform() -> None:
    observed = torch.randn(60, 200, generator=torch.Generator().manual_seed(0))
    p_values = [
        diagnostics.posterior_predictive(
            PRIOR, lambda theta: torch.randn(len(theta), 200), each, draws=300, seed=seed
        ).p_value
        for seed, each in enumerate(observed)
    ]
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


def test_a_classifier_of_samples_of_unequal_sizes_is_beside_always_naming_the_larger() -> None:
    first, second = torch.randn(2, 400, 2, generator=torch.Generator().manual_seed(0))
    same, other = diagnostics.c2st(first, second[:80]), diagnostics.c2st(first + 3, second[:80])
    assert same.guess == 400 / 480 and same.p_value > 0.05 and other.p_value < 0.01


def test_what_is_beyond_single_precision_is_told_apart() -> None:
    first, second = torch.randn(2, 100, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert diagnostics.c2st(1e45 * first, second).value > 0.8
    assert diagnostics.mmd(1e200 * first, second).p_value < 0.01


@pytest.mark.parametrize("count", [3, 1000])
def test_a_constant_feature_keeps_its_units(count: int) -> None:
    constant = torch.full((count, 1), 0.1, dtype=torch.float64)
    torch.testing.assert_close(standardised_rows(constant[:1] + 0.1, constant), constant[:1])


def test_a_constant_parameter_does_not_hide_the_others() -> None:
    theta, x = pairs(300)
    theta[:, 1] = 1.0

    def wide(n: int, given: Tensor) -> Tensor:
        return torch.cat([WIDE.sample(n, given[:, :1]), torch.ones(n, len(given), 1)], -1)

    assert diagnostics.tarp(wide, theta, x, references=torch.zeros_like(theta)).p_value < 0.01


def test_ties_with_chance_count() -> None:
    """Of two and two events a third of the divisions are as they stand; of coins a share falls as the one observed."""
    samples = torch.randn(9, 2, 2, 3, generator=torch.Generator().manual_seed(0))
    p_values = [diagnostics.mmd(first + 9, second).p_value for first, second in samples]
    assert min(p_values) > 0.25
    coins = (torch.rand(400, 1, generator=torch.Generator().manual_seed(0)) < 0.3).double()
    found = diagnostics.misspecification(torch.ones(1, 1), coins)
    assert abs(found.p_value - 0.3) < 0.1 and abs(found.p_values.item() - 0.3) < 0.1


def test_observations_that_the_simulator_does_not_give_are_told() -> None:
    simulated = pairs(400, features=3)[1]
    usual, several = pairs(8, features=3, seed=1)[1], pairs(8, features=3, seed=2)[1]
    assert diagnostics.misspecification(usual[:1], simulated).p_value > 0.05
    assert diagnostics.misspecification(several, simulated).p_value > 0.05
    assert diagnostics.misspecification(usual[:1] + 6, simulated).p_value < 0.01
    # A shift that one observation would not show.
    assert diagnostics.misspecification(several + 1.5, simulated).p_value < 0.01
    by_sum = diagnostics.misspecification(usual + 6, simulated, summary=lambda x: x.sum(-1, keepdim=True))
    assert by_sum.p_values.shape == (8,) and bool((by_sum.p_values < 0.01).all())


def test_every_result_is_drawn() -> None:
    theta, x = pairs(100)
    calibration = diagnostics.sbc(RIGHT, theta, x)
    figure = pf.plots.ranks(calibration, ["a", "b"])
    assert sum(bar.get_height() for bar in figure.axes[0].patches[:-1]) == 100 and len(figure.axes) == 4
    difference = figure.axes[2].lines[1].get_ydata()
    np.testing.assert_allclose(difference, calibration.test.shares[:, 0] - calibration.test.levels)
    covered = diagnostics.tarp(RIGHT, theta, x)
    np.testing.assert_allclose(pf.plots.coverage(covered).axes[0].lines[1].get_ydata(), covered.coverage)
    found = diagnostics.mmd(theta, x, permutations=50)
    assert pf.plots.against_chance({"mmd": found}).axes[0].lines[0].get_xdata()[0] == found.value
    told = pf.plots.classifier(diagnostics.c2st(theta + 3, x)).axes[0]
    assert told.get_title().startswith("accuracy 0.9") or told.get_title().startswith("accuracy 1.0")
    check = diagnostics.posterior_predictive(RIGHT, lambda theta: theta, x[0], draws=100)
    assert len(pf.plots.predictive(check).axes) == 2
    with pytest.raises(UsageError, match="at least one result"):
        pf.plots.against_chance({})


def test_what_is_wrong_is_told_in_a_sentence() -> None:
    theta, x = pairs(20)
    with pytest.raises(ShapeError, match=r"sbc expects parameters \(N, D\) and as many observations"):
        diagnostics.sbc(RIGHT, theta, x[:10])
    with pytest.raises(ShapeError, match=r"draws \(5, 20, 2\) of the posterior, got \(5, 20, 3\)"):
        diagnostics.tarp(lambda n, x: torch.zeros(n, len(x), 3), theta, x, draws=5)
    with pytest.raises(DataError, match="finite draws"):
        diagnostics.sbc(torch.full((5, 20, 2), torch.nan), theta, x)
    with pytest.raises(UsageError, match="sample"):
        diagnostics.sbc("posterior", theta, x)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="log_prob"):
        diagnostics.expected_coverage(RIGHT.sample, theta, x)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="one observation"):
        diagnostics.local_c2st(RIGHT, theta, x, x)
    with pytest.raises(ShapeError, match="simulations of shape"):
        diagnostics.posterior_predictive(RIGHT, lambda theta: theta[:, :1], x[0])
    with pytest.raises(DataError, match="finite numbers"):
        diagnostics.mmd(theta * torch.nan, theta)
    with pytest.raises(DataError, match="two simulations"):
        diagnostics.misspecification(x, x)
    with pytest.raises(DataError, match="infinite ones"):
        diagnostics.tarp(torch.zeros(5, 20, 2), theta, x / 0)
    with pytest.raises(ShapeError, match=r"one number for each of \(20,\) parameters, got \(20, 2\)"):
        diagnostics.expected_coverage(Unsummed(), theta, x)
    with pytest.raises(UsageError, match="names of all 2"):
        pf.plots.ranks(diagnostics.sbc(RIGHT, theta, x), ["a"])


class Unsummed(Prior):
    def log_prob(self, theta: Tensor, x: Tensor) -> Tensor:
        return -theta.square()


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda theta, x: diagnostics.sbc(RIGHT, theta, x, draws=-1), "at least 1 draws"),
        (lambda theta, x: diagnostics.local_c2st(RIGHT, theta, x, x[0], trials=0), "at least 1 trials"),
        (lambda theta, x: diagnostics.posterior_predictive(RIGHT, torch.clone, x[0], draws=1), "at least 2 draws"),
        (lambda theta, x: diagnostics.c2st(theta, x, folds=1), "at least 2 folds"),
        (lambda theta, x: diagnostics.mmd(theta, x, permutations=0), "at least 1 permutations"),
        (lambda theta, x: diagnostics.mmd(theta, x, scales=()), "one or more positive, finite scales"),
        (lambda theta, x: diagnostics.misspecification(x[:1], x, scales=(1.0, 0.0)), "positive, finite scales"),
        (lambda theta, x: diagnostics.misspecification(x[:1], x, trials=0), "at least 1 trials"),
    ],
)
def test_numbers_that_are_none_are_told(call: Callable[[Tensor, Tensor], Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        call(*pairs(20))


@pytest.mark.slow
@pytest.mark.parametrize("test", [diagnostics.sbc, diagnostics.expected_coverage, diagnostics.tarp])
def test_p_values_are_uniform_over_data_sets_of_the_right_posterior(test: Callable[..., Any]) -> None:
    p_values = [test(RIGHT, *pairs(80, 1, seed), draws=49, seed=1000 + seed).p_value for seed in range(200)]
    assert stats.kstest(p_values, "uniform").pvalue > 0.01
    narrow = [test(NARROW, *pairs(200, 1, seed), draws=49, seed=1000 + seed).p_value for seed in range(20)]
    assert np.mean(np.array(narrow) < 0.01) > 0.9


@pytest.mark.slow
def test_p_values_of_observations_are_uniform() -> None:
    p_values = {"one": [], "eight": [], "local": []}
    for seed in range(150):
        simulated = pairs(400, 2, 5000 + seed)[1]
        for name, count in (("one", 1), ("eight", 8)):
            observed = pairs(count, 2, seed)[1]
            p_values[name].append(diagnostics.misspecification(observed, simulated, trials=199, seed=seed).p_value)
        observed = pairs(1, 1, 9000 + seed)[1][0]
        local = diagnostics.local_c2st(RIGHT, *pairs(150, 1, seed), observed, draws=100, trials=39, steps=40, seed=seed)
        # 39 trials leave 40 levels.
        p_values["local"].append(local.p_value - np.random.default_rng(seed).uniform(0, 1 / 40))
    assert min(stats.kstest(each, "uniform").pvalue for each in p_values.values()) > 0.01
