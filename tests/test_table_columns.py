"""The columns of tables: each marginal is normalised, differentiable and invertible, and close to known densities."""

from __future__ import annotations

import datetime
import decimal
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from awkward import CIRCULAR, Awkward, awkward_columns, awkward_table
from scipy import integrate, stats

from pushforward.errors import DataError, DataWarning, UsageError
from pushforward.tables.codes import LatentCode
from pushforward.tables.columns import Column, column_state, log_normal, restored_column
from pushforward.tables.features import FeatureCode
from pushforward.tables.kinds import natural_kind
from pushforward.tables.marginals.atoms import WithAtoms, find_atoms
from pushforward.tables.marginals.categories import Categories
from pushforward.tables.marginals.circular import Circular
from pushforward.tables.marginals.continuous import Continuous
from pushforward.tables.marginals.fits import fit_circle, fit_real
from pushforward.tables.marginals.integer_fits import fit_integers
from pushforward.tables.marginals.integers import Integers
from pushforward.tables.marginals.missing import NeverMissing, WithMissing
from pushforward.tables.marginals.samples import Sample
from pushforward.tables.marginals.smooth_fits import fit_smooth
from pushforward.tables.marginals.tails import OpenTail
from pushforward.tables.rows import canonical_rows
from pushforward.tables.table import Table

INF = np.inf


def sample_of(x: Any) -> Sample:
    x = np.asarray(x, dtype=np.float64)
    return Sample.of(x, np.ones(len(x)))


def real(x: Any, low: float = -INF, high: float = INF, atoms: Any = ()) -> Column:
    return fit_real(sample_of(x), low, high, np.asarray(atoms, dtype=np.float64))


def log_density(column: Column, x: Any, noise: float = 0.5) -> np.ndarray:
    u, log_du = column.encode(np.asarray(x, dtype=np.float64), np.full(len(x), noise))
    return log_du + log_normal(u)


def circle_density(circle: Circular, x: np.ndarray) -> np.ndarray:
    doubled, second = circle.circle.second(x)
    other = np.where(doubled, log_density(circle, second), -INF)
    return np.logaddexp(log_density(circle, circle.circle.principal(x)), other)


def laid_out(data: Any, **options: Any) -> tuple[Table, np.ndarray, LatentCode]:
    table = Table(data)
    numbers = table.read(data)
    return table, numbers, LatentCode(table, numbers, np.ones(len(numbers)), **options)


rng = np.random.default_rng(0)
spikes = np.where(rng.random(3000) < 0.6, 0.0, rng.lognormal(1, 0.7, 3000))
wide = rng.negative_binomial(2, 2 / (2 + rng.choice([0.5, 3.0, 2000.0], p=[0.5, 0.45, 0.05], size=6000)))
hours = (rng.normal(0.5, 3, 3000)) % 24
REAL: dict[str, tuple[Column, np.ndarray]] = {
    "normal": (real(rng.normal(5, 3, 2000)), np.array([-40.0, -9.0, 0.0, 5.0, 20.0, 60.0])),
    "cauchy": (real(rng.standard_cauchy(2000)), np.array([-1e9, -50.0, 0.0, 3.0, 1e7])),
    "few": (real([1.0, 2.0, 4.0]), np.array([-5.0, 0.0, 2.5, 9.0])),
    "above": (real(rng.exponential(1, 2000) + 2, 2.0), np.array([2.0001, 2.1, 3.0, 8.0, 30.0])),
    "below": (real(-rng.gamma(3, 1, 2000), high=0.0), np.array([-18.0, -1.0, -0.1, -1e-3])),
    "between": (real(rng.beta(0.5, 3, 2000), 0.0, 1.0), np.array([1e-6, 0.01, 0.5, 0.97])),
    "far away": (real(1.7e9 + 1000 * rng.normal(size=2000)), 1.7e9 + np.array([-3000.25, 0.125, 2999.5])),
}
MASSES: dict[str, tuple[Column, np.ndarray]] = {
    "counts": (fit_integers(sample_of(rng.poisson(3, 2000)), 0.0), np.arange(0.0, 400.0)),
    "few integers": (fit_integers(sample_of(rng.poisson(3, 2000))), np.arange(-300.0, 300.0)),
    "wide integers": (fit_integers(sample_of(wide), 0.0), np.arange(0.0, 300_000.0)),
    "ratings": (fit_integers(sample_of(rng.integers(1, 6, 400)), 1.0, 5.0), np.arange(1.0, 6.0)),
    "two": (fit_integers(sample_of(rng.integers(0, 2, 400)), 0.0, 1.0), np.arange(0.0, 2.0)),
    "gaps": (fit_integers(sample_of(10 * rng.integers(-5, 5, 2000))), np.arange(-400.0, 400.0)),
    "categories": (Categories.fitted(rng.integers(0, 4, 2000).astype(float), np.ones(2000), 5), np.arange(5.0)),
    "missing counts": (
        WithMissing(fit_integers(sample_of(rng.poisson(3, 2000)), 0.0), 0.2),
        np.append(np.arange(400.0), np.nan),
    ),
}
half = np.append(rng.normal(size=900), np.full(100, 0.5))
clipped = np.append(rng.random(800), np.repeat([0.0, 1.0], 100))
MIXED: dict[str, tuple[Column, np.ndarray, np.ndarray]] = {
    "spikes": (real(spikes, 0.0, atoms=[0.0]), np.array([0.0]), np.array([0.0, 0.3, 2.0, 50.0])),
    "inside": (real(half, atoms=[0.5]), np.array([0.5]), np.array([-3.0, 0.5, 0.6])),
    "ends": (real(clipped, 0.0, 1.0, [0.0, 1.0]), np.array([0.0, 1.0]), np.array([0.0, 0.001, 0.999, 1.0])),
    "gaps": (WithMissing(real(half[:900]), 0.3), np.array([np.nan]), np.array([np.nan, -3.0, 0.2, 4.0])),
    "never": (NeverMissing(real(half[:900]), 1e-3), np.array([np.nan]), np.array([-3.0, 0.2, 4.0])),
    "both": (WithMissing(real(spikes, 0.0, atoms=[0.0]), 0.1), np.array([0.0, np.nan]), np.array([np.nan, 0.0, 0.2])),
}


