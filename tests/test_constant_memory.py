"""Gradients in constant memory are those of ordinary autograd, whatever is drawn or averaged on the way."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from training_helpers import fit, moons, small_flow

import pushforward as pf
from pushforward.errors import UsageError
from pushforward.networks import MLP, GatedConvNet
from pushforward.scalar import Additive, Affine, MixtureCDF, RationalQuadraticSpline
from pushforward.training.memory import recomputing
from pushforward.transforms import (
    ActNorm,
    Autoregressive,
    BatchNorm,
    Chain,
    Coupling,
    Inverse,
    InvertibleConvolutionLU,
    Langevin,
    Planar,
    Relaxation,
    Squeeze,
    Standardise,
    Transform,
    VariationalDequantization,
    flip,
    masks,
)

SMALL = partial(MLP, hidden=(8,))
CONVOLUTIONAL = partial(GatedConvNet, hidden=4, blocks=1)


def couplings(count: int, context: int = 0, scalar: pf.scalar.ScalarBijection | None = None) -> list[Transform]:
    mask = masks.halves(4)
    return [Coupling(~mask if i % 2 else mask, scalar or Affine(), SMALL, context) for i in range(count)]


def image_parts() -> list[Transform]:
    squeezed = masks.channel((4, 4, 4))
    plane = masks.checkerboard((1, 8, 8))
    return [
        Coupling(plane, Affine(), CONVOLUTIONAL),
        Squeeze(),
        *[part for _ in range(2) for part in (ActNorm(4, 3), InvertibleConvolutionLU(4))],
        Coupling(squeezed, RationalQuadraticSpline(4), CONVOLUTIONAL),
        Coupling(~squeezed, MixtureCDF("logistic", 2), CONVOLUTIONAL),
    ]


CHAINS: dict[str, tuple[Callable[[], list[Transform]], tuple[int, ...]]] = {
    "couplings": (lambda: couplings(4), (4,)),
    "context": (lambda: [Standardise(4), *couplings(3, 2)], (4,)),
    "splines": (lambda: couplings(2, 0, RationalQuadraticSpline(4)), (4,)),
    "iterative": (lambda: [*couplings(2, 0, MixtureCDF("logistic", 2)), Planar(4), flip(4)], (4,)),
    "nested": (lambda: [Chain([flip(4), Chain(couplings(2))]), Inverse(couplings(1)[0]), ActNorm(4)], (4,)),
    "nested chains of their own": (lambda: [flip(4), Inverse(Chain(couplings(3), recompute=True)), ActNorm(4)], (4,)),
    "autoregressive": (lambda: [ActNorm(4), Autoregressive(4, Affine()), flip(4), Autoregressive(4, Affine())], (4,)),
    "images": (image_parts, (1, 8, 8)),
}


def random_chain(name: str) -> tuple[Chain, Tensor, Tensor | None]:
    torch.manual_seed(0)
    make, shape = CHAINS[name]
    chain = Chain(make()).double()
    with torch.no_grad():
        for weight in chain.parameters():
            weight += 0.2 * torch.randn_like(weight)
    context = torch.randn(3, 2).double().requires_grad_() if chain.context is not None else None
    return chain, torch.randn(3, *shape).double().requires_grad_(), context


def gradients(chain: Chain, recompute: bool, way: str, x: Tensor, context: Tensor | None) -> list[Tensor | None]:
    """Of all values and log-determinants, each with a weight of its own."""
    chain.recompute = recompute
    outputs = getattr(chain, way)(x, context)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    loss = sum((output * torch.linspace(-1, 2, output.numel()).double().view_as(output)).sum() for output in outputs)
    starts = [x, *([] if context is None else [context]), *chain.parameters()]
    return [*torch.autograd.grad(loss, starts, allow_unused=True), *outputs]


def assert_same(found: list[Tensor | None], expected: list[Tensor | None], tolerance: float) -> None:
    for ours, right in zip(found, expected, strict=True):
        if right is None or ours is None:
            assert (ours is None or not ours.any()) and (right is None or not right.any())
        else:
            torch.testing.assert_close(ours, right, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("way", ["forward", "inverse", "encode", "decode"])
@pytest.mark.parametrize("name", CHAINS)
def test_gradients_are_those_of_autograd(name: str, way: str) -> None:
    chain, x, context = random_chain(name)
    if way in ("inverse", "decode"):
        x = chain.encode(x, context).detach().requires_grad_()
    expected = gradients(chain, False, way, x, context)
    assert chain.reconstruction_error is None
    assert_same(gradients(chain, True, way, x, context), expected, 1e-8)
    assert chain.reconstruction_error is None or chain.reconstruction_error < 1e-9


@pytest.mark.parametrize("name", ["glow", "multiscale"])
def test_multiscale_flows_of_images_in_single_precision(name: str) -> None:
    torch.manual_seed(0)
    flow = pf.build(name, shape=(1, 8, 8), levels=17, layers=2, hidden=8)
    x = torch.randint(17, (8, 1, 8, 8)).float()
    flow.initialise(x)
    found = {}
    for memory in ("ordinary", "constant"):
        torch.manual_seed(1)
        with recomputing(flow, memory):
            found[memory] = torch.autograd.grad(-flow.log_prob(x).mean(), list(flow.parameters()))
    norm = torch.nn.utils.get_total_norm
    assert norm([a - b for a, b in zip(*found.values(), strict=True)]) < 1e-4 * norm(found["ordinary"])


def test_a_batch_that_the_context_makes_larger() -> None:
    chain, _, context = random_chain("context")
    x = torch.randn(4).double().requires_grad_()
    expected = gradients(chain, False, "forward", x, context)
    assert_same(gradients(chain, True, "forward", x, context), expected, 1e-9)


def test_empty_batches() -> None:
    chain, x, _ = random_chain("images")
    assert_same(gradients(chain, True, "forward", x[:0], None), gradients(chain, False, "forward", x[:0], None), 0.0)


def saved_bytes(run: Callable[[], Tensor]) -> int:
    """The most bytes that are saved at once for backward passes, the weights' not among them."""
    total = 0
    alive: list[int] = []

    class Held:
        def __init__(self, tensor: Tensor) -> None:
            nonlocal total
            self.tensor, self.size = tensor, 0 if isinstance(tensor, nn.Parameter) else tensor.nbytes
            total += self.size
            alive.append(total)

        def __del__(self) -> None:
            nonlocal total
            total -= self.size

    with saved_tensors_hooks(Held, lambda held: held.tensor):
        run().backward()
    return max(alive)


