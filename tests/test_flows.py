"""Flows and their registry: densities, latents, saving and loading, and what goes wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import pushforward as pf
from pushforward import testing
from pushforward.distributions import ConditionalNormal, StandardNormal
from pushforward.errors import ShapeError, UsageError
from pushforward.flows import FactorOut, Flow
from pushforward.kernels.compilation import is_light
from pushforward.networks import MLP
from pushforward.scalar import Affine
from pushforward.transforms import Coupling, Elementwise


def small_flow(context: int = 0) -> Flow:
    return testing.randomise(pf.build("realnvp", features=2, layers=4, hidden=8, context=context)).eval()


def test_density_integrates_to_one() -> None:
    flow = small_flow()
    testing.check_normalised(flow.double().log_prob, -40, 40, dims=2, points=800)


def test_density_is_the_change_of_variables_in_closed_form() -> None:
    layer = Elementwise(Affine(), (1,))
    with torch.no_grad():
        layer.parameters_per_element.copy_(torch.tensor([[0.5, 1.0]]))
    flow = Flow(layer, StandardNormal((1,)))
    x = torch.linspace(-3, 3, 7)[:, None]
    scale = torch.exp(torch.tensor(-0.5 / 1.1))
    expected = torch.distributions.Normal(-1.0, scale).log_prob(x[:, 0])
    assert torch.allclose(flow.log_prob(x), expected, atol=1e-6)


@pytest.mark.parametrize("name, light", [("maf", True), ("realnvp", True), ("planar", True), ("nsf-coupling", False)])
def test_light_flows_are_compiled_as_one(name: str, light: bool) -> None:
    flow = testing.randomise(pf.build(name, features=3, layers=2))
    x = torch.randn(8, 3, requires_grad=True)
    assert is_light(flow) == light
    expected = flow.log_prob(x)
    (gradient,) = torch.autograd.grad(expected.sum(), x)
    torch.compiler.reset()
    flow.compile_blocks(backend="aot_eager", fullgraph=True)
    assert light == (flow._compiled_call_impl is not None)
    found = flow.log_prob(x)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found.sum(), x)[0], gradient)
    with pytest.raises(ShapeError, match="events of shape"):
        flow.log_prob(torch.zeros(2, 4))


def test_samples_have_the_density_that_log_prob_says() -> None:
    flow = small_flow().double()
    x = flow.sample(100_000, generator=torch.Generator().manual_seed(0))
    inside = ((x > -1) & (x < 1)).all(-1).double().mean()
    step = 2 / 400
    axis = -1 + step * (torch.arange(400, dtype=torch.float64) + 0.5)
    with torch.no_grad():
        mass = flow.log_prob(torch.cartesian_prod(axis, axis)).exp().sum() * step**2
    assert abs(float(inside - mass)) < 0.01


def test_sample_follows_torch_shapes_seeds_and_temperature() -> None:
    flow = small_flow(context=3)
    context = torch.randn(5, 3)
    assert flow.sample((2, 4), context).shape == (2, 4, 5, 2)
    assert flow.sample(7, context[0]).shape == (7, 2)
    torch.manual_seed(3)
    first = flow.sample(4, context)
    torch.manual_seed(3)
    assert torch.equal(first, flow.sample(4, context))
    plain = small_flow()
    assert plain.sample(2000, temperature=0.1).std() < plain.sample(2000).std()
    with pytest.raises(UsageError, match="temperature"):
        plain.sample(1, temperature=0.0)
    sample = plain.rsample(3)
    sample.sum().backward()
    assert any(parameter.grad is not None for parameter in plain.parameters())
    assert not plain.sample(3).requires_grad


def test_condition_is_a_torch_distribution() -> None:
    flow = small_flow(context=3)
    context = torch.randn(5, 3)
    distribution = flow.condition(context)
    assert isinstance(distribution, torch.distributions.Distribution)
    assert distribution.batch_shape == (5,) and distribution.event_shape == (2,) and distribution.has_rsample
    x = distribution.sample((4,))
    assert x.shape == (4, 5, 2)
    assert torch.allclose(distribution.log_prob(x)[1], flow.log_prob(x[1], context), atol=1e-5)
    assert torch.distributions.Independent(flow.condition(context), 1).log_prob(x).shape == (4,)


def test_factor_out_is_the_product_of_its_parts() -> None:
    split = testing.randomise(ConditionalNormal((2,), MLP, context=3))
    both = FactorOut(split, StandardNormal((3,)))
    x = torch.randn(6, 5)
    expected = StandardNormal((3,)).log_prob(x[:, :3]) + split.log_prob(x[:, 3:], x[:, :3])
    assert torch.allclose(both.log_prob(x), expected)
    assert torch.equal(both.from_latents(both.latents(x)), x)
    redrawn = both.from_latents([None, x[:, :3]])
    assert torch.equal(redrawn[:, :3], x[:, :3]) and not torch.equal(redrawn[:, 3:], x[:, 3:])
    with pytest.raises(UsageError, match="last latent"):
        both.from_latents([x[:, 3:], None])


def test_wrong_events_are_told_before_any_work() -> None:
    flow = small_flow()
    with pytest.raises(ShapeError, match=r"events of shape \(2,\)"):
        flow.log_prob(torch.randn(3, 4))
    with pytest.raises(ShapeError):
        flow.log_prob(torch.tensor(1.0))


def test_bad_masks_are_told() -> None:
    for mask in (torch.ones(4), torch.ones(4, dtype=torch.bool), torch.zeros(2, 2, dtype=torch.bool)):
        with pytest.raises(UsageError, match="mask"):
            Coupling(mask, Affine(), MLP)


def test_save_and_load_give_the_same_flow(tmp_path: Path) -> None:
    flow = small_flow()
    pf.save(flow, tmp_path / "flow.safetensors")
    loaded = pf.load(tmp_path / "flow.safetensors")
    x = torch.randn(4, 2)
    assert torch.equal(loaded.log_prob(x), flow.log_prob(x)) and loaded.recipe == flow.recipe
    pf.save(flow.double(), tmp_path / "double.safetensors")
    double = pf.load(tmp_path / "double.safetensors")
    assert torch.equal(double.log_prob(x.double()), flow.log_prob(x.double()))


def test_unknown_names_and_options_are_told() -> None:
    with pytest.raises(UsageError, match="unknown model 'no such'"):
        pf.build("no such")
    with pytest.raises(UsageError, match="no option depth"):
        pf.build("realnvp", features=2, depth=3)
    with pytest.raises(UsageError, match="features"):
        pf.build("realnvp")
    with pytest.raises(UsageError, match="both"):
        pf.build("realnvp", features=2, shape=[1, 8, 8])
    with pytest.raises(UsageError, match="a whole number as layers, got layers='many'"):
        pf.build("realnvp", features=2, layers="many")
    assert {"nice", "realnvp", "glow", "flowpp", "mnist-multiscale"} <= set(pf.list_models())
    assert all(description for description in pf.list_models().values())


def test_import_is_light() -> None:
    """`import pushforward` loads none of the heavy libraries that only some of its parts need."""
    heavy = ["lightning", "matplotlib", "pandas", "sklearn", "pyarrow", "PIL", "constriction", "typer", "scipy"]
    code = f"import sys, pushforward; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "[]"