# Laws


def all_columns() -> dict[str, tuple[Column, np.ndarray]]:
    masses = {f"masses of {name}": (column, x[:200]) for name, (column, x) in MASSES.items()}
    mixed = {f"mixed {name}": (column, x) for name, (column, _, x) in MIXED.items()}
    return REAL | masses | mixed


@pytest.mark.parametrize("name", all_columns())
def test_columns_come_back_and_their_derivative_is_true(name: str) -> None:
    column, x = all_columns()[name]
    noise = np.full(len(x), 0.37)
    u, log_du = column.encode(x, noise)
    np.testing.assert_allclose(column.decode(u), x, rtol=1e-9, atol=1e-9)
    noisy = column.noisy(x) | isinstance(column, Integers)
    step = np.where(noisy, 1e-6, 1e-5 * np.exp(-log_du))
    move = np.where(noisy, 0.0, step)
    above, _ = column.encode(x + move, noise + np.where(noisy, step, 0.0))
    below, _ = column.encode(x - move, noise - np.where(noisy, step, 0.0))
    width = np.where(noisy, 2 * step, (x + move) - (x - move))
    # Where the numbers lie too close for the noise to move the code, the difference says nothing.
    told = np.abs(above - below) > 1e-10
    assert told.sum() >= min(2, len(x))
    np.testing.assert_allclose(np.log((above - below)[told] / width[told]), log_du[told], atol=2e-3)


@pytest.mark.parametrize("name", REAL)
def test_densities_integrate_to_one(name: str) -> None:
    column, _ = REAL[name]
    # In normal scores nothing is far away: the integral of p over x is that of p dx/du over u.
    u = np.linspace(-8, 8, 40_001)
    x = column.decode(u)
    inner = np.exp(log_density(column, x))
    assert abs(integrate.trapezoid(inner[1:-1], x[1:-1]) - 1) < 2e-3
    assert (np.diff(x) >= 0).all()


@pytest.mark.parametrize("name", MASSES)
def test_masses_sum_to_one(name: str) -> None:
    column, x = MASSES[name]
    mass = np.exp(log_density(column, x))
    assert abs(mass.sum() - 1) < 2e-3
    # Any noise gives the same mass, and one without a fraction has none.
    np.testing.assert_allclose(np.exp(log_density(column, x[:50], 0.01)), mass[:50])
    assert np.isneginf(log_density(column, [2.5, -0.5])).all()


@pytest.mark.parametrize("name", MIXED)
def test_mixed_measures_are_normalised_and_samples_land_on_atoms(name: str) -> None:
    column, atoms, _ = MIXED[name]
    u = np.linspace(-8, 8, 40_001)
    x = column.decode(u)
    is_atom = np.isin(x, atoms) | np.isnan(x)
    density = np.where(is_atom, 0.0, np.exp(log_density(column, np.where(is_atom, np.nan, x))))
    masses = np.exp(log_density(column, atoms))
    between = np.sort(x[~is_atom])
    assert abs(integrate.trapezoid(density[~is_atom][np.argsort(x[~is_atom])], between) + masses.sum() - 1) < 5e-3
    drawn = column.decode(np.random.default_rng(0).normal(size=20_000))
    for atom, mass in zip(atoms, masses):
        share = np.isnan(drawn).mean() if np.isnan(atom) else (drawn == atom).mean()
        assert abs(share - mass) < 0.015