def test_memory_does_not_grow_with_the_parts() -> None:
    def peak(count: int, recompute: bool) -> int:
        chain, x = Chain(couplings(count), recompute=recompute), torch.randn(2000, 4)
        return saved_bytes(lambda: chain(x)[1].sum())

    assert peak(32, False) > 3.5 * peak(8, False)
    assert peak(32, True) < 1.05 * peak(8, True)


class Noisy(nn.Module):
    """A network with dropout."""

    def __init__(self, inputs: int, outputs: int, context: object = 0) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(inputs, 16), nn.Tanh(), nn.Dropout(0.5), nn.Linear(16, outputs))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.layers(x)


def made_of(network: Callable[..., nn.Module], count: int = 4) -> list[Transform]:
    mask = masks.halves(4)
    return [Coupling(~mask if i % 2 else mask, Affine(), network) for i in range(count)]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda layers: layers,
        lambda layers: [Inverse(each) for each in layers],
        lambda layers: [ActNorm(4), Inverse(Chain(layers)), Inverse(Inverse(Chain(layers))), flip(4)],
    ],
    ids=["couplings", "turned", "turned chains"],
)
def test_dropout_hides_the_same_units_again(wrap: Callable[[list[Transform]], list[Transform]]) -> None:
    torch.manual_seed(0)
    chain, x, found = Chain(wrap(made_of(Noisy))), torch.randn(6, 4, requires_grad=True), []
    for recompute in (False, True):
        torch.manual_seed(3)
        chain.recompute = recompute
        z, log_det = chain(x)
        after = torch.get_rng_state()
        found.append([*torch.autograd.grad((z**2).sum() + log_det.sum(), [x, *chain.parameters()]), z])
        assert torch.equal(torch.get_rng_state(), after)
    assert_same(found[1], found[0], 1e-4)


