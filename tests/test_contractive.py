"""Contractive residual transforms: log-determinants, their gradients and memory, inverses and theirs."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

import pushforward as pf
from pushforward.errors import ConvergenceError, UsageError
from pushforward.kernels.anderson import solved
from pushforward.kernels.fixed_point import Iteration, fixed_point, fixed_point_of_rows
from pushforward.networks import MLP, LipschitzConvNet, LipschitzMLP
from pushforward.testing import randomise
from pushforward.transforms import (
    Contractive,
    ExactLogDeterminant,
    GeometricTerms,
    GradientsInForward,
    LogDeterminant,
    NeumannGradients,
    PoissonTerms,
    RussianRoulette,
    TruncatedSeries,
)
from pushforward.transforms.residual.log_determinants.base import Perturbation
from pushforward.transforms.residual.log_determinants.exact import log_determinant
from pushforward.transforms.residual.log_determinants.series import PowerSeries, Probe


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def contraction(features: int = 3, lipschitz: float = 0.7) -> Perturbation:
    """A network that comes near its bound, in float64."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = LipschitzMLP(features, features, hidden=(16,), lipschitz=lipschitz)
    return Perturbation(randomise(network, 3.0, seeded(1)).double().eval())


def points(rows: int, features: int = 3) -> Tensor:
    return torch.randn(rows, features, generator=seeded(2), dtype=torch.float64)


def gradients(value: Tensor, g: Perturbation, x: Tensor) -> Tensor:
    found = torch.autograd.grad(value, [x, *g.sources], allow_unused=True, retain_graph=True)
    return torch.cat(
        [(torch.zeros_like(each) if f is None else f).flatten() for f, each in zip(found, [x, *g.sources])]
    )


@pytest.mark.parametrize("features", [1, 2, 3, 5])
def test_a_determinant_is_that_of_the_whole_jacobian(features: int) -> None:
    matrices = 0.3 * torch.randn(7, features, features, generator=seeded(), dtype=torch.float64)
    expected = torch.linalg.slogdet(torch.eye(features, dtype=torch.float64) + matrices).logabsdet
    torch.testing.assert_close(log_determinant(matrices), expected)
    # Of a nearly constant network the whole of a small log-determinant is left, in single precision too.
    tiny = 1e-9 * matrices.float()
    if features <= 3:
        torch.testing.assert_close(log_determinant(tiny), tiny.diagonal(dim1=1, dim2=2).sum(1), rtol=1e-4, atol=0.0)


SERIES = {
    "truncated": TruncatedSeries(40),
    "gaussian noise": RussianRoulette(noise="gaussian", exact_terms=4),
    "geometric": RussianRoulette(GeometricTerms(0.4), exact_terms=3),
    "Poisson": RussianRoulette(PoissonTerms(2.0), exact_terms=3),
    "Neumann": NeumannGradients(RussianRoulette(exact_terms=3)),
    "in forward": GradientsInForward(NeumannGradients(RussianRoulette(exact_terms=3))),
}


@pytest.mark.parametrize("name", SERIES)
def test_an_estimate_and_its_gradient_are_right_in_the_mean(name: str) -> None:
    g, calls, rows = contraction(), 50, 40
    x = points(1).expand(rows, -1).clone().requires_grad_()
    _, exact = ExactLogDeterminant()(g, x)
    expected = gradients(exact.mean(), g, x)
    values, slopes, generator = [], [], seeded(3)
    for _ in range(calls):
        shift, estimate = SERIES[name](g, x, generator)
        torch.testing.assert_close(shift, g(x))
        values.append(estimate.mean().detach())
        slopes.append(gradients(estimate.mean(), g, x))
    for found, right in ((torch.stack(values), exact.mean()), (torch.stack(slopes), expected)):
        error = found.std(0) / math.sqrt(calls)
        # Of many gradients the worst is farther than one alone would be.
        assert bool(((found.mean(0) - right).abs() <= 5 * error + 1e-6).all())


def test_a_truncated_series_is_off_by_no_more_than_it_declares() -> None:
    g, x = Perturbation(_Scaled(0.8)), points(4)
    exact = ExactLogDeterminant()(g, x)[1]
    for terms in (1, 2, 5, 20):
        rule = TruncatedSeries(terms)
        off = (rule(g, x)[1] - exact).abs().max().item()
        assert 0.1 * rule.bias(3, 0.8) < off <= rule.bias(3, 0.8)
    assert Contractive(_Scaled(0.8), 3, RussianRoulette()).log_det_bias == 0.0
    layer = Contractive(_Scaled(0.8), 3, TruncatedSeries(2, 4))
    assert pf.transforms.Chain([layer, layer]).train().log_det_bias == pytest.approx(2 * 3 * 0.8**3 / (3 * 0.2))
    assert layer.eval().log_det_bias == pytest.approx(3 * 0.8**5 / (5 * 0.2))