@pytest.mark.parametrize("whole", [False, True])
def test_circles_are_continuous_and_normalised(whole: bool) -> None:
    x = np.floor(hours) if whole else hours
    circle = fit_circle(x, np.ones(len(x)), 0.0, 24.0, whole, np.zeros(0))
    grid = np.arange(24.0) if whole else np.linspace(0, 24, 20_001)
    density = np.exp(circle_density(circle, grid))
    total = density.sum() if whole else integrate.trapezoid(density, grid)
    assert abs(total - 1) < 2e-3
    if not whole:
        before, after = circle_density(circle, circle.circle.cut % 24 + np.array([-1e-7, 1e-7]))
        assert abs(before - after) < 1e-4
    np.testing.assert_allclose(circle_density(circle, grid + 48), circle_density(circle, grid), atol=2e-3)
    laid = circle.circle
    doubled, second = laid.second(grid)
    np.testing.assert_allclose(laid.chance(laid.principal(grid)) + np.where(doubled, laid.chance(second), 0), 1.0)
    assert 0 < doubled.sum() < len(grid)
    drawn = circle.decode(np.random.default_rng(0).normal(size=2000))
    assert (drawn >= 0).all() and (drawn < 24).all()


@pytest.mark.parametrize("name", all_columns())
def test_states_come_back_exactly(name: str) -> None:
    column, x = all_columns()[name]

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items()}
        return value.tolist() if isinstance(value, np.ndarray) else value

    restored = restored_column(json.loads(json.dumps(plain(column_state(column)))))
    for expected, found in zip(column.encode(x, np.full(len(x), 0.3)), restored.encode(x, np.full(len(x), 0.3))):
        np.testing.assert_array_equal(found, expected)


# Known densities

LAWS: dict[str, tuple[Any, float, float]] = {
    "normal": (stats.norm(1.7e9, 1000), -INF, INF),
    "cauchy": (stats.cauchy(), -INF, INF),
    "student": (stats.t(3), -INF, INF),
    "lognormal": (stats.lognorm(1), 0, INF),
    "exponential": (stats.expon(), 0, INF),
    "uniform": (stats.uniform(), 0, 1),
    "beta": (stats.beta(2, 5), 0, 1),
    "arcsine": (stats.beta(0.5, 0.5), 0, 1),
    "gamma": (stats.gamma(3), 0, INF),
    "unbounded lognormal": (stats.lognorm(1), -INF, INF),
}


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize(("rows", "most"), [(5000, 0.01), (500, 0.05), (50, 0.35)])
def test_known_densities_are_found(name: str, rows: int, most: float) -> None:
    law, low, high = LAWS[name]
    divergences = []
    for seed in range(4):
        column = real(law.rvs(rows, random_state=seed), low, high)
        test = law.rvs(5000, random_state=100 + seed)
        divergences.append(np.mean(law.logpdf(test) - log_density(column, test)))
    assert np.mean(divergences) < most


@pytest.mark.parametrize("outlier", [1e6, 1e12, -1e12])
def test_one_bad_row_bends_nothing(outlier: float) -> None:
    x = np.random.default_rng(0).normal(size=5000)
    test = np.random.default_rng(1).normal(size=5000)
    clean = log_density(real(x), test).mean()
    x[7] = outlier
    spoiled = real(x)
    assert abs(log_density(spoiled, test).mean() - clean) < 1e-3
    u, log_du = spoiled.encode(np.array([outlier]), np.array([0.5]))
    assert np.abs(u) < 13 and np.isfinite(log_du)
    np.testing.assert_allclose(spoiled.decode(u), outlier, rtol=1e-6)


def test_tails_have_their_index() -> None:
    for law, index in ((stats.cauchy(), 1.0), (stats.t(4), 0.25), (stats.norm(), -0.1), (stats.expon(), 0.0)):
        tail = fit_smooth(sample_of(law.rvs(50_000, random_state=0))).upper
        assert isinstance(tail, OpenTail) and abs(tail.index - index) < 0.15
    far = fit_smooth(sample_of(stats.norm().rvs(50_000, random_state=0)))
    # Within what so many rows show, a normal distribution keeps its own tail.
    u, _ = far.scores_of(np.array([-4.0, 4.0]))
    np.testing.assert_allclose(u, [-4, 4], atol=0.25)


