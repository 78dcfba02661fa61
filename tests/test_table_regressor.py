"""Regressors of targets and features of every kind: classes, several targets at once, what is missing or unknown."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pushforward.errors import DataError, DataWarning, UsageError
from pushforward.sklearn import FlowRegressor


def labelled(rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, labels, and the chance of the second one."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 2))
    chance = 1 / (1 + np.exp(-2 * x[:, 0]))
    return x, np.where(rng.random(rows) < chance, "yes", "no"), chance


def test_classes_have_exact_probabilities() -> None:
    x, y, chance = labelled(1000)
    regressor = FlowRegressor(random_state=0).fit(x, y)
    chances = regressor.predict_proba(x)
    assert regressor.classes_.tolist() == ["no", "yes"] and chances.shape == (1000, 2)
    np.testing.assert_allclose(chances.sum(1), 1)
    assert np.abs(chances[:, 1] - chance).mean() < 0.08
    # The density of a class is its probability, up to that of a missing one.
    np.testing.assert_allclose(np.exp(regressor.log_prob(x[:9], ["yes"] * 9)), chances[:9, 1], atol=0.003)
    assert np.isneginf(regressor.log_prob(x[:1], ["perhaps"])).all()
    assert (regressor.predict(x) == regressor.classes_[chances.argmax(1)]).all()
    assert regressor.score(x, y) == (regressor.predict(x) == y).mean() > 0.7
    drawn = regressor.sample(x[:40], 100)
    assert drawn.shape == (40, 100) and abs((drawn == "yes").mean() - chances[:40, 1].mean()) < 0.05
    with pytest.raises(UsageError, match="classes have no order"):
        regressor.predict_quantiles(x)


@pytest.mark.parametrize("kind", ["bool", "category", "declared"])
def test_classes_of_every_type(kind: str) -> None:
    x, y, _ = labelled(200)
    target = {"bool": y == "yes", "category": pd.Series(y, dtype="category"), "declared": np.where(y == "yes", 7, 3)}
    kinds = {0: "categorical"} if kind == "declared" else None
    regressor = FlowRegressor(target_columns=kinds, max_steps=100, random_state=0).fit(x, target[kind])
    found = regressor.predict(x)
    assert set(found) == set(np.asarray(target[kind])) and (found == np.asarray(target[kind])).mean() > 0.65
    assert (np.diff(regressor.predict_proba([[-2.0, 0.0], [2.0, 0.0]])[:, 1]) > 0.3).all()


def test_targets_of_several_kinds() -> None:
    x, y, _ = labelled(600)
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"label": y, "size": 5 * x[:, 1] + rng.normal(size=600), "count": rng.poisson(3, 600)})
    regressor = FlowRegressor(target_columns={"count": "ordinal"}, random_state=0, max_steps=250).fit(x, frame)
    found = regressor.predict(x)
    assert list(found.columns) == ["label", "size", "count"] and set(found["label"]) == {"no", "yes"}
    assert np.corrcoef(found["size"], frame["size"])[0, 1] > 0.95
    (chances,) = regressor.predict_proba(x)
    assert chances.shape == (600, 2) and regressor.classes_[0].tolist() == ["no", "yes"]
    assert regressor.sample(x[:3], 4).shape == (3, 4, 3)
    assert np.isfinite(regressor.log_prob(x, frame)).all() and regressor.pit(x, frame).shape == (600, 3)
    assert 0.5 < regressor.score(x, frame) < 1
    assert regressor.target_columns_.of("count").kind == "ordinal" and "count" in regressor.summary()


def test_numbers_have_no_classes() -> None:
    x, _, _ = labelled(60)
    regressor = FlowRegressor(max_steps=2).fit(x[:, :1], x[:, 1])
    assert not hasattr(regressor, "predict_proba") and not hasattr(regressor, "classes_")


def test_features_that_are_missing_or_unknown_are_no_error() -> None:
    rng = np.random.default_rng(0)
    group = rng.choice(["a", "b"], 600)
    x = pd.DataFrame({"group": group, "dose": rng.normal(size=600), "day": pd.date_range("2024-01-01", periods=600)})
    y = np.where(group == "a", 3.0, -3.0) + rng.normal(size=600)
    x.loc[rng.random(600) < 0.2, "dose"] = np.nan
    x.loc[rng.random(600) < 0.2, "group"] = None
    regressor = FlowRegressor(random_state=0, max_steps=200).fit(x, y)
    found = regressor.predict(x)
    assert found[x["group"] == "a"].mean() > 2 and found[x["group"] == "b"].mean() < -2
    assert abs(found[x["group"].isna()].mean()) < 1
    row = x.head(1).assign(group="new", dose=np.nan)
    with pytest.warns(DataWarning, match="none of the categories"):
        assert np.isfinite(regressor.predict(row)).all()
    with pytest.raises(DataError, match="NaN"):
        FlowRegressor(missing="error", max_steps=1).fit(x, y)


def test_missing_targets_are_named() -> None:
    with pytest.raises((DataError, ValueError), match="NaN"):
        FlowRegressor(max_steps=1).fit([[1.0], [2.0], [3.0]], [1.0, np.nan, 2.0])


@pytest.mark.parametrize("kind", ["bernoulli", "modes", "inflated", "counts"])
def test_means_of_targets_that_jump_are_those_of_the_density(kind: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 1))
    chance = rng.random(600) < 1 / (1 + np.exp(-2 * x[:, 0]))
    noise = rng.normal(size=600)
    y, columns = {
        "bernoulli": (chance.astype(int), None),
        "modes": (np.where(chance, 5.0, -5.0) + 0.1 * noise, None),
        "inflated": (np.where(chance, 0.0, 5.0 + noise), None),
        "counts": (rng.poisson(np.exp(0.5 * x[:, 0])), {0: "ordinal"}),
    }[kind]
    regressor = FlowRegressor(max_steps=30, random_state=0, target_columns=columns).fit(x, y)
    at = np.linspace(-2, 2, 15)[:, None]
    # The mean of a distribution is that of its quantiles.
    quantiles = regressor.predict_quantiles(at, (np.arange(20_000) + 0.5) / 20_000)
    np.testing.assert_allclose(regressor.predict(at), quantiles.mean(1), atol=0.01 * np.std(y))


def test_targets_that_are_neither_numbers_nor_classes_are_named() -> None:
    x = np.arange(30.0)[:, None]
    days = pd.Series(pd.date_range("2024-01-01", periods=30), name="day")
    with pytest.raises(DataError, match="target column 'day' expects numbers or classes, got dates"):
        FlowRegressor().fit(x, days)
    with pytest.raises(DataError, match="target column 0 expects numbers or classes, got texts that are all different"):
        FlowRegressor().fit(x, np.array([f"row {i}" for i in range(30)]))
