"""Angles and unit vectors on the command line, and other models of a table's numbers as they are."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pushforward as pf
from pushforward.cli import main as cli
from pushforward.cli.plot_subjects import _circle_ends
from pushforward.cli.runs import Run
from pushforward.spaces import Circle, Product


def run(*arguments: object) -> int:
    return cli.run([str(argument) for argument in arguments])


@pytest.fixture
def wind(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"direction": 360 * rng.random(200), "hour": 24 * rng.random(200)})
    frame.to_csv(tmp_path / "wind.csv", index=False)
    return tmp_path / "wind.csv"


def test_columns_of_angles_have_units_of_their_own(wind: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    units = ["--set", "low=0", "--set", "high=360,24", "--set", "layers=1", "--set", "hidden=8"]
    assert run("train", "torus", "-d", wind, "-o", out, *units, "--max-steps", 2, "-q") == 0
    space = Product(Circle((1,), 0, 360), Circle((1,), 0, 24))
    assert pf.load(out).support == space
    assert run("train", "--resume", "-o", out, "--max-steps", 3, "-q") == 0
    assert run("sample", out, "-n", 50, "-o", tmp_path / "s.csv", "-q") == 0
    drawn = pd.read_csv(tmp_path / "s.csv")
    assert run("plot", out, "density", "-o", tmp_path / "d.png", "-q") == 0
    assert _circle_ends(space) == (0, 360, 0, 24) and _circle_ends(Circle((3,))) is None
    assert list(drawn) == ["direction", "hour"] and drawn["direction"].max() > 100 and drawn["hour"].max() <= 24


def test_angles_elsewhere_are_told_in_a_sentence(
    wind: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("train", "torus", "-d", wind, "-o", tmp_path / "r", "-q") == 1
    assert "expects angles from -3.14159 to 3.14159" in (line := capsys.readouterr().err) and "low= and high=" in line
    assert run("train", "rad", "-d", wind, "-o", tmp_path / "r", "--circular", "hour=24", "-q") == 2
    assert "--circular is for tables" in capsys.readouterr().err


def test_a_flow_on_the_sphere_takes_a_table_and_is_drawn_as_a_map(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x = np.random.default_rng(0).normal(size=(200, 3))
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    for name, rows in (("unit", unit), ("long", 2 * unit)):
        pd.DataFrame(rows, columns=list("xyz")).to_csv(tmp_path / f"{name}.csv", index=False)
    options = ["-o", tmp_path / "run", "--set", "layers=1", "--set", "hidden=8", "--max-steps", 2, "-q"]
    assert run("train", "sphere-recursive", "-d", tmp_path / "long.csv", *options) == 1
    line = capsys.readouterr().err
    assert "vectors of 3 numbers and length 1, got a vector of length 2" in line and "divide each vector" in line
    assert run("train", "sphere-recursive", "-d", tmp_path / "unit.csv", *options) == 0
    assert run("plot", tmp_path / "run", "map", "-o", tmp_path / "map.png", "-q") == 0
    assert (tmp_path / "map.png").stat().st_size > 10_000


def test_flows_that_the_data_place_are_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(300, 2)))
    assert run("train", "rbig", "-d", tmp_path / "x.npy", "-o", out, "--set", "layers=2", "-q") == 0
    assert run("plot", out, "calibration", "-o", tmp_path / "c.png", "-q") == 0
    assert run("plot", out, "map", "-o", tmp_path / "m.png", "-q") == 2
    assert "map is of a flow on the ordinary sphere" in capsys.readouterr().err


def test_tails_believed_of_a_table_are_refused_and_of_an_array_taken(
    wind: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--set", "indices=1.5,inf", "--set", "layers=1", "--set", "hidden=8", "--max-steps", 2, "-q"]
    assert run("train", "tails", "-d", wind, "-o", tmp_path / "r", *options) == 2
    assert "a belief in their tails is for tails on an array" in capsys.readouterr().err
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_t(1.5, size=(300, 2)))
    assert run("train", "tails", "-d", tmp_path / "x.npy", "-o", tmp_path / "r", *options) == 0
    assert Run.read(tmp_path / "r").options["indices"] == [1.5, float("inf")]
