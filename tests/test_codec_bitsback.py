"""Local bits-back coding: lossless for every kind of layer, and as short as the bound on the likelihood says."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.codec import LocalBitsBack, compress, decompress
from pushforward.codec.archive.description import describe
from pushforward.codec.bitsback.coding import code_transform
from pushforward.codec.bitsback.grid import GRID_BITS, as_real
from pushforward.codec.bitsback.layers import NOISE, ElementwiseLayer
from pushforward.codec.bitsback.stack import BitStack
from pushforward.codec.entropy import AnsCoder
from pushforward.distributions import ConditionalNormal, DiagonalNormal, StandardLogistic, StandardNormal
from pushforward.errors import CodecError, UsageError
from pushforward.flows import FactorOut
from pushforward.networks import MLP, DenseNet
from pushforward.scalar import Affine, RationalQuadraticSpline
from pushforward.spaces import Reals
from pushforward.transforms import (
    ActNorm,
    Autoregressive,
    Chain,
    ConditionalElementwise,
    Coupling,
    Dequantization,
    Elementwise,
    Inverse,
    InvertibleConvolution,
    InvertibleConvolutionLU,
    Logit,
    Planar,
    Squeeze,
    Transform,
    VariationalDequantization,
    masks,
    random_permutation,
)

SHAPE = torch.Size([4, 2, 2])
network = partial(DenseNet, hidden=4, blocks=1)


def _random(part: torch.nn.Module, size: float = 0.2) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(0)
    for parameter in part.parameters():
        parameter.data += size * torch.randn(parameter.shape, generator=generator)
    return part.double().eval()


LAYERS: dict[str, tuple[Transform, torch.Size]] = {
    "coupling": (Coupling(masks.channel(SHAPE), Affine(), network), SHAPE),
    "spline-coupling": (
        Coupling(masks.checkerboard(SHAPE), RationalQuadraticSpline(bins=4, bound=2.0), network),
        SHAPE,
    ),
    "actnorm": (ActNorm(4, event_dims=3), SHAPE),
    "elementwise": (Elementwise(Affine(), SHAPE), SHAPE),
    "convolution": (InvertibleConvolution(4), SHAPE),
    "convolution-lu": (InvertibleConvolutionLU(4), SHAPE),
    "permutation": (random_permutation(4, event_dims=3), SHAPE),
    "autoregressive": (Autoregressive(5, Affine()), torch.Size([5])),
    "inverse-autoregressive": (Inverse(Autoregressive(5, Affine(), order=[4, 2, 0, 1, 3])), torch.Size([5])),
    "inverse-squeeze": (Inverse(Squeeze()), SHAPE),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_costs_its_log_determinant(name):
    """The bits that a layer puts on the stack, less those that it takes, are -log2 |det|; and it can be undone."""
    part, shape = LAYERS[name]
    part = _random(part)
    count = 500
    generator = np.random.default_rng(0)
    bits = BitStack(AnsCoder(generator.bytes(4 * 400_000)))
    x = torch.from_numpy(generator.normal(size=(count, *shape)) * 2**GRID_BITS).round().long()
    with torch.no_grad():
        before, z = bits.coder.bits, x
        for layer in code_transform(part, shape):
            z = layer.push(bits, z)
        image, log_det = part(as_real(x))
        assert float((as_real(z) - image).abs().max()) < 1000 * NOISE
        cost = -float(log_det.sum()) / math.log(2)
        assert abs(bits.coder.bits - before - cost) < 32 + 0.002 * x.numel()
        for layer in reversed(code_transform(part, shape)):
            z = layer.pop(bits, z)
    assert torch.equal(z, x)
    assert bits.coder.bits == before


def _flow() -> pf.Flow:
    """A small multi-scale flow of images 4 x 4 with 17 levels."""
    torch.manual_seed(0)
    rest = pf.Flow(
        [Coupling(masks.channel(torch.Size([2, 2, 2])), Affine(), network)], DiagonalNormal(torch.Size([2, 2, 2]))
    )
    split = ConditionalNormal(torch.Size([2, 2, 2]), network, (2, 2, 2))
    parts = [
        Dequantization(17),
        Logit(0.05),
        Squeeze(),
        ActNorm(4, event_dims=3),
        InvertibleConvolutionLU(4),
        Coupling(masks.channel(SHAPE), Affine(), network),
    ]
    flow = _random(pf.Flow(parts, FactorOut(split, rest)), size=0.02).float()
    torch.manual_seed(0)
    with torch.no_grad():
        flow.initialise(torch.from_numpy(_images(500)).float())
    return flow


def _images(count: int) -> np.ndarray:
    generator = np.random.default_rng(1)
    return generator.binomial(16, 0.5, (count, 1, 4, 4)).astype(np.uint8)


def _with_learned_noise(flow: pf.Flow) -> pf.Flow:
    """The same flow behind a dequantization whose noise is learned."""
    noise = Chain([Coupling(masks.checkerboard((1, 4, 4)), Affine(), network, context=(1, 4, 4))])
    learned = VariationalDequantization(17, _random(noise, size=0.1).float())
    return pf.Flow([learned, *list(flow.transform)[1:]], flow.base)


@pytest.mark.parametrize("learned", [False, True])
def test_events_cost_what_the_density_says(learned):
    """The bits of an event are -log2 of the density where its noise took it over that of its noise."""
    flow = _with_learned_noise(_flow()) if learned else _flow()
    model, images = LocalBitsBack(flow), torch.from_numpy(_images(300)).long()
    dequantization, *parts = flow.double().transform
    behind = pf.Flow(parts, flow.base)
    bits = BitStack(AnsCoder(np.random.default_rng(0).bytes(4 * 100_000)))
    before = bits.coder.bits
    with torch.no_grad():
        points = model.noise.draw(bits, images)
        model.prior.push(bits, points, None)
        z = as_real(points) / 17
        log_mass = behind.log_prob(z) - dequantization._log_density(z, images.double(), None)
        expected = -float(log_mass.sum()) / math.log(2) + images.numel() * math.log2(17)
    assert torch.equal((points >> GRID_BITS).view_as(images), images)
    assert abs((bits.coder.bits - before) / expected - 1) < 0.003


@pytest.mark.parametrize("learned", [False, True])
def test_a_file_is_hardly_longer_than_the_bound(learned):
    """The first bits are those of the block itself, so that none is paid for: not by many events, nor by one."""
    flow = _with_learned_noise(_flow()) if learned else _flow()
    torch.manual_seed(0)
    model, x = LocalBitsBack(flow), flow.sample(400).long()
    with torch.no_grad():
        bound = float(flow.bits_per_dim(x.float()).mean())
    coder = AnsCoder()
    model.push(coder, x)
    assert coder.bits / x.numel() < bound + 0.03
    assert torch.equal(model.pop(AnsCoder(coder.to_bytes()), len(x)), x)
    coder = AnsCoder()
    model.push(coder, x[:1])
    assert coder.bits < 16 * (math.log2(17) + 3) + 32


def test_noise_stays_in_its_cell():
    """Close to an edge too, and what was drawn goes back."""
    cell, count = 2**GRID_BITS, 2000
    first = torch.arange(count) * cell
    # From the very edge on, in powers of two.
    places = torch.cat([2.0 ** -torch.linspace(1, 30, count // 2), 1 - 2.0 ** -torch.linspace(1, 30, count // 2)])
    mean, scale = torch.arange(count).double() + places.double(), torch.full((count,), NOISE, dtype=torch.float64)
    coder = AnsCoder(np.random.default_rng(0).bytes(4 * 5000))
    bits, before = BitStack(coder), coder.to_bytes()
    points = bits.draw_within(mean, scale, first, cell)
    assert bool((points >= first).all()) and bool((points < first + cell).all())
    bits.give_back_within(points, mean, scale, first, cell)
    assert coder.to_bytes() == before


def test_more_levels_than_a_histogram_has():
    flow = pf.Flow([Dequantization(1000, event_dims=1), Logit(0.01, event_dims=1)], StandardNormal((3,)))
    _assert_coded(flow, np.random.default_rng(0).integers(0, 1000, (40, 3)))


def test_arrays_come_back_and_other_flows_are_told_apart():
    flow = _flow()
    images = flow.sample(500).numpy().astype(np.uint8)
    data = compress(flow, images)
    assert describe(data)["entries"][0]["method"] == "model"
    assert np.array_equal(decompress(flow, data), images)
    assert np.array_equal(decompress(flow, compress(flow, images[:60]), index=7), images[7])
    for array in (images[:0], images[:60].astype(np.int64) * 1000 - 5, np.zeros((3, 5, 7), np.uint8)):
        assert np.array_equal(decompress(flow, compress(flow, array)), array)
    with torch.no_grad():
        next(flow.parameters()).add_(1e-3)
    with pytest.raises(pf.errors.CodecError, match="another model"):
        decompress(flow, data)


def test_logistic_base_and_vectors():
    flow = pf.Flow(
        [Dequantization(8, event_dims=1), Logit(0.01, event_dims=1), Autoregressive(6, Affine())],
        StandardLogistic((6,)),
    )
    rows = np.random.default_rng(0).integers(0, 8, (50, 6)).astype(np.uint8)
    assert np.array_equal(decompress(flow, compress(flow, rows)), rows)


def test_what_would_not_read_back_is_stored_plainly():
    """A network whose result depends on the call, as on a machine with another order of sums."""

    class Drifting(torch.nn.Module):
        calls = 0

        def __init__(self, inputs: int, outputs: int, context: int) -> None:
            super().__init__()
            self.outputs = outputs

        def forward(self, x: torch.Tensor, context: torch.Tensor | None = None) -> torch.Tensor:
            Drifting.calls += 1
            return x.new_full((*x.shape[:-3], self.outputs, *x.shape[-2:]), 1e-3 * Drifting.calls)

    shape = torch.Size([1, 4, 4])
    coupling = Coupling(masks.checkerboard(shape), Affine(), Drifting)
    flow = pf.Flow([Dequantization(17), Logit(0.05), coupling], StandardNormal(shape))
    images = np.full((400, 1, 4, 4), 8, np.uint8) + (_images(400) > 8)
    data = compress(flow, images)
    assert describe(data)["entries"][0]["method"] in ("stored", "deflate", "xz", "zstd")
    assert np.array_equal(decompress(flow, data), images)


class Cube(Transform):
    """A transform of one's own that maps each element by itself."""

    domain = codomain = Reals((3,))

    def forward(self, x, context=None, generator=None):
        return x**3 + x, torch.log1p(3 * x**2).sum(-1)

    def inverse(self, z, context=None, generator=None):
        root = torch.sqrt(z**2 / 4 + 1 / 27)
        x = torch.sign(z) * ((z.abs() / 2 + root).pow(1 / 3) - (root - z.abs() / 2).clamp(min=0.0).pow(1 / 3))
        return x, -torch.log1p(3 * x**2).sum(-1)