@pytest.mark.parametrize("rows", [30, 100, 540])
def test_light_tails_are_not_made_heavy_by_chance(rows: int) -> None:
    codes = np.array([-5.0, -4.0, 4.0, 5.0])
    beyond = np.array([-10.0, -8.0, 8.0, 10.0])
    worst = []
    for seed in range(60):
        column = real(stats.norm(1000, 50).rvs(rows, random_state=seed))
        worst.append(((column.decode(codes) - 1000) / (50 * codes)).max())
        assert np.isfinite(column.decode(beyond)).all()
    assert max(worst) < 3
    far = [real(stats.expon().rvs(rows, random_state=seed)).decode(codes[2:]) for seed in range(60)]
    times = (np.array(far) - np.log(2)) / (stats.expon().isf(stats.norm().sf(codes[2:])) - np.log(2))
    assert (times < 3).all(1).mean() > 0.96


def test_heavy_tails_are_kept() -> None:
    for seed in range(20):
        smooth = fit_smooth(sample_of(stats.cauchy().rvs(540, random_state=seed)))
        assert isinstance(smooth.lower, OpenTail) and isinstance(smooth.upper, OpenTail)
        assert min(smooth.lower.index, smooth.upper.index) > 0.2


def test_densities_at_a_bound() -> None:
    rng = np.random.default_rng(0)
    waiting = real(rng.exponential(2, 20_000), 0.0)
    np.testing.assert_allclose(
        np.exp(log_density(waiting, [0.0, 1e-4, 1e-3, 1e-2])), [0.5, 0.5, 0.5, 0.4975], rtol=0.05
    )
    share = real(rng.random(20_000), 0.0, 1.0)
    np.testing.assert_allclose(np.exp(log_density(share, [0.0, 5e-4, 0.5, 1 - 5e-4, 1.0])), 1.0, rtol=0.08)
    assert np.isneginf(log_density(share, [-1e-9, 1.5])).all()


def test_wide_integers() -> None:
    column, _ = MASSES["wide integers"]
    mass = np.exp(log_density(column, [0.0]))
    assert abs(mass[0] - 0.39) < 0.02
    truth = np.log(stats.nbinom(2, 2 / (2 + np.array([0.5, 3.0, 2000.0]))).pmf(wide[:, None]) @ [0.5, 0.45, 0.05])
    assert log_density(column, wide).mean() > truth.mean() - 0.01
    assert np.isneginf(log_density(column, [-1.0, 2.5])).all() and (column.decode(rng.normal(size=5000)) >= 0).all()
    stamps = 1_700_000_000 + np.round(1000 * np.random.default_rng(0).normal(size=3000))
    column = fit_integers(sample_of(stamps))
    np.testing.assert_array_equal(column.decode(column.encode(stamps, np.full(3000, 0.9))[0]), stamps)
    assert abs(log_density(column, stamps).mean() + np.log(1000) + 0.5 * np.log(2 * np.pi * np.e)) < 0.05
    assert not column.noisy(stamps[:10]).any()


def test_fractional_bounds_of_integers_go_inwards() -> None:
    x = np.random.default_rng(0).integers(1, 6, (500, 1))
    _, _, code = laid_out(x, bounds={0: (0.5, 5.7)})
    assert (code.report[0].low, code.report[0].high) == (1, 5)
    _, log_du = code.encode(np.arange(0.0, 7.0)[:, None], np.full((7, 1), 0.5))
    assert np.isneginf(log_du[[0, 6]]).all() and np.isfinite(log_du[1:6]).all()


def test_atoms_are_what_repeats_beyond_chance() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=5000)
    assert len(find_atoms(sample_of(x))) == len(find_atoms(sample_of(x.round(2)))) == 0
    assert find_atoms(sample_of(spikes)).tolist() == [0.0]
    assert find_atoms(sample_of(np.append(x, np.full(8, 0.25)))).tolist() == [0.25]
    assert len(find_atoms(sample_of(np.append(x, np.full(7, 0.25))))) == 0
    assert 8 < len(find_atoms(sample_of((2 * x).round() / 2))) < 16
    assert isinstance(real(x), Continuous) and isinstance(real(spikes, 0.0, atoms=[0.0]), WithAtoms)
    # A value between atoms is improbable, not impossible.
    few = real((2 * x).round() / 2, atoms=find_atoms(sample_of((2 * x).round() / 2)))
    assert -20 < log_density(few, [0.3])[0] < -5


