"""Inverse problems: the two-way coupling, the networks and their losses, the problems, how posteriors are judged."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, MultivariateNormal, Normal

import pushforward as pf
from pushforward.accuracy import Accuracy
from pushforward.data.inverse import InverseBallistics, InverseKinematics, InverseProblem, Octagon
from pushforward.inference import (
    Bidirectional,
    ConditionalInvertibleNetwork,
    InverseSolver,
    InvertibleNetwork,
    NarrowingLikelihood,
    ObservationAndLatent,
    calibration,
    conditional_invertible_flow,
    invertible_flow,
    rejection_sample,
    resimulation_error,
    two_way_coupling,
)
from pushforward.testing import randomise
from pushforward.training.discrepancy import InverseMultiquadric, maximum_mean_discrepancy
from pushforward.training.objectives import negative_log_likelihood

KINEMATICS = InverseKinematics()


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


# The layer and the base


def test_the_two_way_coupling_is_the_papers() -> None:
    layer = randomise(two_way_coupling(5)).double()
    x = torch.randn(7, 5, dtype=torch.float64)
    first, second = x.split([3, 2], -1)

    def scale_and_shift(half: int, seen: Tensor) -> tuple[Tensor, Tensor]:
        raw, shift = layer.networks[half](seen).unflatten(-1, (-1, 2)).unbind(-1)
        return raw / (1 + raw.abs() / 2), shift

    scale, shift = scale_and_shift(0, second)
    changed_first = (first + shift) * scale.exp()
    next_scale, next_shift = scale_and_shift(1, changed_first)
    changed = torch.cat([changed_first, (second + next_shift) * next_scale.exp()], -1)
    z, log_det = layer(x)
    assert torch.allclose(z, changed)
    assert torch.allclose(log_det, scale.sum(-1) + next_scale.sum(-1))
    jacobian = torch.func.vmap(torch.func.jacrev(lambda row: layer(row)[0]))(x)
    assert torch.allclose(log_det, torch.linalg.slogdet(jacobian).logabsdet)
    assert torch.allclose(layer.inverse(z)[0], x)


def test_the_base_obeys_the_laws() -> None:
    pf.testing.check_distribution(ObservationAndLatent(2, latent=1, padding=1, noise=0.5), torch.randn(6, 2))


def test_the_base_is_a_normal_around_the_observation() -> None:
    base = ObservationAndLatent(2, latent=3, padding=1, noise=0.1)
    observed, at = torch.randn(2), torch.randn(6)
    mean = torch.cat([observed, torch.zeros(4)])
    deviations = torch.tensor([0.1, 0.1, 0.1, 1.0, 1.0, 1.0])
    assert torch.allclose(base.log_prob(at, observed), Normal(mean, deviations).log_prob(at).sum(), rtol=1e-4)


# The networks


def test_the_mass_is_one_at_every_observation() -> None:
    for flow in (conditional_invertible_flow(2, 1, layers=2, hidden=8), invertible_flow(2, 1, hidden=8, noise=0.3)):
        randomise(flow, scale=0.3).double()
        assert flow.accuracy is Accuracy.EXACT
        line = torch.linspace(-10, 10, 401, dtype=torch.float64)
        density = flow.log_prob(torch.cartesian_prod(line, line), torch.tensor([0.3], dtype=torch.float64)).exp()
        assert math.isclose(density.sum().item() * 0.05**2, 1.0, abs_tol=0.01)


def test_the_density_is_the_joint_one_at_the_observation() -> None:
    """As the noise is small, q(x | y) = N(f_y(x); y, s^2) N(f_z(x); 0, I) |det df/dx|."""
    flow = randomise(invertible_flow(3, 1, layers=2, hidden=8, noise=0.1), scale=0.3).double()
    x, y = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 1, dtype=torch.float64)
    outputs = flow.transform.encode(x)
    jacobian = torch.func.vmap(torch.func.jacrev(flow.transform.encode))(x)
    expected = Normal(y[:, 0], 0.1).log_prob(outputs[:, 0]) + Normal(0.0, 1.0).log_prob(outputs[:, 1:]).sum(-1)
    assert torch.allclose(flow.log_prob(x, y), expected + torch.linalg.slogdet(jacobian).logabsdet)


def test_padding_makes_a_lower_bound_and_comes_off_again() -> None:
    flow = invertible_flow(2, Octagon("all").observation, latent=2, width=16, layers=2, hidden=8)
    assert flow.accuracy is Accuracy.LOWER_BOUND and flow.base.event_shape == (16,)
    assert (flow.base.observed, flow.base.padding, flow.base.latent) == (8, 6, 2)  # type: ignore[union-attr]
    x, labels = Octagon("all").sample(20)
    assert torch.allclose(flow.decode(flow.encode(x, labels), labels), x, atol=1e-4)


def test_flows_come_back_from_files(tmp_path: Path) -> None:
    x, y = KINEMATICS.sample(64)
    for flow in (invertible_flow(4, 2, width=6, hidden=8), conditional_invertible_flow(4, 2, hidden=8)):
        flow.initialise(x, y)
        pf.save(flow, tmp_path / "flow.safetensors")
        again = pf.load(tmp_path / "flow.safetensors")
        draws = [each.sample(5, y, generator=torch.Generator().manual_seed(0)) for each in (flow.eval(), again)]
        assert torch.equal(*draws)


@pytest.mark.parametrize(
    "make, said",
    [
        (lambda: invertible_flow(4, 2, width=3), "width of at least 4"),
        (lambda: invertible_flow(4, 0), "observation of one or more features"),
        (lambda: invertible_flow(4, (1, 8, 8)), "observation of one or more features"),
        (lambda: invertible_flow(4, 2, noise=0.0), "positive, finite noise"),
        (lambda: conditional_invertible_flow(1, 2), "at least 2 features"),
        (lambda: Octagon("red"), "all, some, none"),
        (lambda: Octagon(scale=-1.0), "positive, finite scale"),
        (lambda: Octagon("some").posterior_sample(3, 4), "label from 0 to 3"),
        (lambda: Octagon("some").posterior_log_prob(torch.zeros(2), 4), "label from 0 to 3"),
        (lambda: rejection_sample(KINEMATICS.sample, torch.zeros(2), 10, simulations=5), "keep 1 to 5"),
        (lambda: Bidirectional().check(pf.models.maf(features=2)), "invertible_flow"),
        (lambda: NarrowingLikelihood().check(pf.models.maf(features=2)), "invertible_flow"),
        (lambda: NarrowingLikelihood(start=0.0), "positive, finite start"),
    ],
)
def test_what_does_not_fit_is_said(make: object, said: str) -> None:
    with pytest.raises(pf.errors.UsageError, match=said):
        make()  # type: ignore[operator]


# The losses


def test_the_discrepancy_is_that_of_its_definition() -> None:
    x, y = torch.randn(4, 3, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64)

    def mean(first: Tensor, second: Tensor) -> float:
        kernels = [s**2 / (s**2 + (a - b).square().sum().item()) for a in first for b in second for s in (0.5, 2.0)]
        return sum(kernels) / (len(first) * len(second))

    found = maximum_mean_discrepancy(x, y, InverseMultiquadric((0.5, 2.0)))
    assert math.isclose(found.item(), mean(x, x) + mean(y, y) - 2 * mean(x, y), rel_tol=1e-10)


def test_the_gradient_of_the_discrepancy() -> None:
    x, y = torch.randn(3, 2, dtype=torch.float64, requires_grad=True), torch.randn(4, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(partial(maximum_mean_discrepancy, y=y, kernel=InverseMultiquadric((0.7,))), (x,))


def test_one_step_follows_both_directions() -> None:
    """The gradient is the sum of those of the four losses, as if each had its own backward pass before the step."""
    flow = randomise(invertible_flow(3, 1, layers=1, hidden=4), scale=0.2)
    x = torch.randn(32, 3)
    weights = list(flow.parameters())

    def gradient(**only: float) -> Tensor:
        none = dict.fromkeys(("observation", "latent", "parameters", "reconstruction"), 0.0)
        torch.manual_seed(1)
        loss = Bidirectional(**(none | only))(flow, x, x[:, :1])
        return torch.cat([each.flatten() for each in torch.autograd.grad(loss, weights)])

    parts = [gradient(observation=2.0), gradient(latent=3.0), gradient(parameters=4.0), gradient(reconstruction=5.0)]
    whole = gradient(observation=2.0, latent=3.0, parameters=4.0, reconstruction=5.0)
    assert all(part.abs().max() > 0 for part in parts)
    assert torch.allclose(torch.stack(parts).sum(0), whole, rtol=1e-3, atol=1e-4)


def test_the_noise_narrows_to_that_of_the_base() -> None:
    x = torch.randn(64, 3)
    wide, narrow = (invertible_flow(3, 1, layers=1, hidden=4, noise=noise) for noise in (0.4, 0.1))
    narrow.load_state_dict(wide.state_dict())
    objective = NarrowingLikelihood(start=0.4, steps=10)
    begun, ended = (objective.at(step)(narrow, x, x[:, :1]) for step in (0, 10))
    assert torch.isclose(begun, negative_log_likelihood(wide, x, x[:, :1]))
    assert torch.isclose(ended, negative_log_likelihood(narrow, x, x[:, :1]))
    assert torch.equal(ended, objective(narrow, x, x[:, :1]))


def test_the_right_answer_has_the_least_losses() -> None:
    """Of x with y = x_1 the identity is an answer: only the noise and the finite batch are left."""
    flow = invertible_flow(2, 1, layers=1, hidden=4, noise=0.01)
    reflection = flow.transform.parts[-1]  # type: ignore[union-attr]
    reflection.vectors.data = torch.tensor([[0.0, 1.0]])
    x = torch.randn(500, 2)
    right, wrong = (Bidirectional()(flow, x, each).item() for each in (x[:, :1], x[:, 1:]))
    assert 0 <= right < 0.5 and wrong > 5 * right


# Posteriors that are known


def linear(n: int) -> tuple[Tensor, Tensor]:
    """x ~ N(0, I), y = x_1 + x_2: given y the sum is known, and the difference is N(0, 2)."""
    x = torch.randn(n, 2)
    return x, x.sum(-1, keepdim=True)


@pytest.mark.parametrize("objective", [Bidirectional(), NarrowingLikelihood(steps=80)], ids=["both", "likelihood"])
def test_a_linear_problem(objective: object) -> None:
    network = InvertibleNetwork(2, 1, layers=2, hidden=16, noise=0.05, objective=objective)  # type: ignore[arg-type]
    network.fit(*linear(4000), max_steps=120, batch_size=128, learning_rate=1e-2, ema=None, seed=0, progress=False)
    drawn = network.posterior([1.0]).sample((4000,))
    assert (drawn.sum(-1) - 1.0).abs().mean() < 0.15
    assert drawn.mean(0).allclose(torch.tensor([0.5, 0.5]), atol=0.15)
    assert math.isclose((drawn[:, 0] - drawn[:, 1]).std().item(), math.sqrt(2), rel_tol=0.15)
    x, y = linear(100)
    assert (network.predict(x) - y).abs().mean() < 0.15


def test_a_conditional_network_learns_a_conjugate_posterior() -> None:
    """x ~ N(0, I), y = x_1 + x_2 / 2 + N(0, 1/4)."""
    x = torch.randn(5000, 2)
    row = torch.tensor([[1.0, 0.5]])
    y = x @ row.T + 0.5 * torch.randn(5000, 1)
    network = ConditionalInvertibleNetwork(2, 1, layers=2, hidden=16)
    network.fit(x, y, max_steps=200, batch_size=256, learning_rate=1e-2, ema=None, seed=0, progress=False)
    precision = torch.eye(2) + 4 * row.T @ row
    exact = MultivariateNormal(torch.linalg.solve(precision, 4 * row.T[:, 0] * 0.8), precision_matrix=precision)
    drawn = exact.sample((2000,))
    learned = network.posterior(torch.tensor([0.8])).log_prob(drawn)
    assert 0 <= (exact.log_prob(drawn) - learned).mean().item() < 0.03


# The problems


def test_the_arm() -> None:
    right = torch.tensor([0.1, math.pi / 2, -math.pi / 2, 0.0], dtype=torch.float64)
    assert torch.allclose(KINEMATICS.simulate(right), torch.tensor([1.5, 0.6], dtype=torch.float64))
    lengths = KINEMATICS.joints(torch.randn(50, 4)).diff(dim=-2).norm(dim=-1)
    assert torch.allclose(lengths, torch.tensor([0.5, 1.0]).expand(50, 2), atol=1e-5)


def test_the_ball_follows_its_equation_of_motion_to_the_ground() -> None:
    ball = InverseBallistics()
    x = ball.prior(200).double()
    time = ball.flight_time(x)
    landed = ball.path(x, time)
    assert landed[:, 1].abs().max() < 1e-9 and (time >= 0).all()
    assert torch.equal(landed[:, :1], ball.simulate(x))
    once = torch.func.vmap(torch.func.jacrev(ball.path, 1))
    twice = torch.func.vmap(torch.func.jacrev(torch.func.jacrev(ball.path, 1), 1))
    forces = torch.tensor([0.0, -9.81], dtype=torch.float64) - 0.25 / 0.2 * once(x, time / 2)
    assert torch.allclose(twice(x, time / 2), forces)


def test_every_throw_lands() -> None:
    """What a network infers may be no throw of the prior's: below the ground, backwards, downwards."""
    ball = InverseBallistics()
    x = 3 * torch.randn(2000, 4) * torch.tensor([1.0, 1.0, 1.0, 8.0])
    assert ball.simulate(x).isfinite().all()
    assert ball.path(x, ball.flight_time(x))[:, 1].max() < 1e-3


