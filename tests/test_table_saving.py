"""Estimators as files: the same numbers when loaded, and clear errors for what is no such file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open
from safetensors.torch import save_file

import pushforward as pf
from pushforward.errors import CheckpointError, UsageError
from pushforward.sklearn import FlowDensity, FlowRegressor, load
from pushforward.tables.states import StateWriter, read_state


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "colour": pd.Categorical(rng.choice(["red", "green"], 80), categories=["red", "green", "blue"]),
            "member": rng.random(80) < 0.4,
            "age": pd.array(rng.integers(18, 80, 80), dtype="Int64"),
            "height": rng.normal(size=80).astype(np.float32),
        }
    )


@pytest.fixture(scope="module")
def density(frame: pd.DataFrame) -> FlowDensity:
    return FlowDensity(bounds={"age": (0, None)}, max_steps=5, random_state=np.random.RandomState(3)).fit(frame)


def test_a_loaded_density_gives_the_same_numbers(density: FlowDensity, frame: Any, tmp_path: Path) -> None:
    density.save(tmp_path / "density.safetensors")
    loaded = FlowDensity.load(tmp_path / "density.safetensors")
    np.testing.assert_array_equal(loaded.score_samples(frame), density.score_samples(frame))
    pd.testing.assert_frame_equal(loaded.sample(20, random_state=1), density.sample(20, random_state=1))
    # The generator that was given goes on where it was.
    pd.testing.assert_frame_equal(loaded.sample(5), density.sample(5))
    assert {**loaded.get_params(), "random_state": None} == {**density.get_params(), "random_state": None}


def test_a_loaded_regressor_gives_the_same_numbers(frame: pd.DataFrame, tmp_path: Path) -> None:
    y = frame[["height"]]
    regressor = FlowRegressor(max_steps=5, random_state=0).fit(frame[["colour", "age"]], y)
    regressor.save(tmp_path / "regressor.safetensors")
    loaded = load(tmp_path / "regressor.safetensors")
    assert isinstance(loaded, FlowRegressor)
    features = frame[["colour", "age"]]
    np.testing.assert_array_equal(loaded.predict(features), regressor.predict(features))
    np.testing.assert_array_equal(loaded.log_prob(features, y), regressor.log_prob(features, y))
    with pytest.raises(CheckpointError, match="holds a FlowRegressor, expected FlowDensity"):
        FlowDensity.load(tmp_path / "regressor.safetensors")


def test_a_constant_table_has_no_flow_and_is_saved_all_the_same(tmp_path: Path) -> None:
    FlowDensity().fit(np.full((20, 2), 4.0)).save(tmp_path / "constant.safetensors")
    assert load(tmp_path / "constant.safetensors").score_samples([[4.0, 4.0]]).tolist() == [0.0]


def test_files_that_hold_no_estimator_are_named(density: FlowDensity, tmp_path: Path) -> None:
    path = tmp_path / "density.safetensors"
    density.save(path)
    content = path.read_bytes()
    with pytest.raises(CheckpointError, match="nothing there"):
        load(tmp_path / "none.safetensors")
    (tmp_path / "noise").write_bytes(b"not a file of ours")
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        load(tmp_path / "noise")
    (tmp_path / "short").write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError):
        load(tmp_path / "short")
    (tmp_path / "other class").write_bytes(content.replace(b"LatentCode", b"LatentCove"))
    with pytest.raises(CheckpointError, match=r"LatentCove.*damaged"):
        load(tmp_path / "other class")
    pf.save(density.flow_, tmp_path / "flow")
    with pytest.raises(CheckpointError, match="holds no estimator"):
        load(tmp_path / "flow")
    with safe_open(str(path), framework="pt") as file:
        metadata = dict(file.metadata())
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file(tensors, tmp_path / "future", metadata | {"version": "99"})
    with pytest.raises(CheckpointError, match="format version 99"):
        load(tmp_path / "future")
    save_file({}, tmp_path / "empty", metadata)
    with pytest.raises(CheckpointError, match="damaged"):
        load(tmp_path / "empty")


@pytest.mark.parametrize(
    "value",
    [
        {"a": 1, 2: None, (3, "b"): [True, 2.5, -np.inf]},
        np.float32(1.5),
        pd.Timestamp("2024-02-03 04:05:06.123456789"),
        pd.Timedelta("3 days 00:00:01"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_come_back(value: Any) -> None:
    writer = StateWriter({})
    found = read_state(writer.write(value), writer.tensors, {})
    assert found == value


@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint64", ">i4", "float16", "float64", "<U3", "object"])
def test_arrays_come_back(dtype: str) -> None:
    value = np.array([[0, 1], [2, 3]]).astype(dtype)
    writer = StateWriter({})
    found = read_state(writer.write(value), writer.tensors, {})
    assert (found == value).all() and found.shape == value.shape and found.dtype == value.dtype.newbyteorder("=")


def test_what_no_file_holds_is_named() -> None:
    with pytest.raises(UsageError, match="type complex cannot be saved"):
        StateWriter({}).write({"a": 1j})
