"""Flow matching: what it is made of, what it trains and what it leaves alone, and reflow."""

from __future__ import annotations

import itertools
import json
import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import jvp
from training_helpers import fit, moons

import pushforward as pf
from pushforward.cli import main as cli
from pushforward.distributions import DiagonalNormal, StandardNormal
from pushforward.errors import DataError, ShapeError, UsageError
from pushforward.networks import ResidualVelocity, VelocityMLP
from pushforward.networks.velocity.base import Velocity
from pushforward.numerics import squared_distances
from pushforward.scalar import Affine
from pushforward.spaces import Categories, Reals, Space
from pushforward.training import FlowMatching, reflow, solved_by
from pushforward.training.objectives import objective_for
from pushforward.training.objectives.flow_matching import (
    ConditionalOptimalTransport,
    Linear,
    LogitNormalTimes,
    OptimalTransport,
    Pairing,
    PowerTimes,
    ProbabilityPath,
    Times,
    Trigonometric,
    UniformTimes,
    WithinContexts,
)
from pushforward.training.objectives.flow_matching.pairing import weighted
from pushforward.transforms import Checkpoints, Continuous, Elementwise, FixedSteps, Standardise

SMALL = partial(VelocityMLP, hidden=(16,), frequencies=2)


def small_flow(context: int = 0) -> pf.Flow:
    torch.manual_seed(0)
    return pf.Flow([Standardise(2), Continuous(SMALL, 2, context=context)], StandardNormal((2,)))


# Paths


@pytest.mark.parametrize("path", [Linear(), Linear(0.1), Trigonometric()])
def test_a_path_moves_with_its_velocity_from_the_latent_to_the_data(path: ProbabilityPath) -> None:
    z, x, time = torch.randn(3, 5, 4, dtype=torch.float64).unbind(0)
    time = time[:, :1].sigmoid()
    _, slope = jvp(lambda t: path(t, z, x)[0], (time,), (torch.ones_like(time),))
    torch.testing.assert_close(path(time, z, x)[1], slope)
    torch.testing.assert_close(path(torch.zeros_like(time), z, x)[0], z)
    left = getattr(path, "sigma_min", 0.0)
    torch.testing.assert_close(path(torch.ones_like(time), z, x)[0], x + left * z)


# Times


@pytest.mark.parametrize(
    ("times", "mean"),
    [(UniformTimes(), 0.5), (LogitNormalTimes(), 0.5), (PowerTimes(2.0), 3 / 4), (PowerTimes(-0.5), 1 / 3)],
)
def test_times_have_their_mean_and_their_quantiles(times: Times, mean: float) -> None:
    drawn = times.draw(torch.zeros((), dtype=torch.float64), 4000, torch.Generator().manual_seed(0))
    assert ((drawn >= 0) & (drawn <= 1)).all()
    assert abs(drawn.mean() - mean) < 1e-3
    levels = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    torch.testing.assert_close(torch.quantile(drawn, levels), times.quantile(levels), atol=2e-3, rtol=0)


def test_logits_of_logit_normal_times_are_normal() -> None:
    times = LogitNormalTimes(0.5, 2.0).draw(torch.zeros((), dtype=torch.float64), 20_000)
    logits = torch.logit(times)
    assert abs(logits.mean() - 0.5) < 0.02 and abs(logits.std() - 2.0) < 0.02


# Pairings


