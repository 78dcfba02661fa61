"""Continuous flows: known solutions, steps of each sample's own, divergences, gradients, energies, failures."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import registry
import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

import pushforward as pf
from pushforward import testing
from pushforward.errors import ConvergenceError, UsageError
from pushforward.kernels.divergence import trace_of_product
from pushforward.networks import ConcatSquashConvNet, ConcatSquashMLP, Velocity, VelocityMLP
from pushforward.networks.velocity.base import divergence_by_units
from pushforward.networks.velocity.derivatives import pulled_back
from pushforward.training import RegularisedLikelihood
from pushforward.transforms import Continuous, DormandPrince, ExactTrace, Hutchinson

MATRIX = torch.tensor([[0.3, 1.5, 0.0], [-1.5, 0.2, 0.4], [0.1, 0.0, -0.9]], dtype=torch.float64)


class Linear(Velocity):
    """``v = A x``, whose flow is ``x(1) = exp(A) x(0)``."""

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        self.matrix = nn.Parameter(matrix.clone())

    def forward(self, time: Tensor, x: Tensor, context: Tensor | None = None) -> Tensor:
        return x @ self.matrix.T


class Ramp(Velocity):
    """``v = 2 t``, whose flow is ``x(1) = x(0) + 1``."""

    def forward(self, time: Tensor, x: Tensor, context: Tensor | None = None) -> Tensor:
        return 2 * time.unsqueeze(-1).expand_as(x)


class Pole(Velocity):
    """``v = x^2`` leaves every bound at ``t = 1 / x(0)``."""

    def forward(self, time: Tensor, x: Tensor, context: Tensor | None = None) -> Tensor:
        return x.square()


def events(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def moved(layer: Continuous, scale: float = 1.0) -> Continuous:
    return testing.randomise(layer, scale, torch.Generator().manual_seed(2)).double()


# The equation and its solver ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tolerance", [1e-4, 1e-6, 1e-9])
def test_a_linear_velocity_is_a_matrix_exponential_to_the_tolerance(tolerance: float) -> None:
    layer, z = Continuous(Linear(MATRIX), 3, DormandPrince(tolerance)), events(20, 3)
    x, log_det = layer.inverse(z)
    size = x.abs().clamp_min(1)
    assert ((x - z @ torch.matrix_exp(MATRIX).T).abs() / size).max() < layer.tolerance == 10 * tolerance
    assert (log_det - MATRIX.trace()).abs().max() < layer.tolerance
    back, back_log_det = layer(x)
    assert (back - z).abs().max() < 3 * layer.tolerance
    assert (back_log_det + MATRIX.trace()).abs().max() < layer.tolerance


def test_time_runs_from_the_latent_to_the_data() -> None:
    layer, z = Continuous(Ramp(), 3), events(4, 3)
    assert torch.allclose(layer.decode(z), z + 1, atol=1e-6)
    assert torch.allclose(layer.encode(z), z - 1, atol=1e-6)
    assert not layer.inverse(z)[1].any()


def test_the_solution_of_an_oscillator_is_scipys() -> None:
    from scipy.integrate import solve_ivp

    def drift(t: Tensor, y: Tensor) -> Tensor:
        return torch.stack([10 * y[:, 1], 10 * ((1 - y[:, 0] ** 2) * y[:, 1] - y[:, 0])], -1)

    start = torch.tensor([[2.0, 0.0], [0.5, -0.5]], dtype=torch.float64)
    end, statistics = DormandPrince(1e-9).solve(drift, start, (), (0.0, 1.0))
    for row, found in zip(start, end, strict=True):
        solved = solve_ivp(
            lambda t, y: drift(t, torch.as_tensor(y)[None])[0].numpy(), (0, 1), row.numpy(), rtol=1e-9, atol=1e-9
        )
        assert np.allclose(solved.y[:, -1], found.numpy(), atol=1e-7)
    assert (statistics.accepted > 20).all()


def test_each_sample_has_steps_of_its_own() -> None:
    seen: list[int] = []

    def drift(t: Tensor, y: Tensor, speed: Tensor) -> Tensor:
        seen.append(len(y))
        return torch.stack([speed * y[:, 1], -speed * y[:, 0]], -1)

    speed, start = torch.tensor([1.0, 50.0, 1.0]), torch.tensor([[1.0, 0.0]]).repeat(3, 1)
    solver = DormandPrince(1e-5)
    end, statistics = solver.solve(drift, start, (speed,), (0.0, 1.0))
    assert torch.allclose(end, torch.stack([speed.cos(), -speed.sin()], -1), atol=1e-3)
    assert statistics.accepted[1] > 10 * statistics.accepted[0]
    # What a sample is told to have taken is what was computed for it.
    assert sum(seen) == int(statistics.evaluations.sum())
    for index in range(3):
        alone, taken = solver.solve(drift, start[index : index + 1], (speed[index : index + 1],), (0.0, 1.0))
        assert torch.equal(alone[0], end[index]) and taken.evaluations[0] == statistics.evaluations[index]


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 2e-6), (torch.float64, 1e-13)])
def test_a_density_does_not_depend_on_the_batch(dtype: torch.dtype, tolerance: float) -> None:
    layer = moved(Continuous(ConcatSquashMLP, 4)).to(dtype)
    flow = pf.Flow(layer, pf.distributions.StandardNormal((4,)))
    # Beside samples that need many more steps.
    x = torch.cat([events(20, 4), 30 * events(20, 4)]).to(dtype)
    together = flow.log_prob(x)
    assert len(layer.statistics.accepted.unique()) > 1
    alone = torch.stack([flow.log_prob(each) for each in x])
    assert ((alone - together).abs() / together.abs().clamp_min(1)).max() < tolerance


def test_statistics_have_the_shape_of_the_batch() -> None:
    layer = Continuous(partial(VelocityMLP, hidden=4), 2)
    layer.encode(torch.zeros(2, 3, 2))
    assert layer.statistics.evaluations.shape == (2, 3)
    layer.encode(torch.zeros(2))
    assert layer.statistics.accepted.shape == ()


def test_a_solver_that_cannot_go_on_says_where() -> None:
    x = torch.tensor([[0.1], [4.0], [0.2]])
    with pytest.raises(ConvergenceError, match=r"sample 1 is stuck at time 0\.(2|3)"):
        Continuous(Pole(), 1).decode(x)
    with pytest.raises(ConvergenceError, match="sample 0 is at time"):
        Continuous(Linear(100 * MATRIX), 3, DormandPrince(1e-6, max_steps=5)).encode(events(2, 3))
    with pytest.raises(ConvergenceError, match="sample 2 is stuck at time 1"):
        Continuous(Pole(), 1).encode(torch.tensor([[0.1], [0.2], [torch.nan]]))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: DormandPrince(0.0), "positive tolerance"),
        (lambda: Hutchinson("uniform"), "rademacher or gaussian"),
        (lambda: VelocityMLP(2, activation="relu"), "tanh, softplus, silu"),
        (lambda: VelocityMLP(2, hidden=()), "at least one hidden layer"),
        (lambda: Continuous(3, 2), "expects a velocity"),  # type: ignore[arg-type]
        (lambda: pf.models.ffjord(features=2, hidden=()), "at least one hidden layer"),
        (lambda: pf.models.ffjord(shape=(1, 2, 2), hidden=()), "at least one hidden layer"),
        (lambda: pf.models.cnf(features=2, hidden=()), "at least one block"),
        (lambda: pf.models.cnf(shape=(1, 2, 2), hidden=()), "at least one hidden layer"),
        (lambda: Continuous(VelocityMLP, ()), "at least one dimension"),
        (lambda: RegularisedLikelihood().check(pf.models.maf(features=2)), "a Continuous part"),
    ],
)
def test_wrong_arguments_are_told(make: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()  # type: ignore[operator]


def test_inference_mode_is_no_obstacle() -> None:
    layer = moved(Continuous(SmoothNetwork(), 3))
    x = events(4, 3)
    with torch.inference_mode():
        found = layer(x.clone())
    for value, expected in zip(found, layer(x), strict=True):
        assert torch.allclose(value, expected)


# Divergences ----------------------------------------------------------------------------------------------------------


class SmoothNetwork(nn.Module):
    """A velocity that knows nothing of ours."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, time: Tensor, x: Tensor, context: Tensor | None) -> Tensor:
        return torch.sin(self.layer(torch.cat([x, time.unsqueeze(-1)], -1)))


