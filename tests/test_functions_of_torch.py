"""Flows under the functions of torch: vmap, per-sample gradients, export with any batch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap

import pushforward as pf

VECTORS = [
    *("maf", "iaf", "nsf", "nsf-coupling", "naf", "umnn", "planar", "radial", "sylvester", "realnvp", "nice"),
    *("cdf-1d", "cdf-2d", "gaussianization", "mintnet", "torus"),
]
IMAGES = ["multiscale", "glow", "flowpp", "mnist-simple", "mnist-vardeq", "mnist-multiscale", "mintnet"]


def vector_flow(name: str, layers: int = 2) -> pf.Flow:
    torch.manual_seed(0)
    flow = pf.build(name, features=1 if name == "cdf-1d" else 2, layers=1 if name == "cdf-1d" else layers)
    return pf.testing.randomise(flow, 0.3).double().eval()


def per_sample_gradients(flow: pf.Flow, x: Tensor) -> dict[str, Tensor]:
    def score(weights: dict[str, Tensor], event: Tensor) -> Tensor:
        return functional_call(flow, weights, (event,)).sum()

    weights = {name: weight.detach() for name, weight in flow.named_parameters()}
    return vmap(grad(score), in_dims=(None, 0), randomness="different")(weights, x)


@pytest.mark.parametrize("name", VECTORS)
def test_vmap_is_the_batch(name: str) -> None:
    flow = vector_flow(name)
    x = flow.sample(4)
    z = flow.encode(x)
    for function, values in ((flow.log_prob, x), (flow.encode, x), (flow.decode, z)):
        assert torch.allclose(vmap(function)(values), function(values), atol=1e-6)


@pytest.mark.parametrize("name", VECTORS)
def test_per_sample_gradients_add_up_to_the_batchs(name: str) -> None:
    flow = vector_flow(name)
    x = flow.sample(4)
    each = per_sample_gradients(flow, x)
    flow.log_prob(x).sum().backward()
    for name, weight in flow.named_parameters():
        if weight.grad is not None:
            assert torch.allclose(each[name].sum(0), weight.grad, atol=1e-6), name


@pytest.mark.parametrize("name", [*IMAGES, "discrete-flow"])
def test_images_and_categories_pass_vmap(name: str) -> None:
    flow = pf.build(name, **({} if name == "discrete-flow" else {"shape": (1, 4, 4), "levels": 4, "hidden": 8})).eval()
    x = flow.sample(3)
    z = flow.encode(x)
    latents = z if isinstance(z, tuple) else (z,)
    decoded = vmap(lambda *z: flow.decode(z if len(z) > 1 else z[0]))(*latents)
    assert torch.equal(decoded, flow.decode(z))
    assert all(torch.isfinite(each).all() for each in per_sample_gradients(flow, x).values())


@pytest.mark.parametrize("name", VECTORS)
def test_an_exported_flow_takes_any_batch(name: str) -> None:
    # Of several layers the light ones: tracing takes as long again for each.
    flow = vector_flow(name, layers=2 if name in ("maf", "realnvp", "planar") else 1)
    exported = torch.export.export(flow, (flow.sample(4),), dynamic_shapes=({0: torch.export.Dim("batch")},))
    x = flow.sample(7)
    assert torch.allclose(exported.module()(x), flow.log_prob(x), atol=1e-6)