def batch(count: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(4)
    return torch.randn(count, 3, generator=generator), 1 + 2 * torch.randn(count, 3, generator=generator)


def test_optimal_transport_is_the_shortest_of_all_pairings() -> None:
    z, x = batch(6)
    cost = squared_distances(x, z)
    totals = [cost[torch.arange(6), torch.tensor(order)].sum() for order in itertools.permutations(range(6))]
    assert torch.isclose(cost[torch.arange(6), OptimalTransport()(z, x, None)].sum(), min(totals))


def test_within_contexts_keeps_the_latents_of_each_class() -> None:
    z, x = batch(40)
    classes = torch.arange(40)[:, None] % 3
    order = WithinContexts()(z, x, classes)
    assert torch.equal(classes[order], classes)
    for number in range(3):
        rows = (classes[:, 0] == number).nonzero()[:, 0]
        alone = OptimalTransport()(z[rows], x[rows], None)
        assert torch.equal(order[rows], rows[alone])


def test_the_weight_of_contexts_leaves_the_share_of_nearer_latents() -> None:
    z, x = batch(60)
    cost, apart = squared_distances(x, z), squared_distances(*[torch.linspace(0, 1, 60)[:, None]] * 2)
    for share in (0.01, 0.05, 0.2):
        nearer = (weighted(cost, apart, share) < cost.diagonal()[:, None] - 1e-4).float().mean().item()
        assert share - 0.002 < nearer < share + 1e-6
    assert torch.equal(weighted(cost, apart, 0.999), cost)


def test_contexts_that_are_equal_do_not_hinder_and_that_differ_do() -> None:
    z, x = batch(30)
    pairing = ConditionalOptimalTransport(0.02)
    assert torch.equal(pairing(z, x, torch.ones(30, 2)), OptimalTransport()(z, x, None))
    # Among few classes equal contexts alone are more than the share, and no others are paired.
    classes = (torch.arange(30) % 2)[:, None].float()
    assert torch.equal(pairing(z, x, classes), WithinContexts()(z, x, classes))
    line = torch.linspace(0, 1, 30)[:, None]
    moved = (line[pairing(z, x, line)] - line).abs().mean()
    assert moved < 0.5 * (line[OptimalTransport()(z, x, None)] - line).abs().mean()


@pytest.mark.parametrize(("pairing", "context"), [(OptimalTransport(), 1), (WithinContexts(), 0)])
def test_a_pairing_that_is_none_for_the_context_is_refused(pairing: Pairing, context: int) -> None:
    given = torch.ones(4, 1) if context else None
    with pytest.raises(UsageError, match=r"contexts"):
        pairing(*batch(4), given)


def test_the_default_pairing_follows_from_the_context() -> None:
    def pairing(**options: object) -> object:
        return objective_for(pf.models.cnf(features=2, hidden=[8], **options)).pairing  # type: ignore[arg-type, attr-defined]

    assert pairing() == OptimalTransport()
    assert pairing(context=2) == ConditionalOptimalTransport()
    assert pairing(context=Categories(3, (1,))) == WithinContexts()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Linear(1.0),
        lambda: LogitNormalTimes(0.0, 0.0),
        lambda: PowerTimes(-1.0),
        lambda: ConditionalOptimalTransport(0.0),
        lambda: OptimalTransport(0),
        lambda: FixedSteps(0),
        lambda: FixedSteps(2, "simpson"),  # type: ignore[arg-type]
    ],
)
def test_options_out_of_range_are_refused(make: object) -> None:
    with pytest.raises(UsageError, match=r"expects"):
        make()  # type: ignore[operator]


# The objective


