"""Masked convolutions, the layers of MintNet, and the solver of triangular maps, against what is known of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, jacfwd, jacrev, vmap

import pushforward as pf
from pushforward.errors import ConvergenceError, ShapeError, UsageError
from pushforward.networks import GatedConvNet, MaskedConvolution
from pushforward.networks.masked.convolution import raster_mask
from pushforward.testing import randomise
from pushforward.testing.extremes import with_factor
from pushforward.transforms import Mint
from pushforward.transforms.residual.triangular import solve_triangular_map
from pushforward.transforms.residual.triangular_convolutions import raster_rows

SHAPES = [(5,), (1, 4, 5), (3, 3, 4)]
ORDERS = [False, True]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def raster_order(shape: tuple[int, ...], reverse: bool = False) -> Tensor:
    """The place of each number of a flattened event in raster order: pixel by pixel, and channels within a pixel."""
    channels, height, width = shape if len(shape) == 3 else (shape[0], 1, 1)
    places = torch.arange(channels * height * width).view(height, width, channels).permute(2, 0, 1).flatten()
    return len(places) - 1 - places if reverse else places


def jacobian(transform: Any, x: Tensor) -> Tensor:
    """The Jacobian of ``encode`` at one event, ``(D, D)``."""
    return jacrev(transform.encode)(x).reshape(x.numel(), x.numel())


def moved(shape: tuple[int, ...], units: int = 4, scale: float = 0.8, **options: Any) -> Mint:
    """A layer at random parameters, in float64."""
    torch.manual_seed(0)
    return randomise(Mint(shape, units, **options), scale, seeded(1)).double().eval()


# Masked convolutions


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("reverse", ORDERS)
@pytest.mark.parametrize("size", [1, 3, 5])
def test_a_masked_convolution_sees_what_comes_before_and_all_of_it(strict: bool, reverse: bool, size: int) -> None:
    degrees_in, degrees_out = [0, 0, 1, 2], [0, 1, 1, 2, 2]
    layer = MaskedConvolution(degrees_in, degrees_out, size, strict=strict, reverse=reverse).double()
    torch.nn.init.uniform_(layer.weight, 0.5, 1.0)
    x = torch.randn(1, 4, 5, 6, generator=seeded(), dtype=torch.float64)
    seen = jacrev(layer)(x)[0, :, :, :, 0] != 0
    rows, columns = torch.arange(5), torch.arange(6)
    down = rows[:, None, None, None] - rows[:, None]
    right = columns[:, None, None] - columns
    pixel = down * 6 + right
    near = (down.abs() <= size // 2) & (right.abs() <= size // 2)
    degree = torch.tensor(degrees_out)[:, None] - torch.tensor(degrees_in)
    if reverse:
        pixel, degree = -pixel, -degree
    own = degree > 0 if strict else degree >= 0
    same = (pixel == 0)[None, :, :, None]
    expected = near[None, :, :, None] & ((pixel > 0)[None, :, :, None] | (same & own[:, None, None, :, None, None]))
    assert torch.equal(seen, expected.expand_as(seen))


def test_a_stack_with_one_strict_mask_is_autoregressive_over_colours() -> None:
    torch.manual_seed(0)
    hidden, outputs = [0, 1, 2] * 3, [0, 0, 1, 1, 2, 2]
    stack = torch.nn.Sequential(
        MaskedConvolution([0, 1, 2], sorted(hidden), 3, strict=True),
        torch.nn.Tanh(),
        MaskedConvolution(sorted(hidden), outputs, 3),
    ).double()
    matrix = jacrev(stack)(torch.randn(1, 3, 4, 4, dtype=torch.float64))[0, :, :, :, 0].reshape(6, 16, 48)
    order = raster_order((3, 4, 4))
    for output in range(6):
        of_output = order.view(3, 16)[outputs[output]]
        too_early = order[None, :] >= of_output[:, None]
        assert not matrix[output][too_early].any()
        # A stack of kernels of side 3 reaches two pixels far, and the colours before in the same pixel.
        assert bool((matrix[output][:, order < 3][0] != 0).sum() == outputs[output])


def test_a_stack_never_sees_its_blind_spot_and_all_else_that_comes_before() -> None:
    torch.manual_seed(0)
    layers = [MaskedConvolution([0] * 2, [0] * 2, 3) for _ in range(7)]
    stack = torch.nn.Sequential(MaskedConvolution([0], [0] * 2, 3, strict=True), *layers).double()
    matrix = jacrev(stack)(torch.randn(1, 1, 7, 7, dtype=torch.float64))[0, 0, :, :, 0, 0]
    places = torch.arange(7)
    for row, column in [(6, 3), (4, 0), (5, 6)]:
        up, right = row - places[:, None], places - column
        expected = ((up > 0) & (right <= up)) | ((up == 0) & (right < 0))
        assert torch.equal(matrix[row, column] != 0, expected)


def test_a_masked_convolution_is_pytorchs_with_zeros() -> None:
    torch.manual_seed(0)
    layer = MaskedConvolution([0, 1], [0, 0, 1], 3)
    x = torch.randn(2, 2, 5, 5)
    expected = torch.nn.functional.conv2d(x, layer.weight * layer.mask, layer.bias, padding=1)
    assert torch.allclose(layer(x), expected, atol=1e-6)
    layer(x).square().sum().backward()
    assert layer.weight.grad is not None and not layer.weight.grad[layer.mask == 0].any()
    assert bool(layer.weight.grad[layer.mask == 1].all())


def test_masks_in_the_two_orders_are_each_others_complement_but_for_the_centre() -> None:
    forwards = raster_mask([0, 1, 2], [0, 1, 2], 5, strict=True)
    backwards = raster_mask([0, 1, 2], [0, 1, 2], 5, strict=True, reverse=True)
    assert not (forwards & backwards).any()
    neither = ~(forwards | backwards)
    assert int(neither.sum()) == 3 and bool(neither[range(3), range(3), 2, 2].all())


def test_weights_start_at_the_scale_of_what_they_see() -> None:
    torch.manual_seed(0)
    layer = MaskedConvolution([0] * 64, [0] * 256, 5, strict=True)
    outputs = layer(torch.randn(4, 64, 16, 16, generator=seeded()))[..., 4:-4, 4:-4]
    # Uniform weights within one over the root of the count have a variance of a third of that.
    assert float(outputs.detach().var()) == pytest.approx(1 / 3, rel=0.1)


@pytest.mark.parametrize("size", [0, 2, -1])
def test_a_kernel_without_a_centre_is_refused(size: int) -> None:
    with pytest.raises(UsageError, match="odd kernel_size"):
        MaskedConvolution([0], [0], size)


def test_a_masked_convolution_takes_images_of_its_channels() -> None:
    layer = MaskedConvolution([0, 1], [0, 1], 3)
    for shape in [(2, 5, 5), (1, 3, 5, 5)]:
        with pytest.raises(ShapeError, match="MaskedConvolution expects images"):
            layer(torch.zeros(shape))
    with pytest.raises(UsageError, match="got none"):
        MaskedConvolution([], [0], 3)


# The layer


@pytest.mark.parametrize("reverse", ORDERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_jacobian_is_triangular_with_the_diagonal_that_the_layer_says(
    shape: tuple[int, ...], reverse: bool
) -> None:
    layer = moved(shape, reverse=reverse)
    x = torch.randn(shape, generator=seeded(), dtype=torch.float64)
    places = raster_order(shape, reverse).argsort()
    ordered = jacobian(layer, x)[places][:, places]
    assert not ordered.triu(1).any(), "a variable depends on one behind it"
    assert bool((ordered.diagonal() > 0).all())
    assert bool((ordered.tril(-1) != 0).any())
    assert torch.allclose(layer(x)[1], ordered.diagonal().log().sum(), atol=1e-10)


@pytest.mark.parametrize("reverse", ORDERS)
def test_a_layer_of_vectors_is_the_papers_formula(reverse: bool) -> None:
    features, units = 4, 3
    layer = moved((features,), units, reverse=reverse)
    x = torch.randn(features, generator=seeded(), dtype=torch.float64)
    # W^1_j, W^2_ij and W^3_i of the paper are matrices between variables; here a variable's units lie side by side.
    first = layer.first()[..., 0, 0].view(features, units, features).transpose(0, 1)
    second = layer.second()[..., 0, 0].view(features, units, features, units).permute(1, 3, 0, 2)
    third = layer.third()[..., 0, 0].view(features, features, units).permute(2, 0, 1)
    sizes = [features * units, features * units, features, features]
    b1, b2, b3, raw = layer.parameters_of().split(sizes)
    b1, b2 = (each.view(features, units).t() for each in (b1, b2))
    scale = torch.exp(pf.numerics.bounded(raw, 4.0))
    inner = torch.tanh(torch.einsum("jab,b->ja", first, x) + b1)
    outer = torch.tanh(torch.einsum("ijab,jb->ia", second, inner) + b2)
    expected = scale * x + torch.einsum("iab,ib->a", third, outer) + b3
    assert torch.allclose(layer.encode(x), expected, atol=1e-12)
    for matrices in (first, second.flatten(0, 1), third):
        beyond = matrices.tril(-1) if reverse else matrices.triu(1)
        assert not beyond.any() and bool((matrices.diagonal(dim1=1, dim2=2) > 0).all())


def test_a_pair_of_layers_lets_every_variable_see_every_other() -> None:
    pair = pf.transforms.Chain([moved((5,)), moved((5,), reverse=True)])
    assert bool((jacobian(pair, torch.randn(5, generator=seeded(), dtype=torch.float64)) != 0).all())


def test_an_image_of_one_pixel_is_a_vector() -> None:
    image, vector = moved((5, 1, 1), kernel_size=1), moved((5,))
    vector.load_state_dict(image.state_dict())
    x = torch.randn(7, 5, generator=seeded(), dtype=torch.float64)
    for found, expected in zip(image(x[..., None, None]), vector(x), strict=True):
        assert torch.allclose(found.reshape(expected.shape), expected, atol=1e-12)


def test_a_context_of_images_moves_each_pixel() -> None:
    layer = moved((2, 4, 4), network=GatedConvNet, context=(1, 4, 4))
    x = torch.randn(2, 4, 4, generator=seeded(), dtype=torch.float64)
    context = torch.zeros(1, 4, 4, dtype=torch.float64)
    elsewhere = context.clone()
    elsewhere[0, 3, 3] = 1.0
    z, other = layer.encode(x, context), layer.encode(x, elsewhere)
    assert bool((z != other)[:, 3, 3].all())
    assert torch.allclose(layer.decode(other, elsewhere), x, atol=1e-9)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"shape": (2, 3)}, "shape \\(features,\\) or \\(channels, height, width\\)"),
        ({"shape": (0,)}, "Mint expects a shape"),
        ({"shape": (3,), "units": 0}, "at least 1 unit"),
        ({"shape": (1, 4, 4), "kernel_size": 4}, "odd kernel_size"),
        ({"shape": (3,), "context": (1, 4, 4)}, "embedding= network"),
    ],
)
def test_a_layer_that_cannot_be_made_is_told(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Mint(**arguments)


# Its inverse


@pytest.mark.parametrize("reverse", ORDERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_inverse_is_right_to_1e_5_in_float32(shape: tuple[int, ...], reverse: bool) -> None:
    layer = moved(shape, 8, reverse=reverse).float()
    x = torch.randn(64, *shape, generator=seeded())
    with torch.no_grad():
        z, log_det = layer(x)
        back, minus = layer.inverse(z)
    assert float((back - x).abs().max()) < 1e-5
    assert float((log_det + minus).abs().max()) < 1e-4


@pytest.mark.parametrize("factor", [10.0, 50.0, 200.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_inverse_reaches_its_target_however_large_the_weights(shape: tuple[int, ...], factor: float) -> None:
    layer = with_factor(Mint(shape, 4).double(), factor)[0]
    x = torch.randn(6, *shape, generator=seeded(), dtype=torch.float64)
    with torch.no_grad():
        for z in (layer.encode(x), x, 1e6 * x):
            back = layer.decode(z)
            assert bool(torch.isfinite(back).all())
            # No number but the root's neighbours: one to either side of it the values lie on both sides of the target.
            first = raster_order(shape).argsort()[0]
            target = z.flatten(1)[:, first]
            step = 8 * torch.finfo(x.dtype).eps * back.abs().clamp_min(1e-9)
            above, below = (layer.encode(back + sign * step).flatten(1)[:, first] for sign in (1, -1))
            noise = 1e-9 * (1 + target.abs())
            assert bool(((below - noise <= target) & (target <= above + noise)).all())


@pytest.mark.parametrize("size", [0.0, 1e3, 1e6, 1e12, 1e30])
@pytest.mark.parametrize("shape", SHAPES)
def test_far_out_a_layer_is_a_scale_and_a_shift(shape: tuple[int, ...], size: float) -> None:
    layer = moved(shape).float()
    x = size * torch.randn(6, *shape, generator=seeded())
    x.requires_grad_()
    z, log_det = layer(x)
    back, minus = layer.inverse(z.detach())
    for values in (z, log_det, back, minus):
        assert bool(torch.isfinite(values).all())
    assert torch.allclose(back, x, rtol=1e-5, atol=1e-5)
    for gradient in torch.autograd.grad(z.sum() + log_det.sum(), (x, *layer.parameters())):
        assert bool(torch.isfinite(gradient).all())
    if size >= 1e6:
        # The activations are flat there: of the Jacobian t is left.
        raw = layer.parameters_of().flatten()[-shape[0] :]
        scale = torch.exp(pf.numerics.bounded(raw, 4.0))
        slopes = scale.log().sum() * (x[0].numel() / shape[0])
        assert torch.allclose(log_det, slopes.expand_as(log_det), atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("factor", [50.0, 200.0])
def test_gradients_through_the_inverse_are_finite_however_large_the_weights(dtype: torch.dtype, factor: float) -> None:
    layer = with_factor(Mint((3,), 4).to(dtype), factor)[0]
    z = torch.randn(6, 3, generator=seeded()).to(dtype).requires_grad_()
    x, log_det = layer.inverse(z)
    for gradient in torch.autograd.grad(x.sum() + log_det.sum(), (z, *layer.parameters())):
        assert bool(torch.isfinite(gradient).all())


def test_the_inverse_of_a_row_does_not_depend_on_its_batch() -> None:
    layer = moved((5,), scale=2.0)
    z = torch.randn(32, 5, generator=seeded(), dtype=torch.float64)
    wild = torch.cat([z, 1e8 * z])
    assert torch.allclose(layer.decode(wild)[:32], layer.decode(z), rtol=0, atol=1e-12)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_an_inverse_of_what_is_no_number_says_so(bad: float) -> None:
    layer = moved((3,))
    z = torch.zeros(4, 3, dtype=torch.float64)
    z[2, 1] = bad
    with pytest.raises(ConvergenceError, match="triangular Jacobian"):
        layer.inverse(z)


@pytest.mark.parametrize("shape, options", [((4,), {}), ((2, 3, 2), {"reverse": True})])
def test_the_inverses_derivatives_are_those_of_finite_differences(shape: tuple[int, ...], options: Any) -> None:
    layer = moved(shape, 3, **options)
    z = torch.randn(2, *shape, generator=seeded(), dtype=torch.float64, requires_grad=True)
    weights = {name: weight.detach().clone().requires_grad_() for name, weight in layer.named_parameters()}

    class Inverse(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
            return self.layer.inverse(z)

    module = Inverse()

    def inverse(z: Tensor, *values: Tensor) -> tuple[Tensor, Tensor]:
        named = {f"layer.{name}": value for name, value in zip(weights, values, strict=True)}
        return functional_call(module, named, (z,))

    inputs = (z, *weights.values())
    assert torch.autograd.gradcheck(inverse, inputs, eps=1e-6, atol=1e-5, fast_mode=True)
    assert torch.autograd.gradgradcheck(lambda z: layer.decode(z), (z,), eps=1e-5, atol=1e-4, fast_mode=True)


def test_the_inverse_passes_the_functions_of_torch() -> None:
    layer = moved((4,))
    z = torch.randn(3, 4, generator=seeded(), dtype=torch.float64)
    assert torch.allclose(vmap(layer.decode)(z), layer.decode(z), atol=1e-12)
    backwards, forwards = jacrev(layer.decode)(z[0]), jacfwd(layer.decode)(z[0])
    assert torch.allclose(backwards, forwards, atol=1e-12)
    assert torch.allclose(backwards, torch.linalg.inv(jacobian(layer, layer.decode(z[0]))), atol=1e-9)


def test_the_inverse_is_compiled_as_a_whole() -> None:
    torch.compiler.reset()
    for shape in [(4,), (2, 3, 4)]:
        layer = moved(shape)
        z = torch.randn(3, *shape, generator=seeded(), dtype=torch.float64)
        with torch.no_grad():
            compiled = torch.compile(layer.decode, fullgraph=True, backend="aot_eager")
            assert torch.allclose(compiled(z), layer.decode(z), atol=1e-12)


# The solver


def test_a_linear_triangular_map_is_forward_substitution() -> None:
    matrix = torch.randn(12, 12, generator=seeded(), dtype=torch.float64).tril(-1) + 2 * torch.eye(12)
    b = torch.randn(5, 12, generator=seeded(1), dtype=torch.float64)
    calls = 0

    def linear(x: Tensor) -> tuple[Tensor, Tensor]:
        nonlocal calls
        calls += 1
        return x @ matrix.t(), torch.full_like(x, 2.0)

    wide = torch.full_like(b, 1e9)
    found = solve_triangular_map(linear, b, -wide, wide, torch.zeros_like(b))
    expected = torch.linalg.solve_triangular(matrix, b.t(), upper=False).t()
    assert torch.allclose(found, expected, rtol=1e-10, atol=1e-10)
    # At most one step for each variable, and one to see that all of them rest.
    assert calls <= 12 + 2


def test_newton_steps_that_would_go_round_in_circles_are_guarded() -> None:
    """x / 50 + tanh(20 (x - 2 y)) has slopes between 0.02 and 20, on which plain Newton steps cycle or run away."""

    def steep(x: Tensor) -> tuple[Tensor, Tensor]:
        shift = torch.cat([torch.zeros_like(x[:, :1]), 2 * x[:, :-1]], 1)
        bend = torch.tanh(20 * (x - shift))
        return x / 50 + bend, 1 / 50 + 20 * (1 - bend.square())

    z = torch.linspace(-1.5, 1.5, 200, dtype=torch.float64)[:, None].expand(200, 6).contiguous()
    low, high = 50 * (z - 1.01), 50 * (z + 1.01)
    x = solve_triangular_map(steep, z, low, high, torch.zeros_like(z))
    value, slope = steep(x)
    assert bool(((value - z).abs() <= 4e-16 * (1 + slope * x.abs()) * 4).all())


def test_rows_are_in_the_order_of_the_masks() -> None:
    shape = (2, 3, 4)
    x = torch.arange(24.0).view(1, *shape)
    assert torch.equal(raster_rows(x)[0], x.flatten()[raster_order(shape).argsort()])


def test_a_map_may_go_the_other_way() -> None:
    matrix = torch.randn(6, 6, generator=seeded(), dtype=torch.float64).triu(1) + torch.eye(6)
    b = torch.randn(3, 6, generator=seeded(1), dtype=torch.float64)
    wide = torch.full_like(b, 1e9)
    found = solve_triangular_map(lambda x: (x @ matrix.t(), torch.ones_like(x)), b, -wide, wide, b, reverse=True)
    assert torch.allclose(found, torch.linalg.solve_triangular(matrix, b.t(), upper=True).t(), rtol=1e-10, atol=1e-10)


# The model


def test_a_trained_model_leaves_the_gaussian_behind_and_comes_back() -> None:
    torch.manual_seed(0)
    moons = pf.data.toy("moons")
    x, held = moons.sample(4000, generator=seeded()), moons.sample(2000, generator=seeded(1))
    flow = pf.models.mintnet(features=2, layers=4)
    pf.fit(flow, x, max_steps=100, learning_rate=3e-2, ema=None, seed=0, progress=False)
    with torch.no_grad():
        gaussian = torch.distributions.MultivariateNormal(x.mean(0), x.t().cov())
        assert float(flow.log_prob(held).mean()) > float(gaussian.log_prob(held).mean()) + 0.4
        assert float((flow.decode(flow.encode(held)) - held).abs().max()) < 1e-5