def test_draws_of_a_generator_are_drawn_again() -> None:
    torch.manual_seed(0)
    noise = Chain([Coupling(masks.checkerboard((1, 4, 4)), Affine(), CONVOLUTIONAL, (1, 4, 4))])
    parts = [VariationalDequantization(5, noise), pf.transforms.Logit(0.05), ActNorm(1, 3)]
    chain, x, found = Chain(parts), torch.randint(5, (3, 1, 4, 4)).float(), []
    for recompute in (False, True):
        generator, chain.recompute = torch.Generator().manual_seed(4), recompute
        z, log_det = chain(x, None, generator)
        found.append([*torch.autograd.grad((z**2).sum() + log_det.sum(), list(chain.parameters())), z])
    assert_same(found[1], found[0], 1e-4)


def test_running_statistics_count_a_batch_once() -> None:
    torch.manual_seed(0)
    x, found = torch.randn(32, 4), []
    for recompute in (False, True):
        torch.manual_seed(1)
        chain = Chain([couplings(1)[0], BatchNorm(4), couplings(2)[1], BatchNorm(4)], recompute=recompute).train()
        z, log_det = chain(x)
        ((z**4).sum() + log_det.sum()).backward()
        found.append([*(weight.grad for weight in chain.parameters()), *chain.buffers()])
    assert_same(found[1], found[0], 1e-4)


class Normalised(nn.Module):
    """A network with PyTorch's own batch normalisation, whose average is cumulative, or spectral normalisation."""

    def __init__(self, inputs: int, outputs: int, context: object = 0, *, spectral: bool = False) -> None:
        super().__init__()
        inner = nn.utils.parametrizations.spectral_norm(nn.Linear(inputs, 16)) if spectral else nn.Linear(inputs, 16)
        norm = nn.Identity() if spectral else nn.BatchNorm1d(16, momentum=None)
        self.layers = nn.Sequential(inner, norm, nn.Tanh(), nn.Linear(16, outputs))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.layers(x)


@pytest.mark.parametrize("spectral", [False, True])
def test_buffers_of_networks_are_those_of_the_forward_pass(spectral: bool) -> None:
    x, found = torch.randn(32, 4).double(), []
    for recompute in (False, True):
        torch.manual_seed(1)
        chain = Chain(made_of(partial(Normalised, spectral=spectral)), recompute=recompute).double().train()
        for _ in range(2):
            z, log_det = chain(x)
            ((z**4).sum() + log_det.sum()).backward()
        found.append([*(weight.grad for weight in chain.parameters()), *(each.double() for each in chain.buffers())])
    assert_same(found[1], found[0], 1e-9)


def test_the_mode_is_that_of_the_forward_pass() -> None:
    chain, x, found = Chain(made_of(Noisy)).double(), torch.randn(6, 4).double(), []
    for recompute in (False, True):
        torch.manual_seed(3)
        chain.recompute = recompute
        log_det = chain.train()(x)[1].sum()
        chain.eval()
        found.append([*torch.autograd.grad(log_det, list(chain.parameters()))])
        assert not any(module.training for module in chain.modules())
    assert_same(found[1], found[0], 1e-9)


