"""Networks of a bounded Lipschitz constant: the bound against exact norms, and what training needs of them."""

from __future__ import annotations

import copy
from functools import partial

import pytest
import torch
from torch import Tensor, nn

import pushforward as pf
from pushforward.networks import (
    CLipSwish,
    LipschitzConvNet,
    LipschitzConvolution,
    LipschitzDenseMLP,
    LipschitzDenseNet,
    LipschitzELU,
    LipschitzLinear,
    LipschitzMLP,
    LipschitzSine,
    LipSwish,
    normalised_once,
)
from pushforward.networks.lipschitz.spectral import TOLERANCE, ExactNorm, IteratedNorm, Product, spectral_norm

ROUNDING = 1e-6
ACTIVATIONS = [LipschitzELU, LipSwish, CLipSwish, LipschitzSine]
VECTOR_NETWORKS = [
    *(partial(LipschitzMLP, hidden=(16, 16), activation=activation) for activation in ACTIVATIONS),
    *(partial(LipschitzDenseMLP, hidden=(8, 8), activation=activation) for activation in ACTIVATIONS),
]
IMAGE_NETWORKS = [partial(LipschitzConvNet, hidden=8), partial(LipschitzDenseNet, hidden=4)]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def weights(outputs: int, inputs: int) -> dict[str, Tensor]:
    """Matrices of every kind: flat and steep spectra, one direction alone, huge, tiny and zero."""
    random = torch.randn(outputs, inputs, generator=seeded())
    steep = torch.linalg.svd(random, full_matrices=False)
    values = torch.logspace(0, -6, min(outputs, inputs))
    tied = torch.linalg.svd(random, full_matrices=False)
    return {
        "random": random,
        "ill-conditioned": steep.U * values @ steep.Vh,
        "all singular values equal": 3 * tied.U @ tied.Vh,
        "of rank one": random[:, :1] @ random[:1],
        "huge": 200 * random,
        "squares overflow": 1e25 * random,
        "small": 1e-3 * random,
        "zero": torch.zeros(outputs, inputs),
    }