def test_the_octagon_and_its_posteriors() -> None:
    octagon = Octagon("some")
    labels = octagon.sample(8000)[1]
    shares = labels.bincount() / 8000
    assert torch.allclose(shares, torch.tensor([4, 2, 1, 1]) / 8, atol=0.02)
    assert (octagon.simulate(octagon.posterior_sample(100, 1)) == 1).all()
    assert octagon.simulate(torch.tensor([2.4, 1.0], dtype=torch.float64)) == 0
    line = torch.linspace(-4, 4, 401)
    mass = octagon.posterior_log_prob(torch.cartesian_prod(line, line), 1).exp().sum() * 0.02**2
    assert math.isclose(mass.item(), 1.0, abs_tol=1e-3)


PROBLEMS = [KINEMATICS, InverseBallistics(), *[Octagon(labels) for labels in ("all", "some", "none")]]


@pytest.mark.parametrize("problem", PROBLEMS, ids=["kinematics", "ballistics", "all", "some", "none"])
@pytest.mark.parametrize("kind", [InvertibleNetwork, ConditionalInvertibleNetwork])
def test_every_problem_has_posteriors(problem: InverseProblem, kind: type[InverseSolver]) -> None:
    x, y = problem.sample(50, torch.Generator().manual_seed(3))
    again = problem.sample(50, torch.Generator().manual_seed(3))
    assert torch.equal(x, again[0]) and torch.equal(y, again[1])
    solver = kind(problem.features, problem.observation, layers=1, hidden=4)
    solver.flow.initialise(x, y)
    one, many = solver.posterior(y[0]), solver.posterior(y[:7])
    assert one.sample((3,)).shape == (3, problem.features)
    assert many.sample((3,)).shape == (3, 7, problem.features)
    assert many.log_prob(x[:7]).isfinite().all()