def test_parameters_that_no_part_owns_are_refused() -> None:
    network = MLP(4, 1)
    drift = Langevin(4, lambda x: network(x)[..., 0] - x.square().sum(-1))
    chain = Chain([Relaxation(drift), ActNorm(4)], recompute=True)
    loss = chain(torch.randn(3, 4))[1].sum()
    with pytest.raises(UsageError, match="parameters that a part owns"):
        loss.backward()


def test_autocast_to_bfloat16_stays_with_the_backward_pass() -> None:
    chain, x, _ = random_chain("images")
    chain, x, found = chain.float(), x.detach().float(), []
    for recompute in (False, True):
        chain.recompute = recompute
        with torch.autocast("cpu", dtype=torch.bfloat16):
            z, log_det = chain(x)
        found.append(torch.autograd.grad((z**2).sum() + log_det.sum(), list(chain.parameters())))
    norm = torch.nn.utils.get_total_norm
    assert norm([a - b for a, b in zip(*found, strict=True)]) < 0.1 * norm(found[0])
    assert chain.reconstruction_error is not None and chain.reconstruction_error < 0.05


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision_is_refused(kind: torch.dtype) -> None:
    chain = Chain(couplings(2), recompute=True).to(kind)
    with pytest.raises(UsageError, match="expects float32, float64 or autocast to bfloat16, got"):
        chain(torch.randn(3, 4).to(kind))
    with pytest.raises(UsageError, match="float32"):
        fit(small_flow().to(kind), moons(), memory="constant", max_steps=1)


def test_autocast_to_float16_is_refused() -> None:
    with torch.autocast("cpu", dtype=torch.float16), pytest.raises(UsageError, match="got float16"):
        Chain(couplings(2), recompute=True)(torch.randn(3, 4))


def test_derivatives_of_gradients_are_refused() -> None:
    chain, x = Chain(couplings(2), recompute=True), torch.randn(3, 4, requires_grad=True)
    with pytest.raises(UsageError, match="first derivatives alone"):
        torch.autograd.grad(chain(x)[1].sum(), x, create_graph=True)


def test_weights_that_changed_before_the_backward_pass_are_refused() -> None:
    chain = Chain(couplings(2), recompute=True)
    loss = chain(torch.randn(3, 4))[1].sum()
    with torch.no_grad():
        next(chain.parameters()).add_(1.0)
    with pytest.raises(UsageError, match="have been changed, replaced"):
        loss.backward()


def test_functions_of_torch_differentiate_as_they_go() -> None:
    chain, x, _ = random_chain("couplings")
    jacobians = []
    for recompute in (False, True):
        chain.recompute = recompute
        jacobians.append(torch.func.vmap(torch.func.jacrev(lambda row: chain(row)[0]))(x.detach()))
        jacobians.append(torch.func.vmap(torch.func.jacfwd(lambda row: chain(row)[0]))(x.detach()))
    for jacobian in jacobians[1:]:
        torch.testing.assert_close(jacobian, jacobians[0])


def test_hooks_on_saved_tensors_and_shared_parts() -> None:
    layer = couplings(1)[0]
    chain, x, found = Chain([layer, flip(4), layer]), torch.randn(5, 4), []
    for recompute in (False, True):
        chain.recompute = recompute
        with saved_tensors_hooks(lambda tensor: tensor.clone(), lambda tensor: tensor):
            found.append(torch.autograd.grad(chain(x)[1].sum(), list(chain.parameters())))
    assert_same(list(found[1]), list(found[0]), 1e-5)


def with_gradients(again: tuple[Tensor, Tensor, Tensor], layer: Coupling) -> list[Tensor | None]:
    x, z, log_det = again
    return [*again, *torch.autograd.grad((z**3).sum() + log_det.sum(), [x, *layer.parameters()])]


