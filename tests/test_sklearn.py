"""The estimators: scikit-learn's own checks, densities in the data's units, mixed tables, and what they refuse."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

import pushforward as pf
from pushforward.data.toys import toy
from pushforward.errors import DataError, DataWarning, UsageError
from pushforward.sklearn import FlowDensity, FlowRegressor
from pushforward.tables import chunks
from pushforward.tables.recipes import suitable_models
from pushforward.tables.rows import canonical_rows
from pushforward.tables.whitening import fit_whitening

pytestmark = pytest.mark.filterwarnings("ignore:columns that are not modelled")


@parametrize_with_checks([FlowDensity(max_steps=10), FlowRegressor(max_steps=20)])
def test_estimator_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks([FlowDensity(), FlowRegressor()])
def test_estimator_checks_at_the_defaults(estimator: Any, check: Any) -> None:
    check(estimator)


def mixed_frame(rows: int, seed: int = 0) -> pd.DataFrame:
    """A table with a column of each kind, all of them dependent."""
    rng = np.random.default_rng(seed)
    colour = rng.choice(["red", "green", "blue"], rows, p=[0.5, 0.3, 0.2])
    member = rng.random(rows) < np.where(colour == "red", 0.9, 0.2)
    visits = rng.poisson(np.where(member, 1.0, 6.0))
    return pd.DataFrame(
        {
            "colour": pd.Categorical(colour, categories=["red", "green", "blue", "black"]),
            "member": member,
            "visits": visits,
            "share": rng.beta(2, np.where(member, 5, 1.5)).astype(np.float32),
            "height": rng.normal(170 + visits, 5),
            "unit": "cm",
        }
    )


@pytest.fixture(scope="module")
def mixed() -> tuple[FlowDensity, pd.DataFrame]:
    table = mixed_frame(400)
    return FlowDensity(bounds={"share": (0, 1), "visits": (0, None)}, random_state=0).fit(table), table


# Densities


def test_density_is_in_the_datas_own_units() -> None:
    x = np.random.default_rng(0).normal(size=(300, 2))
    metres = FlowDensity(max_steps=30, random_state=0).fit(x)
    millimetres = FlowDensity(max_steps=30, random_state=0).fit(1000 * x + 7)
    difference = metres.score_samples(x) - millimetres.score_samples(1000 * x + 7)
    np.testing.assert_allclose(difference, 2 * np.log(1000), atol=1e-3)


@pytest.mark.parametrize("bounds", [None, {0: (0, None)}, {0: (0, 30)}])
def test_density_integrates_to_one(bounds: Any) -> None:
    x = np.random.default_rng(0).gamma(3, 2, size=(300, 1))
    density = FlowDensity(bounds=bounds, random_state=0).fit(x)
    grid = np.linspace(1e-6 if bounds else -30, 60, 200_001)[:, None]
    assert abs(np.trapezoid(np.exp(density.score_samples(grid)), grid[:, 0]) - 1) < 1e-3


def test_log_likelihood_of_a_known_density() -> None:
    truth = stats.multivariate_normal([3, -50], [[1, 8], [8, 100]])
    train, test = truth.rvs(450, random_state=0), truth.rvs(2000, random_state=1)
    density = FlowDensity(random_state=0).fit(train)
    assert density.score(test) > truth.logpdf(test).mean() - 0.1
    latents = density.transform(test)
    assert all(stats.kstest(z, "norm").statistic < 0.1 for z in latents.T)
    np.testing.assert_allclose(density.inverse_transform(latents), test, rtol=1e-7)


def test_masses_of_integers_and_categories_sum_to_one() -> None:
    table = mixed_frame(400)[["colour", "member", "visits"]]
    density = FlowDensity(bounds={"visits": (0, None)}, quadrature=64, random_state=0).fit(table)
    grid = pd.MultiIndex.from_product([["red", "green", "blue", "black"], [False, True], range(60)]).to_frame(
        index=False
    )
    grid.columns = table.columns
    mass = np.exp(density.score_samples(grid))
    assert abs(mass.sum() - 1) < 0.02
    colour = grid["colour"].map({"red": 0.5, "green": 0.3, "blue": 0.2, "black": 0.0})
    chance = np.where(grid["colour"] == "red", 0.9, 0.2)
    member = np.where(grid["member"], chance, 1 - chance)
    truth = colour * member * stats.poisson(np.where(grid["member"], 1.0, 6.0)).pmf(grid["visits"])
    distance = 0.5 * np.abs(mass - truth).sum()
    assert distance < 0.15


def test_mixed_table_comes_back_with_its_types(mixed: tuple[FlowDensity, pd.DataFrame]) -> None:
    density, table = mixed
    back = density.inverse_transform(density.transform(table))
    assert back.dtypes.equals(table.dtypes)
    pd.testing.assert_frame_equal(back, table, rtol=1e-6)
    samples = density.sample(500)
    assert samples.dtypes.equals(table.dtypes) and list(samples.columns) == list(table.columns)
    assert samples["share"].between(0, 1).all() and (samples["visits"] >= 0).all() and (samples["unit"] == "cm").all()
    assert np.isfinite(density.score_samples(samples)).all()
    # The dependence between columns is there, too.
    members = samples.groupby("member")["visits"].mean()
    assert members[True] < 3 < members[False]
    assert list(density.get_feature_names_out()) == [f"flowdensity{index}" for index in range(5)]


def test_rows_outside_the_support_are_impossible(mixed: tuple[FlowDensity, pd.DataFrame]) -> None:
    density, table = mixed
    row = table.iloc[[0] * 5].copy().reset_index(drop=True)
    row["colour"] = row["colour"].astype(str)
    row["colour"] = np.where(np.arange(5) == 1, "violet", row["colour"])
    row.loc[2, "share"] = 1.5
    row.loc[3, "visits"] = -1
    row.loc[4, "unit"] = "mm"
    scores = density.score_samples(row)
    assert np.isfinite(scores[0]) and np.isneginf(scores[1:]).all()
    with pytest.raises(DataError, match="4 rows are outside the support"):
        density.transform(row)


def test_weights_are_repeats_and_order_is_nothing() -> None:
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(150, 2)), rng.integers(0, 4, 150)
    grid = rng.normal(size=(50, 2))

    def scores(rows: Any, sample_weight: Any) -> Any:
        return FlowDensity(max_steps=20, random_state=0).fit(rows, sample_weight=sample_weight).score_samples(grid)

    weighted = scores(x, weight)
    np.testing.assert_array_equal(weighted, scores(np.repeat(x, weight, axis=0), None))
    np.testing.assert_array_equal(weighted, scores(x[::-1], weight[::-1]))


def test_uneven_weights_move_the_density() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(-3, 1, 300), rng.normal(3, 1, 300)])[:, None]
    weight = np.where(x[:, 0] < 0, 0.85, 0.15) * 1.01
    density = FlowDensity(random_state=0).fit(x, sample_weight=weight)
    grid = np.linspace(-9, 0, 2000)
    share = np.trapezoid(np.exp(density.score_samples(grid[:, None])), grid)
    assert abs(share - 0.85) < 0.04
    with pytest.raises(DataError, match="sample_weight"):
        FlowDensity().fit(x, sample_weight=-weight)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_whitening_is_a_bijection_with_a_true_log_determinant(dtype: Any) -> None:
    rng = np.random.default_rng(0)
    contexts = rng.normal(size=(500, 2))
    codes = contexts @ rng.normal(size=(2, 4)) + rng.normal(size=(500, 4)) @ rng.normal(size=(4, 4)) + 3
    whitening = fit_whitening(codes, contexts, np.ones(500))
    whitening.to(getattr(torch, np.dtype(dtype).name))
    x, c = torch.as_tensor(codes.astype(dtype)), torch.as_tensor(contexts.astype(dtype))
    z, log_det = whitening(x, c)
    back, log_det_back = whitening.inverse(z, c)
    tolerance = 1e-4 if dtype == np.float32 else 1e-9
    torch.testing.assert_close(back, x, atol=tolerance, rtol=tolerance)
    torch.testing.assert_close(log_det_back, -log_det)
    jacobian = torch.autograd.functional.jacobian(lambda row: whitening(row, c[0])[0], x[0])
    torch.testing.assert_close(torch.linalg.slogdet(jacobian).logabsdet, log_det[0], atol=1e-4, rtol=1e-4)
    np.testing.assert_allclose(np.cov(z.numpy().T), np.eye(4), atol=0.05)
    np.testing.assert_allclose(z.numpy().T @ contexts / 500, 0, atol=0.05)


def test_few_rows_of_many_columns_are_not_explained_away() -> None:
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(12, 30))
    whitening = fit_whitening(codes, np.zeros((12, 0)), np.ones(12))
    assert whitening.factor.diagonal().max() < 3


def test_canonical_rows_add_weights_of_equal_rows() -> None:
    rows = canonical_rows(np.array([[2.0], [1.0], [2.0], [3.0]]), np.array([0.5, 1.0, 0.25, 0.0]))
    # Weights that are no counts: together as many rows as tell as much as these.
    effective = 1.75**2 / (0.5**2 + 1.0**2 + 0.25**2)
    assert rows.values.tolist() == [[1.0], [2.0]]
    np.testing.assert_allclose(rows.weights, effective * np.array([1.0, 0.75]) / 1.75)
    same = canonical_rows(np.array([[1.0], [2.0]]), np.array([1e-6, 1e-6]))
    np.testing.assert_allclose(same.weights, [1.0, 1.0])
    gaps = canonical_rows(np.array([[np.nan, 1.0], [0.0, 1.0], [np.nan, 1.0], [-0.0, 1.0]]), np.ones(4))
    assert gaps.weights.tolist() == [1.0] * 4 and np.isnan(gaps.values[:, 0]).tolist() == [False, False, True, True]


def test_repeatable_clonable_and_picklable(mixed: tuple[FlowDensity, pd.DataFrame]) -> None:
    density, table = mixed
    head = table.head(50)
    restored = pickle.loads(pickle.dumps(density))
    np.testing.assert_array_equal(restored.score_samples(head), density.score_samples(head))
    pd.testing.assert_frame_equal(density.sample(5), density.sample(5))
    assert not density.sample(5, random_state=1).equals(density.sample(5, random_state=2))
    settings = {"max_steps": 15, "random_state": 3}
    small = clone(density).set_params(**settings).fit(head)
    again = clone(density).set_params(**settings).fit(head)
    np.testing.assert_array_equal(small.score_samples(head), again.score_samples(head))


def test_fits_in_scikit_learns_tools() -> None:
    x = np.random.default_rng(0).normal(size=(120, 2))
    scores = cross_val_score(FlowDensity(max_steps=10, random_state=0), x, cv=2)
    assert np.isfinite(scores).all()
    frame = FlowDensity(max_steps=10).set_output(transform="pandas").fit_transform(pd.DataFrame(x, columns=["a", "b"]))
    assert list(frame.columns) == ["flowdensity0", "flowdensity1"]


def test_columns_option_overrides_the_dtype() -> None:
    rng = np.random.default_rng(0)
    x = np.stack([rng.integers(0, 3, 200), rng.normal(size=200)], axis=1)
    coded = FlowDensity(columns={0: "categorical"}, max_steps=20, random_state=0).fit(x)
    assert set(np.unique(coded.sample(100)[:, 0])) <= {0.0, 1.0, 2.0}
    assert np.isneginf(coded.score_samples([[5.0, 0.0]])).all()
    integers = FlowDensity(max_steps=20, random_state=0).fit(x[:, :1].astype(int))
    assert integers.sample(3).dtype == x[:, :1].astype(int).dtype
    assert np.isfinite(integers.score_samples([[5]])).all()


def test_constant_columns_are_point_masses() -> None:
    x = np.full((20, 2), 4.0)
    density = FlowDensity().fit(x)
    np.testing.assert_array_equal(density.score_samples([[4.0, 4.0], [4.0, 5.0]]), [0.0, -np.inf])
    np.testing.assert_array_equal(density.sample(2), x[:2])


def test_what_is_wrong_is_named() -> None:
    frame = mixed_frame(30)
    broken = frame.astype({"height": float})
    broken.loc[[1, 4, 5], "height"] = np.nan
    broken.loc[2, "colour"] = None
    with pytest.raises(DataError, match=r"NaN: column 'colour' has 1 missing value, column 'height' 3"):
        FlowDensity(missing="error").fit(broken)
    with pytest.raises(UsageError, match="missing expects 'model' or 'error', got 'drop'"):
        FlowDensity(missing="drop").fit(broken)
    infinite = frame.copy()
    infinite.loc[3, "height"] = np.inf
    with pytest.raises(DataError, match="infinity: column 'height' has 1 infinite value"):
        FlowDensity().fit(infinite)
    with pytest.raises(DataError, match=r"column 'height' has 30 values outside its bounds \(0.0, 1.0\)"):
        FlowDensity(bounds={"height": (0, 1)}).fit(frame)
    with pytest.raises(UsageError, match="no column 'heigth'"):
        FlowDensity(bounds={"heigth": (0, 1)}).fit(frame)
    with pytest.raises(UsageError, match="low < high"):
        FlowDensity(bounds={"height": (1, 0)}).fit(frame)
    with pytest.raises(UsageError, match="categorical and has none"):
        FlowDensity(bounds={"colour": (1, 2)}).fit(frame)
    with pytest.raises(UsageError, match="continuous, ordinal, categorical, date, id"):
        FlowDensity(columns={"height": "real"}).fit(frame)
    with pytest.raises(DataError, match="expects integers"):
        FlowDensity(columns={"height": "ordinal"}).fit(frame)
    with pytest.raises(DataError, match="column 'z' has dtype complex128: turn it into a number"):
        FlowDensity().fit(frame.assign(z=1j))
    with pytest.raises(UsageError, match="power of two"):
        FlowDensity(quadrature=3).fit(frame)
    with pytest.raises(UsageError, match="validation_fraction"):
        FlowDensity(validation_fraction=1.0).fit(frame)
    with pytest.raises(UsageError, match="unknown model"):
        FlowDensity("nonsense").fit(frame)


def test_a_model_that_fits_no_table_is_named_with_those_that_do() -> None:
    x = np.random.default_rng(0).normal(size=(30, 2))
    with pytest.raises(UsageError, match=r"'glow' takes no features: choose one of .*maf.*nsf"):
        FlowDensity("glow").fit(x)
    with pytest.raises(UsageError, match=r"'cdf-2d' has the base Uniform on .*: choose one of"):
        FlowDensity("cdf-2d").fit(x)
    with pytest.raises(UsageError, match=r"'cdf-1d' does not model 2 columns .*: choose one of"):
        FlowDensity("cdf-1d").fit(x)
    with pytest.raises(UsageError, match=r"'idf-vector' has the base GroupedDiscrete on events .* levels"):
        FlowDensity("idf-vector").fit(x)
    with pytest.raises(UsageError, match=r"'categorical-flow' has the base StandardLogistic on events .* levels"):
        FlowDensity("categorical-flow").fit(x)
    with pytest.raises(UsageError, match="model_options: nsf has no option 'layerz'; it takes layers, hidden"):
        FlowDensity(model_options={"layerz": 2}).fit(x)
    with pytest.raises(UsageError, match=r"nsf expects .* as hidden, got hidden='wide'"):
        FlowDensity(model_options={"hidden": "wide"}).fit(x)
    with pytest.raises(UsageError, match="model_options cannot set 'features'"):
        FlowDensity(model_options={"features": 3}).fit(x)
    with pytest.raises(UsageError, match="expects a mapping"):
        FlowDensity(model_options=3).fit(x)
    with pytest.raises(UsageError, match="takes no features"):
        FlowRegressor("glow").fit(x, x[:, 0])


def test_wrong_values_are_told_in_the_words_of_the_table() -> None:
    x = np.random.default_rng(0).uniform(0.1, 0.9, (30, 2))
    x[3, 0] = -0.1
    with pytest.raises(DataError, match=r"^column 0 has 1 value outside its bounds \(0.0, 1.0\), such as -0.1"):
        FlowDensity(bounds={0: (0, 1)}).fit(x)
    with pytest.raises(DataError, match=r"^target column 'grade' expects numbers, got 'a' in 15 of 30 rows: turn"):
        FlowRegressor(target_columns={"grade": "continuous"}).fit(x, pd.Series(["a", "1"] * 15, name="grade"))
    with pytest.raises(UsageError, match=r"^bounds expects a mapping from columns, got 3$"):
        FlowDensity(bounds=3).fit(x)


@pytest.mark.parametrize("estimator", [FlowDensity, FlowRegressor])
@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("max_steps", "20", "a whole number as max_steps, got max_steps='20'"),
        ("batch_size", 0, "batch_size of at least 1"),
        ("learning_rate", "fast", "a number as learning_rate"),
        ("quadrature", 2.0, "a whole number as quadrature"),
        ("validation_fraction", "some", "a number as validation_fraction"),
    ],
)
def test_settings_of_the_wrong_type(estimator: Any, name: str, value: Any, expected: str) -> None:
    x = np.random.default_rng(0).normal(size=(30, 2))
    with pytest.raises(UsageError, match=f"^{estimator.__name__} expects {expected}"):
        estimator(**{name: value}).fit(x, x[:, 0])


@pytest.mark.parametrize("count", ["a", 2.5, True, 0])
def test_numbers_of_samples_are_whole(count: Any) -> None:
    x = np.random.default_rng(0).normal(size=(30, 2))
    with pytest.raises(UsageError, match=r"^n_samples expects a whole number of at least 1, got"):
        FlowDensity(max_steps=1).fit(x).sample(count)
    with pytest.raises(UsageError, match=r"^n_samples expects a whole number of at least 1, got"):
        FlowRegressor(max_steps=1).fit(x, x[:, 0]).sample(x, count)


@pytest.mark.parametrize("conditional", [False, True])
def test_models_said_to_fit_do(conditional: bool) -> None:
    names = suitable_models(conditional)
    assert {"maf", "nsf", "nsf-coupling"} <= set(names) and not {"glow", "idf-vector", "cdf-2d"} & set(names)
    rows = np.random.default_rng(0).normal(size=(25, 3))
    for name in names:
        settings = {"max_steps": 1, "random_state": 0}
        if conditional:
            values = FlowRegressor(name, **settings).fit(rows[:, :1], rows[:, 1:]).log_prob(rows[:, :1], rows[:, 1:])
        else:
            values = FlowDensity(name, **settings).fit(rows).score_samples(rows)
        assert np.isfinite(values).all(), name


# Memory


def test_the_fitted_flow_is_saved_as_any_other(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(5.0, 2.0, (60, 2))
    flow = FlowRegressor(max_steps=3, random_state=0).fit(x[:, :1], x[:, 1]).flow_
    pf.save(flow, tmp_path / "flow.safetensors")
    codes, contexts = torch.randn(2, 7, 1, dtype=torch.float64)
    assert torch.equal(pf.load(tmp_path / "flow.safetensors").log_prob(codes, contexts), flow.log_prob(codes, contexts))


def most_numbers_at_once(monkeypatch: pytest.MonkeyPatch, estimator: Any) -> list[int]:
    """How many numbers the estimator's flow is given in each call."""
    sizes: list[int] = []
    for name in ("log_prob", "encode", "decode"):
        function = getattr(estimator.flow_, name)

        def watched(x: torch.Tensor, context: Any = None, function: Any = function) -> Any:
            sizes.append(len(x) * max(16, x.shape[-1] + (0 if context is None else context.shape[-1])))
            return function(x, context)

        monkeypatch.setattr(estimator.flow_, name, watched)
    return sizes