def test_parts_of_ones_own_are_registered():
    rows = np.random.default_rng(0).integers(0, 8, (40, 3)).astype(np.uint8)
    flow = pf.Flow([Dequantization(8, event_dims=1), Logit(0.01, event_dims=1), Cube()], StandardNormal((3,)))
    with pytest.raises(UsageError, match=r"Cube.*code_transform.register"):
        LocalBitsBack(flow)
    code_transform.register(Cube, lambda part, shape: [ElementwiseLayer(part)])
    _assert_coded(flow, rows)


def _assert_coded(flow: pf.Flow, events: np.ndarray) -> None:
    """Events come back from the model's own code."""
    model, x, coder = LocalBitsBack(flow), torch.from_numpy(events).long(), AnsCoder()
    model.push(coder, x)
    assert torch.equal(model.pop(AnsCoder(coder.to_bytes()), len(x)), x)


def test_chains_in_chains_and_split_off_flows_given_the_kept_part():
    conditional = Coupling(masks.checkerboard((1, 2, 2)), Affine(), network, context=(3, 2, 2))
    base = pf.Flow([conditional, Inverse(conditional)], ConditionalNormal(torch.Size([1, 2, 2]), network, (3, 2, 2)))
    first = Chain([Chain([Dequantization(17)]), Logit(0.05)])
    coupling = Coupling(masks.channel(SHAPE), Affine(), network)
    flow = pf.Flow(Chain([first, Chain([Squeeze(), coupling])]), FactorOut(base, StandardNormal((3, 2, 2))))
    _random(flow, size=0.1).float()
    _assert_coded(flow, _images(30))