@pytest.mark.parametrize("hidden", [(5,), (5, 7), (5, 7, 6), (5, 7, 6, 4)])
def test_the_trace_of_layers_is_that_of_their_product(hidden: tuple[int, ...]) -> None:
    sizes = [3, *hidden, 3]
    weights = [events(after, before) for before, after in pairwise(sizes)]
    slopes = [events(6, size) for size in hidden]
    for index, found in enumerate(trace_of_product(weights, slopes)):
        product = weights[0]
        for weight, slope in zip(weights[1:], slopes, strict=True):
            product = weight @ slope[index].diag() @ product
        assert torch.isclose(found, product.trace())


@pytest.mark.parametrize("activation", ["tanh", "softplus", "silu"])
@pytest.mark.parametrize("hidden", [(5,), (5, 7), (5, 7, 6)])
@pytest.mark.parametrize("network", [partial(VelocityMLP, frequencies=2), ConcatSquashMLP])
def test_a_velocity_knows_its_divergence(network: type[Velocity], hidden: tuple[int, ...], activation: str) -> None:
    velocity = network(3, 2, hidden=hidden, activation=activation)
    velocity = testing.randomise(velocity, 1.0, torch.Generator().manual_seed(0)).double()
    time, x, context = events(6).sigmoid(), events(6, 3), events(6, 2)
    value, divergence = velocity.with_divergence(time, x, context)
    jacobian = vmap(jacrev(velocity, argnums=1))(time, x, context)
    assert torch.allclose(value, velocity(time, x, context))
    assert torch.allclose(divergence, jacobian.diagonal(dim1=-2, dim2=-1).sum(-1))
    assert torch.allclose(divergence_by_units(velocity, time, x, context)[1], divergence)