def test_rows_are_computed_in_chunks_of_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3)).round(1)
    density = FlowDensity(columns={0: "categorical"}, max_steps=3, random_state=0).fit(x)
    regressor = FlowRegressor(max_steps=3, random_state=0).fit(x[:, :1], x[:, 1])
    several = FlowRegressor(max_steps=3, random_state=0).fit(x[:, :1], x[:, 1:])

    def everything() -> list[Any]:
        values = [density.score_samples(x), density.transform(x), density.sample(50)]
        for model, y in ((regressor, x[:, 1]), (several, x[:, 1:])):
            values += [model.predict(x[:, :1]), model.predict_quantiles(x[:, :1], [0.9, 0.2]), model.pit(x[:, :1], y)]
            values += [model.sample(x[:, :1], 7), model.log_prob(x[:, :1], y)]
        return values

    whole = everything()
    monkeypatch.setattr(chunks, "NUMBERS_AT_ONCE", 640)
    sizes = [most_numbers_at_once(monkeypatch, estimator) for estimator in (density, regressor, several)]
    for expected, found in zip(whole, everything()):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    assert all(max(size) <= 640 and len(size) > 10 for size in sizes)


# Conditional densities


def waves(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A target whose mean and spread both follow the feature."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (rows, 1))
    return x, 20 * (np.sin(2 * x[:, 0]) + (0.2 + 0.3 * np.abs(x[:, 0])) * rng.normal(size=rows))


@pytest.fixture(scope="module")
def regressor() -> FlowRegressor:
    return FlowRegressor(random_state=0).fit(*waves(1500, 0))


def test_regressor_knows_mean_spread_and_density(regressor: FlowRegressor) -> None:
    x, y = waves(1000, 1)
    scale = 20 * (0.2 + 0.3 * np.abs(x[:, 0]))
    mean = 20 * np.sin(2 * x[:, 0])
    assert np.abs(regressor.predict(x) - mean).mean() < 1.5
    levels = np.array([0.1, 0.5, 0.9])
    quantiles = regressor.predict_quantiles(x, levels)
    assert (np.diff(quantiles, axis=1) > 0).all()
    np.testing.assert_allclose((y[:, None] < quantiles).mean(0), levels, atol=0.05)
    assert regressor.log_likelihood(x, y) > stats.norm(mean, scale).logpdf(y).mean() - 0.1
    assert stats.kstest(regressor.pit(x, y), "uniform").statistic < 0.06
    samples = regressor.sample(x[:50], 400)
    assert samples.shape == (50, 400)
    np.testing.assert_allclose(samples.mean(1), regressor.predict(x[:50]), atol=4 * scale.max() / 20)


def test_predicted_mean_is_the_mean_of_the_predicted_density(regressor: FlowRegressor) -> None:
    x = np.array([[-0.7], [0.4]])
    grid = np.linspace(-80, 80, 8001)
    for row in x:
        density = np.exp(regressor.log_prob(np.repeat(row[None], len(grid), axis=0), grid))
        assert abs(np.trapezoid(density, grid) - 1) < 1e-3
        assert abs(np.trapezoid(grid * density, grid) - regressor.predict(row[None])[0]) < 0.05
        median = grid[np.searchsorted(np.cumsum(density), 0.5 * density.sum())]
        assert abs(median - regressor.predict_quantiles(row[None], [0.5])[0, 0]) < 0.05


@pytest.mark.parametrize("layers", [1, 2])
def test_quantiles_of_a_flow_that_decreases(layers: int) -> None:
    """A reflection between the layers turns the map round; quantiles and PIT are those of the density all the same."""
    x, y = waves(200, 0)
    options = {"layers": layers}
    regressor = FlowRegressor("gaussianization", model_options=options, max_steps=30, random_state=0).fit(x, y)
    assert regressor._directions.tolist() == [(-1.0) ** layers]
    levels = np.array([0.8, 0.05, 0.5, 0.95])
    quantiles = regressor.predict_quantiles(x[:5], levels)
    assert quantiles.shape == (5, 4) and (np.diff(quantiles[:, np.argsort(levels)], axis=1) > 0).all()
    grid = np.linspace(-150, 150, 6001)
    for row, found in zip(x[:5], quantiles):
        density = np.exp(regressor.log_prob(np.repeat(row[None], len(grid), axis=0), grid))
        shares = [np.trapezoid(np.where(grid <= value, density, 0.0), grid) for value in found]
        np.testing.assert_allclose(shares, levels, atol=0.01)
    for level, value in zip(levels, quantiles.T):
        np.testing.assert_allclose(regressor.pit(x[:5], value), level, atol=1e-6)


def test_pit_of_targets_that_never_vary_or_are_impossible() -> None:
    x, y = waves(60, 0)
    both = FlowRegressor(max_steps=1, random_state=0).fit(x, np.stack([y, np.full(60, 3.0)], axis=1))
    pit = both.pit(x, np.stack([y, np.full(60, 3.0)], axis=1))
    assert pit.shape == (60, 2) and (pit[:, 1] == 0.5).all() and pit[:, 0].std() > 0.1
    assert both.predict_quantiles(x, [0.1, 0.9]).shape == (60, 2, 2)
    constant = FlowRegressor(max_steps=1).fit(x, np.full(60, 3.0))
    assert (constant.pit(x, np.full(60, 3.0)) == 0.5).all() and (constant.predict_quantiles(x) == 3).all()
    positive = FlowRegressor(bounds={0: (0, None)}, max_steps=1, random_state=0).fit(x, np.exp(y / 20))
    with pytest.raises(DataError, match="1 rows are outside the support"):
        positive.pit(x[:2], [1.0, -1.0])


def test_regressor_of_several_targets() -> None:
    rng = np.random.default_rng(0)
    x = pd.DataFrame({"group": rng.choice(list("ab"), 300), "dose": rng.normal(size=300)})
    first = np.where(x["group"] == "a", 5.0, -5.0) + rng.normal(size=300)
    y = pd.DataFrame({"first": first, "second": np.exp(0.5 * x["dose"] + 0.3 * rng.normal(size=300))})
    regressor = FlowRegressor(bounds={"second": (0, None)}, random_state=0).fit(x, y)
    assert regressor.predict(x).shape == (300, 2)
    assert regressor.predict_quantiles(x, [0.25, 0.75]).shape == (300, 2, 2)
    samples = regressor.sample(x, 3)
    assert samples.shape == (300, 3, 2) and (samples[..., 1] > 0).all()
    means = pd.Series(regressor.predict(x)[:, 0]).groupby(x["group"]).mean()
    assert abs(means["a"] - 5) < 1 and abs(means["b"] + 5) < 1
    assert np.isneginf(regressor.log_prob(x.head(1), pd.DataFrame({"first": [0.0], "second": [-1.0]}))).all()
    with pytest.warns(DataWarning, match="column 'group' has 1 values that are none of the categories"):
        assert np.isfinite(regressor.predict(pd.DataFrame({"group": ["c"], "dose": [0.0]}))).all()
    with pytest.raises(DataError, match="2 outputs"):
        regressor.log_prob(x, y["first"])


def test_regressor_of_counts_gives_masses() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (450, 1))
    y = rng.poisson(np.exp(1 + x[:, 0]))
    regressor = FlowRegressor(target_columns={0: "ordinal"}, bounds={0: (0, None)}, random_state=0).fit(x, y)
    counts = np.arange(40)
    mass = np.exp(regressor.log_prob(np.zeros((40, 1)), counts))
    assert abs(mass.sum() - 1) < 0.02
    assert 0.5 * np.abs(mass - stats.poisson(np.exp(1)).pmf(counts)).sum() < 0.15
    quantiles = regressor.predict_quantiles(x, [0.5])
    assert (quantiles == np.round(quantiles)).all() and (quantiles >= 0).all()


def test_regressor_misuse_is_named() -> None:
    x, y = waves(30, 0)
    with pytest.raises(DataError, match="y to be passed"):
        FlowRegressor().fit(x, None)
    with pytest.raises(UsageError, match="between 0 and 1"):
        FlowRegressor(max_steps=1).fit(x, y).predict_quantiles(x, [0, 0.5])
    with pytest.raises(UsageError, match="target_columns"):
        FlowRegressor(target_columns={0: "circular"}).fit(x, y)


# How good, how fast


@pytest.mark.slow
def test_a_first_fit_of_5000_rows_is_good() -> None:
    moons = toy("moons")
    train = moons.sample(5000, torch.Generator().manual_seed(0)).double()
    test = moons.sample(4000, torch.Generator().manual_seed(1)).double()
    density = FlowDensity(random_state=0).fit(train.numpy())
    assert density.score(test.numpy()) > moons.log_prob(test).mean().item() - 0.05
