"""Continuous flows on spheres: their fields, their solutions where those are known, and how they are trained."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import jacrev, jvp, vmap
from torch.nn.functional import normalize
from training_helpers import fit

import pushforward as pf
from pushforward.distributions import UniformSphere, VonMisesFisher
from pushforward.errors import DataError, ShapeError, UsageError
from pushforward.networks import TangentVelocity, VelocityMLP, WaveVelocity
from pushforward.networks.velocity.base import Velocity
from pushforward.networks.velocity.tangent import tangent_frame
from pushforward.spaces import Circle, Interval, Sphere
from pushforward.training import FlowMatching, reflow
from pushforward.training.objectives import objective_for
from pushforward.training.objectives.flow_matching import (
    Geodesic,
    Linear,
    OptimalTransport,
    PowerTimes,
    Trigonometric,
)
from pushforward.transforms import Continuous, DormandPrince, FixedSteps
from pushforward.transforms.manifolds.geodesics import distance

SMALL = partial(VelocityMLP, hidden=(8,), frequencies=2)


def points(count: int, n: int = 2, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(count, n + 1, dtype=torch.float64, generator=generator), dim=-1)


def rotation(seed: int = 5) -> Tensor:
    matrix = torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return torch.linalg.qr(matrix).Q


def moving(layer: nn.Module, scale: float = 0.5) -> nn.Module:
    return pf.testing.randomise(layer, scale, torch.Generator().manual_seed(1)).double()


# Fields


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_tangent_frame_is_orthonormal_and_tangent_at_poles_too(n: int) -> None:
    poles = torch.eye(n + 1, dtype=torch.float64)
    x = torch.cat([points(20, n), poles, -poles])
    frame = tangent_frame(3.0 * x).movedim(0, -2)
    torch.testing.assert_close(frame @ frame.mT, torch.eye(n, dtype=torch.float64).expand(len(x), n, n))
    assert (frame @ x[..., None]).abs().max() < 1e-15


@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_divergence_of_a_tangent_velocity_is_the_trace_on_the_tangent_spaces(n: int) -> None:
    velocity = moving(TangentVelocity(VelocityMLP(n + 1, 2, hidden=8)), 1.0)
    assert isinstance(velocity, TangentVelocity)
    x, time, context = points(7, n), torch.rand(7, dtype=torch.float64), torch.randn(7, 2, dtype=torch.float64)
    value, divergence = velocity.with_divergence(time, x, context)
    torch.testing.assert_close(value, velocity(time, x, context))
    assert (value * x).sum(-1).abs().max() < 1e-12
    jacobian = vmap(jacrev(velocity, argnums=1))(time, x, context)
    frames = torch.linalg.qr(x.unsqueeze(-1), mode="complete").Q[..., 1:]
    trace = (frames * (jacobian @ frames)).sum((-2, -1))
    torch.testing.assert_close(divergence, trace)
    # And all of the space around says the same, at any length.
    around = Velocity.with_divergence(velocity, time, 1.7 * x, context)
    torch.testing.assert_close(around[1], trace)
    torch.testing.assert_close(around[0], 1.7 * value)


def test_the_waves_of_a_velocity_are_saved_with_it() -> None:
    torch.manual_seed(0)
    velocity = WaveVelocity(3, velocity=partial(VelocityMLP, hidden=32), waves=32, highest=50.0)
    lengths = torch.linalg.vector_norm(velocity.rates, dim=-1)
    torch.testing.assert_close(lengths[[0, -1]], torch.tensor([1.0, 50.0]))
    again = WaveVelocity(3, velocity=partial(VelocityMLP, hidden=32), waves=32, highest=50.0)
    again.load_state_dict(velocity.state_dict())
    assert torch.equal(again.rates, velocity.rates)


# Known solutions


class Turning(nn.Module):
    """``u(x) = A x`` of an antisymmetric matrix: the sphere turns as it is."""

    def __init__(self) -> None:
        super().__init__()
        matrix = torch.tensor([[0.0, 2.0, -0.7], [-2.0, 0.0, 1.1], [0.7, -1.1, 0.0]], dtype=torch.float64)
        self.matrix = nn.Parameter(matrix)

    def forward(self, time: Tensor, x: Tensor, context: Tensor | None = None) -> Tensor:
        return x @ self.matrix.mT


class Upwards(nn.Module):
    """A constant: its tangent part is the gradient of the height, which makes a Moebius map."""

    def __init__(self, speed: float) -> None:
        super().__init__()
        self.speed = nn.Parameter(torch.tensor(speed, dtype=torch.float64))

    def forward(self, time: Tensor, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.speed * torch.tensor([0.0, 0.0, 1.0], dtype=x.dtype).expand_as(x)


def test_an_antisymmetric_field_turns_the_sphere() -> None:
    layer = Continuous(Turning(), Sphere(2), DormandPrince(1e-9))
    z = points(10)
    x, log_det = layer.inverse(z)
    torch.testing.assert_close(x, z @ torch.linalg.matrix_exp(layer.velocity.velocity.matrix).mT, atol=1e-7, rtol=0)
    assert log_det.abs().max() < 1e-7


@pytest.mark.parametrize("speed", [-3.0, 0.5, 6.0])
def test_the_gradient_of_the_height_is_known_in_closed_form(speed: float) -> None:
    """Heights move by ``dh/dt = k (1 - h^2)``, angles not at all."""
    layer, z = Continuous(Upwards(speed), Sphere(2), DormandPrince(1e-9)), points(10)
    x, log_det = layer.inverse(z)
    height = torch.tanh(torch.atanh(z[:, 2]) + speed)
    torch.testing.assert_close(x[:, 2], height, atol=1e-7, rtol=0)
    torch.testing.assert_close(normalize(x[:, :2], dim=-1), normalize(z[:, :2], dim=-1), atol=1e-6, rtol=0)
    expected = torch.log((1 - height.square()) / (1 - z[:, 2].square()))
    torch.testing.assert_close(log_det, expected, atol=1e-6, rtol=0)


def test_points_stay_on_the_sphere_whatever_the_solver_does() -> None:
    layer = moving(Continuous(SMALL, Sphere(2), FixedSteps(2)), 2.0)
    x = layer.decode(points(50))
    torch.testing.assert_close(torch.linalg.vector_norm(x, dim=-1), torch.ones(50, dtype=torch.float64))
    x, _, kinetic, _ = layer.forward_with_energy(points(50))
    torch.testing.assert_close(torch.linalg.vector_norm(x, dim=-1), torch.ones(50, dtype=torch.float64))
    assert (kinetic > 0).all()


def test_densities_in_half_precision_are_near_those_in_single() -> None:
    flow, x = moving(pf.models.sphere_cnf(hidden=[8], waves=4)).float(), points(20).float()
    expected = flow.log_prob(x)
    assert (flow.bfloat16().log_prob(x).float() - expected).abs().mean() < 0.3


class Turned(nn.Module):
    """A field seen in coordinates that are turned."""

    def __init__(self, velocity: nn.Module, matrix: Tensor) -> None:
        super().__init__()
        self.velocity, self.matrix = velocity, matrix

    def forward(self, time: Tensor, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.velocity(time, x @ self.matrix, context) @ self.matrix.mT


def test_a_turned_field_has_a_turned_density() -> None:
    around, turn, x = moving(SMALL(3, 0), 1.0), rotation(), points(20)
    flows = [
        pf.Flow([Continuous(each, Sphere(2), DormandPrince(1e-9))], UniformSphere(2)).double()
        for each in (around, Turned(around, turn))
    ]
    torch.testing.assert_close(flows[1].log_prob(x @ turn.mT), flows[0].log_prob(x), atol=1e-6, rtol=0)


# Riemannian flow matching


@pytest.mark.parametrize("n", [1, 2, 4])
def test_a_geodesic_moves_with_its_velocity_from_the_latent_to_the_data(n: int) -> None:
    z, x, time = points(8, n), points(8, n, 1), torch.linspace(0.05, 0.95, 8, dtype=torch.float64)[:, None]
    x[0] = normalize(z[0] + 1e-9 * x[0], dim=-1)
    at, velocity = Geodesic()(time, z, x)
    _, slope = jvp(lambda t: Geodesic()(t, z, x)[0], (time,), (torch.ones_like(time),))
    torch.testing.assert_close(velocity, slope)
    torch.testing.assert_close(torch.linalg.vector_norm(at, dim=-1), torch.ones(8, dtype=torch.float64))
    torch.testing.assert_close(torch.linalg.vector_norm(velocity, dim=-1), distance(z, x))
    torch.testing.assert_close(Geodesic()(torch.zeros_like(time), z, x)[0], z)
    torch.testing.assert_close(Geodesic()(torch.ones_like(time), z, x)[0], x)


def test_geodesics_turn_with_their_ends() -> None:
    z, x, time, turn = points(8), points(8, 2, 1), torch.rand(8, 1, dtype=torch.float64), rotation()
    for there, here in zip(Geodesic()(time, z @ turn.mT, x @ turn.mT), Geodesic()(time, z, x), strict=True):
        torch.testing.assert_close(there, here @ turn.mT)


def test_near_antipodes_have_a_path_in_single_precision() -> None:
    z = points(5).float()
    x = torch.cat([-z[:2], normalize(-z[2:] + 1e-2 * points(3, 2, 1).float(), dim=-1)])
    at, velocity = Geodesic()(torch.full((5, 1), 0.5), z, x)
    assert torch.isfinite(at).all() and torch.isfinite(velocity).all()
    torch.testing.assert_close((at * z).sum(-1)[2:], torch.cos(0.5 * distance(z, x))[2:], atol=2e-4, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_path_leads_to_the_antipode_itself(dtype: torch.dtype) -> None:
    z = torch.cat([torch.eye(3), points(5).float()]).to(dtype)
    for time, end in ((0.0, z), (1.0, -z)):
        at, velocity = Geodesic()(torch.tensor(time, dtype=dtype), z, -z)
        torch.testing.assert_close(at, end, atol=2e-6, rtol=0)
        torch.testing.assert_close(
            torch.linalg.vector_norm(velocity, dim=-1), torch.full((8,), math.pi, dtype=dtype), atol=2e-6, rtol=0
        )


def test_the_objective_takes_the_path_of_its_space() -> None:
    sphere, plane = pf.models.sphere_cnf(hidden=[4]), pf.models.cnf(features=3, hidden=[4])
    chosen = objective_for(sphere)
    assert chosen == FlowMatching(pairing=OptimalTransport(), times=PowerTimes(2.0))
    x = points(16).float()
    torch.manual_seed(0)
    loss = FlowMatching()(sphere, x)
    torch.manual_seed(0)
    assert loss == FlowMatching(path=Geodesic())(sphere, x)
    for path, flow in ((Linear(), sphere), (Trigonometric(), sphere), (Geodesic(), plane)):
        with pytest.raises(UsageError, match="leads through"):
            objective_for(flow, FlowMatching(path=path))


def test_a_flow_at_rest_has_the_mean_squared_distance_as_its_loss() -> None:
    """Of uniform points, the squared angle between two is ``(pi^2 - 4) / 2`` in the mean."""
    losses = FlowMatching().losses(pf.models.sphere_cnf(hidden=[4]), points(20_000).float())
    assert abs(losses.mean().item() - (math.pi**2 - 4) / 2) < 0.05


def test_flow_matching_learns_a_density_on_the_sphere() -> None:
    """Uniform times: of a heap as wide as this one little is decided near the data, where the model's own times are."""
    target = VonMisesFisher(2, 8.0, direction=(0.0, 0.6, 0.8))
    torch.manual_seed(0)
    flow = pf.models.sphere_cnf(features=3, hidden=[32], waves=8, tolerance=1e-3)
    x = target.sample(500)
    away = (target.log_prob(x) - flow.log_prob(x)).mean()
    uniform = FlowMatching(pairing=OptimalTransport())
    fit(flow, target.sample(4000), objective=uniform, max_steps=150, learning_rate=1e-2, ema=0.95, seed=0)
    with torch.no_grad():
        left = (target.log_prob(x) - flow.log_prob(x)).mean()
    assert left < 0.05 * away, f"{left} nats from the truth, {away} before"


