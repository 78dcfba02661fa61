"""Copulas: normal marginals whatever the parameters, densities against scipy, vines where their package is."""

from __future__ import annotations

import math
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor
from typer.testing import CliRunner

import pushforward as pf
from pushforward import distributions, transforms
from pushforward.cli.main import app
from pushforward.distributions.copulas.student_tails import student_excess, student_of_excess
from pushforward.errors import DataError, UsageError
from pushforward.testing import check_distribution, check_normalised, randomise
from pushforward.training import ELBO
from pushforward.training import saver as saving
from pushforward.training.placement import finished

CORRELATED = [[1.0, 0.6], [0.6, 1.0]]


def correlated(copula: distributions.Distribution) -> distributions.Distribution:
    """The copula of two dimensions at a correlation of 0.6, in double precision."""
    raw = 0.6 / math.sqrt(1 - 0.6**2)
    with torch.no_grad():
        copula.raw[1, 0] = raw / math.sqrt(1 - (raw / 20) ** 2)
    return copula.double()


@pytest.mark.parametrize("degrees", [1.0, 2.5, 30.0, 99.0])
def test_excesses_of_a_t_are_those_of_scipy(degrees: float) -> None:
    q = torch.logspace(-5, 6 if degrees < 10 else 2, 200, dtype=torch.float64)
    nu = torch.full_like(q, degrees)
    excess, log_slope = student_excess(torch.asinh(q / math.sqrt(degrees)), nu)
    expected = torch.from_numpy(-stats.t.logsf(q.numpy(), degrees) - math.log(2))
    torch.testing.assert_close(excess, expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(student_of_excess(excess, nu), torch.asinh(q / math.sqrt(degrees)), rtol=1e-9, atol=1e-9)
    density = torch.from_numpy(stats.t.logpdf(q.numpy(), degrees)) + math.log(2)
    # d|T| density over s = asinh(q / sqrt(nu)) is dE/ds exp(-E).
    stretched = density + 0.5 * torch.log(nu + q.square())
    torch.testing.assert_close(log_slope - excess, stretched, rtol=1e-9, atol=1e-8)


def test_scores_of_a_t_have_derivatives_in_both() -> None:
    excess = torch.tensor([0.3, 2.0, 9.0], dtype=torch.float64, requires_grad=True)
    degrees = torch.tensor([1.5, 4.0, 20.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(student_of_excess, (excess, degrees))


def test_a_gaussian_copula_is_a_normal_of_unit_variances() -> None:
    copula = correlated(distributions.GaussianCopula(2))
    torch.testing.assert_close(copula.correlations().detach(), torch.tensor(CORRELATED).double())
    z = torch.randn(50, 2, dtype=torch.float64)
    expected = torch.from_numpy(stats.multivariate_normal(cov=CORRELATED).logpdf(z.numpy()))
    torch.testing.assert_close(copula.log_prob(z).detach(), expected)


@pytest.mark.parametrize("degrees", [2.0, 10.0])
def test_a_student_copula_is_that_of_a_multivariate_t(degrees: float) -> None:
    copula = correlated(distributions.StudentCopula(2, degrees))
    z = 2 * torch.randn(50, 2, dtype=torch.float64)
    q = stats.t.ppf(stats.norm.cdf(z.numpy()), degrees)
    joint = stats.multivariate_t(shape=CORRELATED, df=degrees).logpdf(q)
    expected = joint - stats.t.logpdf(q, degrees).sum(-1) + stats.norm.logpdf(z.numpy()).sum(-1)
    torch.testing.assert_close(copula.log_prob(z).detach(), torch.from_numpy(expected), rtol=1e-6, atol=1e-6)
    check_normalised(copula.log_prob, -6, 6, dims=2, points=80)


def test_a_student_copula_far_out_in_single_precision() -> None:
    """Where the degrees' own scores have 66 digits, which no single-precision number has."""
    copula = correlated(distributions.StudentCopula(2, 3.0)).float()
    z = torch.tensor([[30.0, 29.0], [-30.0, 12.0], [20.0, -25.0]])
    wide = z.double().numpy()
    # Far out P(T > q) = 2 sqrt(3) / pi q^-3; scipy's own isf is wrong by a factor of 2 there.
    q = np.sign(wide) * (2 * math.sqrt(3) / math.pi / stats.norm.sf(np.abs(wide))) ** (1 / 3)
    joint = stats.multivariate_t(shape=CORRELATED, df=3.0).logpdf(q)
    expected = joint - stats.t.logpdf(q, 3.0).sum(-1) + stats.norm.logpdf(wide).sum(-1)
    torch.testing.assert_close(copula.log_prob(z).detach(), torch.from_numpy(expected).float(), rtol=1e-5, atol=1e-3)
    assert bool(torch.isfinite(copula.log_prob(torch.tensor([[1e3, 1.0], [1e10, -1e10]]))).all())


@pytest.mark.parametrize("degrees", [1.5, 30.0])
def test_a_student_copula_has_gradients_in_the_middle(degrees: float) -> None:
    copula = correlated(distributions.StudentCopula(2, degrees))
    z = torch.tensor([0.0, 1.5], dtype=torch.float64, requires_grad=True)
    step = torch.tensor([1e-5, 0.0], dtype=torch.float64)
    with torch.no_grad():
        ahead, behind = copula.log_prob(torch.stack([z + step, z - step]))
    slope = torch.autograd.grad(copula.log_prob(z), z)[0][0].item()
    assert slope == pytest.approx((ahead - behind).item() / 2e-5, rel=1e-4)


@pytest.mark.parametrize("kind", [distributions.GaussianCopula, distributions.StudentCopula])
def test_marginals_are_normal_whatever_the_copula(kind: type) -> None:
    copula = randomise(kind(3), 1.0)
    z = copula.sample(20_000, generator=torch.Generator().manual_seed(0))
    for column in z.double().numpy().T:
        assert stats.kstest(column, "norm").pvalue > 1e-3


def test_a_student_copula_has_tail_dependence_and_a_gaussian_one_has_not() -> None:
    def together(copula: distributions.Distribution) -> float:
        z = correlated(copula).sample(200_000, generator=torch.Generator().manual_seed(0))
        return ((z > 3).all(-1).double().mean() / (z[:, 0] > 3).double().mean()).item()

    # Demarta, McNeil (2005), equation 4: in the limit 2 T_{nu + 1}(-sqrt((nu + 1) (1 - r) / (1 + r))).
    limit = 2 * stats.t.cdf(-math.sqrt(3 * 0.4 / 1.6), 3)
    assert together(distributions.StudentCopula(2, 2.0)) == pytest.approx(limit, abs=0.1)
    assert together(distributions.GaussianCopula(2)) < 0.2


@pytest.mark.parametrize("marginals", ["tails", "splines", "mixtures"])
def test_marginals_and_copula_are_apart(marginals: str) -> None:
    """The integral of the joint density over one dimension is the other's marginal density."""
    flow = randomise(pf.models.copula(features=2, marginals=marginals, copula="student"), 0.3).double()
    apart = pf.Flow(flow.transform, distributions.StandardNormal((2,)))
    grid = torch.linspace(-40, 40, 8001, dtype=torch.float64)
    for x in (-0.7, 0.4):
        point = torch.full_like(grid, x)
        with torch.no_grad():
            joint = flow.log_prob(torch.stack([point, grid], -1)).exp()
            product = apart.log_prob(torch.stack([point, grid], -1)).exp()
        torch.testing.assert_close(torch.trapezoid(joint, grid), torch.trapezoid(product, grid), rtol=2e-3, atol=0)


def test_a_copula_of_ones_own_and_names_that_do_not_exist() -> None:
    marginals = transforms.Elementwise(pf.scalar.Affine(), (3,))
    own = pf.models.copula(features=3, marginals=marginals, copula=distributions.GaussianCopula(3))
    assert own.log_prob(torch.zeros(2, 3)).shape == (2,)
    assert pf.models.copula(features=3, copula="flow").sample(4).shape == (4, 3)
    for options in ({"copula": "clayton"}, {"marginals": "kernel"}):
        with pytest.raises(pf.errors.UsageError, match="expects one of"):
            pf.models.copula(features=3, **options)


def test_normal_scores_are_normal() -> None:
    layer = transforms.NormalScores(2)
    x = torch.randn(5000, 2, generator=torch.Generator().manual_seed(0)).exp()
    x[:, 1] = x[:, 1].round()
    z = layer.initialise(x)
    assert stats.kstest(z[:, 0].numpy(), "norm").pvalue > 0.01
    assert bool(torch.isfinite(layer(10 * x)[1]).all())
    torch.testing.assert_close(layer.decode(z)[:, 0], x[:, 0], rtol=1e-4, atol=1e-4)


def test_normal_scores_of_heavy_tails_are_normal_too() -> None:
    x = torch.from_numpy(stats.t.rvs(0.7, size=(3000, 1), random_state=0)).float()
    assert stats.kstest(transforms.NormalScores(1).initialise(x)[:, 0].numpy(), "norm").pvalue > 0.1


@pytest.mark.parametrize("center, scale", [(1.0, 0.0), (0.0, 0.0), (-1e30, 0.0), (1e6, 1.0), (1e8, 1.0)])
def test_normal_scores_of_columns_that_hardly_vary(center: float, scale: float) -> None:
    layer = transforms.NormalScores(1)
    x = center + scale * torch.randn(500, 1, generator=torch.Generator().manual_seed(0))
    z = layer.initialise(x)
    assert bool(torch.isfinite(z).all()) and bool(torch.isfinite(layer(x)[1]).all())
    assert torch.equal(layer.decode(z), x)


def bent(count: int, seed: int = 0) -> Tensor:
    """Three columns of which the second depends on the square of the first, and the third on the second."""
    z = torch.randn(count, 3, generator=torch.Generator().manual_seed(seed))
    z[:, 1] = z[:, 0].square() + 0.3 * z[:, 1]
    z[:, 2] += z[:, 1]
    return z


def vine_of(scores: Tensor) -> distributions.VineCopula:
    """A vine that is fitted to scores."""
    vine = distributions.VineCopula(scores.shape[1])
    vine.finish(scores)
    return vine


def trained(flow: pf.Flow, x: Tensor, **options: object) -> pf.Flow:
    """The flow after some steps on events."""
    settings = {"max_steps": 30, "learning_rate": 1e-2, "compile": False, "progress": False, "seed": 0}
    pf.fit(flow, x, **{**settings, **options})
    return flow


def small_autoencoder() -> pf.Flow:
    torch.manual_seed(2)
    # Encoders as they begin tell little of an event, and latents that are all noise have no dependence to be found.
    return randomise(pf.models.vine_autoencoder(features=3, latents=2, hidden=16), 1.0)


def check_prior_is_of_the_latents(flow: pf.Flow, x: Tensor) -> None:
    """The prior's draws have the marginals and the dependence of the latents of data."""
    generator = torch.Generator().manual_seed(5)
    # Those of the autoencoder itself: the flow's go on through the prior's marginals.
    latents, drawn = flow.transform.encode(x, generator=generator), flow.base.sample(len(x), generator=generator)
    latents, drawn = latents.detach().numpy(), drawn.numpy()
    for ours, theirs in zip(drawn.T, latents.T, strict=True):
        assert stats.ks_2samp(ours, theirs).statistic < 0.12
    # A standard error of Kendall's tau is about 0.02.
    tau, expected = stats.kendalltau(*drawn.T).statistic, stats.kendalltau(*latents.T).statistic
    assert abs(expected) > 0.08
    assert tau == pytest.approx(expected, abs=0.07)


def test_an_autoencoder_of_a_vine_is_trained_to_reconstruct() -> None:
    assert pf.training.objectives.objective_for(small_autoencoder()) == ELBO(beta=0.0)


def test_a_vine_begins_as_independence() -> None:
    vine = distributions.VineCopula(3)
    z = torch.randn(5, 3)
    torch.testing.assert_close(vine.log_prob(z), distributions.StandardNormal((3,)).log_prob(z))
    vine.finish(bent(200))
    assert bool((vine.log_prob(z) - distributions.StandardNormal((3,)).log_prob(z)).abs().max() > 0.1)
    vine.initialise(bent(50))
    torch.testing.assert_close(vine.log_prob(z), distributions.StandardNormal((3,)).log_prob(z))


def test_a_vine_obeys_the_laws() -> None:
    check_distribution(vine_of(bent(300)))


def test_a_vine_of_a_normal_has_its_density() -> None:
    copula = correlated(distributions.GaussianCopula(2))
    vine = vine_of(copula.sample(4000, generator=torch.Generator().manual_seed(0)).float())
    new = copula.sample(2000, generator=torch.Generator().manual_seed(1))
    assert (copula.log_prob(new) - vine.log_prob(new)).mean().item() == pytest.approx(0, abs=0.03)


def test_gradients_reach_what_stands_before_a_vine() -> None:
    vine = vine_of(bent(500)[:, :2]).double()
    z = torch.tensor([[0.31, -0.2], [-1.0, 0.4]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(vine.log_prob, z, rtol=1e-3)


def test_draws_of_a_vine_are_those_of_their_generator() -> None:
    vine = vine_of(bent(300))
    state = torch.get_rng_state()
    first, again = (vine.sample(50, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, again) and torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(first, vine.sample(50, generator=torch.Generator().manual_seed(4)))


def test_a_copula_that_is_a_vine_finds_what_no_correlation_shows(tmp_path: Path) -> None:
    flow = pf.models.copula(features=3, marginals="splines", copula="vine")
    trained(flow, bent(1000), max_steps=5)
    apart = pf.Flow(flow.transform, distributions.StandardNormal((3,)))
    assert (flow.log_prob(bent(1000, 1)) - apart.log_prob(bent(1000, 1))).mean().item() > 0.7
    samples = flow.sample(2000, generator=torch.Generator().manual_seed(0))
    assert torch.corrcoef(torch.stack([samples[:, 0].square(), samples[:, 1]]))[0, 1].item() > 0.8
    pf.save(flow, tmp_path / "vine.safetensors")
    again = pf.load(tmp_path / "vine.safetensors")
    assert torch.equal(again.log_prob(bent(5)), flow.log_prob(bent(5)))


def test_a_vine_behind_marginals_that_the_data_place() -> None:
    flow = pf.models.copula(features=3, marginals=transforms.NormalScores(3), copula="vine")
    pf.fit(flow, bent(1000), progress=False)
    apart = pf.Flow(flow.transform, distributions.StandardNormal((3,)))
    assert (flow.log_prob(bent(500, 1)) - apart.log_prob(bent(500, 1))).mean().item() > 0.7


def test_an_autoencoder_gets_the_distribution_of_its_latents_each_time_it_is_trained() -> None:
    flow = small_autoencoder()
    for rate in (1e-2, 2e-2):
        trained(flow, bent(1000), learning_rate=rate)
        check_prior_is_of_the_latents(flow, bent(1000))


def test_a_run_of_an_autoencoder_leaves_its_prior_whenever_it_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[bytes] = []
    written = saving.write_model

    def kept(flow: pf.Flow, folder: object) -> None:
        written(flow, folder)
        # Loading one here would draw from the training's random state.
        saved.append((tmp_path / "run" / "model.safetensors").read_bytes())

    monkeypatch.setattr(saving, "write_model", kept)
    options = {"out": tmp_path / "run", "checkpoint_seconds": 1e-9}
    flow = trained(small_autoencoder(), bent(1000), max_steps=3, validation=bent(100, 1), **options)
    (tmp_path / "first.safetensors").write_bytes(saved[0])
    check_prior_is_of_the_latents(pf.load(tmp_path / "first.safetensors"), bent(1000))
    plain = trained(small_autoencoder(), bent(1000), max_steps=3, validation=bent(100, 1))
    for name, value in plain.state_dict().items():
        assert torch.equal(value, flow.state_dict()[name]), name
    monkeypatch.undo()
    resumed = trained(flow, bent(1000), max_steps=6, validation=bent(100, 1), resume=True, **options)
    check_prior_is_of_the_latents(resumed, bent(1000))
    stored = pf.load(tmp_path / "run")
    assert torch.equal(stored.base.log_prob(torch.ones(2)), resumed.base.log_prob(torch.ones(2)))


def test_an_autoencoder_that_is_interrupted_has_its_prior() -> None:
    flow = small_autoencoder()
    with pytest.raises(KeyboardInterrupt):
        trained(flow, bent(1000), objective=Interrupting(), max_steps=1000)
    check_prior_is_of_the_latents(flow, bent(1000))


class Interrupting:
    """The objective of an autoencoder, during the tenth call of which somebody presses Ctrl-C."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, flow: pf.Flow, x: Tensor, context: Tensor | None = None) -> Tensor:
        self.calls += 1
        if self.calls == 10:
            signal.raise_signal(signal.SIGINT)
        return ELBO(beta=0.0)(flow, x, context)


def test_a_vine_autoencoder_on_the_command_line(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", bent(1000).numpy())
    run = f"train vine-autoencoder --data {tmp_path / 'x.npy'} --out {tmp_path / 'run'} --set latents=2 --set hidden=16"
    settings = "--max-steps 30 --learning-rate 0.01 --no-compile --seed 0"
    result = CliRunner().invoke(app, f"{run} {settings}")
    assert result.exit_code == 0, result.output
    flow = pf.load(tmp_path / "run")
    x = flow.transform.encode(bent(1000), generator=torch.Generator().manual_seed(1)).detach()
    drawn = flow.base.sample(1000, generator=torch.Generator().manual_seed(1))
    for ours, theirs in zip(drawn.T, x.T, strict=True):
        assert stats.ks_2samp(ours, theirs).statistic < 0.12
    assert bool(flow.base.base.fitted)
    out = tmp_path / "samples.npy"
    result = CliRunner().invoke(app, ["sample", str(tmp_path / "run"), "--count", "100", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert np.load(out).shape == (100, 3)


def test_what_a_vine_cannot_be_made_of_is_told() -> None:
    vine = distributions.VineCopula(2)
    with pytest.raises(pf.errors.DataError, match="20 rows"):
        vine.finish(torch.zeros(10, 2))
    with pytest.raises(pf.errors.DataError, match="finite"):
        vine.finish(torch.full((30, 2), torch.nan))
    with pytest.raises(pf.errors.UsageError, match="2 dimensions or more"):
        pf.models.vine_autoencoder(features=3, latents=1)
    vine.fitted.fill_(True)
    with pytest.raises(pf.errors.UsageError, match="no vine"):
        vine.log_prob(torch.zeros(2))


def test_a_vine_is_refused_rows_that_are_too_few_before_a_training() -> None:
    before = small_autoencoder()
    state = {name: value.clone() for name, value in before.state_dict().items()}
    with pytest.raises(DataError, match="at least 20 rows"):
        trained(before, bent(12), batch_size=4)
    weight = "transform.parts.1.encoder.layers.0.weight"
    assert torch.equal(before.state_dict()[weight], state[weight])


def test_a_vine_inside_of_a_split_is_fitted_and_of_a_mixture_refused() -> None:
    both = pf.flows.FactorOut(distributions.StandardNormal((1,)), distributions.VineCopula(2))
    assert both.finishes
    both.finish(bent(300))
    alone = vine_of(bent(300)[:, :2])
    torch.testing.assert_close(both.rest.log_prob(bent(5)[:, :2]), alone.log_prob(bent(5)[:, :2]))
    with pytest.raises(UsageError, match="fitted after a training"):
        distributions.Mixture([distributions.VineCopula(2), distributions.VineCopula(2)])


def test_a_model_of_the_training_so_far_leaves_nothing_behind() -> None:
    torch.manual_seed(0)
    prior = pf.flows.ExPostFlow([pf.transforms.Standardise(2)], pf.distributions.VineCopula(2))
    before = {name: value.clone() for name, value in prior.state_dict().items()}
    with finished(prior, (5 + torch.randn(100, 2), None), 0, torch.float32):
        assert prior.base.fitted and (prior.sample(50).mean(0) > 4).all()
    assert all(torch.equal(value, before[name]) for name, value in prior.state_dict().items())