def test_conditional_layers_of_vectors():
    split = pf.Flow(
        [
            Autoregressive(3, Affine(), context=2),
            ConditionalElementwise(Affine(), 3, MLP, 2),
            Inverse(Autoregressive(3, Affine(), context=2)),
        ],
        StandardNormal((3,)),
    )
    parts = [Dequantization(8, event_dims=1), Logit(0.01, event_dims=1)]
    flow = pf.Flow(parts, FactorOut(split, StandardNormal((2,))))
    _random(flow, size=0.1).float()
    _assert_coded(flow, np.random.default_rng(0).integers(0, 8, (30, 5)))


def test_neither_threads_nor_modes_of_torch_change_a_byte():
    flow = _flow()
    images = flow.sample(30).long()
    state = torch.get_rng_state()
    data = _pushed(LocalBitsBack(flow), images)
    try:
        torch.set_num_threads(2)
        torch.set_default_dtype(torch.float64)
        with torch.inference_mode():
            model = LocalBitsBack(flow.train())
            assert _pushed(model, images) == data
            assert torch.equal(model.pop(AnsCoder(data), len(images)), images)
    finally:
        torch.set_num_threads(1)
        torch.set_default_dtype(torch.float32)
    assert torch.equal(torch.get_rng_state(), state)


def _pushed(model: LocalBitsBack, images: torch.Tensor) -> bytes:
    coder = AnsCoder()
    model.push(coder, images)
    return coder.to_bytes()


