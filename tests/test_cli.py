"""The command line does its work, and says what is wrong in one line with the right exit code."""

from __future__ import annotations

import csv
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import pushforward as pf
from pushforward.cli import main as cli

TINY_IMAGES = ["--set", "layers=2", "--set", "hidden=8"]
TINY_TABLE = ["--set", "layers=2", "--set", "hidden=16"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="module")
def images(workplace: Path) -> Path:
    out = workplace / "images"
    assert (
        cli.run(["train", "mnist-simple", "-d", "digits", "-o", str(out), "--max-steps", "30", "-q", *TINY_IMAGES]) == 0
    )
    return out


@pytest.fixture(scope="module")
def table(workplace: Path) -> Path:
    """A csv file in units far from standard; c is 5 (a - b)."""
    random = np.random.default_rng(0)
    a, b = random.normal(1000, 50, 600), random.normal(-3, 0.01, 600)
    path = workplace / "table.csv"
    pd.DataFrame({"a": a, "b": b, "c": 5 * (a + 5000 * b) + random.normal(size=600)}).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def vectors(workplace: Path, table: Path) -> Path:
    out = workplace / "vectors"
    assert cli.run(["train", "maf", "-d", str(table), "-o", str(out), "--max-steps", "80", "-q", *TINY_TABLE]) == 0
    return out


def run(*arguments: object) -> int:
    return cli.run([str(argument) for argument in arguments])


def fails(capsys: pytest.CaptureFixture[str], code: int, *arguments: object) -> str:
    """Run what must fail with this code and return its one line."""
    capsys.readouterr()
    assert run(*arguments) == code
    output = capsys.readouterr()
    lines = output.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("pushforward: "), output
    return lines[0]