def test_weights_are_rows_and_order_is_nothing() -> None:
    rng = np.random.default_rng(0)
    x, weights = rng.lognormal(size=300), rng.integers(1, 4, 300)
    grid = np.array([0.1, 1.0, 30.0])
    once = fit_real(Sample.of(x, weights.astype(float)), 0.0, INF, np.zeros(0))
    repeated = real(np.repeat(x, weights)[::-1], 0.0)
    np.testing.assert_allclose(log_density(once, grid), log_density(repeated, grid), rtol=1e-9)


def test_unseen_categories_have_half_a_row_also_where_weights_are_no_counts() -> None:
    x = pd.DataFrame({"a": pd.Categorical(["x", "y"] * 750, categories=["x", "y", "z"])})
    table = Table(x)
    rows = canonical_rows(table.read(x), np.full(1500, 1 / 1500))
    code = LatentCode(table, rows.values, rows.weights)
    u, log_du = code.encode(np.array([[2.0]]), np.array([[0.5]]))
    np.testing.assert_allclose(np.exp(log_du + log_normal(u[:, 0])), 0.5 / 1501.5, rtol=1e-3)


# Tables


@pytest.fixture(scope="module")
def awkward() -> tuple[Table, LatentCode]:
    data = awkward_table()
    table = Table(data)
    rows = canonical_rows(table.read(data), np.ones(len(data)))
    return table, LatentCode(table, rows.values, rows.weights, circular=CIRCULAR)


@pytest.mark.parametrize("column", awkward_columns(), ids=lambda column: column.name)
def test_awkward_columns_are_close_to_the_truth(awkward: tuple[Table, LatentCode], column: Awkward) -> None:
    table, code = awkward
    position = code.varying.index(table.names.index(column.name))
    marginal, field = code.columns[position], table.fields[code.varying[position]]
    values = pd.Series(column.draw(np.random.default_rng(1), 10_000))
    x = field.read(values)
    inner = getattr(marginal, "present", marginal)
    found = circle_density(inner, x) if isinstance(inner, Circular) else log_density(marginal, x)
    assert np.mean(column.log_density(values) - found) < 0.015
    drawn = field.write(marginal.decode(np.random.default_rng(2).normal(size=10_000)))
    assert column.valid(drawn).all()
    for atom, mass in column.atoms.items():
        share = drawn.isna().mean() if pd.isna(atom) else (drawn == atom).mean()
        assert abs(share - mass) < 0.02


def test_columns_are_told(awkward: tuple[Table, LatentCode]) -> None:
    _, code = awkward
    kinds = {report.name: report.kind for report in code.report}
    assert kinds["visits"] == kinds["views"] == "ordinal" and kinds["colour"] == kinds["member"] == "categorical"
    assert kinds["compass"] == kinds["month"] == "circular" and kinds["day"] == "date" and kinds["id"] == "id"
    assert kinds["unit"] == "constant" and kinds["spend"] == "continuous"
    assert code.report.of("spend").atoms == (0.0,) and code.report.of("spend").low == 0
    assert code.report.of("rate").atoms == (0.0, 1.0) and code.report.of("rate").high == 1
    assert abs(code.report.of("income").missing - 0.2) < 0.02
    lines = repr(code.report).splitlines()
    assert len(lines) == 21 and lines[0].split() == ["column", "kind", "bounds", "atoms", "missing", "note"]
    assert "not modelled" in lines[19] and "every value is cm" in lines[20]


def test_a_table_comes_back_with_its_types(awkward: tuple[Table, LatentCode]) -> None:
    table, code = awkward
    data = awkward_table(500, seed=3, bad_row=False)
    numbers = table.read(data)
    codes, log_du = code.encode(numbers, np.full((500, code.noises), 0.4))
    assert np.isfinite(codes).all() and np.isfinite(log_du).all()
    back = table.write(code.decode(codes))
    assert back.dtypes.equals(data.dtypes)
    shared = [name for name in data.columns if name not in ("id", "rounded")]
    pd.testing.assert_frame_equal(back[shared], data[shared], rtol=1e-9)
    assert back["id"].tolist() == list(range(15_001, 15_501))
    assert code.noisy(numbers).all() and code.noises <= code.features


def test_tables_and_codes_are_restored(awkward: tuple[Table, LatentCode]) -> None:
    table, code = awkward
    data = awkward_table(100, seed=4)
    again, recoded = Table.restored(json.loads(json.dumps(table.state()))), LatentCode.restored(code.state())
    numbers = table.read(data)
    np.testing.assert_array_equal(again.read(data), numbers)
    noise = np.full((100, code.noises), 0.4)
    for expected, found in zip(code.encode(numbers, noise), recoded.encode(numbers, noise)):
        np.testing.assert_array_equal(found, expected)
    assert recoded.report == code.report
    pd.testing.assert_frame_equal(again.write(numbers), table.write(numbers))


