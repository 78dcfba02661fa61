"""Variational autoencoders: the bound against known likelihoods, every posterior, the objectives, the networks."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

import pushforward as pf
from pushforward.cli import main as cli
from pushforward.distributions import (
    BernoulliMass,
    ConditionalFactorNormal,
    ConditionalFullNormal,
    ConditionalNormal,
    GaussianConditional,
    GivenParameters,
    StandardNormal,
)
from pushforward.errors import UsageError
from pushforward.models.autoencoders.posteriors import POSTERIORS, Sizes, posterior_named
from pushforward.networks import DenseDecoder, DenseEncoder, GatedConvDecoder, GatedConvEncoder
from pushforward.testing import randomise
from pushforward.training import ELBO
from pushforward.training.objectives import objective_at
from pushforward.transforms import OrthogonalBasis, Standardise, VariationalEncoding

DIMENSIONS, LATENTS, SCALE = 3, 2, 0.6


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Fixed(nn.Module):
    """A network whose outputs ``(..., P)`` are a fixed affine map of its input."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return x @ self.weight.mT + self.bias


def raw_log_scale(log_scale: Tensor) -> Tensor:
    """What is bounded to ``log_scale``."""
    return log_scale * torch.rsqrt(1 - (log_scale / 7).square())


class LinearGaussian:
    """``x = W z + b + scale e``, whose likelihood and posterior are known."""

    def __init__(self) -> None:
        self.weight = torch.tensor([[1.0, 0.8], [0.5, 1.0], [0.3, 0.9]]).double()
        self.mean = torch.tensor([0.5, -1.0, 2.0]).double()
        covariance = self.weight @ self.weight.mT + SCALE**2 * torch.eye(DIMENSIONS).double()
        self.marginal = MultivariateNormal(self.mean, covariance)
        self.covariance = torch.linalg.inv(torch.eye(LATENTS).double() + self.weight.mT @ self.weight / SCALE**2)

    def encoder(self) -> nn.Module:
        """The mean of the posterior."""
        gain = self.covariance @ self.weight.mT / SCALE**2
        return Fixed(gain, -gain @ self.mean)

    def exact_posterior(self) -> pf.distributions.Distribution:
        factor = torch.linalg.cholesky(self.covariance)
        relative = factor / factor.diagonal()[:, None]
        square = relative.tril(-1) * torch.rsqrt(1 - (relative.tril(-1) / 20).square())
        raw = torch.cat([torch.zeros(LATENTS).double(), raw_log_scale(factor.diagonal().log()), square.flatten()])
        mean = torch.eye(len(raw), LATENTS).double()
        return ConditionalFullNormal((LATENTS,), Fixed(mean, raw), context=LATENTS)

    def diagonal_posterior(self) -> pf.distributions.Distribution:
        """That of the true marginals, whose importance weights have a variance."""
        log_scale = 0.5 * self.covariance.diagonal().log()
        raw = torch.cat([torch.zeros(LATENTS).double(), raw_log_scale(log_scale)])
        return ConditionalNormal((LATENTS,), Fixed(torch.eye(2 * LATENTS, LATENTS).double(), raw), context=LATENTS)

    def flow(self, posterior: pf.distributions.Distribution) -> pf.Flow:
        # Of each dimension the mean, then the log-scale.
        weight = torch.stack([self.weight, torch.zeros_like(self.weight)], 1).flatten(0, 1)
        log_scale = raw_log_scale(torch.full_like(self.mean, math.log(SCALE)))
        decoder = Fixed(weight, torch.stack([self.mean, log_scale], 1).flatten())
        likelihood = GivenParameters(GaussianConditional(), (DIMENSIONS,))
        layer = VariationalEncoding(self.encoder(), posterior, decoder, likelihood).double()
        return pf.Flow([layer], StandardNormal((LATENTS,)).double())


