"""Every distribution of ``torch.distributions`` is a base that scores, draws and is saved as it is, or is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch import distributions as D

import pushforward as pf
from pushforward.distributions import FromTorch
from pushforward.distributions.torch_parameters import parameters_of
from pushforward.errors import UsageError
from pushforward.spaces import Circle, OneHot

LOGITS = torch.tensor([[0.3, -0.2, 1.0], [0.0, 0.5, -1.0]])
HALF = torch.tensor([0.3, 0.6])
COVARIANCE = torch.tensor([[2.0, 0.5], [0.5, 1.0]])

TAKEN: dict[str, Callable[[], D.Distribution]] = {
    "Bernoulli": lambda: D.Bernoulli(HALF),
    "Bernoulli/logits": lambda: D.Bernoulli(logits=HALF),
    "Beta": lambda: D.Beta(1.0 + HALF, 2.0),
    "Binomial": lambda: D.Binomial(5, HALF),
    "Binomial/logits": lambda: D.Binomial(5, logits=HALF),
    "Categorical": lambda: D.Categorical(LOGITS.softmax(-1)),
    "Categorical/logits": lambda: D.Categorical(logits=LOGITS),
    "Cauchy": lambda: D.Cauchy(HALF, 2.0),
    "Chi2": lambda: D.Chi2(2.0 + HALF),
    "ContinuousBernoulli": lambda: D.ContinuousBernoulli(HALF),
    "Exponential": lambda: D.Exponential(HALF),
    "FisherSnedecor": lambda: D.FisherSnedecor(3.0 + HALF, 4.0),
    "Gamma": lambda: D.Gamma(HALF, 2.0),
    "GeneralizedPareto": lambda: D.GeneralizedPareto(torch.zeros(2), 1.0, 0.3),
    "Geometric": lambda: D.Geometric(HALF),
    "Geometric/logits": lambda: D.Geometric(logits=HALF),
    "Gumbel": lambda: D.Gumbel(HALF, 2.0),
    "HalfCauchy": lambda: D.HalfCauchy(HALF),
    "HalfNormal": lambda: D.HalfNormal(HALF),
    "Independent": lambda: D.Independent(D.Normal(HALF, 2.0), 1),
    "InverseGamma": lambda: D.InverseGamma(1.0 + HALF, 2.0),
    "Kumaraswamy": lambda: D.Kumaraswamy(1.0 + HALF, 2.0),
    "Laplace": lambda: D.Laplace(HALF, 2.0),
    "LogNormal": lambda: D.LogNormal(HALF, 2.0),
    "LowRankMultivariateNormal": lambda: D.LowRankMultivariateNormal(HALF, torch.ones(2, 1), HALF),
    "MultivariateNormal": lambda: D.MultivariateNormal(HALF, COVARIANCE),
    "MultivariateNormal/precision": lambda: D.MultivariateNormal(HALF, precision_matrix=COVARIANCE),
    "MultivariateNormal/factor": lambda: D.MultivariateNormal(HALF, scale_tril=COVARIANCE.tril()),
    "NegativeBinomial": lambda: D.NegativeBinomial(3, HALF),
    "NegativeBinomial/logits": lambda: D.NegativeBinomial(3, logits=HALF),
    "Normal": lambda: D.Normal(HALF, 2.0),
    "OneHotCategorical": lambda: D.OneHotCategorical(logits=LOGITS),
    "OneHotCategoricalStraightThrough": lambda: D.OneHotCategoricalStraightThrough(LOGITS.softmax(-1)),
    "Pareto": lambda: D.Pareto(torch.ones(2), HALF),
    "Poisson": lambda: D.Poisson(HALF),
    "RelaxedBernoulli": lambda: D.RelaxedBernoulli(torch.tensor(0.7), HALF),
    "RelaxedBernoulli/logits": lambda: D.RelaxedBernoulli(torch.tensor(0.7), logits=HALF),
    "StudentT": lambda: D.StudentT(3.0 + HALF, HALF, 2.0),
    "Uniform": lambda: D.Uniform(torch.zeros(2), 2.0),
    "VonMises": lambda: D.VonMises(HALF, 4.0),
    "Weibull": lambda: D.Weibull(1.0 + HALF, 2.0),
}

REFUSED: dict[str, Callable[[], D.Distribution]] = {
    "Dirichlet": lambda: D.Dirichlet(torch.ones(3)),
    "LKJCholesky": lambda: D.LKJCholesky(3),
    "LogisticNormal": lambda: D.LogisticNormal(torch.zeros(2), 1.0),
    "MixtureSameFamily": lambda: D.MixtureSameFamily(D.Categorical(HALF), D.Normal(HALF, 1.0)),
    "Multinomial": lambda: D.Multinomial(4, HALF),
    "OneHotCategorical/vector": lambda: D.OneHotCategorical(HALF),
    "RelaxedOneHotCategorical": lambda: D.RelaxedOneHotCategorical(torch.tensor(0.5), LOGITS.softmax(-1)),
    "TransformedDistribution": lambda: D.TransformedDistribution(D.Normal(HALF, 1.0), [D.ExpTransform()]),
    "Uniform/several": lambda: D.Uniform(torch.zeros(2), torch.tensor([1.0, 2.0])),
    "Wishart": lambda: D.Wishart(torch.tensor(3.0), COVARIANCE),
}


def scored(distribution: D.Distribution, x: Tensor) -> Tensor:
    return distribution.log_prob(x).reshape(len(x), -1).sum(-1)


def test_every_distribution_of_torch_is_tried() -> None:
    every = {
        name for name in D.__all__ if isinstance(kind := getattr(D, name), type) and issubclass(kind, D.Distribution)
    }
    tried = {name.partition("/")[0] for name in {**TAKEN, **REFUSED}}
    assert every - {"Distribution", "ExponentialFamily"} == tried


@pytest.mark.parametrize("name", TAKEN)
def test_a_distribution_of_torch_scores_draws_and_is_saved_as_it_is(name: str, tmp_path: Path) -> None:
    original, flow = TAKEN[name](), FromTorch(TAKEN[name]())
    torch.manual_seed(1)
    x = original.sample((64,))
    expected = scored(original, x)
    assert flow.sample(5).shape == (5, *original.batch_shape, *original.event_shape)
    assert flow.support.contains(flow.sample(200)).all()
    torch.testing.assert_close(flow.log_prob(x), expected, rtol=1e-5, atol=1e-5)
    assert not list(flow.parameters())
    pf.save(flow, tmp_path / "flow.safetensors")
    assert torch.equal(pf.load(tmp_path / "flow.safetensors").log_prob(x), flow.log_prob(x))


@pytest.mark.parametrize("name", REFUSED)
def test_a_distribution_of_torch_that_is_no_base_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="base expects"):
        FromTorch(REFUSED[name]())


LEARNED: dict[str, Callable[[Callable[[Tensor], Tensor]], D.Distribution]] = {
    "Normal": lambda learn: D.Normal(torch.zeros(2), learn(torch.ones(()))),
    "MultivariateNormal": lambda learn: D.MultivariateNormal(learn(torch.zeros(2)), scale_tril=learn(torch.eye(2))),
    "MultivariateNormal/covariance": lambda learn: D.MultivariateNormal(learn(torch.zeros(2)), learn(COVARIANCE)),
    "LowRankMultivariateNormal": lambda learn: D.LowRankMultivariateNormal(
        learn(HALF), learn(torch.ones(2, 1)), learn(HALF)
    ),
    "Categorical": lambda learn: D.Categorical(logits=learn(LOGITS)),
    "Categorical/probs": lambda learn: D.Categorical(learn(LOGITS.softmax(-1))),
    "OneHotCategorical": lambda learn: D.OneHotCategorical(logits=learn(LOGITS)),
    "LogNormal": lambda learn: D.LogNormal(learn(HALF), learn(HALF)),
    "HalfNormal": lambda learn: D.HalfNormal(learn(HALF)),
    "HalfCauchy": lambda learn: D.HalfCauchy(learn(HALF)),
    "Chi2": lambda learn: D.Chi2(learn(2.0 + HALF)),
    "Beta": lambda learn: D.Beta(learn(1.0 + HALF), learn(2.0 + HALF)),
    "InverseGamma": lambda learn: D.InverseGamma(learn(1.0 + HALF), learn(HALF)),
    "Kumaraswamy": lambda learn: D.Kumaraswamy(learn(1.0 + HALF), learn(2.0 + HALF)),
    "Weibull": lambda learn: D.Weibull(learn(1.0 + HALF), learn(2.0 + HALF)),
    "VonMises": lambda learn: D.VonMises(learn(HALF), learn(1.0 + HALF)),
    "Pareto": lambda learn: D.Pareto(torch.ones(2), learn(HALF)),
    "Binomial": lambda learn: D.Binomial(5, learn(HALF)),
}


@pytest.mark.parametrize("name", LEARNED)
@pytest.mark.parametrize(
    "learn", [nn.Parameter, lambda value: value.clone().requires_grad_()], ids=["module", "tensor"]
)
def test_what_requires_gradients_is_learned_from_where_it_is(
    name: str, learn: Callable[[Tensor], Tensor], tmp_path: Path
) -> None:
    original = LEARNED[name](learn)
    flow = FromTorch(original)
    x = original.sample((32,))
    torch.testing.assert_close(flow.log_prob(x), scored(original, x), rtol=1e-4, atol=1e-4)
    before = flow.log_prob(x).sum()
    before.backward()
    parameters = list(flow.parameters())
    assert parameters and all(torch.isfinite(each.grad).all() for each in parameters)
    assert any(each.grad.abs().sum() > 1e-3 for each in parameters)
    with torch.no_grad():
        for each in parameters:
            each += 1e-4 * each.grad
    assert flow.log_prob(x).sum() > before
    pf.save(flow, tmp_path / "flow.safetensors")
    loaded = pf.load(tmp_path / "flow.safetensors")
    assert [each.requires_grad for each in loaded.parameters()] == [True] * len(parameters)
    assert torch.equal(loaded.log_prob(x), flow.log_prob(x))


@pytest.mark.parametrize(
    "make",
    [
        lambda: D.Uniform(torch.zeros(2), nn.Parameter(torch.ones(2))),
        lambda: D.Uniform(nn.Parameter(torch.zeros(())), torch.ones(2)),
        lambda: D.Independent(D.Pareto(nn.Parameter(torch.ones(2)), 1.0), 1),
    ],
)
def test_a_support_that_would_move_is_refused(make: Callable[[], D.Distribution]) -> None:
    with pytest.raises(UsageError, match="bounds depend on a parameter that is learned"):
        FromTorch(make())


def test_what_cannot_be_learned_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot learn its temperature"):
        FromTorch(D.RelaxedBernoulli(nn.Parameter(torch.tensor(0.7)), HALF))
    with pytest.raises(UsageError, match="from the edge of"):
        FromTorch(D.OneHotCategorical(nn.Parameter(torch.eye(2))))


def test_angles_are_on_a_circle_of_one_turn() -> None:
    base = FromTorch(D.VonMises(torch.zeros(1), 2.0))
    assert base.support == Circle((1,)) and isinstance(base.support, Circle)
    x = torch.linspace(-10.0, 10.0, 20001)[:, None]
    mass = base.log_prob(x).exp().sum() * 20.0 / 20001
    assert mass.item() == pytest.approx(1.0, abs=1e-3)
    assert FromTorch(D.OneHotCategorical(logits=LOGITS)).support == OneHot(2, 3)


def test_reading_a_property_does_not_change_what_was_given() -> None:
    for kind, values in ((D.Categorical, LOGITS), (D.Bernoulli, HALF), (D.NegativeBinomial, HALF)):
        options = {"total_count": 3} if kind is D.NegativeBinomial else {}
        by_logits, by_probs = kind(logits=values, **options), kind(probs=values.sigmoid(), **options)
        for each in (by_logits, by_probs):
            assert each.logits.shape == each.probs.shape
        assert "logits" in parameters_of(by_logits) and "probs" in parameters_of(by_probs)


@pytest.mark.parametrize("name", ["Weibull", "Kumaraswamy", "Pareto", "Beta", "InverseGamma", "HalfNormal"])
def test_events_outside_of_the_support_leave_gradients_finite(name: str) -> None:
    flow = FromTorch(LEARNED[name](nn.Parameter) if name in LEARNED else TAKEN[name]())
    inside = TAKEN[name]().sample((2,))
    x = torch.cat([inside, torch.tensor([[-1.0, 0.5], [-3.0, -torch.inf], [torch.nan, 0.5]])]).requires_grad_()
    log_prob = flow.log_prob(x)
    assert (log_prob[2:] == -torch.inf).all()
    log_prob[torch.isfinite(log_prob)].sum().backward()
    for each in (x, *flow.parameters()):
        assert torch.isfinite(each.grad).all()
