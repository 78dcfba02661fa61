"""The forerunners: maps that the data place, networks of distribution functions, deep density models."""

from __future__ import annotations

import math
import signal
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.distributions import Beta, IncreasingNetwork, PenalisedNetwork
from pushforward.errors import DataError, TrainingError, UsageError
from pushforward.training import (
    CumulativeFit,
    DeepDensity,
    EmpiricalTargets,
    StochasticTargets,
    anderson_darling,
    equal_weights,
)
from pushforward.training.in_turn import Reached
from pushforward.training.objectives.deep_density import divergence, reconstruction
from pushforward.transforms import PlacedHinge, PlacedRadial, PlacedSpline, PrincipalAxes, RandomRotation
from pushforward.transforms.elementary.spline import _quantiles

NORMAL = torch.distributions.Normal(0.0, 1.0)


def banana(rows: int, seed: int = 0) -> Tensor:
    z = torch.randn(rows, 2, generator=torch.Generator().manual_seed(seed))
    return torch.stack([z[:, 0], 0.5 * z[:, 1] + 0.5 * z[:, 0].square()], 1)


def banana_log_prob(x: Tensor) -> Tensor:
    return NORMAL.log_prob(x[:, 0]) + torch.distributions.Normal(0.5 * x[:, 0].square(), 0.5).log_prob(x[:, 1])


def log_likelihood(layer: pf.transforms.Transform, x: Tensor) -> float:
    z, log_det = layer(x)
    return (NORMAL.log_prob(z).sum(-1) + log_det).mean().item()


# Maps that the data place.


@pytest.mark.parametrize(
    "layer", [PlacedHinge(2), PlacedRadial(2), PlacedSpline(2)], ids=lambda layer: type(layer).__name__
)
def test_a_placed_map_is_the_identity_until_it_raises_the_likelihood(layer: pf.transforms.Transform) -> None:
    torch.manual_seed(0)
    x = banana(500)
    assert torch.allclose(layer(x)[0], x, atol=1e-6) and layer(x)[1].abs().max() < 1e-6
    before = log_likelihood(layer, x)
    layer.initialise(x)
    once = log_likelihood(layer, x)
    assert once > before + 0.01
    # Placed once: another start changes nothing.
    layer.initialise(10 * x)
    assert log_likelihood(layer, x) == once
    with pytest.raises(DataError):
        type(layer)(2).initialise(torch.full((3, 2), math.nan))


def test_a_hinge_is_the_best_of_its_family() -> None:
    """Of one candidate, no other slope, bend or shift is more likely."""
    torch.manual_seed(0)
    x = torch.rand(400, 1).exp().double()
    layer = PlacedHinge(1, candidates=1).double()
    layer.initialise(x)
    assert abs(layer.bend.item()) < 0.89 * layer.slope.item(), "an inner maximum"
    best = log_likelihood(layer, x)
    for name in ("slope", "bend", "shift"):
        for change in (-1e-3, 1e-3):
            value = getattr(layer, name)
            value.add_(change)
            assert log_likelihood(layer, x) < best
            value.sub_(change)


def test_a_radial_map_is_the_best_of_its_family() -> None:
    torch.manual_seed(0)
    x = (torch.randn(400, 3).double() + 2.0 * torch.randint(2, (400, 1))) / 1.5
    layer = PlacedRadial(3, candidates=1).double()
    layer.initialise(x)
    best = log_likelihood(layer, x)
    for change in (-1e-3, 1e-3):
        layer.gamma.add_(change)
        assert log_likelihood(layer, x) < best
        layer.gamma.sub_(change)


def test_a_placed_spline_makes_normal_and_stays_calm_far_out() -> None:
    torch.manual_seed(0)
    x = torch.cat([torch.randn(3000, 1) - 4, 0.3 * torch.randn(1000, 1) + 2])
    layer = PlacedSpline(1)
    z = layer.initialise(x)
    ordered = z[:, 0].sort().values
    expected = NORMAL.icdf((torch.arange(4000) + 0.5) / 4000)
    assert (ordered - expected)[40:-40].abs().max() < 0.2
    far = torch.tensor([[1e2], [-1e3], [1e6]])
    z, log_det = layer(far)
    assert bool(torch.isfinite(log_det).all()) and torch.allclose(layer.inverse(z)[0], far, rtol=1e-5)
    # Beyond the data a line, so that many of these in turn do not take samples to the ends of the world.
    assert layer.inverse(torch.tensor([[20.0], [-20.0]]))[0].abs().max() < 100