def test_the_loss_of_the_best_field_is_what_is_left_of_the_velocity() -> None:
    """For data N(0, s^2) the best field is ``v = (t s^2 - (1 - t)) x_t / (t^2 s^2 + (1 - t)^2)``, and its loss what the
    velocity varies given ``x_t``."""

    class Best(nn.Module):
        def forward(self, time: Tensor, x: Tensor, context: Tensor | None = None) -> Tensor:
            t = time[..., None]
            return (5 * t - 1) * x / (4 * t**2 + (1 - t) ** 2)

    flow = pf.Flow([Continuous(Best(), 1)], StandardNormal((1,)))
    x = 2 * torch.randn(200_000, 1, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(1)
    t = torch.linspace(0, 1, 100_001, dtype=torch.float64)
    left = 5 - (5 * t - 1) ** 2 / (4 * t**2 + (1 - t) ** 2)
    assert abs(FlowMatching()(flow, x).item() - left.mean().item()) < 0.02
    # The field carries the base to the data.
    points = torch.linspace(-4, 4, 9)[:, None]
    truth = torch.distributions.Normal(0.0, 2.0).log_prob(points[:, 0])
    torch.testing.assert_close(flow.log_prob(points), truth, atol=1e-4, rtol=0)


def test_neither_what_stands_before_nor_the_base_gets_gradients() -> None:
    before, field = Elementwise(Affine(), (2,)), Continuous(SMALL, 2)
    flow = pf.Flow([before, pf.transforms.Chain([field])], DiagonalNormal((2,)))
    FlowMatching()(flow, torch.randn(8, 2)).backward()
    assert all(weight.grad is None for part in (before, flow.base) for weight in part.parameters())
    assert any(weight.grad is not None for weight in field.parameters())


@pytest.mark.parametrize("context", [None, Categories(3), Reals((2,))])
def test_events_of_any_batch_are_matched(context: Space | None) -> None:
    flow = pf.models.cnf(features=2, hidden=[4], context=context or 0)
    given = None if context is None else torch.zeros(context.shape)
    objective = objective_for(flow)
    for batch in ((), (3,), (2, 3), (0,)):
        assert objective.losses(flow, torch.randn(*batch, 2), given).shape == batch
    # The field starts at zero, so that the loss is that of the paths alone, whichever the shape of the batch.
    x = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
    losses = []
    for batch in ((6,), (2, 3)):
        torch.manual_seed(0)
        losses.append(objective.losses(flow, x.reshape(*batch, 2), given).flatten())
    assert torch.equal(*losses)


def test_a_pairing_of_what_is_not_finite_is_refused() -> None:
    with pytest.raises(DataError, match="finite"):
        OptimalTransport()(torch.zeros(2, 1), torch.tensor([[math.nan], [0.0]]), None)


@pytest.mark.parametrize("times", [UniformTimes(), LogitNormalTimes(), PowerTimes(2.0)])
def test_times_of_half_precision_are_those_of_single_rounded(times: Times) -> None:
    torch.manual_seed(0)
    fine = times.draw(torch.zeros(()), 1000)
    torch.manual_seed(0)
    assert torch.equal(times.draw(torch.zeros((), dtype=torch.bfloat16), 1000), fine.bfloat16())


def test_another_solver_leaves_the_mode() -> None:
    assert not solved_by(small_flow().eval(), FixedSteps(2)).training
    assert solved_by(small_flow().train(), FixedSteps(2)).transform[-1].training


def test_an_embedding_is_trained() -> None:
    embedding = nn.Linear(5, 3)
    flow = pf.Flow([Continuous(SMALL, 2, context=3)], StandardNormal((2,)), context=5, embedding=embedding)
    with torch.no_grad():
        flow.transform[0].velocity.layers[-1].weight.fill_(0.1)
    FlowMatching(pairing=ConditionalOptimalTransport())(flow, torch.randn(8, 2), torch.randn(8, 5)).backward()
    assert embedding.weight.grad is not None and embedding.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("objective", [FlowMatching(), "flow-matching"])
def test_a_flow_without_a_field_is_refused_before_anything_is_done(objective: object, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"flow matching expects a flow whose transform is Continuous"):
        fit(pf.models.maf(features=2, layers=1), moons(), objective=objective, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_unknown_objective_is_refused() -> None:
    with pytest.raises(UsageError, match=r"likelihood, flow-matching"):
        fit(small_flow(), moons(), objective="matching")


def test_it_trains_to_the_density(tmp_path: Path) -> None:
    """A correlated normal, whose density is known."""
    mix, shift = torch.tensor([[1.0, 0.0], [0.8, 0.3]]), torch.tensor([3.0, -1.0])
    truth = torch.distributions.MultivariateNormal(shift, scale_tril=mix)
    torch.manual_seed(0)
    train, held_out = truth.sample((4000,)), truth.sample((2000,))
    flow = pf.models.cnf(features=2, hidden=[32])
    result = fit(flow, train, held_out, max_steps=300, learning_rate=5e-3, ema=0.98, out=tmp_path)
    with torch.no_grad():
        gap = (truth.log_prob(held_out) - flow.log_prob(held_out)).mean()
    assert abs(gap) < 0.03
    # The loss is no likelihood and is not called one.
    assert "validation_loss" in (tmp_path / "metrics.csv").read_text().splitlines()[0]
    assert result.best_validation is not None


def test_validations_of_the_same_field_are_the_same() -> None:
    flow = small_flow()
    result = fit(flow, moons(), moons(), objective=FlowMatching(), learning_rate=1e-12, max_steps=4, validate_every=2)
    losses = [row["val_loss"] for row in result.history if row["val_loss"] is not None]
    assert len(losses) == 2 and math.isclose(losses[0], losses[1], rel_tol=1e-5)


def test_a_conditional_field_learns_its_context() -> None:
    """``x = c + noise``: plain optimal transport would skew it, the conditional one does not."""
    generator = torch.Generator().manual_seed(0)
    context = 2 * torch.randn(4000, 1, generator=generator)
    x = context + 0.5 * torch.randn(4000, 1, generator=generator)
    torch.manual_seed(0)
    flow = pf.models.cnf(features=1, context=1, hidden=[32])
    fit(flow, (x, context), max_steps=400, learning_rate=5e-3, ema=0.98)
    given = torch.tensor([[-3.0], [0.0], [3.0]])
    samples = flow.sample(2000, given)
    torch.testing.assert_close(samples.mean(0), given, atol=0.12, rtol=0)
    torch.testing.assert_close(samples.std(0), torch.full((3, 1), 0.5), atol=0.1, rtol=0)


@pytest.mark.parametrize("precision", ["64", "bf16-mixed"])
def test_other_precisions(precision: str) -> None:
    flow = pf.models.cnf(features=2, hidden=[16])
    loss = fit(flow, moons(), moons(), max_steps=20, precision=precision).best_validation
    assert loss is not None and math.isfinite(loss)


def test_images_are_dequantized_first() -> None:
    flow = pf.models.cnf(shape=(1, 4, 4), levels=17, hidden=4)
    images = torch.randint(17, (64, 1, 4, 4))
    fit(flow, images, images, max_steps=5, batch_size=32)
    assert flow.log_prob(images[:2]).shape == (2,) and flow.sample(2).shape == (2, 1, 4, 4)


# Tables


@pytest.mark.parametrize("weighted_rows", [False, True])
def test_an_estimator_of_a_table_trains_it_so(weighted_rows: bool) -> None:
    from pushforward.sklearn import FlowDensity

    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 1)) @ np.ones((1, 2)) + 0.3 * rng.normal(size=(400, 2))
    weights = rng.integers(1, 3, 400) if weighted_rows else None
    density = FlowDensity("cnf", max_steps=150, random_state=0, columns="continuous")
    density.fit(rows, sample_weight=weights)
    covariance = np.ones((2, 2)) + 0.09 * np.eye(2)
    entropy = 0.5 * np.log(np.linalg.det(2 * np.pi * np.e * covariance))
    assert abs(-density.score(rows) - entropy) < 0.15


