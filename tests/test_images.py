"""Image flows: what the laws alone do not say."""

from __future__ import annotations

from functools import partial

import pytest
import torch

import pushforward as pf
from pushforward import testing
from pushforward.accuracy import Accuracy
from pushforward.transforms import ActNorm, BatchNorm, Dequantization, Squeeze, VariationalDequantization, masks

DIGITS = {"shape": (1, 8, 8), "levels": 17}


def integers(levels: int, *shape: int) -> torch.Tensor:
    return torch.randint(levels, shape, generator=torch.Generator().manual_seed(5))


def small_image_flows() -> dict[str, pf.Flow]:
    small = {"hidden": 4, **DIGITS}
    return {
        "nice": pf.build("nice", layers=2, **small),
        "realnvp": pf.build("realnvp", layers=2, scales=2, **small),
        "glow": pf.build("glow", layers=2, scales=2, **small),
        "flowpp": pf.build("flowpp", layers=2, components=2, blocks=1, **small),
        "multiscale": pf.build("multiscale", layers=2, scales=2, components=2, **small),
        "mnist-simple": pf.build("mnist-simple", layers=2, **small),
        "mnist-vardeq": pf.build("mnist-vardeq", layers=2, **small),
        "mnist-multiscale": pf.build("mnist-multiscale", **small),
    }


def test_squeeze_orders_pixels_as_the_tutorial_does() -> None:
    image = torch.arange(1, 17).reshape(1, 4, 4)
    squeezed = Squeeze()(image)[0].movedim(0, -1)
    expected = [[[1, 2, 5, 6], [3, 4, 7, 8]], [[9, 10, 13, 14], [11, 12, 15, 16]]]
    assert squeezed.tolist() == expected


@pytest.mark.parametrize(
    "name, count", [("mnist-simple", 556_312), ("mnist-vardeq", 628_388), ("mnist-multiscale", 1_711_818)]
)
def test_tutorial_models_have_their_published_number_of_parameters(name: str, count: int) -> None:
    flow = pf.build(name)
    assert sum(parameter.numel() for parameter in flow.parameters() if parameter.requires_grad) == count


def test_masks_are_the_ones_of_the_literature() -> None:
    assert masks.checkerboard((1, 2, 2)).int().tolist() == [[[0, 1], [1, 0]]]
    assert masks.channel((4, 1, 1)).flatten().int().tolist() == [1, 1, 0, 0]
    assert masks.top_bottom((1, 2, 1)).flatten().int().tolist() == [1, 0]
    assert masks.left_right((1, 1, 2)).flatten().int().tolist() == [1, 0]


@pytest.mark.parametrize("name", small_image_flows())
def test_decode_gives_back_what_encode_took(name: str) -> None:
    # Far larger weights make matrices that lose float32's digits on the way back.
    flow = testing.randomise(small_image_flows()[name], 0.2).eval()
    x = integers(17, 6, 1, 8, 8)
    latents = flow.encode(x)
    assert torch.equal(flow.decode(latents), x.to(torch.float32))
    tensors = [latents] if isinstance(latents, torch.Tensor) else latents
    assert sum(latent[0].numel() for latent in tensors) == 64


@pytest.mark.parametrize("name", small_image_flows())
def test_image_flows_report_a_bound_and_sample_levels(name: str) -> None:
    flow = small_image_flows()[name].eval()
    assert flow.accuracy is Accuracy.LOWER_BOUND
    samples = flow.sample(3, temperature=0.7)
    assert samples.shape == (3, 1, 8, 8)
    assert bool(((samples >= 0) & (samples <= 16) & (samples == samples.round())).all())


@pytest.mark.parametrize("shape", [(1, 7, 7), (3, 6, 10), (2, 5, 4), (3, 9, 9)])
@pytest.mark.parametrize("name", ["nice", "realnvp", "glow", "flowpp", "multiscale"])
def test_recipes_take_any_image_shape(name: str, shape: tuple[int, int, int]) -> None:
    flow = pf.build(name, shape=shape, levels=4, hidden=4, layers=2).eval()
    x = integers(4, 2, *shape)
    assert flow.log_prob(x).shape == (2,)
    assert torch.equal(flow.decode(flow.encode(x)), x.to(torch.float32))


def test_uniform_dequantization_of_a_uniform_density_is_exact() -> None:
    layer = Dequantization(8)
    x = integers(8, 4, 1, 2, 2)
    z, log_det = layer(x)
    assert bool(((z >= 0) & (z < 1)).all())
    assert torch.allclose(log_det, torch.full((4,), -4 * torch.log(torch.tensor(8.0))))


def test_variational_dequantization_noise_is_a_density() -> None:
    """The importance weights of a uniform target, mean 1 / q(u|x) over u ~ q, average to the cell's volume, 1."""
    network = partial(pf.networks.GatedConvNet, hidden=4, blocks=1)
    noise = pf.transforms.Coupling(masks.checkerboard((1, 2, 2)), pf.scalar.Affine(), network, context=(1, 2, 2))
    layer = testing.randomise(VariationalDequantization(4, noise)).double()
    x = integers(4, 1, 1, 2, 2).expand(20_000, 1, 2, 2)
    with torch.no_grad():
        _, log_det = layer(x)
    weights = torch.exp(log_det + 4 * torch.log(torch.tensor(4.0)))
    assert abs(float(weights.mean()) - 1) < 4 * float(weights.std()) / 20_000**0.5


def test_importance_weighting_tightens_the_bound() -> None:
    flow = testing.randomise(pf.build("mnist-vardeq", layers=2, hidden=4, **DIGITS)).eval()
    x = integers(17, 32, 1, 8, 8)
    with torch.no_grad():
        one = flow.bits_per_dim(x).mean()
        many = flow.bits_per_dim(x, importance_samples=32).mean()
    assert many < one


def test_actnorm_starts_from_the_data_once() -> None:
    layer = ActNorm(3, event_dims=3)
    x = 2 + 5 * torch.randn(50, 3, 4, 4)
    z = layer.initialise(x)
    assert torch.equal(layer(x)[0], z)
    assert torch.allclose(z.mean((0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(z.std((0, 2, 3), unbiased=False), torch.ones(3), atol=1e-5)
    assert torch.equal(layer(10 * x)[0], (10 * x - layer.mean) * torch.exp(layer.log_scale))
    restored = ActNorm(3, event_dims=3)
    restored.load_state_dict(layer.state_dict())
    assert torch.equal(restored(10 * x)[0], layer(10 * x)[0])


def test_batchnorm_whitens_in_training_and_inverts_in_evaluation() -> None:
    layer = BatchNorm(2)
    x = 3 + 2 * torch.randn(500, 2)
    for _ in range(200):
        z, log_det = layer(x)
    assert torch.allclose(z.mean(0), torch.zeros(2), atol=1e-5)
    assert torch.allclose(log_det, -torch.log(x.var(0, unbiased=False) + layer.eps).sum().expand(500) / 2)
    layer.eval()
    assert torch.allclose(layer.inverse(layer(x)[0])[0], x, atol=1e-4)
    assert torch.allclose(layer(x)[0], z, atol=1e-3)


def test_context_of_another_batch_is_an_error() -> None:
    flow = pf.build("mnist-simple", layers=2, hidden=4, context=3, **DIGITS)
    with pytest.raises(pf.errors.ShapeError, match="context"):
        flow.log_prob(integers(17, 4, 1, 8, 8), torch.randn(3, 3))