# How posteriors are judged


class Gaussian:
    """Posteriors of x given y = x + N(0, 1) under x ~ N(0, 1), as wide as is said and shifted."""

    def __init__(self, width: float | Tensor = 1.0, shift: float = 0.0) -> None:
        self.width, self.shift = width, shift

    def posterior(self, y: Tensor) -> Normal:
        return Normal(y / 2 + self.shift, self.width * math.sqrt(0.5))


def test_calibration_tells_what_is_wrong() -> None:
    x = torch.randn(4000, 1)
    y = x + torch.randn(4000, 1)
    assert calibration(Gaussian(), x, y).error < 0.01
    narrow = calibration(Gaussian(width=0.5), x, y)
    assert narrow.error > 0.1 and narrow.inside[50] < narrow.levels[50]
    assert calibration(Gaussian(shift=1.0), x, y).error > 0.1
    assert calibration(Gaussian(), x, y, seed=3).inside.equal(calibration(Gaussian(), x, y, seed=3).inside)
    with pytest.raises(pf.errors.ShapeError, match="as many"):
        calibration(Gaussian(), x, y[:-1])


def test_one_parameter_does_not_make_up_for_another() -> None:
    x = torch.randn(2000, 2)
    found = calibration(Gaussian(width=torch.tensor([0.5, 2.2])), x, x + torch.randn(2000, 2))
    assert found.error_per_parameter.min() > 0.15 and found.error > 0.15


