"""Image networks against plain programs of the same formulas, channel by channel and shape by shape."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pushforward import testing
from pushforward.errors import ShapeError
from pushforward.kernels import gates
from pushforward.kernels.convolution import convolve
from pushforward.kernels.gates import add_gated, concat_elu, in_cache, layer_norm_channels
from pushforward.networks import AttentionConvNet, GatedConvNet, GlowConvNet, MaskedChannels

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "gated": partial(GatedConvNet, hidden=8, blocks=2),
    "glow": partial(GlowConvNet, hidden=8),
    "attention": partial(AttentionConvNet, hidden=8, blocks=1, heads=2),
}
BATCHES = [(), (0,), (3,), (2, 3)]


def normal(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(4), dtype=dtype)


def randomised(network: nn.Module, dtype: torch.dtype = torch.float64) -> nn.Module:
    return testing.randomise(network.to(dtype))


def tutorial_program(network: GatedConvNet, x: Tensor) -> Tensor:
    """The gated network as the tutorial writes it, on the weights of ours."""

    def both(x: Tensor) -> Tensor:
        return torch.cat([F.elu(x), F.elu(-x)], dim=1)

    x = F.conv2d(x, network.first.weight, network.first.bias, padding=1)
    for block in network.blocks:
        hidden = F.conv2d(both(x), block.wide.weight, block.wide.bias, padding=1)  # type: ignore[union-attr, arg-type]
        value, gate = F.conv2d(both(hidden), block.gate.weight, block.gate.bias).chunk(2, dim=1)  # type: ignore
        x = x + value * torch.sigmoid(gate)
        mean, variance = x.mean(1, keepdim=True), x.var(1, keepdim=True, unbiased=False)
        weight, bias = block.norm.weight[:, None, None], block.norm.bias[:, None, None]  # type: ignore
        x = (x - mean) / torch.sqrt(variance + 1e-6) * weight + bias
    return F.conv2d(both(x), network.last.weight, network.last.bias, padding=1)


def parameter_count(inputs: int, outputs: int, hidden: int, layers: int) -> int:
    first = 9 * inputs * hidden + hidden
    block = 9 * 2 * hidden * hidden + hidden + 4 * hidden**2 + 2 * hidden + 2 * hidden
    return first + layers * block + 9 * 2 * hidden * outputs + outputs


def test_gated_network_is_the_tutorials_program() -> None:
    network = randomised(GatedConvNet(3, 4, hidden=6, blocks=3))
    x = normal(5, 3, 7, 6)
    torch.testing.assert_close(network(x), tutorial_program(network, x), rtol=1e-12, atol=1e-12)  # type: ignore[arg-type]


@pytest.mark.parametrize("inputs, outputs, hidden", [(1, 2, 32), (2, 2, 16), (4, 8, 48), (8, 16, 64)])
def test_gated_network_has_the_tutorials_number_of_parameters(inputs: int, outputs: int, hidden: int) -> None:
    network = GatedConvNet(inputs, outputs, hidden=hidden, blocks=3)
    assert sum(p.numel() for p in network.parameters()) == parameter_count(inputs, outputs, hidden, 3)


def test_concat_elu_and_its_gradients_are_those_of_elu() -> None:
    x = torch.cat([normal(2, 3, 4, 4), torch.zeros(1, 3, 4, 4, dtype=torch.float64)]).requires_grad_()
    expected = torch.cat([F.elu(x), F.elu(-x)], dim=1)
    torch.testing.assert_close(concat_elu(x), expected, rtol=1e-14, atol=1e-15)
    smooth = (x.detach()[:2] + 0.1 * x.detach()[:2].sign()).requires_grad_()
    assert torch.autograd.gradcheck(concat_elu, smooth)
    assert torch.autograd.gradgradcheck(concat_elu, smooth)


def test_without_gradients_the_numbers_are_the_same() -> None:
    """There the functions' forward is called without what records it."""
    x, kernel, bias = torch.randn(2, 6, 5, 5), torch.randn(4, 6, 3, 3), torch.randn(4)
    branch = torch.randn(2, 12, 5, 5)
    recorded = concat_elu(x), add_gated(x, branch), convolve(x, kernel, bias)
    with torch.no_grad():
        plain = concat_elu(x), add_gated(x, branch), convolve(x, kernel, bias)
    assert all(torch.equal(one, other) for one, other in zip(recorded, plain, strict=True))


@pytest.mark.parametrize("value", [0.0, 1e-6, 3.0, 1e6, -1e6, 1e30])
def test_concat_elu_keeps_its_absolute_precision_in_float32(value: float) -> None:
    x = torch.full((1, 1, 1, 1), value, requires_grad=True)
    result = concat_elu(x)
    exact = torch.cat([F.elu(x.double()), F.elu(-x.double())], dim=1)
    torch.testing.assert_close(result.double(), exact, rtol=1e-6, atol=2e-7)
    (gradient,) = torch.autograd.grad(result.sum(), x)
    assert bool(gradient.isfinite().all())