# Solvers of few steps


@pytest.mark.parametrize(("rule", "order"), [("euler", 1), ("midpoint", 2), ("runge-kutta", 4)])
def test_the_error_of_fixed_steps_falls_by_their_order(rule: str, order: int) -> None:
    def bent(time: Tensor, state: Tensor) -> Tensor:
        return torch.exp(time)[:, None] * state

    start = torch.tensor([[1.0], [2.0]], dtype=torch.float64)
    truth = start * math.exp(math.e - 1)
    errors = [
        (FixedSteps(steps, rule).solve(bent, start, (), (0.0, 1.0))[0] - truth).abs().max().item()  # type: ignore[arg-type]
        for steps in (16, 32)
    ]
    assert abs(math.log2(errors[0] / errors[1]) - order) < 0.2


def test_gradients_through_fixed_steps_are_those_of_finite_differences() -> None:
    torch.manual_seed(0)
    field = pf.testing.randomise(
        Continuous(SMALL, 2, FixedSteps(3, "midpoint"), gradients=Checkpoints()).double(), scale=0.5
    )
    x = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: field.inverse(x), (x,))


def test_many_fixed_steps_agree_with_the_adaptive_solver() -> None:
    torch.manual_seed(0)
    flow = pf.testing.randomise(small_flow(), scale=0.5).double()
    fixed = solved_by(flow, FixedSteps(64, "runge-kutta"))
    x = torch.randn(5, 2, dtype=torch.float64)
    torch.testing.assert_close(fixed.log_prob(x), flow.log_prob(x), atol=1e-5, rtol=0)
    assert flow.accuracy.describe() == "exact" and fixed.accuracy.describe() == "estimate"