def test_a_forward_of_ones_own_has_its_own_divergence() -> None:
    class Twice(VelocityMLP):
        def forward(self, time: Tensor, x: Tensor, context: Tensor | None = None) -> Tensor:
            return 2 * super().forward(time, x, context)

    class Known(Twice):
        def with_divergence(self, time: Tensor, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
            value, divergence = VelocityMLP.with_divergence(self, time, x, context)
            return 2 * value, 2 * divergence

    velocity = testing.randomise(Known(3, hidden=8), 1.0, torch.Generator().manual_seed(0)).double()
    twice = Twice(3, hidden=8).double()
    twice.load_state_dict(velocity.state_dict())
    time, x = events(5).sigmoid(), events(5, 3)
    known = velocity.with_divergence(time, x)
    assert known[1].any()
    for one, other in zip(twice.with_divergence(time, x), known, strict=True):
        assert torch.allclose(one, other)


@pytest.mark.parametrize("velocity", [SmoothNetwork(), ConcatSquashConvNet(1, hidden=3)])
def test_the_divergence_of_any_velocity_is_that_of_its_jacobian(velocity: nn.Module) -> None:
    velocity = testing.randomise(velocity, 1.0, torch.Generator().manual_seed(0)).double()
    shape = (3,) if isinstance(velocity, SmoothNetwork) else (1, 2, 3)
    time, x = events(5).sigmoid(), events(5, *shape)
    jacobian = vmap(jacrev(velocity, argnums=1), in_dims=(0, 0, None))(time, x, None).reshape(5, x[0].numel(), -1)
    expected = jacobian.diagonal(dim1=-2, dim2=-1).sum(-1)
    assert torch.allclose(ExactTrace()(velocity, time, x, None, None)[1], expected)
    noise = events(5, *shape)
    product = torch.einsum("nij,ni->nj", jacobian, noise.flatten(1))
    assert torch.allclose(pulled_back(lambda points: velocity(time, points, None), x, noise)[1].flatten(1), product)


@pytest.mark.parametrize("noise", ["rademacher", "gaussian"])
def test_one_noise_serves_a_whole_solve(noise: str) -> None:
    layer, x = Continuous(Linear(MATRIX), 3, trace=Hutchinson(noise)), events(6, 3)  # type: ignore[arg-type]
    drawn = layer.trace.draw(x, torch.Generator().manual_seed(7))
    expected = torch.einsum("ni,ij,nj->n", drawn, MATRIX, drawn)
    assert torch.allclose(layer.inverse(x, None, torch.Generator().manual_seed(7))[1], expected, atol=1e-4)
    if noise == "rademacher":
        assert drawn.abs().eq(1).all()


# Networks -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [(), (3,), (2, 3), (0,)])
@pytest.mark.parametrize("name", sorted(registry.VELOCITIES))
def test_a_velocity_starts_at_zero_and_takes_any_batch(name: str, batch: tuple[int, ...]) -> None:
    plane = (4, 6) if name == "ConcatSquashConvNet" else ()
    velocity = getattr(pf.networks, name)(4, 2)
    time, x, context = torch.rand(batch), torch.randn(*batch, 4, *plane), torch.randn(*batch, 2)
    value = velocity(time, x, context)
    assert value.shape == x.shape and not value.any()
    assert velocity.double()(time.double(), x.double(), context.double()).dtype == torch.float64
    for wrong in (None, context[..., :1]):
        with pytest.raises(pf.errors.ShapeError, match="context"):
            velocity(time, x, wrong)


def test_large_velocities_give_finite_numbers() -> None:
    vectors = Continuous(partial(ConcatSquashMLP, hidden=8), 3, trace=Hutchinson())
    testing.check_extremes(vectors, registry.normal(6, 3), factors=(1, 10))


# Gradients and energies -----------------------------------------------------------------------------------------------


def test_gradients_need_no_more_memory_than_the_steps_states() -> None:
    x, kept = events(50, 3), []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor.numel())
        return tensor

    layer = moved(Continuous(partial(VelocityMLP, hidden=(64, 64)), 3))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        layer(x)
    assert sum(kept) < 50 * 64 + sum(each.numel() for each in layer.parameters())