@pytest.fixture
def double() -> object:
    """Parts are made, and asked once what they give, in double precision."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("double")
def test_with_the_true_posterior_the_bound_is_the_likelihood_at_every_draw() -> None:
    model = LinearGaussian()
    flow = model.flow(model.exact_posterior())
    x = model.marginal.sample((50,))
    torch.testing.assert_close(flow.log_prob(x), model.marginal.log_prob(x), atol=1e-9, rtol=0)


@pytest.mark.usefixtures("double")
def test_the_bound_is_below_by_the_divergence_and_importance_weights_close_the_gap() -> None:
    model = LinearGaussian()
    posterior = model.diagonal_posterior()
    flow = model.flow(posterior)
    x = model.marginal.sample((20,))
    exact = model.marginal.log_prob(x)
    mean, error = flow.log_prob_with_error(x, draws=2000, generator=seeded())
    true = MultivariateNormal(torch.zeros(LATENTS), model.covariance)
    diagonal = MultivariateNormal(torch.zeros(LATENTS), torch.diag(model.covariance.diagonal()))
    gap = torch.distributions.kl_divergence(diagonal, true)
    assert gap > 0.5
    assert bool(((exact - mean - gap).abs() < 5 * error).all())
    tightened = flow.importance_log_prob(x, importance_samples=2000, generator=seeded())
    assert (exact - tightened).mean().abs() < 0.03
    few = flow.importance_log_prob(x.expand(200, *x.shape), importance_samples=5, generator=seeded()).mean(0)
    assert mean.mean() < few.mean() < exact.mean()


@pytest.mark.usefixtures("double")
def test_samples_follow_the_marginal() -> None:
    model = LinearGaussian()
    x = model.flow(model.exact_posterior()).sample(20_000, generator=seeded())
    torch.testing.assert_close(x.mT.cov(), model.marginal.covariance_matrix, atol=0.2, rtol=0.05)


@pytest.mark.parametrize("name", POSTERIORS)
def test_a_posterior_draws_with_the_density_that_it_has(name: str) -> None:
    posterior = randomise(posterior_named(name, Sizes(latents=4, features=3, layers=2, units=2, hidden=8)), 0.3)
    features = torch.randn(5, 3, generator=seeded()).double()
    z, log_prob = posterior.double().rsample_and_log_prob(6, features, generator=seeded())
    torch.testing.assert_close(posterior.log_prob(z, features), log_prob, atol=1e-8, rtol=0)
    gradients = torch.autograd.grad((z.square().sum() + log_prob.sum()), list(posterior.parameters()))
    assert all(bool(torch.isfinite(each).all()) for each in gradients)
    assert sum(bool(each.any()) for each in gradients) >= len(gradients) - 1


def test_normals_are_those_of_their_covariances() -> None:
    factor = ConditionalFactorNormal((4,), pf.networks.MLP, context=2)
    full = ConditionalFullNormal((4,), pf.networks.MLP, context=2)
    context = torch.randn(6, 2, generator=seeded()).double()
    for posterior in (factor, full):
        randomise(posterior.double(), 0.5)
    x = torch.randn(6, 4, generator=seeded(1)).double()
    mean, log_scale, b = factor._factor(factor.network(context))
    loading = (log_scale.exp() * b)[..., None]
    other = torch.distributions.LowRankMultivariateNormal(mean, loading, (2 * log_scale).exp())
    torch.testing.assert_close(factor.log_prob(x, context), other.log_prob(x))
    mean, _, cholesky = full._factor(full.network(context))
    torch.testing.assert_close(full.log_prob(x, context), MultivariateNormal(mean, scale_tril=cholesky).log_prob(x))
    drawn = factor.sample(40_000, context[0], generator=seeded())
    torch.testing.assert_close(drawn.mT.cov(), other.covariance_matrix[0], atol=0.1, rtol=0.05)


def test_the_gated_update_is_that_of_the_paper() -> None:
    x, s, m = torch.randn(3, 5, generator=seeded()).double()
    z, log_dz = pf.scalar.GatedAffine(start=0.0).forward(x, torch.stack([raw_log_scale(s), m], -1))
    gate = torch.sigmoid(s)
    torch.testing.assert_close(z, gate * x + (1 - gate) * m)
    torch.testing.assert_close(log_dz, gate.log())


@pytest.mark.parametrize("factor", [0.0, 1.0, 1e4, 1e30])
@pytest.mark.parametrize("dtype, error", [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_an_orthogonal_basis_is_orthonormal_however_large_its_parameters(
    factor: float, dtype: torch.dtype, error: float
) -> None:
    basis = OrthogonalBasis(first=5)
    for units in (1, 3, 6):
        free = factor * torch.randn(8, 6 * units, generator=seeded()).to(dtype)
        matrix = basis.columns(free, 6, units).matrix  # type: ignore[attr-defined]
        assert (matrix.mT @ matrix - torch.eye(units, dtype=dtype)).abs().max() < error


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["full", "householder-sylvester"])
def test_posteriors_in_half_precision_draw_and_score_as_those_in_single(name: str, kind: torch.dtype) -> None:
    posterior = randomise(posterior_named(name, Sizes(latents=3, features=2, layers=2, units=2, hidden=8)), 0.2)
    features = torch.randn(40, 2, generator=seeded()).to(kind)
    z, log_prob = posterior.rsample_and_log_prob((), features.float(), generator=seeded())
    half = copy.deepcopy(posterior).to(kind)
    _, drawn = half.rsample_and_log_prob((), features, generator=seeded())
    assert drawn.dtype == kind
    given = half.log_prob(z.to(kind), features).float()
    assert (given - log_prob).abs().median() < 20 * torch.finfo(kind).eps


# Objectives


def small(**options: object) -> pf.Flow:
    return pf.models.vae(**{"shape": (1, 4, 4), "levels": 2, "latents": 3, "hidden": 8, **options})  # type: ignore[arg-type]


def bits(rows: int) -> Tensor:
    return torch.randint(2, (rows, 1, 4, 4), generator=seeded()).float()


def value(objective: object, flow: pf.Flow, x: Tensor, context: Tensor | None = None) -> float:
    torch.manual_seed(0)
    return objective(flow, x, context).item()  # type: ignore[operator]


@pytest.mark.parametrize("context", [0, 2])
def test_the_bound_alone_is_the_likelihoods_objective(context: int) -> None:
    for flow, x in (
        (small(context=context), bits(16)),
        (pf.models.vae(features=3, context=context), torch.randn(16, 3)),
    ):
        randomise(flow, 0.2)
        given = torch.randn(16, context, generator=seeded()) if context else None
        likelihood = value(pf.training.negative_log_likelihood, flow, x, given)
        assert value(ELBO(), flow, x, given) == pytest.approx(likelihood, rel=1e-5)


def test_warm_up_and_free_bits_weigh_the_divergence() -> None:
    flow, x = randomise(small(), 0.3), bits(16)
    objective = ELBO(beta=0.5, warmup_steps=4)
    values = [value(objective_at(objective, step), flow, x) for step in (0, 1, 4, 100)]
    reconstruction, whole = value(ELBO(beta=0.0), flow, x), value(ELBO(), flow, x)
    divergence = whole - reconstruction
    expected = [reconstruction + weight * divergence for weight in (0, 0.125, 0.5, 0.5)]
    assert values == pytest.approx(expected, rel=1e-4)
    assert value(ELBO(free_bits=1e3), flow, x) == pytest.approx(reconstruction + 1e3, rel=1e-5)
    assert value(ELBO(free_bits=1e-3), flow, x) == pytest.approx(whole, rel=1e-5)


def test_an_estimate_of_the_divergence_below_zero_counts_as_it_is() -> None:
    torch.manual_seed(0)
    flow = randomise(small(), 0.05)
    likelihoods = [value(pf.training.negative_log_likelihood, flow, x) for x in bits(16).split(1)]
    bounds = [value(ELBO(), flow, x) for x in bits(16).split(1)]
    reconstructions = [value(ELBO(beta=0.0), flow, x) for x in bits(16).split(1)]
    assert min(bound - each for bound, each in zip(bounds, reconstructions, strict=True)) < 0
    assert bounds == pytest.approx(likelihoods, rel=1e-5)


def test_several_layers_are_a_hierarchy_whose_divergences_add_up() -> None:
    linear = pf.networks.MLP(8, 4, hidden=())
    upper = VariationalEncoding(
        DenseEncoder((2,), 8),
        ConditionalNormal((2,), linear, context=8),
        DenseDecoder(2, (4,), hidden=(8,)),
        GivenParameters(GaussianConditional(), (2,)),
    )
    lower = VariationalEncoding(
        DenseEncoder((5,), 8),
        ConditionalNormal((2,), pf.networks.MLP(8, 4, hidden=()), context=8),
        DenseDecoder(2, (5,), hidden=(8,)),
        GivenParameters(BernoulliMass(), (5,)),
    )
    flow = randomise(pf.Flow([lower, upper], StandardNormal((2,))), 0.2)
    x = torch.randint(2, (16, 5), generator=seeded()).float()
    # What the lower layer is charged may be negative, as its prior knows what the upper layer's posterior drew.
    whole = value(ELBO(), flow, x)
    assert whole == pytest.approx(value(pf.training.negative_log_likelihood, flow, x), rel=1e-5)
    assert value(ELBO(free_bits=1e3), flow, x) == pytest.approx(value(ELBO(beta=0.0), flow, x) + 2e3, rel=1e-5)
    assert flow.sample(3).shape == (3, 5)


def test_training_finds_two_patterns(tmp_path: Path) -> None:
    torch.manual_seed(0)
    patterns = torch.stack([torch.eye(4), 1 - torch.eye(4)])[:, None]
    x = patterns[torch.arange(256) % 2]
    flow = small(posterior="iaf", latents=2, layers=2, hidden=16)
    options = {"batch_size": 64, "learning_rate": 2e-2, "max_steps": 120, "seed": 0, "progress": False}
    pf.fit(flow, x, objective=ELBO(warmup_steps=20), **options)
    reached = flow.importance_log_prob(patterns, importance_samples=50, generator=seeded()).mean().item()
    # Half of each: log(1/2) is the most.
    assert math.log(0.5) - 0.4 < reached < math.log(0.5) + 0.05
    pf.save(flow, tmp_path / "vae.safetensors")
    again = pf.load(tmp_path / "vae.safetensors")
    torch.testing.assert_close(again.log_prob(x, generator=seeded()), flow.log_prob(x, generator=seeded()))


# Networks


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 9, 6), (2, 1, 1), (1, 5, 5)])
@pytest.mark.parametrize("context", [(), (4,), (2, 3, 3)])
def test_networks_of_any_plane_and_context(shape: tuple[int, ...], context: tuple[int, ...]) -> None:
    x, z = torch.randn(5, *shape), torch.randn(5, 3)
    given = [torch.randn(5, *context)] if context else []
    encoders = (DenseEncoder(shape, 7, context, hidden=(8,)), GatedConvEncoder(shape, 7, context, hidden=2))
    decoders = (DenseDecoder(3, shape, context, hidden=(8,)), GatedConvDecoder(3, shape, context, hidden=2))
    for encoder in encoders:
        features = encoder(x, *given)
        assert features.shape == (5, 7) and bool(features.any())
    for decoder in decoders:
        outputs = decoder(z, *given)
        assert outputs.shape == x.shape and not outputs.any()


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 16, 10)])
def test_convolutional_networks_start_with_the_variance_of_their_inputs(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    encoder, decoder = GatedConvEncoder(shape, 64, hidden=16), GatedConvDecoder(8, shape, hidden=16)
    features = encoder(torch.randn(32, *shape))
    before_the_last = decoder.layers[:-1](torch.randn(32, 8, 1, 1))
    # Of what tells one event from another, not of what all have in common.
    for values in (features, before_the_last):
        assert 0.2 < values.std(0).mean() < 2.0


def test_a_context_that_is_no_image_is_told() -> None:
    with pytest.raises(UsageError, match="a vector or an image"):
        small(context=(2, 3), encoder="convolutional")


def test_networks_of_ones_own(tmp_path: Path) -> None:
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(16, 6), nn.Tanh())
    decoder = nn.Sequential(nn.Linear(3, 16), nn.Unflatten(1, (1, 4, 4)))
    flow = small(encoder=encoder, decoder=decoder, posterior="sylvester")
    pf.save(flow, tmp_path / "own.safetensors")
    x = bits(4)
    again = pf.load(tmp_path / "own.safetensors")
    torch.testing.assert_close(again.log_prob(x, generator=seeded()), flow.log_prob(x, generator=seeded()))


@pytest.mark.parametrize("prior", ["normal", "flow", "mixture"])
@pytest.mark.parametrize("likelihood, levels", [("bernoulli", 2), ("categorical", 5), ("logistic", 17)])
def test_priors_and_likelihoods_go_together(prior: str, likelihood: str, levels: int) -> None:
    flow = randomise(small(prior=prior, likelihood=likelihood, levels=levels), 0.2)
    x = torch.randint(levels, (4, 1, 4, 4), generator=seeded())
    loss = -flow.log_prob(x).mean()
    loss.backward()
    assert all(parameter.grad is not None for parameter in flow.parameters())
    assert bool(flow.support.contains(flow.sample(50)).all())


@pytest.mark.parametrize(
    "options, message",
    [
        ({"posterior": "gaussian"}, "posterior expects one of diagonal, full"),
        ({"prior": "vamp"}, "prior expects one of normal, flow, mixture"),
        ({"likelihood": "gaussian"}, "likelihood expects one of bernoulli, categorical, logistic for images"),
        ({"likelihood": "bernoulli", "levels": 4}, "2 levels, got levels=4"),
        ({"encoder": "dense"}, "encoder expects 'mlp', 'convolutional' or a module, got 'dense'"),
        ({"encoder": nn.Linear(3, 4)}, "Linear cannot take (2, 1, 4, 4)"),
        ({"encoder": nn.Identity()}, "encoder expects a module that gives vectors"),
        ({"decoder": nn.Linear(3, 4)}, "what GivenParameters takes as its context, of shape (1, 4, 4), got (4,)"),
        ({"latents": 0}, "latents of at least 1"),
        ({"hidden": ()}, "hidden of at least one width"),
        ({"features": 3}, "expected features= or shape=, got both"),
    ],
)
def test_options_that_do_not_fit_are_told(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as error:
        small(**options)
    assert message in str(error.value)


def test_parts_that_do_not_fit_are_told() -> None:
    likelihood = GivenParameters(BernoulliMass(), (4,))
    networks = DenseEncoder((4,), 8), DenseDecoder(2, (4,))
    for posterior, message in (
        (StandardNormal((2,)), "posterior a distribution with a context"),
        (pf.distributions.ConditionalGaussianMixture((2,), pf.networks.MLP, 8), "whose draws carry gradients"),
        (likelihood, "exact posterior of vectors of reals"),
    ):
        with pytest.raises(UsageError, match=message):
            VariationalEncoding(networks[0], posterior, networks[1], likelihood)
    for options in (
        {"beta": -1.0},
        {"warmup_steps": -1},
        {"warmup_steps": 2.5},
        {"free_bits": math.nan},
        {"free_bits": "1"},
        {"beta": True},
    ):
        with pytest.raises(UsageError, match=r"of 0 or more|of at least 0"):
            ELBO(**options)  # type: ignore[arg-type]
    flow = pf.Flow([Standardise(2)], StandardNormal((2,)))
    with pytest.raises(UsageError, match="VariationalEncoding"):
        ELBO().check(flow)


def test_the_command_line_trains_and_evaluates_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*arguments: object) -> dict[str, object]:
        assert cli.run([str(argument) for argument in arguments]) == 0
        return json.loads("".join(capsys.readouterr().out))  # type: ignore[no-any-return]

    options = [each for option in ("hidden=8", "latents=4", "posterior=iaf") for each in ("--set", option)]
    run("train", "vae", "--data", "digits", "--max-steps", 3, "--json", *options, "--out", tmp_path / "run")
    assert "bits_per_dim" in run("evaluate", tmp_path / "run", "--json")