def test_probabilities_of_terms_are_those_drawn() -> None:
    uniforms = torch.rand(4000, generator=seeded(), dtype=torch.float64).tolist()
    for terms in (GeometricTerms(0.3), PoissonTerms(1.5)):
        drawn = torch.tensor([terms.draw(each) for each in uniforms])
        for count in range(1, 8):
            expected = terms.survival(count)
            assert (drawn >= count).double().mean().item() == pytest.approx(expected, abs=4 * 0.5 / math.sqrt(4000))
    poisson = 1 - sum(math.exp(-2.0) * 2.0**k / math.factorial(k) for k in range(3))
    assert PoissonTerms(2.0).survival(4) == pytest.approx(poisson)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_the_number_of_terms_follows_its_distribution_whatever_the_type_of_the_events(dtype: torch.dtype) -> None:
    # A uniform number of few bits is 0 now and then, and of 24 bits after 2^24 draws.
    x, rule, generator = torch.zeros(1, 3, dtype=dtype), RussianRoulette(exact_terms=0), seeded()
    counts = torch.tensor([len(rule.probe(x, generator).weights) for _ in range(4000)])
    assert counts.max() <= 53 and (counts > 9).double().mean().item() == pytest.approx(
        2**-9, abs=4 * 2**-4.5 / 4000**0.5
    )
    assert GeometricTerms(0.5).draw(2**-53) == 53 and len(counts) == 4000


def test_gradients_in_the_forward_pass_are_those_of_the_series() -> None:
    g, x = contraction(), points(5).requires_grad_()
    series = RussianRoulette(exact_terms=6)
    for loss in (lambda shift, log_det: (shift**2).sum() - log_det.sum(), lambda s, d: s.sum() + (d * s[:, 0]).sum()):
        plain, kept = (loss(*rule(g, x, seeded(5))) for rule in (series, GradientsInForward(series)))
        torch.testing.assert_close(kept, plain)
        torch.testing.assert_close(gradients(kept, g, x), gradients(plain, g, x))
        # A second pass backwards, through what the first has freed.
        torch.testing.assert_close(gradients(kept, g, x), gradients(plain, g, x))


class _Kept:
    """Counts the numbers that autograd keeps while it records."""

    def __init__(self) -> None:
        self.now = self.most = 0

    def recording(self) -> saved_tensors_hooks:
        return saved_tensors_hooks(lambda tensor: _Held(self, tensor), lambda held: held.tensor)


class _Held:
    def __init__(self, kept: _Kept, tensor: Tensor) -> None:
        self.kept, self.tensor = kept, tensor
        kept.now += tensor.numel()
        kept.most = max(kept.most, kept.now)

    def __del__(self) -> None:
        self.kept.now -= self.tensor.numel()


def test_memory_does_not_grow_with_the_terms() -> None:
    g, x = contraction(), points(50).requires_grad_()

    def memory(rule: PowerSeries, terms: int) -> tuple[int, int]:
        kept = _Kept()
        with kept.recording():
            results = rule.evaluate(g, x, Probe(torch.ones_like(x), [1.0] * terms))
        assert all(each.requires_grad for each in results)
        return kept.now, kept.most

    series = TruncatedSeries()
    neumann, in_forward = NeumannGradients(series), GradientsInForward(series)
    assert memory(series, 40)[0] > 5 * memory(series, 4)[0]
    assert memory(neumann, 40) == memory(neumann, 4)
    # Behind the layer no more is kept than the graph of g alone, though on the way there was.
    after, alone = memory(in_forward, 40)[0], _Kept()
    with alone.recording():
        shift = g(x)
    assert after == memory(in_forward, 4)[0] and after <= alone.now + 4 * x.numel() and shift.requires_grad
    assert memory(GradientsInForward(neumann), 40) == memory(GradientsInForward(neumann), 4)