def test_a_student_on_the_sphere_needs_few_steps() -> None:
    torch.manual_seed(0)
    flow = moving(pf.models.sphere_cnf(features=3, hidden=[8])).float().eval()
    student = reflow(flow, solver=FixedSteps(8), pairs=100, max_steps=2, progress=False)
    assert Sphere(2).contains(student.sample(20)).all()
    with pytest.raises(UsageError, match="straightness expects a flow of real"):
        pf.diagnostics.straightness(flow)


@pytest.mark.parametrize("space", [Interval(0, 1, (2,)), Circle((2, 2)), ()])
def test_other_spaces_are_refused(space: object) -> None:
    with pytest.raises(UsageError, match="at least one dimension, real ones or those of a Sphere"):
        Continuous(SMALL, space)  # type: ignore[arg-type]


# Places on the earth


def test_latitudes_and_longitudes_become_unit_vectors_and_come_back() -> None:
    degrees = np.array([[31.1, 35.5], [-30.2, -178.47], [89.9999, 10.0], [-90.0, 0.0], [0.0, 180.0]])
    x = pf.data.as_unit_vectors(degrees)
    assert x.dtype == torch.float64 and Sphere(2).contains(x).all()
    np.testing.assert_allclose(pf.data.as_latitude_longitude(x), degrees, atol=1e-9)
    single = pf.data.as_unit_vectors(degrees.astype(np.float32))
    assert single.dtype == torch.float32
    np.testing.assert_allclose(pf.data.as_latitude_longitude(single)[:4], degrees[:4], atol=3e-5)
    turned = pf.data.as_unit_vectors([[31.1, 35.5 + 360.0]])
    np.testing.assert_allclose(turned[0], x[0], atol=1e-12)


