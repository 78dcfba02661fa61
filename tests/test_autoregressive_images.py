"""Autoregressive flows of images: networks of pixels in autoregressive layers, histograms, bounds that are tight."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.distributions import (
    AutoregressiveDistribution,
    CategoricalMass,
    CoupledLogisticMixture,
    DiscretizedLogisticMixture,
    PixelDistribution,
)
from pushforward.errors import UsageError
from pushforward.networks import (
    MADE,
    DiagonalBiLSTM,
    GatedPixelCNN,
    PixelCNN,
    PixelCNNPlusPlus,
    RasterNetwork,
    RowLSTM,
)
from pushforward.numerics import bounded
from pushforward.scalar import Affine, DiscretizedLogisticCDF, HistogramCDF, RationalQuadraticSpline
from pushforward.scalar.splines.histogram import CellsCDF
from pushforward.testing import randomise
from pushforward.transforms import Autoregressive

PIXELS: dict[str, Callable[..., Any]] = {
    "pixelcnn": partial(PixelCNN, hidden=6, layers=1, first_kernel=3),
    "gated": partial(GatedPixelCNN, hidden=6, layers=2, first_kernel=3),
    "row": partial(RowLSTM, hidden=6, layers=1, first_kernel=3),
    "diagonal": partial(DiagonalBiLSTM, hidden=6, layers=1, first_kernel=3),
}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def layer_of(network: Callable[..., Any], context: int = 2) -> Autoregressive:
    """An affine layer of images of two channels, 3 x 2, at random parameters."""
    torch.manual_seed(0)
    layer = Autoregressive(12, Affine(), partial(RasterNetwork, plane=(3, 2), network=network), context)
    return randomise(layer, 0.5, seeded(1)).double().eval()


# Networks of pixels in autoregressive layers


@pytest.mark.parametrize("name", PIXELS)
def test_a_layer_of_pixels_is_triangular_and_comes_back_by_columns(name: str) -> None:
    layer = layer_of(PIXELS[name])
    x, context = torch.randn(2, 3, 12, generator=seeded()).double(), torch.randn(3, 2, generator=seeded(1)).double()
    z, log_det = layer(x, context)
    jacobian = torch.func.jacrev(lambda x: layer.encode(x, context[0]))(x[0, 0])
    assert not jacobian.triu(1).any()
    assert torch.allclose(log_det[0, 0], torch.linalg.slogdet(jacobian).logabsdet)
    with torch.no_grad():
        back, log_det_back = layer.inverse(z, context)
    assert torch.allclose(back, x) and torch.allclose(log_det_back, -log_det)


@pytest.mark.parametrize("name", PIXELS)
def test_gradients_pass_through_columns_as_through_the_definition(name: str) -> None:
    layer, context = layer_of(PIXELS[name]), torch.randn(3, 2, generator=seeded(1)).double()
    z = torch.randn(3, 12, generator=seeded()).double().requires_grad_()
    leaves = [z, *layer.parameters()]

    def gradients(inverse: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> tuple[Tensor, ...]:
        x, log_det = inverse(z, context)
        return torch.autograd.grad(x.sin().sum() + log_det.sum(), leaves, allow_unused=True, materialize_grads=True)

    for found, expected in zip(gradients(layer.inverse), gradients(layer.inverse_in_turn), strict=True):
        assert torch.allclose(found, expected)


def test_columns_of_many_scales_let_gradients_pass() -> None:
    torch.manual_seed(0)
    network = PixelCNNPlusPlus(1, 1, 0, hidden=4, layers=1, scales=2, first_kernel=3)
    network = randomise(network, 0.5, seeded(1)).double()
    x = torch.randn(4, 9, generator=seeded()).double()

    def total(by_columns: bool) -> Tensor:
        if not by_columns:
            return network(x.t().view(9, 1, 2, 2)).sin().sum()
        said: list[Tensor] = []

        def choose(variable: slice, outputs: Tensor) -> Tensor:
            said.append(outputs)
            return x[variable]

        network.generate(choose, torch.Size([9]), plane=torch.Size([2, 2]))
        return torch.stack(said).sin().sum()

    columns, whole = (torch.autograd.grad(total(each), list(network.parameters())) for each in (True, False))
    for found, expected in zip(columns, whole, strict=True):
        assert torch.allclose(found, expected)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: RasterNetwork(12, 24, plane=(5, 2)), r"plane=\(height, width\)"),
        (lambda: RasterNetwork(12, 24, plane=(12,)), r"plane=\(height, width\)"),
        (lambda: RasterNetwork(12, 24, plane=(3, 2), network=GatedPixelCNN(1, 2)), "inputs=2, outputs=4"),
        (lambda: RasterNetwork(12, 24, plane=(3, 2), network=MADE(2, 4)), "a causal network of images, got MADE"),
        (lambda: PixelDistribution((3, 1, 1), CoupledLogisticMixture(3, 3, 3), GatedPixelCNN(3, 30)), "numbers=3, got"),
        (lambda: PixelDistribution((1, 2, 2), CategoricalMass(4), GatedPixelCNN(1, 5)), "outputs=4"),
        (lambda: AutoregressiveDistribution(3, CategoricalMass(4), MADE(3, 15)), "outputs=12"),
        (lambda: Autoregressive(3, RationalQuadraticSpline(), MADE(3, 90)), "outputs=69"),
        (lambda: Autoregressive(3, Affine(), MADE(4, 8)), "inputs=3"),
        (lambda: pf.models.autoregressive_image_flow(likelihood="normal"), "one of categorical, logistic"),
        (lambda: HistogramCDF(1), "2 bins"),
        (lambda: HistogramCDF(5000), "at most 4096"),
        (lambda: RasterNetwork(12, 24, 5, plane=(3, 2), context_image=(1, 3, 2)), "context_image"),
    ],
)
def test_networks_and_sizes_that_do_not_fit_are_said(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


def test_an_image_as_context_is_seen_at_its_place_and_below() -> None:
    torch.manual_seed(0)
    flow = pf.models.autoregressive_image_flow((1, 4, 3), 4, context=(2, 4, 3), layers=2, hidden=6, first_kernel=3)
    parts = randomise(flow, 0.5, seeded()).double().modules()
    layer = next(part for part in parts if isinstance(part, Autoregressive))
    z, context = torch.rand(2, 12, generator=seeded(1)).double(), torch.randn(2, 24, generator=seeded(2)).double()
    moved = context.clone()
    moved[:, 12 + 7] += 1.0
    with torch.no_grad():
        outputs, others = (layer.parameters_in_order(z, each) for each in (context, moved))
        assert torch.equal(outputs[:, :6], others[:, :6]) and bool((outputs != others)[:, 7].all())
        assert torch.allclose(layer.decode(z, context), layer.inverse_in_turn(z, context)[0])


# Histograms


def test_a_histogram_has_the_shares_of_its_softmax() -> None:
    cdf, parameters = HistogramCDF(5), torch.randn(5, generator=seeded()).double()
    edges = torch.linspace(0, 1, 6).double()
    z, _ = cdf.forward(edges, parameters.expand(6, 5))
    assert torch.allclose(z.diff(), parameters.softmax(0), atol=1e-5)
    x = torch.rand(50, generator=seeded(1)).double()
    derivative = torch.func.vmap(torch.func.grad(lambda x: cdf.forward(x, parameters)[0]))(x)
    assert torch.allclose(cdf.forward(x, parameters.expand(50, 5))[1], derivative.log())


def test_a_discretized_logistic_has_the_masses_between_its_cells() -> None:
    """A single logistic on the logits: ``sigmoid((logit(k / K) - m) / s)`` at the ends of the cells."""
    cdf, parameters = DiscretizedLogisticCDF(5, 1), torch.tensor([0.3, 0.8, -0.7]).double()
    edges = torch.linspace(0, 1, 6).double()
    z, _ = cdf.forward(edges, parameters.expand(6, 3))
    expected = torch.sigmoid((torch.logit(edges) - 0.8) / bounded(parameters[2], 5.0).exp())
    assert torch.allclose(z, expected, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("cdf", [HistogramCDF(17), DiscretizedLogisticCDF(17, 3)], ids=["histogram", "logistic"])
def test_cells_are_found_again_whatever_the_network_emits(cdf: CellsCDF, dtype: torch.dtype) -> None:
    parameters = 1e4 * torch.randn(200, cdf.num_parameters, generator=seeded(), dtype=dtype)
    cells = torch.arange(200) % 17
    x = (cells + 0.5).to(dtype) / 17
    z, log_dz = cdf.forward(x, parameters)
    back, log_dx = cdf.inverse(z, parameters)
    assert torch.equal((17 * back).long(), cells) and torch.allclose(log_dx, -log_dz)
    assert bool(((z > 0) & (z < 1)).all()) and log_dz.min() > -15


@pytest.mark.parametrize("cdf", [HistogramCDF(4096), DiscretizedLogisticCDF(64, 2)], ids=["histogram", "logistic"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_cells_in_half_precision_are_those_of_single(cdf: CellsCDF, dtype: torch.dtype) -> None:
    x = torch.cat([torch.rand(60, generator=seeded()), torch.ones(1)]).to(dtype)
    parameters = (5 * torch.randn(61, cdf.num_parameters, generator=seeded(1))).to(dtype)
    for half, single in zip(cdf.forward(x, parameters), cdf.forward(x.float(), parameters.float()), strict=True):
        assert half.dtype == dtype
        torch.testing.assert_close(half.float(), single, rtol=torch.finfo(dtype).eps, atol=torch.finfo(dtype).eps)


def test_rare_levels_have_their_masses_in_single_precision() -> None:
    """In both tails, where the distribution function itself is next to 0 or to 1."""
    cdf, parameters = DiscretizedLogisticCDF(64, 1), torch.tensor([0.0, 0.0, -0.8])
    x = torch.tensor([0.05, 0.95])
    (_, single), (_, double) = (cdf.forward(x.to(d), parameters.to(d).expand(2, 3)) for d in (x.dtype, torch.float64))
    torch.testing.assert_close(single.double(), double, rtol=0, atol=2e-6)


@pytest.mark.parametrize("cdf", [HistogramCDF(4), DiscretizedLogisticCDF(4, 2)], ids=["histogram", "logistic"])
def test_no_number_stays_none(cdf: CellsCDF) -> None:
    x, parameters = torch.tensor([0.3, math.nan]), torch.zeros(2, cdf.num_parameters)
    for result in (cdf.forward(x, parameters), cdf.inverse(x, parameters)):
        assert result[0].isnan().tolist() == [False, True]


# The model


@pytest.mark.parametrize("likelihood", ["categorical", "logistic"])
def test_the_bound_of_a_single_pixel_is_its_mass(likelihood: str) -> None:
    flow = pf.models.autoregressive_image_flow((1, 1, 1), 4, likelihood=likelihood, layers=1, hidden=4)
    flow = randomise(flow, 1.0, seeded()).double()
    x = torch.arange(4).view(4, 1, 1, 1)
    first, second = flow.log_prob(x, generator=seeded(1)), flow.log_prob(x, generator=seeded(2))
    assert torch.allclose(first, second) and torch.allclose(first.exp().sum(), torch.ones(()).double())
    assert first.exp().max() > 0.3


def test_masses_by_weighting_add_up_to_one_and_are_what_is_drawn() -> None:
    torch.manual_seed(0)
    flow = pf.models.autoregressive_image_flow((1, 1, 2), 3, layers=1, hidden=4, first_kernel=3)
    flow = randomise(flow, 1.0, seeded(3)).double().eval()
    images = torch.tensor(list(itertools.product(range(3), repeat=2))).view(9, 1, 1, 2)
    with torch.no_grad():
        mass = flow.log_prob(images.expand(2000, 9, 1, 1, 2), generator=seeded(1)).exp().mean(0)
        assert torch.allclose(mass.sum(), torch.ones(()).double(), atol=0.01)
        drawn = flow.sample(5000, generator=seeded(2)).flatten(1)
        observed = torch.bincount((3 * drawn[:, 0] + drawn[:, 1]).long(), minlength=9)
        assert (observed / 5000 - mass).abs().max() < 0.03
        assert torch.equal(flow.decode(flow.encode(images)), images.double())


def test_latents_that_are_integers_are_not_walked_through() -> None:
    ends = torch.zeros(2, 1, 4, 4), torch.ones(2, 1, 4, 4)
    options: dict[str, Any] = {"shape": (1, 4, 4), "levels": 4, "layers": 1, "hidden": 4}
    with pytest.raises(UsageError, match="latents that are real numbers"):
        pf.diagnostics.interpolate(pf.models.gated_pixelcnn(**options), *ends)
    walk = pf.diagnostics.interpolate(pf.models.autoregressive_image_flow(**options), *ends, steps=3)
    assert torch.equal(walk[:, 0], ends[0]) and torch.equal(walk[:, -1], ends[1])


def test_samples_of_logistics_hold_no_negative_zero() -> None:
    parameters = torch.zeros(500, 10)
    for mass in (CoupledLogisticMixture(1, 4, 2), DiscretizedLogisticMixture(2, low=0, high=3)):
        drawn = mass.sample(parameters[:, : mass.num_parameters], generator=seeded())
        assert not torch.signbit(drawn).any() and bool((drawn == 0).any())