@pytest.mark.parametrize("memory", [0, 1, 3])
def test_fixed_points_end_on_the_error_whatever_else_is_in_the_batch(memory: int) -> None:
    start = torch.linspace(-50.0, 50.0, 11, dtype=torch.float64)[:, None] * torch.ones(1, 3, dtype=torch.float64)
    sizes = []

    def step(x: Tensor, z: Tensor) -> Tensor:
        sizes.append(len(x))
        return z - 0.9 * x.sin()

    iteration = Iteration(factor=9.0, tolerance=1e-8, limit=500, memory=memory)
    found = fixed_point_of_rows(step, start, (start,), iteration)
    assert (found + 0.9 * found.sin() - start).abs().max() < 1e-8 * 50
    # Rows that are done are not evaluated again, and the textbook's iteration of all rows gives the same.
    assert sizes[-1] < 11 and sizes == sorted(sizes, reverse=True)
    assert torch.equal(fixed_point(lambda x: step(x, start), start, iteration), found)
    alone = torch.cat([fixed_point_of_rows(step, row[None], (row[None],), iteration) for row in start])
    assert torch.equal(alone, found)
    compiled = torch.compile(lambda z: fixed_point(lambda x: z - 0.9 * x.sin(), z, iteration), backend="eager")
    torch.testing.assert_close(compiled(start), found)


def test_acceleration_saves_evaluations_and_never_loses_convergence() -> None:
    rows = 64
    rotations = torch.linalg.qr(torch.randn(rows, 6, 6, generator=seeded(), dtype=torch.float64)).Q
    shift = torch.randn(rows, 6, generator=seeded(1), dtype=torch.float64)
    exact = torch.linalg.solve(torch.eye(6, dtype=torch.float64) - 0.95 * rotations, shift[..., None])[..., 0]
    evaluations = {}
    for memory in (0, 3, 6):
        count = [0]

        def step(x: Tensor, count: list[int] = count) -> Tensor:
            count[0] += 1
            return shift + 0.95 * (rotations @ x[..., None])[..., 0]

        found = fixed_point(step, torch.zeros_like(shift), Iteration(19.0, 1e-8, 1000, memory))
        allowed = 1e-8 * exact.square().mean(-1).sqrt().clamp_min(1.0)
        assert bool((torch.linalg.vector_norm(found - exact, dim=-1) <= 1.001 * allowed).all())
        evaluations[memory] = count[0]
    assert evaluations[6] < 0.1 * evaluations[0] and evaluations[3] < 2 * evaluations[0]
    factors = torch.randn(5, 3, 3, generator=seeded(), dtype=torch.float64)
    system, right = factors @ factors.transpose(1, 2), torch.ones(5, 3, dtype=torch.float64)
    entries = [[system[:, i, j] for j in range(3)] for i in range(3)]
    found = torch.stack(solved(entries, list(right.unbind(1))), 1)
    torch.testing.assert_close(found, torch.linalg.solve(system, right))


