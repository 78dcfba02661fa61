"""Whatever takes a seed refuses one that is none, before any work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from codec_helpers import digits_of, small

import pushforward as pf
from pushforward.codec import compress, preview
from pushforward.data.streams import ParquetStream
from pushforward.data.toys.registry import load_toy
from pushforward.errors import UsageError
from pushforward.sklearn import FlowDensity, FlowRegressor
from pushforward.training import evaluate

WRONG = [-1, 2**32, 2**70, 1.5, "7"]
ROWS = np.random.default_rng(0).normal(size=(60, 2))


def flow() -> pf.Flow:
    return pf.build("realnvp", features=2)


def parquet(folder: Path) -> Path:
    pd.DataFrame(ROWS, columns=["a", "b"]).to_parquet(folder / "rows.parquet", row_group_size=10)
    return folder


TAKERS: dict[str, Callable[[Any, Path], object]] = {
    "fit": lambda seed, folder: pf.fit(flow(), torch.zeros(9, 2), max_steps=1, seed=seed, progress=False),
    "evaluate": lambda seed, folder: evaluate(flow(), torch.zeros(9, 2), seed=seed),
    "load_toy": lambda seed, folder: load_toy("moons", 100, seed),
    "stream": lambda seed, folder: ParquetStream(parquet(folder), seed=seed),
    "sample of a stream": lambda seed, folder: ParquetStream(parquet(folder)).sample(5, seed),
    "partitions": lambda seed, folder: pf.partitions.sample(flow(), 5, folder / "out", seed=seed),
    "preview": lambda seed, folder: preview(small(), compress(small(), digits_of(3)), 0, seed=seed),
    "density": lambda seed, folder: FlowDensity(max_steps=1, random_state=seed).fit(ROWS),
    "regressor": lambda seed, folder: FlowRegressor(max_steps=1, random_state=seed).fit(ROWS[:, :1], ROWS[:, 1]),
}


@pytest.mark.parametrize("taker", TAKERS)
@pytest.mark.parametrize("seed", WRONG)
def test_a_seed_that_is_none_is_refused(taker: str, seed: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"seed|random_state"):
        TAKERS[taker](seed, tmp_path)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("taker", ["fit", "evaluate", "load_toy", "stream", "sample of a stream", "preview"])
@pytest.mark.parametrize("seed", [0, 2**32 - 1, np.int64(7)])
def test_the_ends_of_the_range_are_seeds(taker: str, seed: Any, tmp_path: Path) -> None:
    TAKERS[taker](seed, tmp_path)
