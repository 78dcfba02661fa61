"""Latitudes and longitudes in degrees as events of flows on the sphere."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward import testing
from pushforward.cli import main as cli
from pushforward.errors import DataError, ShapeError, UsageError
from pushforward.spaces import Circle, Interval, Product, Sphere
from pushforward.transforms import GeographicCoordinates

LOG_SQUARE_DEGREE = 2 * math.log(math.pi / 180)
SMALL = {"sphere-recursive": {"layers": 1, "bins": 6}, "sphere-exponential": {"layers": 2, "centers": 4}}


def places(count: int, west: float = -180.0, dtype: torch.dtype = torch.float64) -> Tensor:
    shares = torch.rand(count, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return (torch.tensor([180.0, 360.0]) * shares + torch.tensor([-90.0, west])).to(dtype)


def small(name: str, coordinates: str) -> pf.Flow:
    torch.manual_seed(0)
    return testing.randomise(pf.build(name, coordinates=coordinates, hidden=8, **SMALL.get(name, {}))).eval()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("pole", [90.0, -90.0])
def test_the_poles_are_finite_and_their_gradients_too(pole: float, dtype: torch.dtype) -> None:
    part = GeographicCoordinates()
    x = torch.tensor([[pole, 30.0], [math.copysign(89.99999, pole), 30.0]], dtype=dtype, requires_grad=True)
    z, log_det = part(x)
    back, inverse_log_det = part.inverse(z)
    total = z.sum() + log_det.sum() + back.sum() + inverse_log_det.sum()
    assert torch.isfinite(total) and torch.isfinite(torch.autograd.grad(total, x)[0]).all()
    assert torch.allclose(back[:, 0], x[:, 0], atol=1e-5)
    # A hundred thousandth of a degree away there are digits left, in single precision too.
    nearness = 90.0 - x[1, 0].detach().double().abs()
    assert abs(log_det[1].item() - math.log(math.sin(math.radians(nearness))) - LOG_SQUARE_DEGREE) < 1e-5
    exact = torch.tensor([[0.0, 0.0, math.copysign(1.0, pole)]], dtype=dtype, requires_grad=True)
    x, log_det = part.inverse(exact)
    assert torch.isfinite(torch.autograd.grad(x.sum() + log_det.sum(), exact)[0]).all()


@pytest.mark.parametrize("west", [-180.0, 0.0, -20.0])
def test_degrees_and_vectors_are_the_same_places_in_single_precision(west: float) -> None:
    part, x = GeographicCoordinates(west), places(200, west, torch.float32)
    z = part.encode(x)
    assert Sphere(2).contains(z).all() and torch.allclose(z, pf.data.as_unit_vectors(x), atol=5e-7)
    assert torch.allclose(part.decode(z), x, atol=1e-4) and part.domain.contains(part.decode(z)).all()
    ends = part.encode(torch.tensor([[10.0, west], [10.0, west + 360.0]]))
    assert torch.allclose(ends[0], ends[1], atol=1e-6)


@pytest.mark.parametrize("west", [-180.0, 0.0])
def test_meridians_at_the_ends_stay_there(west: float) -> None:
    part = GeographicCoordinates(west)
    x = torch.tensor([[10.0, west + turn] for turn in (0.0, 1e-3, 180.0)], dtype=torch.float64)
    assert torch.allclose(part.decode(part.encode(x)), x, atol=1e-9)
    assert torch.equal(part.decode(torch.tensor([0.0, 0.0, 1.0])), torch.tensor([90.0, 0.0]))


def test_the_coordinates_of_a_space_are_known() -> None:
    space = Product(Interval(-90.0, 90.0, (1,)), Circle((1,), 0.0, 360.0))
    found = GeographicCoordinates.of(space)
    assert found is not None and found.domain == space
    others = [Sphere(2), Circle((2,), 0, 360), Product(Interval(-90, 90, (1,)), Circle((1,))), Product(Circle((1,)))]
    assert [GeographicCoordinates.of(each) for each in others] == [None] * 4
    with pytest.raises(UsageError, match="finite longitude"):
        GeographicCoordinates(math.inf)


@pytest.mark.parametrize(
    ("name", "coordinates"),
    [("sphere-recursive", "degrees"), ("sphere-recursive", "degrees-east"), ("sphere-exponential", "degrees")],
)
def test_a_density_per_square_degree_has_a_mass_of_one(name: str, coordinates: str) -> None:
    flow = small(name, coordinates)
    west = 0.0 if coordinates == "degrees-east" else -180.0
    latitude, longitude = (torch.arange(count) + 0.5 for count in (90, 90))
    grid = torch.cartesian_prod(2 * latitude - 90, 4 * longitude + west)
    with torch.no_grad():
        mass = flow.log_prob(grid).exp().sum() * 2 * 4
    assert flow.event_shape == (2,) and abs(mass - 1) < 1e-3
    samples = flow.sample(20, generator=torch.Generator().manual_seed(0))
    assert flow.support.contains(samples).all()


@pytest.mark.parametrize("name", ["sphere-recursive", "sphere-exponential"])
def test_less_the_area_it_is_the_density_of_unit_vectors(name: str) -> None:
    flow, x = small(name, "degrees").double(), places(50)
    vectors = pf.Flow(list(flow.transform)[1:], flow.base)
    per_steradian = flow.log_prob(x) - GeographicCoordinates().log_area(x)
    assert torch.allclose(per_steradian, vectors.log_prob(pf.data.as_unit_vectors(x)), atol=1e-9)
    poles = torch.tensor([[90.0, 0.0], [90.0, 77.0], [-90.0, 0.0]], dtype=torch.float64)
    assert torch.isfinite(flow.log_prob(poles)).all() and flow.log_prob([91.0, 0.0]) == -torch.inf
    assert torch.allclose(copy.deepcopy(flow).log_prob(poles)[0], flow.log_prob(poles)[1])


def test_a_continuous_flow_starts_uniform_on_the_sphere_and_not_in_degrees() -> None:
    flow, x = pf.models.sphere_cnf(coordinates="degrees", hidden=8), places(5, dtype=torch.float32)
    uniform = GeographicCoordinates().log_area(x) - math.log(4 * math.pi)
    assert torch.allclose(flow.log_prob(x), uniform, atol=1e-4)


def test_options_that_fit_no_places_are_refused() -> None:
    with pytest.raises(UsageError, match="coordinates='vectors' or 'degrees' or 'degrees-east', got 'radians'"):
        pf.models.sphere_cnf(coordinates="radians")
    with pytest.raises(UsageError, match="features=2, a latitude and a longitude"):
        pf.models.sphere_recursive(features=3, coordinates="degrees")


def test_a_frame_of_places_is_fitted_and_drawn() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"latitude": 80 + rng.normal(size=300), "longitude": (359 + rng.normal(size=300)) % 360})
    torch.manual_seed(0)
    flow = pf.models.sphere_recursive(coordinates="degrees-east", layers=1, hidden=8, bins=8)
    before = flow.log_prob(frame).mean()
    pf.fit(flow, frame, max_steps=60, learning_rate=3e-2, seed=0, progress=False)
    assert flow.log_prob(frame).mean() > before + 1.0
    assert len(pf.plots.map_of(flow, torch.tensor(frame.to_numpy()), resolution=12).axes) == 2
    assert len(pf.plots.map_of(flow.condition(), resolution=12).axes) == 2


def test_a_map_is_per_steradian_whatever_the_coordinates() -> None:
    flow = small("sphere-recursive", "degrees-east")
    vectors = pf.Flow(list(flow.transform)[1:], flow.base)
    drawn = [pf.plots.map_of(each, resolution=12).axes[0].collections[0].get_array() for each in (flow, vectors)]
    np.testing.assert_allclose(drawn[0], drawn[1], atol=1e-4)
    with pytest.raises(ShapeError, match=r"degrees, \(..., 2\), got a tensor of \(4, 3\)"):
        pf.plots.map_of(flow, torch.zeros(4, 3), resolution=4)


def test_longitudes_elsewhere_are_told_what_to_do() -> None:
    flow = pf.models.sphere_recursive(coordinates="degrees", layers=1, hidden=8)
    with pytest.raises(DataError, match=r"longitudes from -180 to 180, got numbers such as 359 .*'degrees-east'"):
        pf.fit(flow, torch.tensor([[10.0, 359.0]] * 8), max_steps=1, progress=False)
    with pytest.raises(DataError, match=r"got numbers such as 139.7 .*the latitude comes first"):
        pf.fit(flow, torch.tensor([[139.7, 35.7]] * 8), max_steps=1, progress=False)


@pytest.mark.parametrize("name", ["sphere-recursive", pytest.param("sphere-cnf", marks=pytest.mark.slow)])
def test_a_table_of_places_on_the_command_line(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng, out = np.random.default_rng(0), tmp_path / "run"
    frame = pd.DataFrame({"latitude": 40 + 5 * rng.normal(size=200), "longitude": 20 + 5 * rng.normal(size=200)})
    frame.to_csv(tmp_path / "flood.csv", index=False)

    def run(*arguments: object) -> int:
        return cli.run([str(argument) for argument in arguments])

    options = ["--set", "coordinates=degrees", "--set", "hidden=8", "--max-steps", 3, "-q"]
    assert run("train", name, "--data", tmp_path / "flood.csv", "-o", out, *options) == 0
    assert run("evaluate", out, "-q") == 0
    assert run("sample", out, "-n", 30, "-o", tmp_path / "s.csv", "-q") == 0
    drawn = pd.read_csv(tmp_path / "s.csv")
    assert list(drawn) == ["latitude", "longitude"] and drawn["latitude"].abs().max() <= 90
    assert drawn["longitude"].abs().max() > 90
    assert run("plot", out, "map", "-o", tmp_path / "m.png", "-q") == 0
    assert (tmp_path / "m.png").stat().st_size > 10_000