def test_coins_are_calibrated() -> None:
    class Coin:
        def posterior(self, y: Tensor) -> Bernoulli:
            return Bernoulli(torch.full((len(y), 1), 0.5))

    assert calibration(Coin(), torch.randint(2, (4000, 1)).float(), torch.zeros(4000, 1)).error < 0.02


def test_shapes_that_would_broadcast_are_told() -> None:
    class Flat:
        def posterior(self, y: Tensor) -> Normal:
            return Normal(y[:, 0], 1.0)

    x = torch.randn(50, 1)
    with pytest.raises(pf.errors.ShapeError, match=r"draws \(50, 50, 1\)"):
        calibration(Flat(), x, x, draws=50)
    with pytest.raises(pf.errors.ShapeError, match=r"observations \(N, E\)"):
        resimulation_error(Gaussian(), lambda drawn: drawn[..., :1], torch.zeros(5, 2))
    with pytest.raises(pf.errors.ShapeError, match=r"observation \(E,\)"):
        rejection_sample(InverseBallistics().sample, torch.zeros(2), 10, simulations=100)
    with pytest.raises(pf.errors.ShapeError, match=r"observation \(E,\)"):
        rejection_sample(Octagon().sample, torch.tensor(1), 10, simulations=100)


def test_the_resimulation_error_is_the_spread_of_what_is_drawn() -> None:
    y = torch.zeros(500, 1)
    assert math.isclose(resimulation_error(Gaussian(), lambda x: 2 * x, y), 2.0, rel_tol=0.02)


def test_rejection_finds_the_posterior() -> None:
    def sample(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x = torch.randn(n, 2, generator=generator)
        return x, x.sum(-1, keepdim=True)

    kept, distance = rejection_sample(sample, torch.ones(1), 1000, simulations=200_000, batch=50_000)
    assert distance < 0.02 and (kept.sum(-1) - 1).abs().max() <= distance + 1e-6
    assert math.isclose((kept[:, 0] - kept[:, 1]).std().item(), math.sqrt(2), rel_tol=0.08)
