"""Columns of a table given others: against closed forms, quadrature and the truth; imputation keeps what is there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pushforward.errors import DataError, DataWarning, UsageError
from pushforward.sklearn import FlowDensity
from pushforward.tables.fills import mean_directions, weighted_medians, weighted_modes
from pushforward.tables.proposals import AS_FITTED, PARTLY_WIDER, draw_between, log_mass, truncated_normal
from pushforward.tables.quadrature import cell_points
from pushforward.tables.whitening import Whitening, fit_whitening

MEAN = np.array([3.0, -50.0, 0.0])
COVARIANCE = np.array([[1.0, 6.0, 0.3], [6.0, 100.0, 0.0], [0.3, 0.0, 2.0]])


@pytest.fixture(scope="module")
def gaussian() -> FlowDensity:
    x = stats.multivariate_normal(MEAN, COVARIANCE).rvs(3000, random_state=0)
    return FlowDensity(max_steps=100, random_state=0).fit(x)


@pytest.fixture(scope="module")
def mixed() -> tuple[FlowDensity, pd.DataFrame]:
    rng = np.random.default_rng(0)
    member = rng.random(1500) < 0.4
    visits = rng.poisson(np.where(member, 6.0, 1.0))
    table = pd.DataFrame(
        {
            "member": pd.Categorical(np.where(member, "yes", "no"), categories=["no", "yes"]),
            "visits": pd.array(visits, dtype="Int64"),
            "spend": np.where(visits == 0, 0.0, visits * rng.lognormal(0, 0.3, 1500)),
            "height": rng.normal(170 + 10 * member, 5).astype(np.float32),
        }
    )
    for name in table.columns:
        table.loc[rng.random(1500) < 0.1, name] = None
    return FlowDensity(max_steps=300, random_state=0).fit(table), table


def test_conditional_of_a_gaussian_has_its_mean_and_spread(gaussian: FlowDensity) -> None:
    for value in (1.5, 3.0, 5.0):
        rows = gaussian.conditional({0: value}).sample(3000, random_state=0)
        mean = MEAN[1:] + COVARIANCE[1:, 0] * (value - MEAN[0])
        spread = np.sqrt(np.diag(COVARIANCE[1:, 1:] - np.outer(COVARIANCE[1:, 0], COVARIANCE[0, 1:])))
        assert (rows[:, 0] == value).all()
        assert (np.abs(rows[:, 1:].mean(0) - mean) < 0.2 * spread).all()
        np.testing.assert_allclose(rows[:, 1:].std(0), spread, rtol=0.12)


def test_conditional_of_a_banana_is_that_of_the_joint() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=2000)
    density = FlowDensity(random_state=0).fit(np.stack([x, x**2 + 0.3 * rng.normal(size=2000)], axis=1))
    grid = np.linspace(-4, 4, 2001)
    for height in (0.2, 1.0):
        drawn = density.sample(3000, random_state=1, given={1: height})[:, 0]
        joint = np.exp(density.score_samples(np.stack([grid, np.full(2001, height)], axis=1)))
        below = np.cumsum(joint) / joint.sum()
        # By quadrature of the same joint density: what is left is the error of resampling alone.
        assert stats.kstest(drawn, lambda v, b=below: np.interp(v, grid, b)).statistic < 0.06
        truth = np.exp(-0.5 * grid**2 - 0.5 * ((height - grid**2) / 0.3) ** 2)
        assert abs(np.abs(drawn).mean() - (truth * np.abs(grid)).sum() / truth.sum()) < 0.08


def test_a_table_of_conditions_has_rows_for_each(mixed: tuple[FlowDensity, pd.DataFrame]) -> None:
    density, table = mixed
    given = pd.DataFrame({"member": ["yes", "no"], "visits": [5, 0]})
    rows = density.sample(200, random_state=0, given=given)
    assert rows["member"].tolist() == ["yes"] * 200 + ["no"] * 200 and rows.dtypes.equals(table.dtypes)
    heights = rows["height"].astype(float).groupby(np.arange(400) // 200).mean()
    assert abs(heights[0] - 180) < 1.5 and abs(heights[1] - 170) < 1.5
    spend = rows["spend"].dropna()
    assert (spend[spend.index >= 200] == 0).mean() > 0.8 and spend[spend.index < 200].between(1, 15).mean() > 0.9


def test_what_cannot_be_given_is_named(gaussian: FlowDensity, mixed: tuple[FlowDensity, pd.DataFrame]) -> None:
    with pytest.raises(UsageError, match="there is no column 7"):
        gaussian.conditional({7: 1.0})
    with pytest.raises(UsageError, match="some of the columns and not all"):
        gaussian.sample(given={0: 1.0, 1: 2.0, 2: 3.0})
    with pytest.raises(UsageError, match="mapping from columns or a data frame"):
        gaussian.conditional(3.0)
    with pytest.raises(DataError, match="outside the support"):
        mixed[0].sample(given={"member": "perhaps"})
    with pytest.raises(UsageError, match="'draw' or 'fill'"):
        gaussian.impute(np.zeros((2, 3)), method="mean")


def test_a_condition_that_few_candidates_meet_is_told() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=1000)
    density = FlowDensity(max_steps=300, random_state=0).fit(np.stack([x, np.sin(6 * x) + 0.01 * x], axis=1))
    with pytest.warns(DataWarning, match="rest on fewer than 5 of their candidates"):
        density.conditional({0: 0.1}, candidates=8).sample(50, random_state=0)
    assert density.conditional({0: 0.1}).effective_sample_sizes(0).shape == (1,)


@pytest.mark.parametrize("method", ["draw", "fill"])
def test_imputation_keeps_what_is_there(mixed: tuple[FlowDensity, pd.DataFrame], method: str) -> None:
    density, table = mixed
    head = table.head(120)
    before = head.copy()
    filled = density.impute(head, method=method)
    pd.testing.assert_frame_equal(head, before)
    assert not filled.isna().any(axis=None) and filled.dtypes.equals(head.dtypes) and filled.index.equals(head.index)
    for name in head.columns:
        there = head[name].notna()
        assert (filled.loc[there, name] == head.loc[there, name]).all()
    again = density.impute(head, method=method)
    pd.testing.assert_frame_equal(filled, again)


def test_imputed_values_are_those_of_the_conditional(mixed: tuple[FlowDensity, pd.DataFrame]) -> None:
    density, _ = mixed
    rows = pd.DataFrame(
        {
            "member": [None] * 200,
            "visits": [8] * 100 + [0] * 100,
            "spend": np.nan,
            "height": [181.0] * 100 + [168.0] * 100,
        }
    )
    drawn = density.impute(rows)
    assert (drawn["member"][:100] == "yes").mean() > 0.95 and (drawn["member"][100:] == "yes").mean() < 0.1
    assert (drawn["spend"][100:] == 0).mean() > 0.75 and abs(drawn["spend"][:100].median() - 8) < 1.5
    filled = density.impute(rows, method="fill")
    assert filled["member"][:100].eq("yes").all() and filled["spend"][100:].eq(0).all()


def test_imputation_where_missing_values_were_an_error() -> None:
    x = stats.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]]).rvs(400, random_state=0)
    density = FlowDensity(missing="error", max_steps=30, random_state=0).fit(x)
    filled = density.impute([[1.0, np.nan], [0.5, 0.5], [np.nan, np.nan]], method="fill")
    assert abs(filled[0, 1] - 0.9) < 0.25 and (filled[1] == 0.5).all() and np.abs(filled[2]).max() < 0.5


# The parts


def test_draws_of_the_normal_itself_have_equal_weights_and_its_moments() -> None:
    rng = np.random.default_rng(0)
    codes = rng.multivariate_normal(MEAN, COVARIANCE, 4000)
    whitening = fit_whitening(codes, np.zeros((4000, 0)), np.ones(4000))
    low, high = np.array([[2.0, -np.inf, -np.inf]]), np.array([[2.0, np.inf, np.inf]])
    points = (cell_points(1024, 4) + rng.random(4)) % 1
    for spreads in (AS_FITTED, PARTLY_WIDER):
        drawn, log_weights = draw_between(whitening, np.zeros((1, 0)), low, high, points, spreads)
        assert (drawn[0, :, 0] == 2.0).all()
        weights = np.exp(log_weights[0] + normal_log_prob(whitening, drawn[0]))
        # The mean weight is the density of what is fixed, here that of the first number alone.
        assert abs(weights.mean() / stats.norm(MEAN[0], 1).pdf(2.0) - 1) < 0.06
        mean = (weights[:, None] * drawn[0]).sum(0) / weights.sum()
        np.testing.assert_allclose(mean[1:], MEAN[1:] - COVARIANCE[1:, 0], atol=0.4)


def normal_log_prob(whitening: Whitening, codes: np.ndarray) -> Any:
    z = (codes - whitening.center.numpy()) @ whitening.factor.numpy().T
    log_det = np.log(np.diagonal(whitening.factor.numpy())).sum()
    return stats.norm.logpdf(z).sum(1) + log_det


def test_masses_of_boxes_are_those_of_the_normal() -> None:
    rng = np.random.default_rng(0)
    codes = rng.multivariate_normal([0, 0, 0], [[1, 0.6, 0.3], [0.6, 1, 0.5], [0.3, 0.5, 1]], 4000)
    whitening = fit_whitening(codes, np.zeros((4000, 0)), np.ones(4000))
    low, high = np.array([[-1.0, 0.2, -3.0]]), np.array([[0.5, 1.5, 0.1]])
    drawn, log_weights = draw_between(whitening, np.zeros((1, 0)), low, high, cell_points(256, 4), AS_FITTED)
    assert (drawn >= low).all() and (drawn <= high).all()
    inverse = np.linalg.inv(whitening.factor.numpy())
    law = stats.multivariate_normal(whitening.center.numpy(), inverse @ inverse.T)
    truth = law.cdf(high[0], lower_limit=low[0])
    assert abs(np.exp(log_weights[0] + normal_log_prob(whitening, drawn[0])).mean() / truth - 1) < 0.02


def test_normals_far_out_keep_their_digits() -> None:
    low, high = np.array([-np.inf, 20.0, -31.0, -1.0]), np.array([np.inf, 21.0, -30.0, 1.0])
    expected = [0.0, stats.norm.logsf(20.0), stats.norm.logcdf(-30.0), np.log(stats.norm.cdf(1) - stats.norm.cdf(-1))]
    np.testing.assert_allclose(log_mass(low, high), expected, rtol=1e-8, atol=1e-12)
    found = truncated_normal(low, high, np.array([0.5, 0.5, 0.5, 0.25]))
    truth = stats.truncnorm(low, high).ppf([0.5, 0.5, 0.5, 0.25])
    np.testing.assert_allclose(found, truth, rtol=1e-6, atol=1e-9)


def test_one_value_for_many() -> None:
    values = np.array([[1.0, 2.0, 3.0, 3.0], [5.0, 5.0, 0.0, 1.0]])
    weights = np.array([[0.4, 0.2, 0.2, 0.2], [0.1, 0.1, 0.7, 0.1]])
    assert weighted_medians(values, weights).tolist() == [2.0, 0.0]
    assert weighted_modes(values, weights).tolist() in ([1.0, 0.0], [3.0, 0.0])
    assert mean_directions(np.array([[11.0, 1.0, 12.0]]), np.full((1, 3), 1 / 3), 0.0, 12.0).tolist() == [12.0]


def test_a_table_of_constants_is_completed_with_them() -> None:
    with pytest.warns(DataWarning, match="constant"):
        density = FlowDensity(random_state=0).fit(np.ones((30, 2)))
    assert density.conditional({0: 1.0}).sample(3).tolist() == [[1.0, 1.0]] * 3
    for method in ("draw", "fill"):
        assert density.impute(np.array([[np.nan, 1.0]]), method).tolist() == [[1.0, 1.0]]