def test_a_flow_without_finite_numbers_stores_plainly():
    flow = _flow()
    next(flow.parameters()).data.fill_(math.nan)
    images = _images(40).astype(np.uint8)
    assert np.array_equal(decompress(flow, compress(flow, images)), images)
    with pytest.raises(CodecError, match="finite"):
        LocalBitsBack(flow).push(AnsCoder(), torch.from_numpy(images).long())


def test_parts_without_a_way_through_are_named():
    coupling = Coupling(masks.halves(2), Affine(), MLP, context=2)
    with pytest.raises(UsageError, match="without a context"):
        LocalBitsBack(pf.Flow([Dequantization(4, event_dims=1), coupling], StandardNormal((2,))))
    with pytest.raises(UsageError, match="Dequantization"):
        LocalBitsBack(pf.Flow([Dequantization(4), Logit(0.05), Dequantization(4)], StandardNormal((1, 2, 2))))
    with pytest.raises(UsageError, match=r"StudentT.*code_base.register"):
        LocalBitsBack(pf.Flow([Dequantization(4, event_dims=1)], pf.distributions.StudentT((2,))))
    with pytest.raises(UsageError, match="Planar"):
        LocalBitsBack(pf.Flow([Dequantization(4, event_dims=1), Planar(3)], StandardNormal((3,))))
    with pytest.raises(UsageError, match="Dequantization"):
        LocalBitsBack(pf.build("realnvp", features=2))