def test_what_does_not_converge_is_said() -> None:
    iteration = Iteration(factor=1.0, tolerance=1e-6, limit=50)
    with pytest.raises(ConvergenceError, match="2 of 3"):
        away = torch.tensor([[0.0], [1.0], [1.0]])
        fixed_point_of_rows(lambda x, shift: x + shift, torch.ones(3, 1), (away,), iteration)
    with pytest.raises(ConvergenceError, match="1 of 2"):
        Contractive(_Scaled(0.5), 1).decode(torch.tensor([[0.0], [math.nan]]))
    for network in (nn.Identity(), _Scaled(1.0), partial(MLP, hidden=(4,))):
        with pytest.raises(UsageError, match="lipschitz is a bound below 1"):
            Contractive(network, 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("lipschitz", [0.5, 0.97, 0.999])
def test_an_inverse_is_as_near_as_the_type_allows(dtype: torch.dtype, lipschitz: float) -> None:
    layer = Contractive(contraction(4, lipschitz).network, 4).to(dtype)
    x = 3.0 * points(200, 4).to(dtype)
    with torch.no_grad():
        error = (layer.decode(layer.encode(x)) - x).abs().max().item()
    # The least that a length may shrink to is 1 - L of it, which is what rounding of z grows by.
    assert error < 20.0 * torch.finfo(dtype).eps / (1.0 - lipschitz) + 1e-9
    # A large shift is rounding of large numbers, and no reason to fail.
    with torch.no_grad():
        layer.network.body.layers[-1].bias.add_(1e4)
        far = (layer.decode(layer.encode(x)) - x).abs().max().item()
    assert far < 20.0 * torch.finfo(dtype).eps * 1e4 / (1.0 - lipschitz) + 1e-9


def test_gradients_pass_the_inverse() -> None:
    layer = Contractive(contraction().network, 3)
    z = points(4).requires_grad_()
    assert torch.autograd.gradcheck(layer.decode, z, check_undefined_grad=False)
    x = layer.decode(z)
    jacobian = torch.stack([torch.autograd.grad(x[:, i].sum(), z, retain_graph=True)[0] for i in range(3)], 1)
    torch.testing.assert_close(torch.linalg.slogdet(jacobian).logabsdet, layer.inverse(z)[1])
    # In the parameters, against a derivative by differences; tiny gradients are solved to as many digits.
    weight = layer.network.body.layers[0].weight
    (found,) = torch.autograd.grad(1e-9 * layer.decode(z).square().sum(), weight)
    with torch.no_grad():
        values = []
        for sign in (1.0, -1.0):
            weight[0, 0] += sign * 1e-6
            values.append(layer.decode(z).square().sum())
            weight[0, 0] -= sign * 1e-6
    assert 1e9 * found[0, 0].item() == pytest.approx((values[0] - values[1]).item() / 2e-6, rel=1e-5)


def test_second_derivatives_of_the_inverse_are_refused() -> None:
    layer, z = Contractive(contraction().network, 3), points(4).requires_grad_()
    # With and without a way around the inverse, which alone would be taken.
    for loss in (layer.decode(z).square().sum(), (layer.decode(z) + z**3).square().sum()):
        (first,) = torch.autograd.grad(loss, z, create_graph=True)
        with pytest.raises(UsageError, match="differentiable once"):
            torch.autograd.grad(first.sum(), z)
    weight = layer.network.body.layers[0].weight
    (first,) = torch.autograd.grad(layer.decode(points(4)).sum(), weight, create_graph=True)
    with pytest.raises(UsageError, match="differentiable once"):
        torch.autograd.grad(first.sum(), weight)


@pytest.mark.parametrize("name", ["truncated", "Neumann", "in forward"])
def test_estimates_are_computed_in_inference_mode(name: str) -> None:
    layer = Contractive(partial(LipschitzMLP, hidden=(8,)), 3, SERIES[name], context=2)
    randomise(layer, 1.0, seeded())
    x, context = points(4).float(), points(4, 2).float()
    expected = layer(x, context, seeded(1))
    with torch.inference_mode():
        inside = x.clone()
        found = layer(inside, context.clone(), seeded(1))
        back, _ = layer.inverse(found[0], context.clone(), seeded(1))
    torch.testing.assert_close(found, tuple(each.detach() for each in expected))
    torch.testing.assert_close(back, x, atol=1e-5, rtol=0.0)
    # What inference mode has left behind is taken outside of it too.
    torch.testing.assert_close(layer(inside, context, seeded(1)), expected)


def test_images_are_estimated_and_inverted() -> None:
    layer = Contractive(partial(LipschitzConvNet, plane=(4, 4), hidden=4), (2, 4, 4)).double().eval()
    assert layer.accuracy is pf.accuracy.Accuracy.ESTIMATE
    randomise(layer, 1.0, seeded())
    x = torch.randn(3, 2, 4, 4, generator=seeded(1), dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(layer.decode(layer.encode(x)), x)
        _, exact = ExactLogDeterminant()(Perturbation(layer.network), x)
        flow = pf.Flow(layer, pf.distributions.StandardNormal((2, 4, 4)))
        mean, error = flow.log_prob_with_error(x, draws=100, generator=seeded(2))
        expected = flow.base.log_prob(layer.encode(x)) + exact
    assert bool((error > 0).all()) and bool(((mean - expected).abs() < 5 * error).all())


def test_the_default_follows_the_dimensions_and_exact_flows_have_no_error() -> None:
    rule = Contractive(LipschitzMLP, 9).log_det
    assert isinstance(rule, NeumannGradients) and isinstance(rule, LogDeterminant)
    flow = pf.Flow(Contractive(LipschitzMLP, 2), pf.distributions.StandardNormal((2,)))
    assert flow.accuracy is pf.accuracy.Accuracy.EXACT
    mean, error = flow.log_prob_with_error([[0.0, 0.0]])
    assert error.tolist() == [0.0] and mean.item() == pytest.approx(-math.log(2 * math.pi))
    with pytest.raises(UsageError, match="at least 2"):
        flow.log_prob_with_error([[0.0, 0.0]], draws=1)


class _Scaled(nn.Module):
    """``g(x) = -L x``, whose series is the slowest that its constant allows."""

    def __init__(self, lipschitz: float) -> None:
        super().__init__()
        self.lipschitz = lipschitz

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return -self.lipschitz * x