def test_images_of_angles(awkward: tuple[Table, LatentCode]) -> None:
    table, code = awkward
    numbers = table.read(awkward_table(2000, seed=5))
    index, images = code.images(numbers)
    assert (np.bincount(index) >= 1).all() and 1.0 < len(images) / 2000 < 1.5
    drawn = code.draw_images(numbers, np.random.default_rng(0))
    angle = table.names.index("compass")
    turns = (drawn[:, angle] - numbers[:, angle]) / 360
    np.testing.assert_allclose(turns, np.round(turns), atol=1e-9)
    others = [i for i in range(numbers.shape[1]) if table.names[i] not in CIRCULAR]
    np.testing.assert_array_equal(drawn[:, others], numbers[:, others])
    plain = LatentCode(Table(numbers[:, :2]), numbers[:, :2], np.ones(2000))
    assert plain.images(numbers[:, :2])[1] is not None and len(plain.images(numbers[:, :2])[1]) == 2000


def kinds_of(data: Any, **options: Any) -> list[str]:
    return [report.kind for report in laid_out(data, **options)[2].report]


def test_objects_are_what_they_hold() -> None:
    frame = pd.DataFrame(
        {
            "floats": pd.Series([1.5, 2.5, None, 3.5] * 10, dtype=object),
            "integers": pd.Series([1, 2, 7, 3] * 10, dtype=object),
            "decimals": pd.Series([decimal.Decimal("1.5"), decimal.Decimal("2.25")] * 20, dtype=object),
            "mixed": pd.Series([1, "a", 2.5, None] * 10, dtype=object),
            "days": pd.Series([datetime.date(2024, 1, 1), datetime.date(2024, 3, 1)] * 20, dtype=object),
            "flags": pd.Series([True, False, None, True] * 10, dtype=object),
            "nothing": pd.Series([None] * 40, dtype=object),
            "texts": pd.Series(["", "b", None, "c"] * 10, dtype=object),
        }
    )
    table, numbers, code = laid_out(frame)
    kinds = ["continuous", "ordinal", "continuous", "categorical", "date", "categorical", "constant", "categorical"]
    assert [report.kind for report in code.report] == kinds
    codes, log_du = code.encode(numbers, np.full((40, code.noises), 0.5))
    assert np.isfinite(log_du).all()
    back = table.write(code.decode(codes))
    assert (back["mixed"].isna() == frame["mixed"].isna()).all() and set(back["mixed"].dropna()) == {1, "a", 2.5}
    assert set(back["texts"].dropna()) == {"", "b", "c"} and back["nothing"].isna().all()
    with pytest.raises(DataError, match="column 'lists' holds a list"):
        Table(pd.DataFrame({"lists": [[1], [2]]}))


DTYPES = ["Int64", "Float64", "boolean", "string", "int64[pyarrow]", "double[pyarrow]", "string[pyarrow]", "category"]
TIMES = ["timestamp[us][pyarrow]", "datetime64[ns, Europe/Berlin]", "timedelta64[s]", "datetime64[us]"]


@pytest.mark.parametrize("dtype", DTYPES + TIMES)
def test_dtypes_come_back(dtype: str) -> None:
    values: Any = [3, 5, None, 9, 11] * 12
    if dtype.startswith(("time", "date")):
        values = (
            pd.to_timedelta(values, unit="h") if dtype.startswith("timedelta") else pd.to_datetime(values, unit="h")
        )
        values = values.tz_localize("UTC") if "Berlin" in dtype else values
    elif "bool" in dtype:
        values = [True, False, None, True, True] * 12
    elif "str" in dtype or dtype == "category":
        values = ["a", "b", None, "c", "c"] * 12
    frame = pd.DataFrame({"x": pd.Series(values).astype(dtype)})
    table, numbers, code = laid_out(frame)
    assert np.isnan(numbers).sum() == 12
    codes, _ = code.encode(numbers, np.full((60, code.noises), 0.5))
    back = table.write(code.decode(codes))
    assert back.dtypes.equals(frame.dtypes)
    again = Table.restored(json.loads(json.dumps(table.state())))
    assert again.write(numbers).dtypes.equals(frame.dtypes)
    pd.testing.assert_frame_equal(back, frame)