def test_a_placed_spline_keeps_ties_where_they_are() -> None:
    """Values of which there are many are mapped into the middle of their own scores."""
    x = torch.tensor([0.0, 1.0, 2.0]).repeat_interleave(torch.tensor([200, 500, 300]))[:, None]
    z = PlacedSpline(1).initialise(x)[:, 0]
    for value, low, high in ((0.0, 0.0, 0.2), (1.0, 0.2, 0.7), (2.0, 0.7, 1.0)):
        assert low < NORMAL.cdf(z[x[:, 0] == value][0]).item() < high


@pytest.mark.parametrize("kind", ["integers", "atom", "binary", "counts and a normal"])
def test_repeated_values_leave_many_layers_accurate(kind: str) -> None:
    torch.manual_seed(0)
    x = {
        "integers": torch.randint(5, (500, 2)).float(),
        "atom": torch.where(torch.rand(500, 1) < 0.3, torch.zeros(500, 2), torch.randn(500, 2)),
        "binary": torch.randint(2, (500, 2)).float(),
        "counts and a normal": torch.cat([torch.randint(5, (500, 1)).float(), torch.randn(500, 1)], 1),
    }[kind]
    flow = pf.models.rbig(features=2, layers=20)
    pf.fit(flow, x, progress=False)
    z, log_det = flow.transform(x)
    again, back = flow.transform.inverse(z)
    assert (again - x).abs().max() < 1e-4 and (log_det + back).abs().max() < 1e-2 and log_det.abs().max() < 25
    drawn = flow.sample(4000)
    assert (drawn.mean(0) - x.mean(0)).abs().max() < 0.15 and (drawn.std(0) / x.std(0) - 1).abs().max() < 0.15


def test_quantiles_are_those_of_torch() -> None:
    rows, shares = torch.randn(101, 3).double(), torch.linspace(0.0, 1.0, 24).double()
    assert torch.allclose(_quantiles(rows, shares), torch.quantile(rows, shares, dim=0))


@pytest.mark.parametrize("maps", ["hinge", "radial"])
def test_heavy_tails_leave_many_maps_accurate(maps: str) -> None:
    torch.manual_seed(0)
    x = torch.distributions.Cauchy(0.0, 1.0).sample((1000, 2))
    flow = pf.models.tabak_turner(features=2, layers=30, maps=maps, candidates=8)
    pf.fit(flow, x, progress=False)
    missed = (flow.decode(flow.encode(x)) - x).norm(dim=-1) / (1.0 + x.norm(dim=-1))
    assert missed.max() < 3e-4
    far = torch.tensor([[3e25, -4e25]])
    z, log_det = flow.transform(far)
    assert bool(z.isfinite().all() and log_det.isfinite()) and torch.allclose(flow.decode(z), far, rtol=1e-3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["tabak-turner", "rbig", "deep-density"])