def test_compiled_concat_elu_is_the_eager_one_at_every_size_of_number() -> None:
    edges = [0.0, 1e-30, 1e-8, 1e-7, 3e-4, 0.5, 1.0, 30.0, 100.0, 1e6, 1e38, float("inf")]
    values = torch.cat([torch.tensor(edges), torch.logspace(-9, 3, 5000)])
    x = torch.cat([values, -values, torch.tensor([float("nan")])])[None, None, None].requires_grad_()
    compiled = torch.compile(concat_elu, fullgraph=True, dynamic=False, backend="aot_eager")
    results = [function(x) for function in (concat_elu, compiled)]
    torch.testing.assert_close(*results, rtol=1e-6, atol=2e-7, equal_nan=True)
    weights = torch.tensor([1.0, 0.3])[:, None, None]
    gradients = [torch.autograd.grad((result * weights).sum(), x)[0] for result in results]
    # The slope at what is not a number is whatever it is.
    torch.testing.assert_close(*[gradient[..., :-1] for gradient in gradients], rtol=1e-6, atol=2e-7)


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_gate_and_norm_are_their_formulas_in_any_memory(memory: torch.memory_format) -> None:
    x = normal(2, 6, 3, 4).contiguous(memory_format=memory)
    torch.testing.assert_close(add_gated(x[:, 2:5], x), x[:, 2:5] + x[:, :3] * torch.sigmoid(x[:, 3:]))
    norm = randomised(nn.LayerNorm(6, eps=1e-6))
    expected = (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True, unbiased=False) + 1e-6).sqrt()
    weight, bias = norm.weight[:, None, None], norm.bias[:, None, None]  # type: ignore[index]
    torch.testing.assert_close(layer_norm_channels(x, norm), expected * weight + bias)  # type: ignore[arg-type]


# Inputs, outputs and size of the kernel, with few channels and more on either side.
CONVOLUTIONS = [(5, 2, 3), (2, 5, 3), (3, 3, 3), (20, 6, 3), (6, 20, 3), (5, 2, 1), (2, 7, 1), (1, 1, 3), (6, 3, 5)]


