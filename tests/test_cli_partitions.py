"""Folders of parquet files on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pushforward.cli.main import run


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a table with a column of words, and one of a toy density."""
    folder = tmp_path_factory.mktemp("runs")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"size": rng.normal(5, 2, 300), "colour": rng.choice(["red", "blue"], 300)})
    frame.to_csv(folder / "table.csv", index=False)
    frame.assign(name=[f"row {index}" for index in range(300)]).to_parquet(folder / "rows.parquet")
    table = ["train", "table", "--data", str(folder / "table.csv"), "--out", str(folder / "table"), "--max-steps", "5"]
    toy = ["train", "realnvp", "--data", "moons", "--out", str(folder / "toy"), "--max-steps", "5"]
    assert run([*table, "-q"]) == 0 and run([*toy, "-q"]) == 0
    return folder


@pytest.fixture
def data(trained: Path, tmp_path: Path) -> Path:
    frame = pd.read_parquet(trained / "rows.parquet")
    (tmp_path / "data").mkdir()
    for name, rows in (("a", frame[:100]), ("b", frame[100:])):
        rows.to_parquet(tmp_path / "data" / f"{name}.parquet", index=False)
    return tmp_path / "data"


@pytest.mark.parametrize("engine", ["local", "dask"])
def test_a_folder_is_scored_as_its_rows_are(
    engine: str, trained: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    single, out = tmp_path / "single.parquet", tmp_path / "scored"
    assert run(["score", str(trained / "table"), str(trained / "rows.parquet"), "-o", str(single), "-q"]) == 0
    command = ["score", str(trained / "table"), f"{data}/*.parquet", "-o", f"{out}/", "--keep", "name"]
    assert run([*command, "--engine", engine, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["rows"], facts["partitions"], facts["skipped"]) == (300, 2, 0)
    found = pd.concat([pd.read_parquet(out / "a.parquet"), pd.read_parquet(out / "b.parquet")])
    assert list(found.columns) == ["name", "log_prob"] and found.name.iloc[-1] == "row 299"
    assert found.log_prob.to_numpy() == pytest.approx(pd.read_parquet(single).log_prob.to_numpy(), abs=1e-9)
    assert run([*command, "--json"]) == 2
    assert "is there already: resume goes on" in capsys.readouterr().err
    assert run([*command, "--resume", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["skipped"] == 2


def test_a_bad_file_is_told_at_the_end(trained: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "bad.parquet").write_bytes(b"no table")
    assert run(["score", str(trained / "table"), str(data), "-o", str(data.parent / "out")]) == 1
    told = capsys.readouterr().err
    assert "1 could not be done (2 partitions are done)" in told and "bad.parquet: no readable parquet table" in told
    assert (data.parent / "out" / "b.parquet").exists()


def test_a_folder_is_drawn(trained: Path, tmp_path: Path) -> None:
    for name, model, more in (("table", "table", []), ("toy", "toy", []), ("given", "table", [])):
        command = ["sample", str(trained / model), "-n", "200", "-o", str(tmp_path / name), "--engine", "local"]
        assert run([*command, "--seed", "3", "-q", *more]) == 0
    assert set(pd.read_parquet(tmp_path / "table").colour) <= {"red", "blue"}
    assert pd.read_parquet(tmp_path / "toy").shape == (200, 2)
    assert pd.read_parquet(tmp_path / "table").equals(pd.read_parquet(tmp_path / "given"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["score", "RUN", "DATA", "-o", "x.csv"], "the scores of many files go into a folder, --out x.csv is none"),
        (["score", "RUN", "DATA"], "the scores of many files go into a folder, --out - is none"),
        (["score", "RUN", "x.parquet", "-o", "x.csv", "--resume"], "--resume is for folders of files"),
        (["score", "RUN", "DATA", "-o", "out", "--engine", "ray"], "engine must be one of local, dask"),
        (["score", "RUN", "DATA", "-o", "out", "--scheduler", "tcp://x:1"], "a scheduler is for engine='dask'"),
        (["sample", "RUN", "-o", "x.csv", "--engine", "dask"], "--engine draws into a folder, --out x.csv is none"),
        (["sample", "RUN", "-o", "x.csv", "--scheduler", "tcp://x:1"], "--scheduler is for folders of files"),
    ],
)
def test_options_that_do_not_fit_are_told(
    arguments: list[str], told: str, trained: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"RUN": str(trained / "table"), "DATA": str(data)}
    assert run([places.get(each, each) for each in arguments]) == 2
    assert told in capsys.readouterr().err