def test_gradients_are_those_of_the_matrix_exponential() -> None:
    layer, z = Continuous(Linear(MATRIX), 3, DormandPrince(1e-9)), events(5, 3).requires_grad_()
    wanted = [z, layer.velocity.matrix]
    found = torch.autograd.grad(layer.inverse(z)[0].pow(3).sum(), wanted)
    matrix = MATRIX.clone().requires_grad_()
    expected = torch.autograd.grad((z @ torch.matrix_exp(matrix).T).pow(3).sum(), [z, matrix])
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, rtol=1e-6, atol=1e-6)


def test_lent_parameters_get_the_gradient_of_the_call() -> None:
    """``functional_call`` has taken them back when the gradient is asked for."""
    layer, x = moved(Continuous(partial(VelocityMLP, hidden=8), 3)), events(5, 3)
    lent = {name: (1.1 * each).detach().requires_grad_() for name, each in layer.named_parameters()}
    found = torch.autograd.grad(functional_call(layer, lent, (x,))[1].sum(), list(lent.values()))
    layer.load_state_dict(lent)
    expected = torch.autograd.grad(layer(x)[1].sum(), list(layer.parameters()))
    for one, other in zip(found, expected, strict=True):
        assert other.any() and torch.allclose(one, other)


def test_autocast_does_not_touch_the_solution() -> None:
    layer, x = moved(Continuous(partial(VelocityMLP, hidden=16), 4)).float(), events(10, 4).float()
    results = []
    for enabled in (True, False):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            z, log_det = layer(x)
            gradients = torch.autograd.grad(log_det.sum() + z.square().sum(), list(layer.parameters()))
        results.append([z, log_det, *gradients])
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x.bfloat16())[0].dtype == torch.float32