def test_large_offsets_keep_every_value_apart() -> None:
    rng = np.random.default_rng(0)
    hour = pd.Timestamp("2026-01-01").timestamp() + np.sort(rng.random(500)) * 3600
    frame = pd.DataFrame({"hour": hour, "julian": 2_460_000.5 + rng.random(500), "utc": pd.to_datetime(hour, unit="s")})
    table, numbers, code = laid_out(frame)
    codes, _ = code.encode(numbers, np.zeros((500, 0)))
    assert [len(np.unique(column)) for column in codes.T] == [500, 500, 500]
    back = table.write(code.decode(codes))
    np.testing.assert_allclose(back[["hour", "julian"]], frame[["hour", "julian"]], rtol=1e-15)
    assert (back["utc"] - frame["utc"]).abs().max() < pd.Timedelta("2us")


def test_integers_declared_continuous_round_and_stay_within() -> None:
    x = np.random.default_rng(0).integers(1, 30, (500, 1))
    table = Table(x, {0: "continuous"})
    numbers = table.read(x)
    code = LatentCode(table, numbers, np.ones(500), bounds={0: (0.6, 29.8)})
    codes, log_du = code.encode(numbers, np.zeros((500, 0)))
    np.testing.assert_array_equal(table.write(code.decode(codes)), x)
    assert np.isfinite(log_du).all()
    drawn = table.write(code.decode(np.random.default_rng(1).normal(size=(5000, 1))))
    assert drawn.min() >= 1 and drawn.max() <= 29
    assert np.isfinite(code.encode(table.read(drawn), np.zeros((5000, 0)))[1]).all()


def test_ids_constants_and_repeats_are_told() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=60)
    frame = pd.DataFrame({"id": range(7, 67), "name": [f"row {i}" for i in range(60)], "x": x, "again": x, "one": 1.0})
    table, numbers, code = laid_out(frame)
    assert [report.kind for report in code.report] == ["id", "id", "continuous", "continuous", "constant"]
    assert "the same in every row as 'x'" in code.report.of("again").note
    back = table.write(code.decode(np.zeros((3, 2))))
    assert back["id"].tolist() == [67, 68, 69] and back["name"].isna().all() and (back["one"] == 1).all()
    changed = numbers.copy()
    changed[0, 4] = 2.0
    changed[1, 4] = np.nan
    changed[2, 2] = np.nan
    changed[3, 0] = 1e6
    _, log_du = code.encode(changed, np.zeros((60, 0)))
    assert np.isneginf(log_du[0]) and np.isfinite(log_du[1:]).all() and log_du[1] < -5 and log_du[2] < -5


def test_floats_that_are_whole_are_ordinal_and_hours_are_suggested() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"children": np.where(rng.random(200) < 0.1, np.nan, rng.poisson(1, 200)), "hour": rng.random(200) * 24}
    )
    _, _, code = laid_out(frame)
    assert code.report.of("children").kind == "ordinal" and "all whole numbers" in code.report.of("children").note
    assert "circular={'hour': (0, 24)}" in code.report.of("hour").note
    assert kinds_of(frame, circular={"hour": 24}) == ["ordinal", "circular"]


def test_wrong_options_are_named() -> None:
    frame = awkward_table(60)
    for options, message in (
        ({"circular": {"x": 3}}, "circular: there is no column 'x'"),
        ({"circular": {"share": (0, None)}}, "circular: column 'share' expects a period"),
        ({"circular": {"colour": 3}}, "circular: column 'colour' is categorical"),
        ({"atoms": {"share": "abc"}}, "atoms: column 'share' expects a list of numbers"),
        ({"bounds": {"share": 3}}, r"bounds: column 'share' expects a pair \(low, high\), got 3"),
        ({"circular": {"share": 1}, "bounds": {"share": (0, 1)}}, "'share' is circular and has no bounds"),
    ):
        with pytest.raises(UsageError, match=message):
            laid_out(frame, **options)
    with pytest.raises(UsageError, match="missing expects"):
        Table(frame, missing="drop")
    dated = laid_out(frame, bounds={"day": ("2023-12-01", "2024-06-01")})[2].report.of("day")
    assert dated.high - dated.low == 183


# Features


def test_features_of_every_kind() -> None:
    data = awkward_table()
    table = Table(data)
    numbers = table.read(data)
    code = FeatureCode(table, numbers, np.ones(len(data)), CIRCULAR)
    inputs = code.encode(numbers)
    assert inputs.shape == (5000, code.features) and np.abs(inputs).max() <= 5
    again = FeatureCode.restored(code.state())
    np.testing.assert_array_equal(again.encode(numbers), inputs)
    assert again.report == code.report and [report.name for report in code.report] == list(data.columns)
    odd = data.head(4).copy()
    odd["colour"] = odd["colour"].astype(object)
    odd.loc[0, "colour"] = "violet"
    odd.loc[1, ["spend", "visits", "colour"]] = [-5.0, -3, None]
    odd.loc[2, ["income", "epoch", "compass"]] = np.nan
    with pytest.warns(DataWarning, match="column 'colour' has 1 value"):
        shown = code.encode(table.read(odd))
    assert np.isfinite(shown).all() and np.abs(shown).max() <= 5