@pytest.mark.parametrize(
    "mask", [masks.halves(4), ~masks.halves(4), masks.alternating(4), masks.checkerboard((1, 4, 4))]
)
def test_a_coupling_goes_through_once_what_the_definition_goes_through_twice(mask: Tensor) -> None:
    torch.manual_seed(0)
    layer = Coupling(mask, Affine(), SMALL if mask.dim() == 1 else CONVOLUTIONAL).double()
    z = torch.randn(3, *mask.shape).double()
    for ours, definition in (
        (layer.reconstruct, Transform.reconstruct),
        (layer.reconstruct_inverse, Transform.reconstruct_inverse),
    ):
        found, right = (with_gradients(run(z), layer) for run in (ours, partial(definition, layer)))
        assert found[0].is_leaf and torch.allclose(found[1], z)
        assert_same(found, right, 1e-9)


def test_rsample_of_a_flow() -> None:
    flow, found = pf.Flow(Chain(couplings(3)), pf.distributions.StandardNormal((4,))), []
    for memory in ("ordinary", "constant"):
        with recomputing(flow, memory):
            x = flow.rsample(5, generator=torch.Generator().manual_seed(0))
            found.append(torch.autograd.grad((x**2).sum(), list(flow.parameters())))
    assert_same(list(found[1]), list(found[0]), 1e-4)


def test_blocks_that_are_compiled() -> None:
    torch.manual_seed(0)
    flow, x = pf.Flow(couplings(3), pf.distributions.StandardNormal((4,))), torch.randn(16, 4)
    expected = torch.autograd.grad(flow.log_prob(x).sum(), list(flow.parameters()))
    with recomputing(flow, "constant"):
        flow.compile_blocks(backend="aot_eager")
        found = torch.autograd.grad(flow.log_prob(x).sum(), list(flow.parameters()))
    assert_same(list(found), list(expected), 1e-4)


def test_a_flow_that_is_compiled_as_a_whole() -> None:
    chain, x = Chain(couplings(2), recompute=True), torch.randn(6, 4)
    compiled = torch.compile(lambda x: chain(x)[1] * 2.0, backend="aot_eager")
    found = torch.autograd.grad(compiled(x).sum(), list(chain.parameters()))
    chain.recompute = False
    assert_same(list(found), list(torch.autograd.grad(2 * chain(x)[1].sum(), list(chain.parameters()))), 1e-5)


def test_fit_in_constant_memory_goes_the_same_way() -> None:
    ordinary, constant = (fit(small_flow(), moons(), max_steps=5, memory=each) for each in ("ordinary", "constant"))
    assert ordinary.reconstruction_error is None
    assert constant.reconstruction_error is not None and constant.reconstruction_error < 1e-4
    assert constant.history[-1]["train_loss"] == pytest.approx(ordinary.history[-1]["train_loss"], rel=1e-4)


def test_fit_warns_where_activations_are_not_found_again() -> None:
    class Forgetful(Transform):
        """Claims an inverse that is off."""

        domain = codomain = pf.spaces.Reals((2,))

        def forward(self, x: Tensor, context=None, generator=None):  # type: ignore[no-untyped-def]
            return 2 * x, x.new_full(x.shape[:-1], 1.386)

        def inverse(self, z: Tensor, context=None, generator=None):  # type: ignore[no-untyped-def]
            return 0.6 * z, z.new_full(z.shape[:-1], -1.386)

    layer = pf.transforms.Elementwise(Additive(), (2,))
    flow = pf.Flow([ActNorm(2), Forgetful(), layer], pf.distributions.StandardNormal((2,)))
    with pytest.warns(UserWarning, match="found activations again with an error of"):
        result = fit(flow, moons(), max_steps=2, memory="constant")
    assert result.reconstruction_error is not None and result.reconstruction_error > 0.1
    assert not flow.transform.recompute


def test_fit_refuses_another_memory() -> None:
    with pytest.raises(UsageError, match="memory must be one of ordinary, constant"):
        fit(small_flow(), moons(), memory="little", max_steps=1)