def json_of(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    capsys.readouterr()
    assert run(*arguments, "--json") == 0
    output = capsys.readouterr()
    assert output.err == ""
    return json.loads(output.out)


# Doing the work


def test_help_comes_without_torch() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "pushforward", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "train" in done.stdout and "score" in done.stdout
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert not imported & {"torch", "lightning", "pandas", "sklearn", "matplotlib"}


def test_run_folder(images: Path) -> None:
    names = {path.name for path in images.iterdir()}
    assert names == {".lock", "config.json", "last.ckpt", "metrics.csv", "model.safetensors", "tensorboard"}
    stored = json.loads((images / "config.json").read_text())
    assert stored["model"] == "mnist-simple" and stored["data"] == "digits"
    assert stored["options"] == {"shape": [1, 8, 8], "levels": 17, "layers": 2, "hidden": 8}
    assert stored["training"] == {"seed": 0, "max_steps": 30}


def test_evaluate_agrees_with_the_library(images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json_of(capsys, "evaluate", images, "-m", 3)
    flow = pf.load(images / "model.safetensors")
    expected = pf.evaluate(flow, pf.data.load_data("digits").test, importance_samples=3)
    assert found["bits_per_dim"] == pytest.approx(expected.bits_per_dim, rel=1e-6)
    assert found["events"] == 447 and found["accuracy"] == "lower bound"
    assert found["importance_samples"]["1"]["bits_per_dim"] > found["bits_per_dim"]
    assert run("evaluate", images, "-m", 2, "--part", "validation") == 0
    assert "upper bound" in capsys.readouterr().out


@pytest.mark.parametrize("ending", ["npz", "npy"])
def test_sample_arrays_are_integers_of_the_data(images: Path, tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"samples.{ending}"
    assert run("sample", images, "-n", 10, "-o", out, "--seed", 3, "--batch-size", 4, "-q") == 0
    loaded = np.load(out)
    samples = loaded["data"] if ending == "npz" else loaded
    assert samples.shape == (10, 1, 8, 8) and samples.dtype == np.uint8 and samples.max() <= 16
    # What is sampled can be trained on and comes out the same for the same seed.
    assert pf.data.load_data(str(out)).event_shape == (1, 8, 8)
    again = tmp_path / f"again.{ending}"
    run("sample", images, "-n", 10, "-o", again, "--seed", 3, "--batch-size", 4, "-q")
    assert again.read_bytes() == out.read_bytes()


def test_pictures(images: Path, tmp_path: Path) -> None:
    from PIL import Image

    assert run("sample", images, "-n", 6, "-o", tmp_path / "s.png", "--temperature", 0.7, "-q") == 0
    with Image.open(tmp_path / "s.png") as picture:
        # Three by two tiles of 8 x 8 pixels, seven times as large, with gaps of two.
        assert picture.size == (3 * 58 + 2, 2 * 58 + 2) and picture.mode == "L"
    assert run("interpolate", images, "-o", tmp_path / "i.png", "--pairs", 2, "--steps", 5, "-q") == 0
    with Image.open(tmp_path / "i.png") as picture:
        assert picture.size == (5 * 58 + 2, 2 * 58 + 2)


def test_interpolation_ends_at_the_images(images: Path, tmp_path: Path) -> None:
    assert run("interpolate", images, "-o", tmp_path / "i.npz", "--pairs", 3, "--steps", 4, "-q") == 0
    walks = np.load(tmp_path / "i.npz")["data"].reshape(3, 4, 64)
    test = pf.data.load_data("digits").test.reshape(-1, 64).numpy()
    for end in (*walks[:, 0], *walks[:, -1]):
        assert (test == end).all(1).any()


def test_score_is_the_density_in_the_tables_units(
    vectors: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command line's table model is the estimator, with its numbers."""
    facts = json_of(capsys, "score", vectors, table, "-o", tmp_path / "scores.csv")
    scores = pd.read_csv(tmp_path / "scores.csv")
    assert list(scores["row"]) == list(range(600)) and facts["rows"] == 600
    assert facts["mean_log_prob"] == pytest.approx(scores["log_prob"].mean(), rel=1e-6)
    frame = pd.read_csv(table)
    expected = pf.sklearn.load(vectors / "model.safetensors").score_samples(frame)
    assert np.allclose(scores["log_prob"], expected, rtol=1e-7)
    # c is known from a and b but for noise of spread 1, which a standard normal in these units has 1.42 nats of.
    order = np.random.default_rng(0).permutation(600)
    fitted = pf.sklearn.FlowDensity("maf", model_options={"layers": 2, "hidden": 16}, max_steps=80, random_state=0).fit(
        frame.iloc[order[:540]]
    )
    assert np.allclose(fitted.score_samples(frame), expected, rtol=1e-9)
    # The test part's mean is what evaluate says.
    part = json_of(capsys, "evaluate", vectors)
    assert part["nats"] == pytest.approx(-expected[order[540:]].mean(), rel=1e-9)


@pytest.mark.parametrize("ending", ["parquet", "tsv"])
def test_scores_go_into_every_kind_of_table(vectors: Path, table: Path, tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"scores.{ending}"
    assert run("score", vectors, table, "-o", out, "-q") == 0
    scores = pd.read_parquet(out) if ending == "parquet" else pd.read_csv(out, sep="\t")
    expected = pf.sklearn.load(vectors / "model.safetensors").score_samples(pd.read_csv(table))
    assert list(scores.columns) == ["row", "log_prob"] and np.allclose(scores["log_prob"], expected, rtol=1e-7)


def test_score_streams_parquet_in_chunks(
    vectors: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pushforward.cli import scoring

    frame = pd.read_csv(table)
    frame[["c", "a", "b"]].to_parquet(tmp_path / "t.parquet")
    run("score", vectors, table, "-o", tmp_path / "csv.csv", "-q")
    sizes = []
    scored = scoring._scored
    monkeypatch.setattr(scoring, "_ROWS", 70)
    monkeypatch.setattr(scoring, "_scored", lambda *given: sizes.append(len(given[2])) or scored(*given))
    assert run("score", vectors, tmp_path / "t.parquet", "-o", tmp_path / "parquet.csv", "-q") == 0
    assert sizes == [70] * 8 + [40]
    one, two = (pd.read_csv(tmp_path / name) for name in ("csv.csv", "parquet.csv"))
    assert list(one["row"]) == list(two["row"]) and np.allclose(one["log_prob"], two["log_prob"], atol=1e-4)


def test_score_to_standard_output(vectors: Path, table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run("score", vectors, table) == 0
    rows = list(csv.reader(capsys.readouterr().out.splitlines()))
    assert rows[0] == ["row", "log_prob"] and len(rows) == 601


def test_samples_of_a_table_are_in_its_units(vectors: Path, table: Path, tmp_path: Path) -> None:
    assert run("sample", vectors, "-n", 500, "-o", tmp_path / "s.csv", "--seed", 0, "-q") == 0
    drawn, data = pd.read_csv(tmp_path / "s.csv"), pd.read_csv(table)
    assert list(drawn.columns) == ["a", "b", "c"]
    assert ((drawn.mean() - data.mean()).abs() < 0.5 * data.std()).all()


def test_conditional_table(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    arguments = ["-d", table, "-o", out, "--context", "a,b", "--max-steps", 150, "-q", *TINY_TABLE]
    assert run("train", "maf", *arguments) == 0
    given = ["--given", "a=1050", "--given", "b=-3"]
    assert run("sample", out, "-n", 200, "-o", tmp_path / "c.csv", *given, "-q") == 0
    drawn = pd.read_csv(tmp_path / "c.csv")
    # E[c | a, b] = 5 (1050 - 15000); without the context its spread would be about 350.
    assert list(drawn.columns) == ["c"]
    assert drawn["c"].mean() == pytest.approx(5 * (1050 - 15000), abs=100)
    assert run("score", out, table, "-o", tmp_path / "scores.csv", "-q") == 0
    frame = pd.read_csv(table)
    expected = pf.sklearn.load(out / "model.safetensors").log_prob(frame[["a", "b"]], frame[["c"]])
    assert np.allclose(pd.read_csv(tmp_path / "scores.csv")["log_prob"], expected, rtol=1e-7)
    assert "--given a=VALUE --given b=VALUE" in fails(capsys, 2, "sample", out, "-o", tmp_path / "x.csv")
    line = fails(capsys, 2, "sample", out, "-o", tmp_path / "x.csv", "--given", "d=1")
    assert "--given takes COLUMN=VALUE of a, b, c, got d=1" in line


MIXED = ["height", "kids", "member", "city", "day", "code"]


@pytest.fixture(scope="module")
def mixed(workplace: Path) -> Path:
    """A table of every type with an index, as people have them."""
    random = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "height": 1.7e9 + 1000 * random.normal(size=400),
            "kids": random.poisson(1.5, 400),
            "member": random.random(400) < 0.3,
            "city": random.choice(["Rome", "Oslo", "Bern"], 400),
            "day": (pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 50, 400), "D")).astype(str),
            "code": [f"{number:03}" for number in random.integers(1, 5, 400)],
        }
    )
    frame.to_csv(workplace / "mixed.csv")
    return workplace / "mixed.csv"


@pytest.fixture(scope="module")
def people(workplace: Path, mixed: Path) -> Path:
    out = workplace / "people"
    arguments = ["-d", str(mixed), "-o", str(out), "--categorical", "code", "--max-steps", "30", "-q"]
    assert cli.run(["train", "table", *arguments]) == 0
    return out


def test_samples_of_a_table_are_as_its_rows(people: Path, mixed: Path, tmp_path: Path) -> None:
    assert run("sample", people, "-n", 300, "-o", tmp_path / "s.csv", "--seed", 0, "-q") == 0
    drawn, rows = (pd.read_csv(path, dtype={"code": str}) for path in (tmp_path / "s.csv", mixed))
    assert list(drawn.columns) == MIXED and [str(kind) for kind in drawn.dtypes] == [str(k) for k in rows[MIXED].dtypes]
    for name in ("city", "member", "code"):
        assert set(drawn[name]) <= set(rows[name])
    assert (drawn["kids"] >= 0).all() and drawn["day"].str.match(r"2020-\d\d-\d\d$").all()
    # Far from zero, and not cut to single precision, which has steps of 128 there.
    assert drawn["height"].nunique() > 290 and abs(drawn["height"].mean() - 1.7e9) < 300
    assert run("sample", people, "-n", 20, "-o", tmp_path / "s.parquet", "-q") == 0
    assert str(pd.read_parquet(tmp_path / "s.parquet")["day"].dtype).startswith("datetime64")


def test_a_table_is_scored_chunk_by_chunk_as_it_was_read(
    people: Path, mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from pushforward.cli import scoring

    run("score", people, mixed, "-o", tmp_path / "whole.csv", "-q")
    monkeypatch.setattr(scoring, "_ROWS", 1)
    short = pd.read_csv(mixed, dtype=str).head(20)
    short.to_csv(tmp_path / "short.csv", index=False)
    assert run("score", people, tmp_path / "short.csv", "-o", tmp_path / "parts.csv", "-q") == 0
    whole, parts = (pd.read_csv(tmp_path / name)["log_prob"] for name in ("whole.csv", "parts.csv"))
    assert np.isfinite(whole).all() and np.allclose(whole[:20], parts, rtol=1e-7)
    short.drop(columns="city").to_csv(tmp_path / "narrow.csv", index=False)
    assert "expected a column 'city'" in fails(capsys, 1, "score", people, tmp_path / "narrow.csv")


def test_a_run_of_a_table_is_described(people: Path, mixed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json_of(capsys, "inspect", people)
    kinds = {column["name"]: column["kind"] for column in found["columns"]}
    assert kinds["kids"] == "ordinal" and kinds["member"] == kinds["code"] == "categorical" and kinds["day"] == "date"
    assert json_of(capsys, "inspect", people / "model.safetensors")["columns"] == found["columns"]
    assert run("inspect", people) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "counts begin at 0" in shown and "log p(x): exact up to quadrature" in shown
    measured = json_of(capsys, "evaluate", people)
    for place in (people, people / "model.safetensors"):
        assert json_of(capsys, "inspect", place)["accuracy"] == measured["accuracy"] == "exact up to quadrature"
    assert "--force in place of --resume" in fails(capsys, 2, "train", "--out", people, "--resume", "--max-steps", 60)
    assert run("evaluate", people, "--part", "train") == 0 and " nats" in capsys.readouterr().out
    assert "train or test" in fails(capsys, 2, "evaluate", people, "--part", "validation")
    assert "run of a table" in fails(capsys, 1, "interpolate", people, "-o", "i.png")
    assert "holds no numbers" in fails(capsys, 2, "sample", people, "-o", "s.npy")


def test_missing_targets_are_told_and_leave_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x = np.random.default_rng(0).normal(size=(60, 2))
    x[:3, 1] = np.nan
    pd.DataFrame(x, columns=["height", "weight"]).to_csv(tmp_path / "rows.csv", index=False)
    train = ("train", "table", "--data", tmp_path / "rows.csv", "--target", "weight", "--out", tmp_path / "run", "-q")
    told = fails(capsys, 1, *train)
    assert "target column 'weight' has" in told and told.endswith("remove these rows, or fill them in")
    assert not (tmp_path / "run" / "config.json").exists()
    assert "no run there" in fails(
        capsys, 1, "score", tmp_path / "run", tmp_path / "rows.csv", "-o", tmp_path / "s.csv"
    )


def test_values_are_given_and_filled_in(people: Path, mixed: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.csv"
    given = ["--given", "city=Oslo", "--given", "member=True", "--given", "code=003", "--given", "day=2020-01-07"]
    assert run("sample", people, "-n", 50, "-o", out, *given, "--seed", 0, "-q") == 0
    drawn = pd.read_csv(out, dtype={"code": str})
    assert list(drawn.columns) == MIXED and drawn["height"].nunique() > 40
    for name, value in [("city", "Oslo"), ("member", True), ("code", "003"), ("day", "2020-01-07")]:
        assert (drawn[name] == value).all(), name
    rows = pd.read_csv(mixed, dtype=str)
    gaps = rows.copy()
    gaps.loc[::5, "kids"] = gaps.loc[1::5, "city"] = None
    gaps.to_csv(tmp_path / "gaps.csv", index=False)
    for method in ("draw", "fill"):
        assert run("impute", people, tmp_path / "gaps.csv", "-o", out, "--method", method, "--seed", 0, "-q") == 0
        filled = pd.read_csv(out, dtype=str)
        assert list(filled.columns) == MIXED and not filled.isna().any().any()
        assert set(filled["city"]) <= set(rows["city"]) and filled["kids"].str.fullmatch(r"\d+(\.0)?").all()
        kept = gaps[MIXED].notna().to_numpy()
        same = filled.to_numpy() == rows[MIXED].to_numpy()
        assert same[kept & (np.array(MIXED) != "height") & (np.array(MIXED) != "kids")].all()


def test_whole_targets_are_drawn_whole(mixed: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = ["-d", mixed, "-o", out, "--target", "kids", "--columns", "kids,height,city", "--max-steps", 5, "-q"]
    assert run("train", "table", *arguments) == 0
    given = ["--given", "height=1.7e9", "--given", "city=Rome"]
    assert run("sample", out, "-n", 50, "-o", tmp_path / "s.csv", *given, "-q") == 0
    assert str(pd.read_csv(tmp_path / "s.csv")["kids"].dtype) == "int64"


def test_columns_are_chosen_and_told(mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["-d", mixed, "--max-steps", 5, "-o", tmp_path / "run"]
    assert run("train", "table", *arguments, "--columns", "kids,height", "--bounds", "kids=0:99") == 0
    said = capsys.readouterr().err
    assert "left out as an index" in said and "400 rows of 2 columns (kids, height)" in said
    assert json.loads((tmp_path / "run" / "config.json").read_text())["bounds"] == {"kids": [0.0, 99.0]}
    arguments[-1] = tmp_path / "other"
    for options, message in [
        (["--columns", "age"], "expected a column 'age', found height"),
        (["--drop", "age"], "expected a column 'age', found height"),
        (["--target", "age"], "expected a column 'age', found height"),
        (["--categorical", "age"], "no column 'age'"),
        (["--bounds", "age=0:"], "no column 'age'"),
        (["--bounds", "kids"], "--bounds takes COLUMN=LOW:HIGH"),
        (["--bounds", "kids=9:0"], "lower end below the upper"),
        (["--circular", "kids=0:x"], "--circular kids expects a number, got x"),
        (["--target", "kids", "--context", "height"], "give one of them"),
        (["--context", ",".join(MIXED)], "some columns that are modelled"),
        (["--optimizer", "adamw"], "choose --optimizer themselves"),
        (["--set", "wings=2"], "no option wings"),
    ]:
        code = 1 if "expected a column" in message else 2
        assert message in fails(capsys, code, "train", "table", *arguments, *options), options
    assert not (tmp_path / "other").exists()
    assert "is for tables" in fails(capsys, 2, "train", "nsf", "-d", "moons", "-o", tmp_path / "other", "--target", "x")


def test_the_fit_of_a_table_begins_again(people: Path, mixed: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / "config.json").write_bytes((people / "config.json").read_bytes())
    assert run("train", "--resume", "-o", out, "-q") == 0
    scores = []
    for folder in (people, out):
        assert run("score", folder, mixed, "-o", tmp_path / "scores.csv", "-q") == 0
        scores.append(pd.read_csv(tmp_path / "scores.csv")["log_prob"])
    assert scores[0].equals(scores[1])


def test_whole_numbers_are_trained_by_discrete_flows_and_as_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x = np.random.default_rng(0).integers(0, 4, (200, 3))
    np.save(tmp_path / "x.npy", x)
    pd.DataFrame(x, columns=list("abc")).to_csv(tmp_path / "x.csv", index=False)
    for number, (model, data) in enumerate(
        [("categorical-flow", "x.npy"), ("discrete-flow", "x.csv"), ("idf-vector", "x.csv"), ("table", "x.npy")]
    ):
        out = tmp_path / f"run{number}"
        small = ["--set", "hidden=8"] if model != "table" else TINY_TABLE
        assert run("train", model, "-d", tmp_path / data, "-o", out, "--max-steps", 3, "-q", *small) == 0
        capsys.readouterr()
        assert run("sample", out, "-n", 20, "-o", "-") == 0
        drawn = pd.read_csv(__import__("io").StringIO(capsys.readouterr().out))
        assert drawn.shape == (20, 3) and set(drawn.to_numpy().ravel()) <= {0, 1, 2, 3, *range(4, 99)}
        assert run("score", out, tmp_path / data) == 0
        assert len(capsys.readouterr().out.splitlines()) == 201
    line = fails(capsys, 2, "train", "nsf", "-d", tmp_path / "x.npy", "-o", tmp_path / "run")
    assert "pushforward train table takes them" in line


@pytest.mark.parametrize("kind", ["density", "samples", "pairs", "calibration", "grid"])
def test_plots(vectors: Path, table: Path, workplace: Path, tmp_path: Path, kind: str) -> None:
    from PIL import Image

    flow, two = workplace / "moons", workplace / "two"
    if not flow.exists():
        assert run("train", "nsf", "-d", "moons", "-o", flow, "--max-steps", 3, "-q", *TINY_TABLE) == 0
        columns = ["--columns", "a,b", "--max-steps", 3]
        assert run("train", "nsf", "-d", table, "-o", two, "-q", *columns, *TINY_TABLE) == 0
    for folder in (flow, two) if kind != "grid" else (flow,):
        assert run("plot", folder, kind, "-o", tmp_path / "p.png", "-q") == 0
        with Image.open(tmp_path / "p.png") as picture:
            assert min(picture.size) > 300 and len(picture.convert("L").getcolors(256) or []) > 20


def test_plots_of_a_table_with_missing_values_leave_rows_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = np.random.default_rng(0).normal(size=(300, 2))
    rows[::3, 0] = np.nan
    pd.DataFrame(rows, columns=["a", "b"]).to_csv(tmp_path / "gaps.csv", index=False)
    options = ["-o", tmp_path / "run", "--max-steps", 3, "-q", *TINY_TABLE]
    assert run("train", "table", "-d", tmp_path / "gaps.csv", *options) == 0
    for kind, what in (("density", "rows"), ("samples", "samples"), ("pairs", "rows")):
        assert run("plot", tmp_path / "run", kind, "-o", tmp_path / f"{kind}.png") == 0
        assert re.search(rf"\d+ of 30 {what} have missing values and are left out", capsys.readouterr().err)
    assert run("plot", tmp_path / "run", "calibration", "-o", tmp_path / "c.png", "-q") == 0
    assert run("sample", tmp_path / "run", "-n", 50, "-o", tmp_path / "s.png", "-q") == 0
    assert "missing" not in capsys.readouterr().err


def test_values_are_given_as_in_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"id": np.arange(300) / 3, "hour": rng.random(300) * 24, "weight": rng.normal(size=300)})
    frame.loc[::3, "weight"] = np.nan
    frame.to_csv(tmp_path / "t.csv", index=False)
    out = tmp_path / "run"
    options = ["--circular", "hour=24", "--drop", "id", "--max-steps", 3, "-q", *TINY_TABLE]
    assert run("train", "table", "-d", tmp_path / "t.csv", "-o", out, *options) == 0
    assert run("sample", out, "-n", 5, "-o", tmp_path / "s.csv", "--given", "hour=24.5", "-q") == 0
    assert pd.read_csv(tmp_path / "s.csv")["hour"].tolist() == [0.5] * 5
    for missing in ("", "NA", "nan", "?"):
        assert run("sample", out, "-n", 5, "-o", tmp_path / "s.csv", "--given", f"weight={missing}", "-q") == 0
        assert pd.read_csv(tmp_path / "s.csv")["weight"].isna().all()
    assert run("score", out, tmp_path / "t.csv", "-o", tmp_path / "k.csv", "--keep", "id,hour", "-q") == 0
    kept = pd.read_csv(tmp_path / "k.csv")
    assert list(kept.columns) == ["row", "id", "hour", "log_prob"] and kept["id"].equals(frame["id"])


def test_a_circle_has_both_ends_or_a_period(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("hour", "hour=", "hour=0:", "hour=:24"):
        line = fails(capsys, 2, "train", "table", "-d", tmp_path / "x.csv", "-o", tmp_path / "r", "--circular", text)
        assert "--circular takes COLUMN=LOW:HIGH or COLUMN=PERIOD" in line


def test_plots_that_cannot_be(images: Path, vectors: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "p.png"
    assert "two columns" in fails(capsys, 2, "plot", vectors, "density", "-o", out)
    assert "draw pairs" in fails(capsys, 2, "plot", vectors, "samples", "-o", out)
    assert "grid is of a flow alone" in fails(capsys, 2, "plot", vectors, "grid", "-o", out)
    assert "plot draws samples of models of images" in fails(capsys, 2, "plot", images, "pairs", "-o", out)
    assert "ends in" in fails(capsys, 2, "plot", vectors, "pairs", "-o", tmp_path / "p.doc")
    assert "density" in fails(capsys, 2, "plot", vectors, "portrait", "-o", out)
    assert "a continuous flow of vectors" in fails(capsys, 2, "plot", vectors, "trajectories", "-o", out)


def test_samples_of_images_are_drawn_beside_the_data(images: Path, tmp_path: Path) -> None:
    from PIL import Image

    out = tmp_path / "s.png"
    assert run("plot", images, "samples", "-o", out, "-q") == 0
    with Image.open(out) as picture:
        width, height = picture.size
    assert width > 1.5 * height > 300


def test_points_of_the_plane_are_a_picture(tmp_path: Path) -> None:
    from PIL import Image

    assert run("train", "nsf", "-d", "moons", "-o", tmp_path / "run", "--max-steps", 3, "-q", *TINY_TABLE) == 0
    assert run("sample", tmp_path / "run", "-o", tmp_path / "s.png", "-q") == 0
    with Image.open(tmp_path / "s.png") as picture:
        assert min(picture.size) > 300


def test_version_help_and_pages_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0 and capsys.readouterr().out == f"pushforward {pf.__version__}\n"
    for arguments in (["-h"], ["train", "-h"], ["models", "-h"]):
        assert run(*arguments) == 0 and "Usage: pushforward" in capsys.readouterr().out
    # No name is cut where nobody looks through a window.
    command = f"{sys.executable} -m pushforward models"
    environment = {**ENVIRONMENT, "COLUMNS": "40"}
    shown = subprocess.run(command.split(), capture_output=True, text=True, env=environment, check=True).stdout
    assert all(name in shown for name in pf.list_models()) and "…" not in shown
    assert run("models", "nsf") == 0
    shown = capsys.readouterr().out
    assert "arXiv:1906.04032" in shown and "Example: pushforward train nsf --data table.csv" in shown
    assert run("models", "videoflow") == 0
    assert "Example: pushforward train videoflow --data movement" in capsys.readouterr().out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device here")
def test_output_that_cannot_be_written() -> None:
    for arguments in ("models", "models --json", "--version"):
        command = f"{sys.executable} -m pushforward {arguments} > /dev/full"
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=ENVIRONMENT)
        assert done.returncode == 1
        assert done.stderr == "pushforward: cannot write standard output: No space left on device\n"


def test_models_and_inspect(images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert set(json_of(capsys, "models")) == set(pf.list_models())
    assert json_of(capsys, "models", "realnvp")["layers"] == 4
    assert run("models") == 0 and "realnvp" in capsys.readouterr().out
    found = json_of(capsys, "inspect", images)
    flow = pf.load(images / "model.safetensors")
    assert found["parameters"] == sum(weight.numel() for weight in flow.parameters())
    assert found["parameters"] == sum(part["parameters"] for part in found["parts"])
    assert found["accuracy"] == "lower bound"
    assert run("inspect", images) == 0 and "lower bound" in capsys.readouterr().out


def test_a_model_file_is_inspected_as_it_is_loaded(
    vectors: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = vectors / "model.safetensors"
    found, of_run = json_of(capsys, "inspect", file), json_of(capsys, "inspect", vectors)
    assert found["file"] == str(file) and found["parts"] == of_run["parts"]
    assert "no run there" in fails(capsys, 1, "inspect", tmp_path / "nothing")


def test_exact_flows_need_no_draws(vectors: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("evaluate", vectors) == 0 and capsys.readouterr().err == ""
    assert run("evaluate", vectors, "--importance-samples", 4) == 0
    assert "no bound to tighten: --importance-samples changes nothing" in capsys.readouterr().err


def test_evaluate_tells_the_error_of_an_estimate_over_its_draws(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x, out = np.random.default_rng(0).normal(size=(300, 10)).astype(np.float32), tmp_path / "run"
    np.save(tmp_path / "x.npy", x)
    options = ["--set", "layers=1", "--set", "hidden=8", "--max-steps", 3, "-q"]
    assert run("train", "residual-flow", "-d", tmp_path / "x.npy", "-o", out, *options) == 0
    found = json_of(capsys, "evaluate", out, "--draws", 4)
    assert found["accuracy"] == "estimate" and found["draws"] == 4 and found["nats_draws_error"] > 0
    assert run("evaluate", out) == 0 and "over the draws)" in capsys.readouterr().out
    assert "--draws" in fails(capsys, 2, "evaluate", out, "--draws", 1)


def test_a_score_is_told_in_four_decimals(
    vectors: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mean = json_of(capsys, "score", vectors, table, "-o", tmp_path / "scores.csv")["mean_log_prob"]
    assert run("score", vectors, table, "-o", tmp_path / "scores.csv") == 0
    assert f"rows 600, mean log prob {mean:.4f}, accuracy exact" in capsys.readouterr().err


def test_inspect_goes_through_the_levels() -> None:
    from pushforward.diagnostics import count_parameters

    flow = pf.build("glow", shape=[1, 8, 8], levels=17, layers=1, hidden=8, scales=2)
    parts = pf.summary(flow).parts
    assert sum(part.parameters for part in parts) == count_parameters(flow)
    leaves = [part for part in parts if part.inverse == ""]
    assert sum(int(np.prod(part.shape)) for part in leaves) == 64


def test_train_json_and_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ["--set", "hidden=8,8", "--set", "layers=1", "--clip", "none", "--ema", "none"]
    found = json_of(capsys, "train", "nsf", "-d", "moons", "-o", tmp_path / "r", "--max-steps", 3, *settings)
    assert found["steps"] == 3 and found["stopped"] == "steps"
    assert pf.load(tmp_path / "r" / "model.safetensors").recipe["hidden"] == [8, 8]


# Going on


def kill_when(process: subprocess.Popen[bytes], metrics: Path, rows: int, number: int) -> int:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if metrics.exists() and len(metrics.read_text().splitlines()) > rows:
            process.send_signal(number)
            break
        time.sleep(0.02)
    return process.wait(120)


def curve(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open() as file:
        return [{name: row[name] for name in row if name != "seconds"} for row in csv.DictReader(file)]


def test_resume_after_kill_goes_on_with_the_same_curve(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["-d", "digits", *TINY_IMAGES, "--max-steps", "60", "--log-every", "1", "--batch-size", "64", "-q"]
    often = ["--checkpoint-seconds", "0"]
    assert run("train", "nice", "-o", tmp_path / "straight", *options) == 0
    killed = tmp_path / "killed"
    command = [sys.executable, "-m", "pushforward", "train", "nice", "-o", str(killed), *options, *often]
    code = kill_when(subprocess.Popen(command, env=ENVIRONMENT), killed / "metrics.csv", 7, signal.SIGKILL)
    assert code == -signal.SIGKILL and len(curve(killed)) < 60
    # What a killed run left is usable, and the run goes on from its own configuration.
    assert run("train", "--resume", "-o", killed, "-q") == 0
    assert curve(killed) == curve(tmp_path / "straight")
    models = [pf.load(tmp_path / name / "model.safetensors").state_dict() for name in ("straight", "killed")]
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])
    assert "not glow" in fails(capsys, 2, "train", "glow", "--resume", "-o", killed)


def test_a_resume_with_nothing_left_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["-o", tmp_path / "run", "--max-time", "1s"]
    assert run("train", "maf", "-d", "moons", *arguments, "-q", *TINY_TABLE) == 0
    capsys.readouterr()
    assert run("train", "--resume", *arguments) == 0
    assert "nothing was left to do" in capsys.readouterr().err
    assert run("train", "--resume", "-o", tmp_path / "run", "--max-time", "2s") == 0
    assert "nothing was left" not in capsys.readouterr().err


def test_interrupt_saves_and_says_so(tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", "pushforward", "train", "nice", "-d", "digits", "-o", str(out)]
    # Two minutes would be long enough for compiling to pay.
    options = [*TINY_IMAGES, "--max-time", "00:02:00", "--log-every", "1", "--no-compile", "-q"]
    process = subprocess.Popen([*command, *options], env=ENVIRONMENT, stderr=subprocess.PIPE)
    assert kill_when(process, out / "metrics.csv", 5, signal.SIGINT) == 130
    assert process.stderr is not None and process.stderr.read().decode() == "pushforward: interrupted\n"
    state = torch.load(out / "last.ckpt", weights_only=True)["pushforward"]
    assert state["step"] >= 5 and pf.load(out / "model.safetensors").event_shape == (1, 8, 8)


# Saying what is wrong


def test_wrong_usage(capsys: pytest.CaptureFixture[str], tmp_path: Path, images: Path, vectors: Path) -> None:
    out = tmp_path / "run"
    assert "No such command" in fails(capsys, 2, "fly")
    assert "--nonsense" in fails(capsys, 2, "train", "--nonsense")
    assert "max-steps" in fails(capsys, 2, "train", "nsf", "--max-steps", "many")
    assert "--out" in fails(capsys, 2, "train", "nsf", "-d", "moons")
    assert "MODEL and --data" in fails(capsys, 2, "train", "-o", out)
    assert "unknown model 'nsff'" in fails(capsys, 2, "train", "nsff", "-d", "moons", "-o", out)
    assert "no option wings" in fails(capsys, 2, "train", "nsf", "-d", "moons", "-o", out, "--set", "wings=2")
    assert "KEY=VALUE" in fails(capsys, 2, "train", "nsf", "-d", "moons", "-o", out, "--set", "wings")
    assert "learning_rate" in fails(capsys, 2, "train", "nsf", "-d", "moons", "-o", out, "--lr", "-1", "-q")
    assert "no model of images" in fails(capsys, 2, "train", "nsf", "-d", "digits", "-o", out)
    assert "no model of vectors" in fails(capsys, 2, "train", "glow", "-d", "moons", "-o", out)
    assert "--context is for tables" in fails(capsys, 2, "train", "nsf", "-d", "moons", "-o", out, "--context", "x")
    assert "ends in" in fails(capsys, 2, "sample", images, "-o", tmp_path / "s.doc")
    assert "temperature" in fails(capsys, 2, "sample", images, "-o", tmp_path / "s.png", "--temperature", "0")
    assert "made of points" in fails(capsys, 2, "sample", vectors, "-o", tmp_path / "s.png")
    assert "takes vectors" in fails(capsys, 2, "sample", images, "-o", tmp_path / "s.csv")
    assert "--given is for runs of tables" in fails(
        capsys, 2, "sample", images, "-o", tmp_path / "s.png", "--given", "a=1"
    )
    assert "models of vectors" in fails(capsys, 2, "score", images, tmp_path / "t.csv")
    np.save(tmp_path / "small.npy", np.zeros((20, 4, 4), np.uint8))
    assert "does not fit" in fails(capsys, 2, "evaluate", images, "-d", tmp_path / "small.npy")
    assert "--part" in fails(capsys, 2, "evaluate", images, "--part", "best")
    assert "device" in fails(capsys, 2, "evaluate", images, "--device", "abacus")
    assert "unknown model" in fails(capsys, 2, "models", "nsff")
    assert not (out / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("model", "setting", "expected"),
    [
        ("nsf", "layers=2.5", "a whole number, got 2.5"),
        ("nsf", "layers=many", "a whole number, got many"),
        ("nsf", "layers=2,3", "a whole number, got 2,3"),
        ("nsf", "layers=true", "a whole number, got true"),
        ("nsf", "layers=", "a whole number, got nothing"),
        ("nsf", "hidden=wide", "a whole number or a list of whole numbers, got wide"),
        ("nsf", "hidden=8,8.5", "a whole number or a list of whole numbers, got 8,8.5"),
        ("nsf", "bound=nan", "a number, got nan"),
        ("multiscale", "shape=8", "a list of whole numbers, got 8"),
        ("discrete-flow", "autoregressive=1", "true or false, got 1"),
        ("sylvester", "units=few", "a whole number or none, got few"),
    ],
)
def test_settings_of_a_wrong_type(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, model: str, setting: str, expected: str
) -> None:
    out = tmp_path / "run"
    line = fails(capsys, 2, "train", model, "-d", "no-such-data", "-o", out, "--set", setting)
    assert line == f"pushforward: --set {setting.split('=')[0]} expects {expected}"
    assert not out.exists()


def test_settings_are_read_as_their_types() -> None:
    from pushforward.cli.settings import parse_settings

    settings = ["layers=2", "hidden=[8, 16]", "bound=5"]
    assert parse_settings("nsf", settings) == {"layers": 2, "hidden": [8, 16], "bound": 5.0}
    assert parse_settings("nsf", ["hidden=8"]) == {"hidden": 8} and parse_settings("nsf", ["hidden=8,"])["hidden"] == [
        8
    ]
    assert parse_settings("sylvester", ["units=none"]) == {"units": None}
    assert parse_settings("discrete-flow", ["autoregressive=true"]) == {"autoregressive": True}


def test_values_of_every_kind_of_annotation() -> None:
    from collections.abc import Callable, Mapping
    from typing import Literal

    from pushforward.cli.values import expectation, is_readable, parse_value

    for text, annotation, value in [
        ("adam", Literal["adam", "adamw"], "adam"),
        ("3", str, "3"),
        ("90", str | float | None, 90.0),
        ("00:01:30", str | float | None, "00:01:30"),
        ("none", str | float | None, None),
        ("0,1", int | str | list[int], [0, 1]),
        ("1,2", tuple[int, int], [1, 2]),
        ("[[1,2],[3]]", list[list[int]], [[1, 2], [3]]),
        ('{"a": 1}', Mapping[str, int], {"a": 1}),
        ("8,a", Any, "8,a"),
        ("8,9", Any, [8, 9]),
        ("7", int | Callable[[], int], 7),
    ]:
        assert parse_value("it", text, annotation) == value, text
    for text, annotation in [
        ("sgd", Literal["adam", "adamw"]),
        ("1,2,3", tuple[int, int]),
        ("[1]", Mapping[str, int]),
        ("f", Callable[[], int]),
    ]:
        with pytest.raises(pf.errors.UsageError, match=r"^it expects .*, got"):
            parse_value("it", text, annotation)
    assert not is_readable(Callable[[], int]) and "cannot be written" in expectation(Callable[[], int])
    assert expectation(Literal["adam", "adamw"]) == "adam or adamw"


def test_every_option_of_fit_is_one_of_train(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import inspect

    from pushforward.cli.training_options import training_options

    options = training_options()
    own = {"flow", "train", "validation", "out", "resume", "progress", "seed"}
    assert set(options) == set(inspect.signature(pf.fit).parameters) - own
    assert all(option.help for option in options.values()), "an option of fit without a line in its docstring"
    monkeypatch.setenv("COLUMNS", "200")
    assert run("train", "--help") == 0
    shown = capsys.readouterr().out
    for name, option in options.items():
        assert "--" + name.replace("_", "-") in shown and option.help.split(" ")[0] in shown
    assert "default: 0.999" in shown


def test_every_command_and_option_has_a_help_text() -> None:
    import typer

    whole = typer.main.get_command(cli.app)
    for name, command in whole.commands.items():  # type: ignore[attr-defined]
        assert command.help, name
        for parameter in command.get_params(typer.Context(command)):
            assert getattr(parameter, "help", None), f"{name} {parameter.name}"


def test_options_of_training_of_a_wrong_type(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments = ["train", "nsf", "-d", "moons", "-o", tmp_path / "run"]
    assert "--max-steps expects a whole number or none, got 2.5" in fails(capsys, 2, *arguments, "--max-steps", 2.5)
    assert "--lr" in fails(capsys, 2, *arguments, "--lr")
    assert "--learning-rate expects a number, got fast" in fails(capsys, 2, *arguments, "--lr", "fast")
    # Before any data are read: these are not there.
    arguments = ["train", "nsf", "-d", tmp_path / "nothing.csv", "-o", tmp_path / "run"]
    assert "layers of at least 1" in fails(capsys, 2, *arguments, "--set", "layers=0")
    arguments = ["train", "nsf", "-d", tmp_path / "nothing.csv", "-o", tmp_path / "run"]
    assert "optimizer must be one of" in fails(capsys, 2, *arguments, "--optimizer", "sgd")
    assert "max_time must be a positive" in fails(capsys, 2, *arguments, "--max-time", "1x")
    assert "nothing.csv" in fails(capsys, 1, *arguments, "--max-time", "1s")


def test_a_run_of_another_version_is_not_resumed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, images: Path
) -> None:
    stored = json.loads((images / "config.json").read_text())
    stored["training"]["momentum"] = 0.9
    (tmp_path / "config.json").write_text(json.dumps(stored))
    assert "no option momentum" in fails(capsys, 1, "train", "--resume", "-o", tmp_path)


def test_discrete_and_continuous_do_not_mix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "floats.npy", np.random.default_rng(0).random((20, 1, 8, 8)))
    np.save(tmp_path / "integers.npy", np.random.default_rng(0).integers(0, 5, (20, 3)))
    out = tmp_path / "run"
    assert "give --levels" in fails(capsys, 2, "train", "glow", "-d", tmp_path / "floats.npy", "-o", out)
    np.save(tmp_path / "wide.npy", 4 * np.random.default_rng(0).random((20, 1, 8, 8)))
    assert "give whole numbers" in fails(capsys, 2, "train", "glow", "-d", tmp_path / "wide.npy", "-o", out)
    assert "models continuous data" in fails(capsys, 2, "train", "nsf", "-d", tmp_path / "integers.npy", "-o", out)
    # And that is a way on.
    small = ["--set", "layers=1", "--set", "hidden=4", "--set", "scales=2", "--max-steps", 2]
    assert run("train", "glow", "-d", tmp_path / "floats.npy", "-o", out, "--levels", "8", *small) == 0
    assert "fractions 0..1 are read as 8 levels, rounded by up to" in capsys.readouterr().err


def test_a_run_is_not_written_over(images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path.name: path.read_bytes() for path in images.iterdir() if path.is_file()}
    assert "already holds a run" in fails(capsys, 2, "train", "nice", "-d", "digits", "-o", images)
    assert {path.name: path.read_bytes() for path in images.iterdir() if path.is_file()} == before


def test_wrong_data(capsys: pytest.CaptureFixture[str], tmp_path: Path, vectors: Path, table: Path) -> None:
    out = tmp_path / "run"
    assert "no such" in fails(capsys, 1, "train", "nice", "-d", "nowhere.npz", "-o", out)
    (tmp_path / "x-idx3-ubyte").write_bytes(b"\0\0\x08\x03\0\0\0\x09\0\0\0\x02\0\0\0\x02abc")
    assert "truncated IDX" in fails(capsys, 1, "train", "nice", "-d", tmp_path / "x-idx3-ubyte", "-o", out)
    np.save(tmp_path / "x.npy", np.full((20, 4, 4), 9))
    assert "expected values 0..3" in fails(
        capsys, 1, "train", "nice", "-d", tmp_path / "x.npy", "-o", out, "--levels", "4"
    )
    np.save(tmp_path / "x.npy", np.zeros(20))
    assert "expected (N, D)" in fails(capsys, 1, "train", "nice", "-d", tmp_path / "x.npy", "-o", out)
    pd.DataFrame({"a": range(50), "b": 3.0}).to_csv(tmp_path / "constant.csv", index=False)
    steps = ["--max-steps", 2]
    with pytest.warns(UserWarning, match=r"columns that are not modelled: 'b' \(constant\)"):
        assert run("train", "nsf", "-d", tmp_path / "constant.csv", "-o", tmp_path / "constant", *steps) == 0
    scores = tmp_path / "scores.csv"
    assert "no such file" in fails(capsys, 1, "score", vectors, tmp_path / "none.csv", "-o", scores)
    pd.read_csv(table)[["a", "b"]].to_csv(tmp_path / "narrow.csv", index=False)
    assert "expected a column 'c'" in fails(capsys, 1, "score", vectors, tmp_path / "narrow.csv", "-o", scores)
    frame = pd.read_csv(table).astype({"b": object})
    frame.loc[17, "b"] = "many"
    frame.to_csv(tmp_path / "word.csv", index=False)
    scores.write_text("from before")
    line = fails(capsys, 1, "score", vectors, tmp_path / "word.csv", "-o", scores)
    assert "word.csv: column 'b' expects numbers, got 'many' in 1 of 600 rows" in line
    assert scores.read_text() == "from before"


def test_wrong_runs(capsys: pytest.CaptureFixture[str], tmp_path: Path, images: Path) -> None:
    out = tmp_path / "run"
    assert "no run there" in fails(capsys, 1, "evaluate", out)
    assert "no run there" in fails(capsys, 1, "train", "--resume", "-o", out)
    out.mkdir()
    (out / "config.json").write_text("{half")
    assert "damaged or foreign" in fails(capsys, 1, "sample", out, "-o", tmp_path / "s.png")
    (out / "config.json").write_text('{"name": "some other program"}')
    assert "not the configuration" in fails(capsys, 1, "inspect", out)
    (out / "config.json").write_bytes((images / "config.json").read_bytes())
    assert "no model.safetensors there yet" in fails(capsys, 1, "evaluate", out)
    model = (images / "model.safetensors").read_bytes()
    for damaged in (b"", b"rubbish", model[: len(model) // 2]):
        (out / "model.safetensors").write_bytes(damaged)
        assert "model.safetensors" in fails(capsys, 1, "evaluate", out)
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(3)}, out / "model.safetensors")
    assert "not one that pushforward saved" in fails(capsys, 1, "evaluate", out)
    (out / "last.ckpt").write_bytes(b"rubbish")
    assert "last.ckpt: damaged" in fails(capsys, 1, "train", "--resume", "-o", out, "-q")
    assert (out / "last.ckpt").read_bytes() == b"rubbish"


def test_places_that_cannot_be_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    assert "cannot write" in fails(capsys, 1, "train", "nsf", "-d", "moons", "-o", tmp_path / "file")
    assert "cannot write" in fails(capsys, 1, "sample", images, "-o", tmp_path / "file" / "s.png")
    assert (tmp_path / "file").read_text() == "in the way"

    out = tmp_path / "s.npz"
    out.write_text("from before")
    for number in (13, 28, 30):  # no permission, no space, a read-only file system

        def refuse(*arguments: Any, number: int = number, **options: Any) -> None:
            raise OSError(number, os.strerror(number))

        with monkeypatch.context() as patched:
            patched.setattr("tempfile.mkstemp", refuse)
            assert os.strerror(number) in fails(capsys, 1, "sample", images, "-o", out)
        with monkeypatch.context() as patched:
            patched.setattr(np, "savez_compressed", refuse)
            assert os.strerror(number) in fails(capsys, 1, "sample", images, "-o", out)
    assert out.read_text() == "from before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "s.npz"]


def test_training_that_fails_says_where(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pushforward.distributions import StandardNormal

    healthy = StandardNormal.forward
    calls = iter(range(10**6))
    monkeypatch.setattr(
        StandardNormal,
        "forward",
        lambda self, x, *given: healthy(self, x, *given) * (float("nan") if next(calls) > 20 else 1.0),
    )
    # Few steps, so that nothing is compiled for them.
    steps = ["--max-steps", 100]
    line = fails(capsys, 1, "train", "nsf", "-d", "moons", "-o", tmp_path / "run", "-q", *steps, *TINY_TABLE)
    assert "not finite at step" in line and "base (StandardNormal)" in line
    assert (tmp_path / "run" / "model.safetensors").exists()


def test_bugs_and_broken_pipes_have_no_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, images: Path
) -> None:
    def bug(*arguments: object) -> None:
        raise AttributeError("two\nlines")

    # The function of the same name hides the module from attribute access.
    module = importlib.import_module("pushforward.diagnostics.summary")
    monkeypatch.setattr(module, "summary", bug)
    assert "unexpected AttributeError: two lines" in fails(capsys, 1, "inspect", images)
    interrupted = lambda flow: (_ for _ in ()).throw(KeyboardInterrupt)  # noqa: E731
    monkeypatch.setattr(module, "summary", interrupted)
    assert "interrupted" in fails(capsys, 130, "inspect", images)
    command = f"{sys.executable} -m pushforward models --json | head -c 10"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=ENVIRONMENT, check=True)
    assert done.stderr == ""