def test_half_precision_is_near_single(name: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    flow = pf.build(name, layers=2)
    x = flow.sample(100) if name == "deep-density" else banana(100)
    if name != "deep-density":
        pf.fit(flow, x, progress=False)
        fresh = pf.build(name, layers=2).to(dtype)
        pf.fit(fresh, x.to(dtype), progress=False)
        assert abs((fresh.log_prob(x.to(dtype)).float() - flow.log_prob(x)).mean().item()) < 0.3
    exact = flow.transform(x)
    z, log_det = flow.to(dtype).transform(x.to(dtype))
    assert z.dtype == log_det.dtype == dtype and (z.float() - exact[0]).abs().mean() < 0.05
    assert (log_det.float() - exact[1])[log_det.isfinite()].abs().mean() < 0.3


@pytest.mark.parametrize("scale", [1e-10, 1e10])
@pytest.mark.parametrize("kind", [PlacedHinge, PlacedSpline])
def test_placing_does_not_depend_on_units(kind: type, scale: float) -> None:
    x = banana(300).double() + 2.0
    results = []
    for unit in (1.0, scale):
        torch.manual_seed(0)
        layer = kind(2).double()
        results.append(layer.initialise(unit * x))
        assert torch.allclose(layer.inverse(results[-1])[0], unit * x, rtol=1e-6)
    assert torch.allclose(*results, atol=1e-6)


@pytest.mark.parametrize("kind", [PlacedHinge, PlacedRadial, PlacedSpline])
def test_a_constant_is_no_reason_for_nan(kind: type) -> None:
    x = torch.cat([torch.randn(100, 1), torch.full((100, 1), 0.1)], 1)
    layer = kind(2)
    layer.initialise(x)
    z, log_det = layer(x)
    assert bool(z.isfinite().all() and log_det.isfinite().all())


def test_rotations_are_orthogonal_and_principal_axes_uncorrelate() -> None:
    torch.manual_seed(0)
    q = RandomRotation(4).double()(torch.eye(4).double())[0]
    assert torch.allclose(q @ q.t(), torch.eye(4).double(), atol=1e-12)
    # Uniform: the mean over many is zero, and each entry has variance 1 / D.
    entries = torch.stack([RandomRotation(3).matrix for _ in range(2000)])
    assert entries.mean(0).abs().max() < 0.06 and (entries.var(0) - 1 / 3).abs().max() < 0.03
    x = torch.randn(300, 3) @ torch.randn(3, 3)
    covariance = torch.cov(PrincipalAxes(3).initialise(x).t())
    assert (covariance - covariance.diag().diag()).abs().max() < 1e-4 * covariance.abs().max()


# Fits of one part after the other.


def test_tabak_and_turner_find_a_density_on_the_plane() -> None:
    torch.manual_seed(0)
    flow = pf.models.tabak_turner(features=2, layers=80, candidates=8)
    result = pf.fit(flow, banana(2000), banana(500, 1), seed=0, progress=False)
    x = banana(2000, 2)
    assert (banana_log_prob(x) - flow.log_prob(x)).mean() < 0.1
    losses = [row["train_loss"] for row in result.history]
    # A rotation changes nothing and a map raises the likelihood: an ascent, step by step.
    assert all(later < earlier + 1e-3 for earlier, later in pairwise(losses))
    assert result.best_validation == min(row["val_loss"] for row in result.history)
    held_out = -flow.log_prob(banana(500, 1)).mean().item()
    assert held_out == pytest.approx(result.best_validation, abs=1e-3)


def test_the_fit_stops_where_held_out_data_no_longer_become_more_likely() -> None:
    torch.manual_seed(0)
    flow = pf.models.tabak_turner(features=2, layers=60)
    # Of so few rows later maps learn the noise.
    result = pf.fit(flow, banana(60), banana(300, 1), patience=5, seed=0, progress=False)
    assert result.stopped == "patience" and result.steps < 61
    placed = [bool(part[1].initialised) for part in list(flow.transform)[1:]]
    count = sum(placed)
    assert placed == [True] * count + [False] * (60 - count) and count == result.steps - 6
    assert -flow.log_prob(banana(300, 1)).mean().item() == pytest.approx(result.best_validation, abs=1e-4)


def test_gaussianization_needs_no_gradients() -> None:
    torch.manual_seed(0)
    flow = pf.models.rbig(features=2, layers=30)
    result = pf.fit(flow, banana(2000), banana(500, 1), seed=0, progress=False)
    x = banana(1000, 2)
    assert next(flow.parameters(), None) is None
    assert (banana_log_prob(x) - flow.log_prob(x)).mean() < 0.15, result
    assert torch.allclose(flow.decode(flow.encode(x)), x, atol=1e-3)
    # Of so many samples some begin far out.
    drawn = flow.sample(20_000)
    assert drawn.abs().max() < 60 and (drawn.mean(0) - x.mean(0)).abs().max() < 0.1


def test_a_fit_in_turn_leaves_a_run_and_refuses_what_it_does_not_do(tmp_path: Path) -> None:
    torch.manual_seed(0)
    flow = pf.models.rbig(features=2, layers=3)
    x = banana(200)
    pf.fit(flow, x, x, out=tmp_path, seed=0, progress=False)
    again = pf.load(tmp_path / "model.safetensors")
    assert torch.equal(again.log_prob(x), flow.log_prob(x))
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) == 5
    with pytest.raises(UsageError, match="fitted anew"):
        pf.fit(flow, x, resume=True, out=tmp_path, progress=False)
    with pytest.raises(UsageError, match="build another one"):
        pf.fit(flow, x + 10.0, progress=False)
    with pytest.raises(TrainingError, match="no number"):
        Reached(torch.full((3, 2), math.nan), torch.zeros(3)).loss(flow)
    with pytest.raises(UsageError, match="leave objective out"):
        pf.fit(flow, x, objective=lambda flow, x, context: x.mean(), progress=False)
    with pytest.raises(UsageError, match="hinge, radial"):
        pf.models.tabak_turner(maps="planar")


