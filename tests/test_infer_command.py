"""``pushforward infer``: a table of simulations in, a posterior that is right and stays within its bounds out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import pushforward as pf
from pushforward.cli.inference import bounds_of, divide, observation
from pushforward.cli.inference_request import Request
from pushforward.cli.main import run as run_command
from pushforward.cli.simulation_table import read_simulations

NOISE = 0.5
# Of theta given x, where theta ~ N(0, I) and x ~ N(theta, NOISE^2 I).
SHRINKAGE, WIDTH = 1 / (1 + NOISE**2), NOISE / (1 + NOISE**2) ** 0.5
QUICK = ["--max-steps", 120, "--members", 1, "--held-out", 50, "--draws", 2000]


@pytest.fixture(scope="module")
def normal() -> pd.DataFrame:
    random = np.random.default_rng(0)
    theta = random.normal(size=(600, 2))
    x = theta + NOISE * random.normal(size=(600, 2))
    return pd.DataFrame({"mass": theta[:, 0], "age": 100 * theta[:, 1] + 500, "flux": x[:, 0], "colour": x[:, 1]})


@pytest.fixture(scope="module")
def simulations(normal: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("infer") / "simulations.csv"
    normal.to_csv(path, index=False)
    return path


def run(*arguments: object) -> int:
    return run_command([str(argument) for argument in arguments])


def _tables(page: str) -> list[str]:
    """The tables of results of a report."""
    return page.split("Configuration</h2>")[0].split("<table>")[1:]


def test_the_command_infers_and_reports(simulations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    observed = tmp_path / "observed.csv"
    observed.write_text("colour,flux\n-1.0,1.0\n")
    out = tmp_path / "run"
    arguments = ["infer", simulations, "-p", "mass,age", "-o", out, "--observed", observed, *QUICK]
    assert run(*arguments, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["held_out"] == 50 and facts["simulations"] == 550
    mass, age = facts["posterior"]["mass"], facts["posterior"]["age"]
    assert abs(mass["mean"] - SHRINKAGE) < 0.4 and 0.6 < mass["deviation"] / WIDTH < 1.6
    assert abs(age["mean"] - (500 - 100 * SHRINKAGE)) < 40 and 0.6 < age["deviation"] / (100 * WIDTH) < 1.6
    drawn = pd.read_csv(out / "samples.csv")
    assert list(drawn) == ["mass", "age"] and len(drawn) == 2000
    assert drawn["mass"].mean() == pytest.approx(mass["mean"], rel=1e-3)
    page = (out / "report.html").read_text()
    assert page.count("<img ") == 5 and "mass" in page and "random points" in page and "Bounds" in page
    assert "posterior predictive" in page
    # Tests and draws made again are the same.
    again_out = tmp_path / "again.html"
    assert run("report", out, "-o", again_out, "-q") == 0
    assert _tables(again_out.read_text()) == _tables(page)
    # What is left is used again, for any observation.
    posterior = pf.load(out / "model.safetensors")
    again = posterior.sample(2000, torch.tensor([1.0, -1.0])).double().mean(0)
    assert abs(again[0] - mass["mean"]) < 0.1 and abs(again[1] - age["mean"]) < 10
    assert run(*arguments, "-q") == 2
    assert "--force" in capsys.readouterr().err


def test_draws_stay_within_bounds_and_values_may_be_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(0)
    theta = random.uniform(size=(400, 2)) * [1, 3]
    x = theta + 0.3 * random.normal(size=(400, 2))
    table = pd.DataFrame({"rate": theta[:, 0], "size": theta[:, 1], "first": x[:, 0], "second": x[:, 1]})
    table.loc[::5, "second"] = np.nan
    # The observation lies at a corner of the prior, where a density without bounds would leak.
    table.loc[0, ["rate", "size", "first", "second"]] = [0.01, 2.9, -0.2, np.nan]
    table.to_parquet(tmp_path / "simulations.parquet")
    out = tmp_path / "run"
    arguments = ["infer", tmp_path / "simulations.parquet", "-p", "rate,size", "-o", out, "--bounds", "size=:3.5"]
    assert run(*arguments, *QUICK, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["bounds"]["size"] == [None, 3.5]
    low, high = facts["bounds"]["rate"]
    assert 0 <= low < 0.02 and abs(high - 1) < 0.02
    drawn = pd.read_csv(out / "samples.csv")
    assert drawn["rate"].between(low, high).all() and drawn["size"].max() <= 3.5
    loaded = pf.load(out).sample(5000, torch.tensor([[-0.5, torch.nan], [1.5, 4.0]]))
    assert bool((loaded[..., 0] >= low).all() and (loaded[..., 0] <= high).all() and (loaded[..., 1] <= 3.5).all())


def test_a_row_that_stands_for_an_observation_is_not_learned_from(simulations: Path) -> None:
    request = Request(str(simulations), ("mass", "age"), (), {}, None, 7, 100, 500, None, 1.0, None, 0)
    table = read_simulations(request.simulations, request.parameters, ())
    observed, truth = observation(request, table)
    assert observed.equal(table.x[7]) and truth is not None and truth.equal(table.theta[7])
    parts = divide(table, request, True)
    assert [len(part.x) for part in parts] == [480, 119]
    assert all(not bool((part.x == observed).all(1).any()) for part in parts)


def test_parameters_may_lie_on_their_bounds(simulations: Path) -> None:
    """Those are numbers that single precision rounds, to the inside at 0.7 and at 0.1."""
    table = read_simulations(str(simulations), ("mass", "age"), ())
    theta = torch.linspace(0.1, 0.7, len(table.x), dtype=torch.float64)[:, None].repeat(1, 2)
    bounds = {"mass": (0.1, 0.7), "age": (0.1, 0.7)}
    request = Request(str(simulations), ("mass", "age"), (), bounds, None, 7, 100, 500, None, 1.0, None, 0)
    found = bounds_of(replace(table, theta=theta), request)
    assert found.low.allclose(torch.tensor(0.1)) and found.high.allclose(torch.tensor(0.7))


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["-p", "mass,nothing"], "expected a column 'nothing'"),
        (["-p", "mass", "--observations", "mass"], "expected columns of parameters and others of observations"),
        (["-p", "mass,mass"], "each of them once"),
        (["-p", "mass", "--row", "600"], "expected --row below 600"),
        (["-p", "mass", "--max-time", "soon"], "soon"),
        (["-p", "mass", "--bounds", "age=0:1"], "--bounds expects NAME=LOW:HIGH for parameters (mass)"),
        (["-p", "mass", "--bounds", "mass=1:0"], "LOW < HIGH"),
        (["-p", "mass", "--bounds", "mass=0:"], "expected 'mass' from 0 to inf, the bounds that were given"),
    ],
)
def test_the_command_says_what_is_wrong(
    simulations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], told: str
) -> None:
    check_refused(simulations, tmp_path, capsys, more, told)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"mass": 3.0}, "expected columns that vary, but 'mass' is 3 in all simulations"),
        ({"flux": 3.0}, "'flux' is 3 in all simulations"),
        ({"flux": np.nan}, "'flux' has no values"),
        ({"age": 2459000 + np.linspace(0, 1, 600)}, "'age' goes from 2459000 to 2459001, more finely than single"),
        ({"flux": np.linspace(0, 1e-60, 600)}, "'flux' goes from 0 to 1e-60, more finely than single"),
        ({"flux": np.linspace(0, 1e60, 600)}, "'flux' goes from 0 to 1e+60, more finely than single"),
        ({"flux": "bright"}, "'flux' holds something else: leave it out"),
        ({"mass": np.where(np.arange(600) == 5, np.nan, np.arange(600.0))}, "'mass' has a missing or infinite value"),
        ({"flux": np.where(np.arange(600) == 5, np.inf, np.arange(600.0))}, "column 'flux' is infinite (row 5)"),
    ],
)
def test_tables_that_hold_no_simulations_are_told(
    normal: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str], values: dict[str, object], told: str
) -> None:
    normal.assign(**values).to_csv(tmp_path / "bad.csv", index=False)
    check_refused(tmp_path / "bad.csv", tmp_path, capsys, ["-p", "mass,age"], told)


def test_a_short_table_is_told(normal: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    normal[:99].to_csv(tmp_path / "short.csv", index=False)
    check_refused(tmp_path / "short.csv", tmp_path, capsys, ["-p", "mass"], "at least 100 simulations, got 99")


def check_refused(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], told: str) -> None:
    assert run("infer", table, "-o", tmp_path / "none", *more) in (1, 2)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and told in lines[0]
    assert not (tmp_path / "none").exists()