def test_high_cardinality_is_bounded() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"town": rng.choice([f"t{i}" for i in range(500)], 2000), "x": rng.normal(size=2000)})
    table = Table(frame)
    assert FeatureCode(table, table.read(frame), np.ones(2000)).features == 65


@pytest.mark.parametrize("kind", ["categorical", "ordinal"])
def test_categories_that_are_integers_may_be_missing(kind: str) -> None:
    column = pd.Series(pd.Categorical([10, None, 30, 10]))
    table = Table(pd.DataFrame({"c": column}), {"c": kind})
    expected = [0, np.nan, 1, 0] if kind == "categorical" else [10, np.nan, 30, 10]
    np.testing.assert_array_equal(table.read(pd.DataFrame({"c": column}))[:, 0], expected)


def test_dates_that_are_all_missing_are_read() -> None:
    days = pd.date_range("2024-01-01", periods=3, tz="Europe/Zurich")
    table = Table(pd.DataFrame({"day": days}))
    assert np.isnan(table.read(pd.DataFrame({"day": [None, None]}))).all()


def test_integers_that_floats_do_not_tell_apart_are_continuous() -> None:
    ticks = 2**60 + np.random.default_rng(0).integers(0, 10**9, (500, 1))
    table = Table(ticks)
    assert table.fields[0].kind == "continuous"
    numbers = table.read(ticks)
    code = LatentCode(table, numbers, np.ones(500))
    codes, log_du = code.encode(numbers, np.full((500, code.noises), 0.5))
    # The density of a uniform column is one over its width.
    np.testing.assert_allclose(np.median(log_du + log_normal(codes[:, 0])), -np.log(1e9), atol=0.1)
    assert np.abs(table.write(code.decode(codes)) - ticks).max() <= 256


def test_a_declared_atom_that_never_occurs_is_no_bound() -> None:
    x = np.random.default_rng(0).normal(size=(500, 1))
    code = LatentCode(Table(x), x, np.ones(500), atoms={0: [7.0]})
    assert code.report[0].high == np.inf
    assert np.isfinite(code.encode(np.array([[7.0], [7.5]]), np.full((2, code.noises), 0.5))[1]).all()


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_atoms_and_bounds_are_those_of_the_columns_precision(dtype: str) -> None:
    rng = np.random.default_rng(0)
    x = np.where(rng.random((500, 1)) < 0.3, 0.1, -rng.random((500, 1))).astype(dtype)
    table = Table(x)
    numbers = table.read(x)
    code = LatentCode(table, numbers, np.ones(500), bounds={0: (None, 0.1)}, atoms={0: [0.1]})
    # The double 0.1 is the same value of such a column, and so has its mass.
    u, log_du = code.encode(table.read(np.array([[0.1]])), np.full((1, code.noises), 0.5))
    np.testing.assert_allclose(np.exp(log_du + log_normal(u[:, 0])), (numbers == numbers.max()).mean(), atol=0.005)


def test_normal_columns_cost_no_more_than_their_mean_and_spread() -> None:
    law = stats.norm(1000, 50)
    costs = []
    for seed in range(20):
        smooth = fit_smooth(sample_of(law.rvs(1000, random_state=seed)))
        y = law.rvs(20_000, random_state=100 + seed)
        u, log_du = smooth.scores_of(y)
        costs.append((law.logpdf(y) - stats.norm.logpdf(u) - log_du).mean())
    # Two parameters cost two times 1 / (2 n) in the mean; every tenth sample looks like something else.
    assert np.mean(costs) < 2.5e-3


def test_numbers_of_rows_are_identifiers_with_gaps_too() -> None:
    kept = np.sort(np.random.default_rng(0).permutation(400)[:320])
    assert natural_kind(pd.Series(kept))[0] == "id"
    assert natural_kind(pd.Series(kept * 2))[0] == "ordinal"


def test_a_smallest_value_of_few_rows_is_no_bound() -> None:
    x = np.random.default_rng(0).normal(3.0, 1.0, 4000)
    for rows, low in ((20, -INF), (400, x.min())):
        frame = pd.DataFrame({"x": np.where(np.arange(4000) < rows, x.min(), x)})
        table = Table(frame, None)
        (report,) = LatentCode(table, table.read(frame), np.ones(4000), None).report
        assert report.low == low