def test_control_c_keeps_what_was_placed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, calls = PlacedSpline._place, []

    def interrupted(self: PlacedSpline, rows: Tensor) -> None:
        calls.append(place(self, rows))
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(PlacedSpline, "_place", interrupted)
    flow = pf.models.rbig(features=2, layers=5)
    with pytest.raises(KeyboardInterrupt):
        pf.fit(flow, banana(100), out=tmp_path, progress=False)
    assert len(calls) == 2
    again = pf.load(tmp_path / "model.safetensors")
    assert torch.equal(again.log_prob(banana(5)), flow.log_prob(banana(5)))


# Networks of distribution functions.


def test_the_density_is_the_mixed_derivative_of_the_network() -> None:
    base = pf.testing.randomise(IncreasingNetwork(2, units=5)).double()
    x = torch.tensor([[0.3, -0.7], [-2.0, 1.0]]).double()
    for point in x:
        mixed = torch.autograd.functional.hessian(base.cdf, point)[0, 1]
        assert mixed.log().item() == pytest.approx(base.log_prob(point).item(), abs=1e-9)
    line = pf.testing.randomise(PenalisedNetwork(1, units=5), 0.1).double()
    point = torch.tensor([0.4], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(line.cdf(point), point)
    assert slope.log().item() == pytest.approx(line.log_prob(point).item(), abs=1e-9)


def test_targets_are_parts_of_the_data_below() -> None:
    x = torch.randn(200, 3)
    expected = torch.stack([((x <= each).all(1).sum() - 1) / 199 for each in x])
    assert torch.allclose(EmpiricalTargets()(x), expected)
    drawn = StochasticTargets()(x[:, :1])
    assert torch.equal(drawn.argsort(), x[:, 0].argsort())
    assert not torch.equal(drawn, StochasticTargets()(x[:, :1]))
    with pytest.raises(UsageError, match="one dimension"):
        pf.fit(
            pf.models.cdf_network(features=2), x[:, :2], objective=CumulativeFit(StochasticTargets()), progress=False
        )
    with pytest.raises(UsageError, match="CumulativeNetwork"):
        pf.fit(pf.models.maf(features=2), x[:, :2], objective=CumulativeFit(), progress=False)


def test_weights_are_the_inverse_variance_of_the_empirical_distribution_function() -> None:
    levels = torch.tensor([0.0, 0.05, 0.5, 0.9])
    drawn = (torch.rand(2000, 400, 1) < levels).float().mean(1).var(0) * 400
    weights = anderson_darling(levels.repeat(100))[:4]
    assert torch.allclose(1.0 / weights, drawn + 1.0 / 400, rtol=0.2)
    assert torch.equal(equal_weights(levels), torch.ones(4))


@pytest.mark.parametrize("increasing", ["construction", "penalty"])
def test_the_derivative_of_what_was_learned_is_the_density(increasing: str) -> None:
    torch.manual_seed(0)
    law = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(torch.tensor([0.5, 0.5])),
        torch.distributions.Normal(torch.tensor([-1.0, 1.0]), torch.tensor([0.2, 1.0])),
    )
    flow = pf.models.cdf_network(units=16, increasing=increasing)
    x = law.sample((4000, 1))
    pf.fit(flow, x, batch_size=500, max_steps=100, learning_rate=2e-2, ema=0.9, compile=False, progress=False, seed=0)
    fresh = law.sample((4000, 1))
    assert (law.log_prob(fresh[:, 0]) - flow.log_prob(fresh)).mean() < 0.05
    assert flow.sample(1000, temperature=2.0).abs().max() < 100


@pytest.mark.parametrize("targets", [EmpiricalTargets(), StochasticTargets()], ids=["deterministic", "stochastic"])
def test_a_network_learns_the_distribution_function(targets: object) -> None:
    torch.manual_seed(0)
    flow = pf.models.cdf_network(features=1, units=8)
    x = torch.cat([torch.randn(600, 1) - 2, 0.5 * torch.randn(400, 1) + 1])
    objective = CumulativeFit(targets)  # type: ignore[arg-type]
    pf.fit(
        flow,
        x,
        objective=objective,
        batch_size=1000,
        max_steps=100,
        learning_rate=3e-2,
        ema=0.9,
        seed=0,
        progress=False,
    )
    grid = torch.linspace(-6, 4, 101)[:, None]
    truth = 0.6 * NORMAL.cdf(grid + 2) + 0.4 * NORMAL.cdf(2 * (grid - 1))
    found = flow.base.cdf(flow.transform.encode(grid))
    assert (found - truth[:, 0]).abs().max() < 0.04
    pf.testing.check_normalised(flow.double().log_prob, -16, 16, dims=1, points=2000)