def test_the_divergence_of_a_residual_velocity() -> None:
    torch.manual_seed(0)
    velocity = pf.testing.randomise(ResidualVelocity(3, 2, hidden=[8, 5]), scale=0.5).double()
    time, x, context = (torch.randn(5, 2, *shape, dtype=torch.float64) for shape in ((), (3,), (2,)))
    for mine, plain in zip(
        velocity.with_divergence(time, x, context), Velocity.with_divergence(velocity, time, x, context), strict=True
    ):
        torch.testing.assert_close(mine, plain)


# Reflow


def trained(**options: object) -> pf.Flow:
    torch.manual_seed(0)
    flow = pf.models.cnf(features=2, hidden=[64])
    fit(flow, moons(4000), max_steps=400, learning_rate=5e-3, ema=0.98, objective=FlowMatching(), **options)
    return flow


def test_reflow_straightens_and_keeps_the_distribution(tmp_path: Path) -> None:
    flow = trained()
    before = [value.clone() for value in flow.state_dict().values()]
    student = reflow(
        flow, pairs=4000, solver=FixedSteps(2), max_steps=300, learning_rate=2e-3, ema=0.98, progress=False
    )
    assert all(torch.equal(a, b) for a, b in zip(before, flow.state_dict().values(), strict=True))
    bent, straight = pf.diagnostics.straightness(flow), pf.diagnostics.straightness(student)
    assert straight < 0.5 * bent
    z = torch.randn(1000, 2, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        error = (student.decode(z) - flow.decode(z)).norm(dim=1).mean()
        coarse = (solved_by(flow, FixedSteps(2)).decode(z) - flow.decode(z)).norm(dim=1).mean()
    assert error < 0.5 * coarse
    pf.save(student, tmp_path / "student.safetensors")
    again = pf.load(tmp_path / "student.safetensors")
    torch.testing.assert_close(again.decode(z), student.decode(z))


def test_reflow_of_a_conditional_flow() -> None:
    torch.manual_seed(0)
    flow = pf.testing.randomise(
        pf.models.cnf(features=2, context=(1, 2, 2), embedding=nn.Flatten(), hidden=[8]), scale=0.2
    )
    contexts = torch.randn(10, 1, 2, 2)
    student = reflow(flow, contexts, pairs=40, max_steps=2, progress=False)
    assert student.sample(3, contexts).shape == (3, 10, 2)
    with pytest.raises(ShapeError, match="expects a context"):
        reflow(flow, pairs=40)


def test_reflow_wants_a_field() -> None:
    with pytest.raises(UsageError, match=r"reflow expects a flow whose transform is Continuous"):
        reflow(pf.models.maf(features=2))


# The command line


def test_the_command_line_trains_it_and_measures_its_likelihood(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: object) -> tuple[int, str]:
        code = cli.run([str(argument) for argument in arguments])
        return code, "".join(capsys.readouterr())

    train = ("train", "cnf", "--data", "moons", "--max-steps", 3, "--set", "hidden=8", "--json")
    code, told = run(*train, "--out", tmp_path / "matched")
    assert code == 0 and "best_validation_loss" in json.loads(told)
    code, told = run(*train, "--out", tmp_path / "likely", "--objective", "likelihood")
    assert code == 0 and "best_validation_nats" in json.loads(told)
    code, told = run(*train, "--out", tmp_path / "other", "--objective", "matching")
    assert code == 2 and "likelihood or flow-matching" in told
    code, told = run("evaluate", tmp_path / "matched", "--json")
    assert code == 0 and "nats" in json.loads(told)
