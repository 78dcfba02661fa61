"""The continuous bases against closed forms, quadrature and their own samples."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import scipy.stats
import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, MultivariateNormal, Normal

from pushforward.distributions import (
    Beta,
    ConditionalGaussianMixture,
    ConditionalNormal,
    DiagonalNormal,
    Distribution,
    FullNormal,
    GaussianMixture,
    LearnedStudentT,
    StandardLogistic,
    StandardNormal,
    StudentT,
    Uniform,
)
from pushforward.errors import ShapeError, UsageError
from pushforward.networks import MLP
from pushforward.numerics import bounded

UNCONDITIONAL: dict[str, Callable[[tuple[int, ...]], Distribution]] = {
    "standard normal": StandardNormal,
    "logistic": StandardLogistic,
    "uniform": lambda shape: Uniform(shape, -1.0, 2.0),
    "beta": lambda shape: Beta(shape, 2.0, 5.0),
    "student t": lambda shape: StudentT(shape, 4.0),
    "learned student t": lambda shape: LearnedStudentT(shape, 4.0),
    "diagonal normal": DiagonalNormal,
    "full normal": FullNormal,
    "mixture": lambda shape: GaussianMixture(shape, 3),
}
CONDITIONAL: dict[str, Callable[[tuple[int, ...]], Distribution]] = {
    "conditional normal": lambda shape: ConditionalNormal(shape, MLP, context=3),
    "conditional mixture": lambda shape: ConditionalGaussianMixture(shape, MLP, context=3, components=4),
}
ALL = UNCONDITIONAL | CONDITIONAL
# A context of numbers gives the parameters of a vector of numbers.
EVENTS = [(name, (2,)) for name in ALL] + [(name, (2, 3, 3)) for name in UNCONDITIONAL]
# With parameters that a sample can carry gradients to: which component a mixture draws from has none.
LEARNED = [name for name in ALL if "mixture" not in name and list(ALL[name]((2,)).parameters())]


def make(name: str, shape: tuple[int, ...], scale: float = 0.3, seed: int = 0) -> Distribution:
    """The distribution in double precision with parameters moved away from where they start."""
    torch.manual_seed(seed)
    distribution = ALL[name](shape).double()
    with torch.no_grad():
        for parameter in distribution.parameters():
            parameter.add_(scale * torch.randn_like(parameter))
    return distribution


def context_for(name: str, *batch: int) -> Tensor | None:
    if name not in CONDITIONAL:
        return None
    return torch.linspace(-1, 1, 3 * math.prod(batch), dtype=torch.float64).reshape(*batch, 3)


@pytest.mark.parametrize("name", ALL)
def test_density_integrates_to_one(name: str) -> None:
    distribution = make(name, (1,))
    # x = sinh(t) puts points far into heavy tails; dx = cosh(t) dt.
    t = torch.linspace(-25.0, 25.0, 400_001, dtype=torch.float64)
    x = torch.sinh(t)
    log_p = distribution.log_prob(x.unsqueeze(-1), context_for(name))
    total = torch.trapezoid(log_p.exp() * torch.cosh(t), t)
    assert abs(total.item() - 1) < 1e-3


@pytest.mark.parametrize("name", ["full normal", "mixture", "conditional mixture", "conditional normal"])
def test_density_of_two_dimensions_integrates_to_one(name: str) -> None:
    distribution = make(name, (2,), scale=0.1)
    axis = torch.linspace(-9.0, 9.0, 801, dtype=torch.float64)
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1)
    log_jacobian = torch.log(torch.cosh(grid)).sum(-1)
    density = torch.exp(distribution.log_prob(torch.sinh(grid), context_for(name)) + log_jacobian)
    assert abs(torch.trapezoid(torch.trapezoid(density, axis), axis).item() - 1) < 1e-3


@pytest.mark.parametrize("name, shape", EVENTS)
def test_shapes_with_any_batch(name: str, shape: tuple[int, ...]) -> None:
    distribution = make(name, shape)
    for batch in [(), (4,), (5, 4), (0,)]:
        context = context_for(name, *batch)
        x = distribution.sample((), context) if context is not None else distribution.sample(batch)
        assert x.shape == batch + shape
        assert distribution.log_prob(x, context).shape == batch
        assert distribution.sample(3, context).shape == ((3, *batch) if context is not None else (3,)) + shape


CLOSED_FORMS = [
    (StandardLogistic((1,)), scipy.stats.logistic),
    (Uniform((1,), -1.0, 3.0), scipy.stats.uniform(-1, 4)),
    (Beta((1,), 5.0, 5.0), scipy.stats.beta(5, 5)),
    (Beta((1,), 0.5, 3.0), scipy.stats.beta(0.5, 3)),
    (StudentT((1,), 1.5), scipy.stats.t(1.5)),
    (StudentT((1,), 1e6), scipy.stats.t(1e6)),
    (LearnedStudentT((1,), 7.0), scipy.stats.t(7)),
]


@pytest.mark.parametrize("distribution, truth", CLOSED_FORMS, ids=lambda item: type(item).__name__)
def test_log_prob_equals_scipys(distribution: Distribution, truth: scipy.stats.rv_continuous) -> None:
    x = torch.tensor([-60.0, -3.0, -0.9, 0.01, 0.3, 0.99, 1.0, 2.5, 40.0], dtype=torch.float64)
    expected = torch.as_tensor(truth.logpdf(x.numpy()))
    ours = distribution.double().log_prob(x.unsqueeze(-1)).detach()
    finite = torch.isfinite(expected)
    torch.testing.assert_close(ours[finite], expected[finite], atol=1e-7, rtol=1e-7)
    assert (ours[~finite] < -30).all()


@pytest.mark.parametrize("distribution, truth", CLOSED_FORMS, ids=lambda item: type(item).__name__)
def test_samples_follow_the_distribution(distribution: Distribution, truth: scipy.stats.rv_continuous) -> None:
    samples = distribution.float().sample(4000, generator=torch.Generator().manual_seed(1)).squeeze(-1)
    assert scipy.stats.kstest(samples.double().numpy(), truth.cdf).pvalue > 1e-3


def test_normals_equal_torch() -> None:
    x = torch.randn(7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    diagonal = make("diagonal normal", (3,))
    scale = torch.exp(bounded(diagonal.raw_log_scale, 7.0))
    torch.testing.assert_close(diagonal.log_prob(x), Independent(Normal(diagonal.mean, scale), 1).log_prob(x))
    full = make("full normal", (3,))
    truth = MultivariateNormal(full.mean, full.covariance())
    torch.testing.assert_close(full.log_prob(x), truth.log_prob(x))
    samples = full.sample(20_000, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(samples.T.cov(), full.covariance(), atol=0.1, rtol=0.05)


@pytest.mark.parametrize("name", UNCONDITIONAL)
def test_a_scalar_has_the_density_of_a_vector_of_one_dimension(name: str) -> None:
    scalar, vector = UNCONDITIONAL[name](()).double(), UNCONDITIONAL[name]((1,)).double()
    parameters = zip(scalar.parameters(), vector.parameters(), strict=True)
    for one, other in parameters:
        one.data.copy_(other.data.reshape(one.shape))
    x = torch.rand(4, 3, generator=torch.Generator().manual_seed(0)).double()
    assert scalar.log_prob(x).shape == (4, 3)
    torch.testing.assert_close(scalar.log_prob(x), vector.log_prob(x[..., None]))
    assert scalar.sample((5,)).shape == (5,)


def test_the_gradient_of_a_bounded_number_is_finite_where_all_is_large() -> None:
    raw = torch.tensor([1e3, 1e10, 1e30], requires_grad=True)
    (1e37 * bounded(raw, 7.0)).sum().backward()
    assert raw.grad is not None and bool(raw.grad.isfinite().all())


def test_mixture_equals_torch() -> None:
    mixture = make("mixture", (3,))
    scale = torch.exp(bounded(mixture.raw_log_scale, 7.0))
    truth = MixtureSameFamily(Categorical(logits=mixture.logits), Independent(Normal(mixture.mean, scale), 1))
    x = torch.randn(7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(mixture.log_prob(x), truth.log_prob(x))
    samples = mixture.sample(20_000, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(samples.mean(0), truth.mean, atol=0.05, rtol=0)
    torch.testing.assert_close(samples.var(0), truth.variance, atol=0.1, rtol=0.05)


def test_conditional_mixture_follows_its_context() -> None:
    mixture = make("conditional mixture", (2,))
    context = torch.tensor([[1.0, 0.0, -1.0], [0.0, 2.0, 0.0]], dtype=torch.float64)
    x = torch.randn(2, 2, dtype=torch.float64)
    together = mixture.log_prob(x, context)
    for row in range(2):
        torch.testing.assert_close(mixture.log_prob(x[row], context[row]), together[row])
    swapped = mixture.log_prob(x, context.flip(0))
    assert (swapped - together).abs().min() > 1e-4


def test_conditional_mixture_components_part() -> None:
    torch.manual_seed(0)
    mixture = ConditionalGaussianMixture((1,), MLP, context=1, components=2)
    optimiser = torch.optim.Adam(mixture.parameters(), lr=0.02)
    context = torch.ones(512, 1)
    sign = torch.where(torch.arange(512) % 2 == 0, -2.0, 2.0)
    x = (sign + 0.2 * torch.randn(512)).unsqueeze(-1)
    for _ in range(200):
        optimiser.zero_grad()
        loss = -mixture.log_prob(x, context).mean()
        loss.backward()
        optimiser.step()
    entropy = 0.5 * math.log(2 * math.pi * math.e * 0.04) + math.log(2)
    assert abs(loss.item() - entropy) < 0.1


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("scale", [0.0, 200.0])
def test_finite_at_extreme_inputs_and_parameters(name: str, scale: float) -> None:
    distribution = make(name, (2,), scale).float()
    context = context_for(name, 6)
    context = None if context is None else context.float()
    x = torch.tensor([0.0, 1.0, -1.0, 1e3, -1e6, 1e6]).unsqueeze(-1).expand(6, 2).clone().requires_grad_()
    log_p = distribution.log_prob(x, context)
    assert not log_p.isnan().any()
    if name not in ("uniform", "beta"):
        assert log_p.isfinite().all()
    inside = torch.where(log_p.isfinite(), log_p, torch.zeros_like(log_p))
    inside.sum().backward()
    gradients = [x.grad, *(parameter.grad for parameter in distribution.parameters())]
    assert all(g.isfinite().all() for g in gradients if g is not None)
    assert distribution.sample(6 if context is None else (), context).isfinite().all()


@pytest.mark.parametrize("name", ALL)
def test_generator_repeats_samples_and_temperature_narrows_them(name: str) -> None:
    distribution = make(name, (2,))
    context = context_for(name, 1)

    def draw(temperature: float) -> Tensor:
        return distribution.sample(
            1000, context, temperature=temperature, generator=torch.Generator().manual_seed(5)
        ).reshape(-1, 2)

    assert torch.equal(draw(1.0), draw(1.0))
    assert (draw(0.3).std(0) < draw(1.0).std(0)).all()


@pytest.mark.parametrize("name", LEARNED)
def test_rsample_carries_gradients(name: str) -> None:
    distribution = make(name, (2,))
    distribution.rsample(16, context_for(name, 1)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in distribution.parameters())


def test_student_t_gradient_to_its_degrees_moves_towards_the_truth() -> None:
    data = scipy.stats.t(3).rvs((4000, 1), random_state=0)
    base = LearnedStudentT((1,), 30.0)
    optimiser = torch.optim.Adam(base.parameters(), lr=0.05)
    x = torch.as_tensor(data, dtype=torch.float32)
    for _ in range(150):
        optimiser.zero_grad()
        (-base.log_prob(x).mean()).backward()
        optimiser.step()
    assert abs(base.degrees().item() - 3) < 0.5


def test_misuse_is_named() -> None:
    with pytest.raises(UsageError, match="low < high"):
        Uniform((1,), 1.0, 1.0)
    with pytest.raises(UsageError, match="temperature"):
        Uniform((1,)).sample(1, temperature=2.0)
    with pytest.raises(UsageError, match="exponents"):
        Beta((1,), 0.0, 1.0)
    with pytest.raises(UsageError, match="degrees"):
        StudentT((1,), -1.0)
    with pytest.raises(UsageError, match="between 1 and 100"):
        LearnedStudentT((1,), 200.0)
    with pytest.raises(UsageError, match="component"):
        GaussianMixture((1,), 0)
    with pytest.raises(UsageError, match="reparametrised"):
        GaussianMixture((1,)).rsample(1)
    with pytest.raises(ShapeError, match="context"):
        make("conditional mixture", (2,)).log_prob(torch.zeros(2))


@pytest.mark.parametrize("name", ALL)
def test_runs_compiled_without_graph_breaks(name: str) -> None:
    torch.compiler.reset()
    distribution = make(name, (2,)).float()
    context = context_for(name, 4)
    context = None if context is None else context.float()
    x = torch.full((4, 2), 0.3)
    compiled = torch.compile(distribution.log_prob, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x, context), distribution.log_prob(x, context))