def test_the_penalty_keeps_a_network_from_decreasing() -> None:
    torch.manual_seed(0)
    base = PenalisedNetwork(1, units=6)
    with torch.no_grad():
        base.weights[2:4] = -1.0
        base.raw_slopes.fill_(1.7)
    x = torch.randn(300, 1)
    assert base.decrease(x) > 0.1
    flow = pf.Flow([pf.transforms.Standardise(1)], base)
    pf.fit(
        flow,
        x,
        objective=CumulativeFit(penalty=10.0),
        batch_size=300,
        max_steps=150,
        learning_rate=3e-2,
        progress=False,
    )
    assert base.decrease(x) < 1e-3
    z = flow.sample(2000)
    assert abs(z.mean().item()) < 0.25 and abs(z.std().item() - 1) < 0.35
    with pytest.raises(UsageError, match="features=1"):
        PenalisedNetwork(2)


# Deep density models.


def test_a_deep_density_is_exact_on_what_it_reaches_and_zero_elsewhere() -> None:
    torch.manual_seed(0)
    flow = pf.models.deep_density(features=2, hidden=8).double()
    z = torch.rand(20, 2).double()
    x = flow.decode(z)
    assert torch.allclose(flow.encode(x), z, atol=1e-9)
    jacobians = torch.stack([torch.autograd.functional.jacobian(flow.decode, each) for each in z])
    expected = flow.base.log_prob(z) - torch.linalg.slogdet(jacobians).logabsdet
    assert torch.allclose(flow.log_prob(x), expected, atol=1e-6)
    assert flow.log_prob(torch.tensor([0.9999, 0.9999])) == -torch.inf
    middle = (torch.arange(400).double() + 0.5) / 400
    grid = torch.cartesian_prod(middle, middle)
    assert flow.log_prob(grid).exp().mean().item() == pytest.approx(1.0, abs=1e-2)


def test_the_three_terms_are_what_they_say() -> None:
    torch.manual_seed(0)
    given, other = Beta((1,), 2.0, 5.0), Beta((1,), 3.0, 2.0)
    codes = given.sample(200_000).double()
    first, second = (torch.distributions.Beta(each.alpha, each.beta) for each in (given, other))
    expected = torch.distributions.kl_divergence(first, second).item()
    assert divergence(codes, other).item() == pytest.approx(expected, rel=0.02)
    x = torch.rand(50, 4)
    assert reconstruction(x, x).abs() < 1e-4 and reconstruction(x, 1 - x) > 0.1
    decoder = pf.transforms.SigmoidalDecoder(3, 2, 8)
    assert decoder.log_condition_numbers().abs().max() < 1e-4
    with torch.no_grad():
        decoder.weights[0] *= torch.tensor([1.0, 1.0, 9.0])[:, None]
    assert torch.allclose(decoder.log_condition_numbers(), torch.tensor([math.log(9.0), 0.0]), atol=1e-4)
    with pytest.raises(UsageError, match="deep density"):
        DeepDensity().check(pf.models.maf(features=2))


def test_a_deep_density_model_tells_its_data_from_others() -> None:
    torch.manual_seed(0)
    flow = pf.models.deep_density(features=4, hidden=32)
    t = torch.rand(400, 1)
    x = (0.5 + 0.35 * torch.cat([torch.sin(3 * t), torch.cos(3 * t), t - 0.5, 0.5 - t], 1)).clamp(0.01, 0.99)
    before = DeepDensity()(flow, x).item()
    pf.fit(flow, x, batch_size=200, max_steps=150, learning_rate=5e-3, ema=0.95, seed=0, progress=False)
    assert DeepDensity()(flow, x).item() < 0.5 * before
    score = pf.models.reconstruction_log_prob(flow, x)
    assert bool(torch.isfinite(score).all())
    for outside in (torch.full((4,), 2.0), torch.full((4,), math.nan)):
        with pytest.raises(DataError):
            pf.models.reconstruction_log_prob(flow, outside)
