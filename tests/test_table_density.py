"""Densities of tables as they come: outliers, giants, bounds, spikes, offsets, heavy tails, and all of them at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from awkward import CIRCULAR, Awkward, awkward_columns, awkward_table
from scipy import stats

from pushforward.data.streams import ParquetStream
from pushforward.errors import DataError, DataWarning, UsageError
from pushforward.sklearn import FlowDensity, FlowRegressor
from pushforward.tables.likelihood import log_density
from pushforward.tables.quadrature import cell_points

SHORT: dict[str, Any] = {"max_steps": 100, "random_state": 0}


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


# What one bad value, a giant, a bound, a spike or an offset may not do


@pytest.mark.parametrize("bad", [1e6, 1e12])
def test_one_bad_row_bends_nothing(rng: np.random.Generator, bad: float) -> None:
    x = rng.normal(size=(2000, 1))
    y = np.sin(2 * x[:, 0]) + 0.1 * rng.normal(size=2000)
    x[7] = bad
    assert abs(FlowDensity(**SHORT).fit(x).score(rng.normal(size=(2000, 1))) + 1.42) < 0.05
    regressor = FlowRegressor(max_steps=200, random_state=0).fit(x, y)
    np.testing.assert_allclose(regressor.predict([[0.8], [-0.8]]), [1.0, -1.0], atol=0.08)


def test_counts_with_giants(rng: np.random.Generator) -> None:
    means = rng.choice([0.5, 3.0, 2000.0], p=[0.5, 0.45, 0.05], size=6000)
    counts = rng.negative_binomial(2, 2 / (2 + means)).astype(np.int64)[:, None]
    density = FlowDensity(**SHORT).fit(counts[:5000])
    assert density.score(counts[5000:]) > -2.20 - 0.1
    assert abs(np.exp(density.score_samples([[0]])[0]) - 0.39) < 0.02
    samples = density.sample(5000)
    assert (samples >= 0).all() and abs((samples == 0).mean() - 0.39) < 0.02
    assert np.isneginf(density.score_samples([[-1]]))[0]


def test_density_at_a_bound(rng: np.random.Generator) -> None:
    density = FlowDensity(bounds={0: (0, None)}, **SHORT).fit(rng.exponential(2, (20000, 1)))
    found = np.exp(density.score_samples([[1e-4], [1e-3], [1e-2]]))
    np.testing.assert_allclose(found, [0.50, 0.50, 0.4975], rtol=0.05)
    uniform = FlowDensity(**SHORT).fit(rng.random((20000, 1)))
    np.testing.assert_allclose(np.exp(uniform.score_samples([[5e-4], [0.5], [1 - 5e-4]])), 1.0, rtol=0.08)


@pytest.mark.parametrize("modes", [2, 5])
def test_a_single_column_of_several_modes(modes: int) -> None:
    centers = 6.0 * np.arange(modes)
    draw = np.random.default_rng(0)
    train, test = (draw.choice(centers, 5000) + draw.normal(size=5000) for _ in range(2))
    truth = np.log(stats.norm(centers, 1).pdf(test[:, None]).mean(1)).mean()
    assert truth - FlowDensity(**SHORT).fit(train[:, None]).score(test[:, None]) < 0.02


def test_spikes_are_masses_and_are_drawn(rng: np.random.Generator) -> None:
    spend = np.where(rng.random((6000, 1)) < 0.6, 0.0, rng.lognormal(1, 0.7, (6000, 1)))
    density = FlowDensity(**SHORT).fit(spend)
    assert abs(np.exp(density.score_samples([[0.0]])[0]) - 0.6) < 0.02
    samples = density.sample(5000)
    assert (samples >= 0).all() and abs((samples == 0).mean() - 0.6) < 0.02
    rates = np.where(rng.random(3000) < 0.18, rng.integers(0, 2, 3000), rng.beta(2, 3, 3000))[:, None]
    samples = FlowDensity(bounds={0: (0, 1)}, **SHORT).fit(rates).sample(3000)
    assert abs(np.isin(samples, [0, 1]).mean() - 0.18) < 0.03 and ((samples >= 0) & (samples <= 1)).all()


def test_large_offsets_keep_their_digits(rng: np.random.Generator) -> None:
    x = 1.7e9 + 1000 * rng.normal(size=(1000, 1))
    density = FlowDensity(**SHORT).fit(x)
    assert abs(density.score(x) - stats.norm(1.7e9, 1000).logpdf(x).mean()) < 0.1
    assert len(np.unique(density.sample(500))) == 500
    back = density.inverse_transform(density.transform(x))
    np.testing.assert_allclose(back, x, rtol=0, atol=1e-3)


def test_ordinals_have_mass_on_integers_alone(rng: np.random.Generator) -> None:
    density = FlowDensity(**SHORT).fit(rng.poisson(2, (500, 1)))
    assert np.isneginf(density.score_samples([[2.5], [-0.5], [-1.0]])).all()
    assert np.isfinite(density.score_samples([[2.0]])).all()


def test_rows_of_weight_zero_count_for_nothing(rng: np.random.Generator) -> None:
    x = rng.exponential(1, (300, 1))
    density = FlowDensity(bounds={0: (0, None)}, **SHORT).fit(x)
    assert density.score([[1.0], [-1.0]], sample_weight=[1, 0]) == density.score([[1.0]])
    regressor = FlowRegressor(bounds={0: (0, None)}, max_steps=5, random_state=0).fit(x, x[:, 0])
    found = regressor.log_likelihood([[1.0], [1.0]], [1.0, -1.0], sample_weight=[1, 0])
    assert found == regressor.log_likelihood([[1.0]], [1.0])


def test_weights_that_sum_to_one_are_shares(rng: np.random.Generator) -> None:
    x = rng.integers(0, 3, (1500, 1))
    shares = FlowDensity(**SHORT).fit(x, sample_weight=np.full(1500, 1 / 1500))
    assert np.exp(shares.score_samples([[3]]))[0] < 0.002


def test_heavy_tails() -> None:
    law = stats.cauchy()
    train, test = law.rvs((2000, 2), random_state=0), law.rvs((2000, 2), random_state=1)
    truth = law.logpdf(test).sum(1).mean()
    assert FlowDensity(**SHORT).fit(train).score(test) > truth - 0.15


# Small, narrow and repeated


@pytest.mark.parametrize("rows", [2, 5, 19])
def test_few_rows(rng: np.random.Generator, rows: int) -> None:
    x = rng.normal(size=(rows, 3))
    density = FlowDensity(max_steps=5, random_state=0).fit(x)
    assert np.isfinite(density.score_samples(x)).all() and density.sample(4).shape == (4, 3)


def test_repeated_rows_and_columns(rng: np.random.Generator) -> None:
    x = np.repeat(rng.normal(size=(40, 1)), 5, axis=0)
    density = FlowDensity(max_steps=20, random_state=0).fit(np.concatenate([x, x], axis=1))
    assert np.isfinite(density.score_samples(np.concatenate([x, x], axis=1))).all()
    assert "the same in every row" in density.summary()


def test_constants_and_identifiers_are_told_once() -> None:
    frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=50), "unit": "cm"})
    with pytest.warns(DataWarning, match=r"not modelled: 'unit' \(constant\)") as told:
        FlowDensity(max_steps=3).fit(frame)
    assert len(told) == 1


# Masses, by integrals over cells


def test_masses_of_many_discrete_columns_need_few_points(rng: np.random.Generator) -> None:
    common = rng.normal(size=(900, 1))
    latent = common + rng.normal(size=(900, 12))
    x = np.floor(np.clip(latent[:, :10] + 3, 0, 6)).astype(int)
    table = pd.DataFrame(x).assign(a=latent[:, 10], b=latent[:, 11])
    table.columns = table.columns.astype(str)
    density = FlowDensity(**SHORT).fit(table)
    numbers, none = density._read(table.head(60)), np.empty((60, 0))
    few, many = (
        log_density(density.flow_, density._code, cell_points(count, density._code.features + 1), numbers, none)
        for count in (density.quadrature, 2048)
    )
    assert abs((few - many).mean()) < 0.03 and (few - many).std() < 0.12


def test_masses_of_one_discrete_column_are_exact(rng: np.random.Generator) -> None:
    density = FlowDensity(columns="categorical", **SHORT).fit(rng.integers(0, 5, (300, 1)))
    assert abs(np.exp(density.score_samples(np.arange(5)[:, None])).sum() - 1) < 1e-3


def test_density_goes_around_the_circle(rng: np.random.Generator) -> None:
    x = rng.vonmises(np.pi, 1.0, (2000, 1)) % (2 * np.pi)
    density = FlowDensity(circular={0: 2 * np.pi}, **SHORT).fit(x)
    at_cut = density.score_samples([[0.0], [2 * np.pi - 1e-9], [2 * np.pi]])
    np.testing.assert_allclose(at_cut, at_cut[0], atol=1e-5)
    grid = np.linspace(0, 2 * np.pi, 2001)
    found = np.exp(density.score_samples(grid[:, None]))
    assert abs(np.trapezoid(found, grid) - 1) < 1e-3
    assert np.abs(found - stats.vonmises(1.0, loc=np.pi).pdf(grid)).max() < 0.06


# Anomalies


def test_the_mode_of_many_columns_is_dense_and_atypical(rng: np.random.Generator) -> None:
    x = rng.normal(size=(1500, 60))
    density = FlowDensity(max_steps=10, random_state=0).fit(x[:1000])
    mode, rows = np.zeros((1, 60)), x[1000:]
    # The point with the highest density is the least anomalous of all, though no row comes near it.
    assert density.anomaly_score(mode)[0] < density.anomaly_score(rows).min() - 5
    assert density.anomaly_score(mode, "typicality")[0] > np.quantile(density.anomaly_score(rows, "typicality"), 0.99)
    assert abs(density.entropy_ - 60 * stats.norm().entropy()) < 5
    far = 2 * x[:1]
    assert density.anomaly_score(far, "typicality")[0] > np.quantile(density.anomaly_score(rows, "typicality"), 0.99)
    with pytest.raises(UsageError, match="'log_density' or 'typicality'"):
        density.anomaly_score(mode, "density")


# Wide tables


@pytest.mark.slow
def test_wide_gaussian_tables_are_as_good_as_factor_analysis() -> None:
    from sklearn.decomposition import FactorAnalysis

    rng = np.random.default_rng(0)
    loadings = rng.normal(size=(200, 10))
    x = rng.normal(size=(4500, 10)) @ loadings.T + rng.normal(size=(4500, 200))
    train, test = x[:2500], x[2500:]
    ours = FlowDensity(random_state=0).fit(train).score(test)
    assert ours > FactorAnalysis(10).fit(train).score(test) - 1.0


# All at once


SAMPLING = 0.014
"""Two standard errors of a share among the 5,000 rows of a fit, which no estimate of it can better."""


def equal_mass_cells(truth: Any, found: Any, atoms: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    """The shares of two samples in cells: the atoms, and 30 of equal mass between them."""
    parts = []
    for values in (truth, found):
        own = [values.isna() if atom != atom else values == atom for atom in atoms]
        parts.append((own, values[~np.any(own, axis=0)] if own else values))
    rest = parts[0][1]
    shares = [[mask.mean() for mask in own] for own, _ in parts]
    if len(rest):
        numbers = [pd.to_numeric(part).to_numpy(float) for _, part in parts]
        edges = np.unique(np.quantile(numbers[0], np.linspace(0, 1, 31)[1:-1]))
        for share, part in zip(shares, numbers):
            share += list(np.bincount(np.searchsorted(edges, part), minlength=len(edges) + 1) / len(truth))
    return np.array(shares[0]), np.array(shares[1])


def divergence(truth: np.ndarray, found: np.ndarray) -> float:
    """The Kullback-Leibler divergence of shares."""
    return float((truth * np.log(np.maximum(truth, 1e-12) / np.maximum(found, 1e-6))).sum())


def check_column(column: Awkward, samples: pd.Series, most: float, slack: float) -> None:
    assert column.valid(samples).all(), column.name
    truth = pd.Series(column.draw(np.random.default_rng(9), len(samples)))
    shares, found = equal_mass_cells(truth, samples, list(column.atoms))
    assert divergence(shares, found) < most, column.name
    for atom, mass in column.atoms.items():
        share = samples.isna().mean() if atom != atom else (samples == atom).mean()
        assert abs(share - mass) < slack, (column.name, atom)


@pytest.mark.slow
def test_a_table_of_awkward_columns() -> None:
    density = FlowDensity(circular=CIRCULAR, random_state=0).fit(awkward_table(5000))
    samples = density.sample(20000, random_state=1)
    for column in awkward_columns():
        check_column(column, samples[column.name], 0.05, 0.02 + SAMPLING)
    test = awkward_table(2000, seed=5, bad_row=False)
    truth = sum(column.log_density(test[column.name]).mean() for column in awkward_columns())
    assert truth - density.score(test) < 0.25


def test_a_small_table_of_awkward_columns() -> None:
    table = awkward_table(1200)
    with pytest.warns(DataWarning, match="'unit'"):
        density = FlowDensity(circular=CIRCULAR, max_steps=40, random_state=0).fit(table)
    samples = density.sample(4000, random_state=1)
    assert samples.dtypes.equals(table.dtypes)
    for column in awkward_columns():
        check_column(column, samples[column.name], 0.1, 0.08)
    assert np.isfinite(density.score_samples(table.head(50))).all()


def test_infinite_values_are_named(rng: np.random.Generator) -> None:
    with pytest.raises(DataError, match="infinity"):
        FlowDensity(max_steps=1).fit([[1.0], [np.inf], [2.0]])


def test_columns_of_one_name_are_an_error() -> None:
    frame = pd.DataFrame(np.zeros((5, 2)), columns=["x", "x"])
    with pytest.raises(DataError, match="columns expect names of their own, got 'x' more than once"):
        FlowDensity().fit(frame)


def test_a_stream_numbers_its_rows_as_a_table_does_and_has_no_weights(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"row": np.arange(600), "x": rng.normal(size=600), "count": rng.poisson(2, 600)})
    frame.to_parquet(tmp_path / "rows.parquet", row_group_size=100)
    stream = ParquetStream(tmp_path)
    with pytest.warns(DataWarning, match="'row' .identifiers"):
        density = FlowDensity(max_steps=2, random_state=0).fit(stream)
    assert [report.kind for report in density.columns_] == ["id", "continuous", "ordinal"]
    with pytest.raises(UsageError, match="a stream's rows have none"):
        FlowDensity().fit(stream, sample_weight=np.ones(600))