@pytest.mark.parametrize("inputs, outputs, size", CONVOLUTIONS)
def test_convolve_is_the_convolution_with_its_gradients(inputs: int, outputs: int, size: int) -> None:
    x, weight, bias = (normal(*s) for s in ((2, inputs, 5, 4), (outputs, inputs, size, size), (outputs,)))
    expected = F.conv2d(x, weight, bias, padding=size // 2)
    for memory in (torch.contiguous_format, torch.channels_last):
        torch.testing.assert_close(convolve(x.contiguous(memory_format=memory), weight, bias), expected)
    leaves = [value.requires_grad_() for value in (x, weight, bias)]
    # In random directions: the whole Jacobian is large.
    assert torch.autograd.gradcheck(convolve, leaves, fast_mode=True)
    assert torch.autograd.gradgradcheck(convolve, leaves, fast_mode=True)


@pytest.mark.parametrize("inputs, outputs, size", CONVOLUTIONS)
@pytest.mark.parametrize("batch", [0, 3])
def test_convolve_and_its_gradients_in_float32(inputs: int, outputs: int, size: int, batch: int) -> None:
    shapes = ((batch, inputs, 6, 7), (outputs, inputs, size, size), (outputs,))
    leaves = [normal(*shape, dtype=torch.float32).requires_grad_() for shape in shapes]
    found, expected = convolve(*leaves), F.conv2d(*leaves, padding=size // 2)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    slopes = normal(*expected.shape, dtype=torch.float32)
    given, wanted = (torch.autograd.grad((result * slopes).sum(), leaves) for result in (found, expected))
    for left, right in zip(given, wanted):
        torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("asked", [(True, False, False), (False, True, False), (False, False, True)])
def test_convolve_gives_the_gradients_that_are_asked_for(asked: tuple[bool, ...]) -> None:
    leaves = [normal(*s).requires_grad_(a) for s, a in zip(((2, 5, 4, 4), (3, 5, 3, 3), (3,)), asked)]
    (leaf,) = [value for value in leaves if value.requires_grad]
    (found,) = torch.autograd.grad(convolve(*leaves).square().sum(), leaf)
    (expected,) = torch.autograd.grad(F.conv2d(*leaves, padding=1).square().sum(), leaf)
    torch.testing.assert_close(found, expected)


def test_convolve_leaves_the_precision_to_autocast() -> None:
    x, weight, bias = (normal(*s, dtype=torch.float32) for s in ((2, 8, 4, 4), (3, 8, 3, 3), (3,)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = convolve(x, weight, bias)
        assert found.dtype == torch.bfloat16
        torch.testing.assert_close(found, F.conv2d(x, weight, bias, padding=1))


@pytest.mark.parametrize("channels", [1, 3, gates.RUN, gates.RUN + 3])
def test_gate_and_its_gradients_are_their_formulas(channels: int) -> None:
    def plain(x: Tensor, branch: Tensor) -> Tensor:
        return x + branch[:, :channels] * torch.sigmoid(branch[:, channels:])

    leaves = [normal(2, channels * share, 2, 2).requires_grad_() for share in (1, 2)]
    torch.testing.assert_close(add_gated(*leaves), plain(*leaves))
    assert torch.autograd.gradcheck(add_gated, leaves, fast_mode=True)
    assert torch.autograd.gradgradcheck(add_gated, leaves, fast_mode=True)


@pytest.mark.parametrize("batch", [0, 1, 7, 8])
def test_gates_in_pieces_are_those_of_the_whole(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x, branch = normal(batch, 3, 4, 5).requires_grad_(), normal(batch, 6, 4, 5).requires_grad_()

    def results() -> list[Tensor]:
        both, gated = concat_elu(x), add_gated(x, branch)
        return [both, gated, *torch.autograd.grad((both.square().sum() + gated.square().sum()), [x, branch])]

    whole = results()
    monkeypatch.setattr(gates, "CACHED", 3 * x[:1].numel() or 1)
    assert [len(part) for (part,) in in_cache(x)] == [len(part) for part in x.split(3)]
    for left, right in zip(results(), whole):
        torch.testing.assert_close(left, right, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("kept", [[1, 1, 0, 0], [0, 0, 1, 1], [0, 1, 0, 1], [1, 0, 0]])
@pytest.mark.parametrize("name", NETWORKS)
def test_MaskedChannels_is_multiplication_by_a_mask(name: str, kept: list[int]) -> None:
    mask = torch.tensor(kept, dtype=torch.bool)
    channels, changed = len(kept), int((~mask).sum())
    build, whole = MaskedChannels(NETWORKS[name], mask), randomised(NETWORKS[name](channels, 2 * channels, (2, 5, 5)))
    network = build(channels - changed, 2 * changed, (2, 5, 5)).double()
    network.load_state_dict(whole.state_dict())
    x, context = normal(3, channels, 5, 5), normal(3, 2, 5, 5)
    expected = whole(x * mask[:, None, None], context).unflatten(1, (2, channels))[:, :, ~mask].flatten(1, 2)
    found = network(x[:, mask], context)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    found.sum().backward()
    assert network.first.weight.grad[:, :channels][:, ~mask].count_nonzero() == 0  # type: ignore[union-attr, index]


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_start_at_zero_and_answer_in_the_asked_shape(name: str) -> None:
    network = NETWORKS[name](3, 5)
    assert network(normal(2, 3, 4, 6, dtype=torch.float32)).count_nonzero() == 0


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_take_any_batch_dimensions(name: str, dtype: torch.dtype, batch: tuple[int, ...]) -> None:
    network, of_vectors = randomised(NETWORKS[name](3, 5, (2, 4, 6)), dtype), NETWORKS[name](3, 5, 2).to(dtype)
    of_vectors.load_state_dict(network.state_dict())
    x, image, vector = (normal(*batch, *shape, dtype=dtype) for shape in ((3, 4, 6), (2, 4, 6), (2,)))
    result = network(x, image)
    assert result.shape == (*batch, 5, 4, 6) and result.dtype == dtype
    spread = vector[..., None, None].expand(*batch, 2, 4, 6)
    torch.testing.assert_close(of_vectors(x, vector), network(x, spread))
    if batch == (2, 3):
        one_by_one = torch.stack([network(a, b) for a, b in zip(x.flatten(0, 1), image.flatten(0, 1))])
        torch.testing.assert_close(result.flatten(0, 1), one_by_one, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_missing_context_is_a_clear_error(name: str) -> None:
    network = NETWORKS[name](3, 5, 2)
    with pytest.raises(ShapeError, match=r"expects a context of shape \(2,\)"):
        network(torch.zeros(1, 3, 4, 4))
    with pytest.raises(ShapeError):
        network(torch.zeros(1, 3, 4, 4), torch.zeros(1, 3))


@pytest.mark.parametrize("size", [(4, 4), (5, 8)])
def test_attention_sees_every_pixel_and_tells_places_apart(size: tuple[int, int]) -> None:
    network = randomised(NETWORKS["attention"](1, 1))
    x = normal(1, 1, *size).requires_grad_()
    (gradient,) = torch.autograd.grad(network(x)[0, 0, 0, 0], x)
    assert gradient.count_nonzero() == x.numel()
    flat = network(torch.ones(1, 1, 9, 9, dtype=torch.float64))[0, 0, 3:6, 3:6]
    assert flat.unique().numel() == flat.numel()


@pytest.mark.parametrize("name", NETWORKS)
def test_compiled_networks_agree_with_eager_ones(name: str) -> None:
    network = randomised(NETWORKS[name](2, 3, (1, 4, 4)), torch.float32)
    x, context = normal(2, 2, 4, 4, dtype=torch.float32).requires_grad_(), normal(2, 1, 4, 4, dtype=torch.float32)
    compiled = torch.compile(network, fullgraph=True, dynamic=False, backend="aot_eager")
    expected, found = network(x, context), compiled(x, context)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    wanted = torch.autograd.grad(expected.square().sum(), [x, *network.parameters()], allow_unused=True)
    given = torch.autograd.grad(found.square().sum(), [x, *network.parameters()], allow_unused=True)
    for left, right in zip(given, wanted):
        torch.testing.assert_close(left, right, rtol=1e-3, atol=1e-4)