def dense(layer: LipschitzConvolution, weight: Tensor, channels: int) -> Tensor:
    """The matrix of a convolution, in double precision."""
    basis = torch.eye(channels * layer.plane[0] * layer.plane[1], dtype=torch.float64)
    images = basis.reshape(-1, channels, *layer.plane)
    return nn.functional.conv2d(images, weight.double(), padding=weight.shape[-1] // 2).flatten(1).T


@pytest.mark.parametrize("shape", [(1, 1), (64, 2), (2, 64), (64, 64), (100, 80), (150, 200)])
@pytest.mark.parametrize("bound", [1.0, 0.5])
def test_linear_layers_keep_their_bound_and_do_not_shrink_below_it(shape: tuple[int, int], bound: float) -> None:
    layer = LipschitzLinear(shape[1], shape[0], lipschitz=bound).eval()
    slack = 0.0 if min(shape) <= 64 else 2 * TOLERANCE
    for name, weight in weights(*shape).items():
        with torch.no_grad():
            layer.weight.copy_(weight)
        exact = torch.linalg.matrix_norm(weight.double(), 2)
        found = torch.linalg.matrix_norm(layer.normalised_weight().double(), 2)
        assert found <= bound * (1 + ROUNDING), name
        assert found >= (1 - slack - 1e-5) * torch.minimum(exact, torch.tensor(bound).double()), name
        if exact < 0.99 * bound:
            assert torch.equal(layer.normalised_weight(), weight), "weights within the bound stay as they are"


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("inputs, outputs, plane", [(2, 3, (4, 5)), (8, 12, (4, 4)), (6, 6, (7, 3)), (1, 4, (1, 1))])
def test_convolutions_keep_their_bound_as_operators(
    kernel: int, inputs: int, outputs: int, plane: tuple[int, int]
) -> None:
    layer = LipschitzConvolution(inputs, outputs, kernel, plane, lipschitz=0.9).eval()
    for factor in (0.01, 1.0, 200.0):
        for seed in range(3):
            weight = factor * torch.randn(layer.weight.shape, generator=seeded(seed))
            with torch.no_grad():
                layer.weight.copy_(weight)
            exact = torch.linalg.matrix_norm(dense(layer, weight, inputs), 2)
            found = torch.linalg.matrix_norm(dense(layer, layer.normalised_weight(), inputs), 2)
            assert found <= 0.9 * (1 + ROUNDING)
            assert found >= (1 - 2 * TOLERANCE) * min(exact.item(), 0.9)


def test_an_iterated_norm_is_never_too_small_on_many_random_maps() -> None:
    for seed in range(100):
        generator = seeded(seed)
        outputs, inputs = torch.randint(1, 90, (2,), generator=generator).tolist()
        weight = torch.randn(outputs, inputs, generator=generator) * torch.rand(inputs, generator=generator)
        exact = torch.linalg.matrix_norm(weight.double(), 2)
        found = IteratedNorm(Product(inputs, outputs))(weight)
        assert exact * (1 - ROUNDING) <= found <= exact * (1 + 2 * TOLERANCE)


@pytest.mark.parametrize("norm", [ExactNorm, IteratedNorm])
def test_the_gradient_of_a_norm_is_that_of_the_singular_value(norm: type[nn.Module]) -> None:
    weight = torch.randn(12, 9, generator=seeded(), dtype=torch.float64)
    tight = {"tolerance": 1e-9} if norm is IteratedNorm else {}
    norms = norm(Product(9, 12), **tight).double()
    (found,) = torch.autograd.grad(norms(leaf := weight.clone().requires_grad_()), leaf)
    svd = torch.linalg.svd(weight)
    torch.testing.assert_close(found, torch.outer(svd.U[:, 0], svd.Vh[0]), atol=1e-6, rtol=0)


def test_training_keeps_the_vectors_and_evaluation_does_not_move_them() -> None:
    layer = LipschitzLinear(100, 100)
    start = layer.norm.basis.clone()
    layer.eval().normalised_weight()
    assert torch.equal(layer.norm.basis, start)
    layer.train().normalised_weight()
    assert not torch.equal(layer.norm.basis, start)
    again = LipschitzLinear(100, 100)
    again.load_state_dict(layer.state_dict())
    assert torch.equal(again.eval().normalised_weight(), layer.eval().normalised_weight())


def test_a_second_direction_that_overtakes_the_first_is_followed() -> None:
    layer = LipschitzLinear(100, 100)
    vectors = torch.linalg.qr(torch.randn(100, 100, generator=seeded())).Q
    for share in torch.linspace(0, 1, 50):
        values = torch.full((100,), 0.5)
        values[0], values[1] = 3 - share, 2 + share
        with torch.no_grad():
            layer.weight.copy_(vectors * values @ vectors.T)
        assert torch.linalg.matrix_norm(layer.normalised_weight().double(), 2) <= 1 + ROUNDING


def test_directions_that_the_kept_vectors_have_lost_are_found() -> None:
    layer, half = LipschitzLinear(100, 100), torch.full((50,), 0.0)
    with torch.no_grad():
        layer.weight.copy_(torch.diag(torch.cat([torch.linspace(2, 3, 50), half])))
        for _ in range(3):
            layer.normalised_weight()
        layer.weight.copy_(torch.diag(torch.cat([half + 1, half + 5])))
        assert torch.linalg.matrix_norm(layer.normalised_weight().double(), 2) <= 1 + ROUNDING


@pytest.mark.parametrize("rate", [0.01, 1.0])
def test_convolutions_keep_their_bound_in_training_however_far_the_weights_jump(rate: float) -> None:
    torch.manual_seed(0)
    layer = LipschitzConvolution(2, 8, 3, (5, 7))
    optimiser = torch.optim.Adam(layer.parameters(), rate)
    for _ in range(20):
        x = torch.randn(8, 2, 5, 7)
        optimiser.zero_grad()
        (layer(x) - torch.sin(3 * x).repeat(1, 4, 1, 1)).square().mean().backward()
        optimiser.step()
        with torch.no_grad():
            assert torch.linalg.matrix_norm(dense(layer, layer.normalised_weight(), 2), 2) <= 1 + ROUNDING


@pytest.mark.parametrize("size", [3, 100])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_make_nan_and_leave_no_trace(size: int, value: float) -> None:
    layer = LipschitzLinear(size, size)
    with torch.no_grad():
        before = layer.weight.clone()
        layer.weight[0, 0] = value
        assert layer(torch.ones(size)).isnan().all()
        layer.weight.copy_(before)
        assert torch.linalg.matrix_norm(layer.normalised_weight(), 2) <= 1 + ROUNDING


def test_vectors_that_are_kept_save_iterations() -> None:
    operator, calls = Product(200, 200), []
    operator.apply = lambda weight, x: calls.append(1) or x @ weight.T  # type: ignore[method-assign]
    norm, weight = IteratedNorm(operator), torch.randn(200, 200, generator=seeded())
    norm(weight)
    cold = len(calls)
    calls.clear()
    norm(weight + 1e-3 * torch.randn(200, 200, generator=seeded(1)))
    assert len(calls) <= 3 < cold


def test_small_maps_are_exact() -> None:
    assert isinstance(spectral_norm(Product(64, 1000)), ExactNorm)
    assert isinstance(spectral_norm(Product(65, 1000)), IteratedNorm)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("log_rate", [-20.0, -3.0, 0.0, 2.0, 20.0])
def test_activations_have_slopes_of_norm_one_at_most(activation: type[nn.Module], log_rate: float) -> None:
    layer = activation(1).double()
    for parameter in layer.parameters():
        nn.init.constant_(parameter, log_rate)
    grid = torch.cat([torch.linspace(-bound, bound, 100_001, dtype=torch.float64) for bound in (0.1, 10.0, 1e4)])
    _, slopes = torch.func.jvp(layer, (grid[:, None],), (torch.ones_like(grid)[:, None],))
    assert slopes.shape[-1] == activation.expansion
    assert torch.linalg.vector_norm(slopes, dim=-1).max() <= 1 + 1e-12


@pytest.mark.parametrize("activation", [LipSwish, CLipSwish])
def test_constants_of_the_swishes_are_not_smaller_than_they_must_be(activation: type[nn.Module]) -> None:
    layer, grid = activation(1).double(), torch.linspace(-10, 10, 100_001, dtype=torch.float64)[:, None]
    _, slopes = torch.func.jvp(layer, (grid,), (torch.ones_like(grid),))
    assert torch.linalg.vector_norm(slopes, dim=-1).max() > 0.9995


@pytest.mark.parametrize("network", VECTOR_NETWORKS)
@pytest.mark.parametrize("scale", [0.5, 5.0, 200.0])
def test_networks_keep_their_constant_at_any_parameters(network: partial[nn.Module], scale: float) -> None:
    made = pf.testing.randomise(network(3, 3, 2), scale, seeded()).double().eval()
    x, context = torch.randn(200, 3, generator=seeded()), torch.randn(200, 2, generator=seeded(1))
    jacobians = torch.func.vmap(torch.func.jacrev(made))(x.double(), context.double())
    norms = torch.linalg.matrix_norm(jacobians, 2)
    assert norms.max() <= made.lipschitz


@pytest.mark.parametrize("network", IMAGE_NETWORKS)
@pytest.mark.parametrize("scale", [0.5, 200.0])
def test_image_networks_keep_their_constant_at_any_parameters(network: partial[nn.Module], scale: float) -> None:
    made = pf.testing.randomise(network(2, 2, 3, plane=(4, 6)), scale, seeded()).eval()
    x, context = torch.randn(10, 2, 4, 6, generator=seeded()), torch.randn(10, 3, generator=seeded(1))
    jacobians = torch.func.vmap(torch.func.jacrev(made))(x, context).flatten(1, 3).flatten(2)
    norms = torch.linalg.matrix_norm(jacobians, 2)
    assert norms.max() <= made.lipschitz * (1 + ROUNDING)


def test_networks_use_what_they_are_allowed() -> None:
    # A linear map that shrinks by the whole constant: all layers together lose little of it.
    torch.manual_seed(0)
    network = LipschitzMLP(2, 2, hidden=32, lipschitz=0.9)
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    x = torch.randn(512, 2)
    for _ in range(300):
        loss = (network(x) + 0.8 * x).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 2e-3


@pytest.mark.parametrize("network", [VECTOR_NETWORKS[1], VECTOR_NETWORKS[6]])
def test_the_context_is_free(network: partial[nn.Module]) -> None:
    made = pf.testing.randomise(network(3, 3, 2), 0.5, seeded()).eval()
    x = torch.zeros(1, 3)
    assert (made(x, 1e3 * torch.ones(1, 2)) - made(x, torch.zeros(1, 2))).abs().max() > 1


def test_weights_are_normalised_once_within_a_block() -> None:
    network = pf.testing.randomise(LipschitzDenseMLP(3, 3), 1.0, seeded())
    x, counts = torch.randn(5, 3, generator=seeded()), []
    for layer in network.modules():
        if isinstance(layer, ExactNorm | IteratedNorm):
            layer.register_forward_hook(lambda *_: counts.append(1))
    expected = network(x)
    layers = len(counts)
    with normalised_once(network):
        found = [network(x) for _ in range(5)]
    assert len(counts) == 2 * layers
    assert all(torch.equal(each, expected) for each in found)
    before = network(x)
    with torch.no_grad():
        network.body.last.weight.add_(1.0)
    assert not torch.equal(network(x), before), "nothing is held behind the block"


@pytest.mark.parametrize("network", VECTOR_NETWORKS[1:8:2])
def test_second_derivatives_reach_every_parameter(network: partial[nn.Module]) -> None:
    made = pf.testing.randomise(network(2, 2), 0.5, seeded())
    x = torch.randn(20, 2, generator=seeded())
    slopes = torch.func.vmap(torch.func.jacrev(made))(x)
    gradients = torch.autograd.grad(slopes.square().sum(), list(made.parameters()), allow_unused=True)
    named = zip(made.named_parameters(), gradients, strict=True)
    still = {name for (name, _), gradient in named if gradient is None or not gradient.any()}
    assert still <= {"body.layers.2.bias", "body.last.bias"}


def test_events_and_options_that_do_not_fit_are_refused() -> None:
    with pytest.raises(pf.errors.UsageError, match="above 0 and at most 1"):
        LipschitzMLP(2, 2, lipschitz=1.5)
    with pytest.raises(pf.errors.UsageError, match="hidden layer"):
        LipschitzDenseMLP(2, 2, hidden=())
    with pytest.raises(pf.errors.UsageError, match="odd"):
        LipschitzConvolution(1, 1, 2, (4, 4))
    with pytest.raises(pf.errors.ShapeError, match="plane"):
        LipschitzConvNet(1, 1, plane=(4, 4))(torch.zeros(2, 1, 6, 6))
    with pytest.raises(pf.errors.ShapeError, match="vectors"):
        LipschitzMLP(2, 2)(torch.zeros(5, 3))


def test_copies_of_a_network_are_independent_and_in_double_precision_agree() -> None:
    network = pf.testing.randomise(LipschitzDenseNet(2, 2, plane=(6, 6), hidden=6), 1.0, seeded()).eval()
    x = torch.randn(4, 2, 6, 6, generator=seeded())
    double = copy.deepcopy(network).double()
    assert (double(x.double()) - network(x)).abs().max() < 1e-4


@pytest.mark.parametrize("network", VECTOR_NETWORKS)
@pytest.mark.parametrize("context", [0, 2])
def test_derivatives_along_axes_are_those_of_autograd(network: partial[nn.Module], context: int) -> None:
    made = pf.testing.randomise(network(3, 3, context), 1.0, seeded()).double()
    x = torch.randn(5, 3, generator=seeded(), dtype=torch.float64)
    given = (torch.randn(5, context, generator=seeded(1), dtype=torch.float64),) if context else ()
    value, columns = made.along(x, torch.eye(3, dtype=torch.float64), *given)
    torch.testing.assert_close(value, made(x, *given))
    jacobians = torch.func.vmap(torch.func.jacrev(made))(x, *given)
    torch.testing.assert_close(columns.permute(1, 2, 0), jacobians)


def test_an_iterated_norm_is_captured_by_the_compiler() -> None:
    layer = pf.testing.randomise(LipschitzLinear(70, 70), 1.0, seeded()).eval()
    x = torch.randn(4, 70, generator=seeded())
    torch.compiler.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), layer(x))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("features", [2, 5])
def test_half_precision_gives_what_single_precision_does(dtype: torch.dtype, features: int) -> None:
    torch.manual_seed(0)
    # Wider than what has its norm by an eigenvalue problem.
    flow = pf.testing.randomise(pf.models.iresnet(features=features, layers=2, hidden=80), 0.5).eval()
    x = torch.randn(6, features)
    expected = flow.log_prob(x)
    found = flow.to(dtype).log_prob(x.to(dtype))
    assert found.dtype == dtype
    # Of numbers with eight bits.
    torch.testing.assert_close(found.float(), expected, rtol=0.02, atol=0.05)
    weights = [each.normalised_weight().float() for each in flow.modules() if isinstance(each, LipschitzLinear)]
    assert max(torch.linalg.matrix_norm(each, 2).item() for each in weights) <= 1.0