def test_frozen_parts_get_no_gradient() -> None:
    layer = moved(Continuous(partial(VelocityMLP, hidden=4), 3, context=2))
    layer.velocity.layers[0].requires_grad_(False)
    context = events(5, 2).requires_grad_()
    layer(events(5, 3), context)[1].sum().backward()
    assert context.grad is not None and context.grad.any()
    assert layer.velocity.layers[0].weight.grad is None and layer.velocity.layers[1].weight.grad is not None


def test_energies_are_the_integrals_over_the_way() -> None:
    layer, x = Continuous(Linear(MATRIX), 3, DormandPrince(1e-8)), events(6, 3)
    z, log_det, kinetic, jacobian = layer.forward_with_energy(
        x.expand(400, 6, 3), None, torch.Generator().manual_seed(0)
    )
    assert torch.allclose(z[0], layer.encode(x), atol=1e-6)
    assert torch.allclose(log_det, -MATRIX.trace().expand(400, 6), atol=1e-6)
    times = torch.linspace(0, 1, 401, dtype=torch.float64)
    way = torch.matrix_exp((times - 1)[:, None, None] * MATRIX) @ x.T
    expected = torch.trapezoid((MATRIX @ way).square().sum(1), times, dim=0)
    assert torch.allclose(kinetic[0], expected, rtol=1e-4)
    assert torch.allclose(jacobian.mean(), MATRIX.square().sum(), rtol=0.05)


def test_a_regularised_training_leads_along_shorter_ways() -> None:
    x = pf.data.toys.moons().sample(64, generator=torch.Generator().manual_seed(0))
    energies = []
    for objective in (RegularisedLikelihood(0.0, 0.0), RegularisedLikelihood(1.0, 1.0)):
        torch.manual_seed(0)
        flow = pf.models.ffjord(features=2, hidden=8, tolerance=1e-2)
        optimiser = torch.optim.Adam(flow.parameters(), lr=5e-2)
        flow.initialise(x)
        for _ in range(10):
            optimiser.zero_grad()
            objective(flow, x).backward()
            optimiser.step()
        layer = flow.transform[1]
        energies.append(layer.forward_with_energy(flow.transform[0](x)[0])[2].mean().item())
    assert energies[1] < 0.5 * energies[0]


def test_a_regulariser_without_regularisation_is_the_likelihood() -> None:
    flow = testing.randomise(pf.models.ffjord(features=2, hidden=8, context=3), 0.5)
    x, context = torch.randn(6, 2), torch.randn(6, 3)
    plain = -flow.log_prob(x, context).mean()
    assert torch.isclose(RegularisedLikelihood(0.0, 0.0)(flow, x, context), plain, atol=1e-4)
    with pytest.raises(UsageError, match="Continuous part"):
        RegularisedLikelihood()(pf.models.maf(features=2), x)


# Ways -----------------------------------------------------------------------------------------------------------------


def test_ways_lead_from_the_latent_to_the_data() -> None:
    layer, z = Continuous(Linear(MATRIX), 3, DormandPrince(1e-8)), events(5, 3)
    places = layer.follow(z, (0.0, 0.25, 1.0))
    for time, found in zip((0.0, 0.25, 1.0), places, strict=True):
        assert torch.allclose(found, z @ torch.matrix_exp(time * MATRIX).T, atol=1e-6)
    assert torch.allclose(layer.follow(places[-1], (1.0, 0.0))[-1], z, atol=1e-6)


def test_trajectories_end_in_the_data() -> None:
    flow = testing.randomise(pf.models.ffjord(features=2, hidden=8, layers=2, context=3), 0.3)
    x = 5 + 3 * torch.randn(40, 2)
    flow.initialise(x, torch.randn(40, 3))
    figure = pf.plots.trajectories(flow.condition(torch.randn(3)), x, pictures=3)
    assert [axes.get_title() for axes in figure.axes] == ["t = 0", "t = 0.5", "t = 1", "trajectories"]
    np.testing.assert_allclose(figure.axes[2].collections[0].get_offsets(), x, atol=1e-3)
    np.testing.assert_allclose(figure.axes[3].lines[1].get_xydata()[-1], x[0], atol=1e-3)
    with pytest.raises(UsageError, match="Continuous part"):
        pf.plots.trajectories(pf.models.maf(features=2), x)