def test_a_uniform_sphere_is_uniform_in_the_sine_of_the_latitude() -> None:
    latitude = pf.data.as_latitude_longitude(UniformSphere(2).sample(20_000))[:, 0]
    share = (latitude.abs() < 30.0).float().mean().item()
    assert abs(share - 0.5) < 0.02


@pytest.mark.parametrize("wrong", [[[91.0, 0.0]], [[math.nan, 0.0]], [[0.0, math.inf]]])
def test_places_that_are_none_are_refused(wrong: list[list[float]]) -> None:
    with pytest.raises(DataError, match="the latitude comes first"):
        pf.data.as_unit_vectors(wrong)


def test_places_of_another_shape_are_refused() -> None:
    with pytest.raises(ShapeError, match="latitudes and longitudes"):
        pf.data.as_unit_vectors(torch.zeros(4, 3))
    with pytest.raises(ShapeError, match="unit vectors"):
        pf.data.as_latitude_longitude(torch.zeros(4, 2))
    torch.testing.assert_close(pf.data.as_latitude_longitude(torch.tensor([0, -1, 0])), torch.tensor([0.0, -90.0]))
    with pytest.raises(ShapeError, match="unit vectors"):
        pf.plots.map_of(lambda x: x[:, 0], torch.zeros(4, 2), resolution=8)


def test_a_map_shows_where_the_density_is() -> None:
    figure = pf.plots.map_of(lambda x: 5.0 * x[:, 2], points(10).requires_grad_(), resolution=18)
    values = figure.axes[0].collections[0].get_array()
    assert values.shape == (18, 36) and np.argmax(values[:, 0]) == 17
    assert values.max() - values.min() <= 4.0 + 1e-6


def test_a_spike_does_not_take_the_colours_of_a_map() -> None:
    def spiked(x: Tensor) -> Tensor:
        return torch.where(torch.arange(len(x)) == 100, 50.0, x[:, 2])

    values = pf.plots.map_of(spiked, resolution=30).axes[0].collections[0].get_array()
    assert abs(values.max() - 1.0 / math.log(10.0)) < 0.01 and values.min() < 0.0
