"""Any composition is saved, loaded without running code of the file, and shown."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import pushforward as pf
from pushforward.errors import CheckpointError, UsageError
from pushforward.flows.saving import read_tensors
from pushforward.flows.spec import build_from, describe
from pushforward.networks import MADE, MLP
from pushforward.scalar import Affine, Composition, MixtureCDF, RationalQuadraticSpline
from pushforward.transforms import Autoregressive, Chain, Coupling, Inverse, Standardise, masks


class Summary(nn.Module):
    """An embedding of images that is no part of pushforward's."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, features), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def by_hand() -> pf.Flow:
    spline = RationalQuadraticSpline(bins=4, bound=3.0)
    layers = [
        Standardise(4),
        Chain([Coupling(masks.halves(4), Composition(Affine(), MixtureCDF()), partial(MLP, hidden=(8,)), 3)]),
        Inverse(Autoregressive(4, spline, partial(MADE, hidden=(8,)), 3, [2, 0, 3, 1])),
        Coupling(masks.alternating(4), Affine(), nn.Sequential(nn.Linear(5, 8), nn.SiLU(), nn.Linear(8, 4)), 3),
    ]
    embedding = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    base = torch.distributions.Laplace(torch.zeros(4), nn.Parameter(torch.ones(4)))
    return pf.Flow(layers, base, context=(1, 8, 8), embedding=embedding)


def test_a_flow_by_hand_comes_back_with_its_embedding(tmp_path: Path) -> None:
    flow = pf.testing.randomise(by_hand(), 0.1).eval()
    x, context = torch.randn(5, 4), torch.randn(5, 1, 8, 8)
    flow.initialise(x, context)
    pf.save(flow, tmp_path / "flow.safetensors")
    loaded = pf.load(tmp_path / "flow.safetensors")
    assert torch.equal(loaded.log_prob(x, context), flow.log_prob(x, context))
    assert loaded.context_shape == (1, 8, 8)
    assert isinstance(loaded.base.raw_scale, nn.Parameter)
    for twin in (copy.deepcopy(flow), pickle.loads(pickle.dumps(flow))):
        assert torch.equal(twin.log_prob(x, context), flow.log_prob(x, context))


def test_a_flow_comes_back_in_another_process(tmp_path: Path) -> None:
    flow = pf.testing.randomise(by_hand(), 0.1).eval()
    pf.save(flow, tmp_path / "flow.safetensors")
    code = (
        "import sys, torch, pushforward as pf; flow = pf.load(sys.argv[1]); "
        "print(flow.log_prob(torch.ones(4), torch.ones(1, 8, 8)).item())"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "flow.safetensors")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert float(printed) == pytest.approx(flow.log_prob(torch.ones(4), torch.ones(1, 8, 8)).item(), rel=1e-5)


def test_ones_own_parts_are_saved_once_they_are_registered(tmp_path: Path) -> None:
    def flow(kind: type[nn.Module]) -> pf.Flow:
        layer = Coupling(masks.halves(4), Affine(), MLP, 3)
        return pf.Flow([layer], pf.distributions.StandardNormal((4,)), context=(1, 8, 8), embedding=kind(3))

    with pytest.raises(UsageError, match=r"Flow\.embedding holds .*Summary.*pushforward\.register"):
        pf.save(flow(Summary), tmp_path / "flow.safetensors")
    assert not list(tmp_path.iterdir())
    known = pf.register("tests.Summary")(Summary)
    original = flow(known)
    pf.save(original, tmp_path / "flow.safetensors")
    context = torch.randn(2, 1, 8, 8)
    x = torch.randn(2, 4)
    assert torch.equal(pf.load(tmp_path / "flow.safetensors").log_prob(x, context), original.log_prob(x, context))


def test_what_stands_twice_comes_back_as_one() -> None:
    shared = Coupling(masks.halves(2), Affine(), MLP)
    flow = pf.Flow([shared, pf.transforms.flip(2), shared], pf.distributions.StandardNormal((2,)))
    twin = build_from(*describe(flow))
    assert twin.transform[0] is twin.transform[2]


def test_each_number_keeps_its_type(tmp_path: Path) -> None:
    for kind in (torch.float64, torch.bfloat16, torch.float16):
        flow = pf.build("maf", features=2, layers=1).to(kind)
        pf.save(flow, tmp_path / "flow.safetensors")
        loaded = pf.load(tmp_path / "flow.safetensors")
        assert {weight.dtype for weight in loaded.parameters()} == {kind}
        assert loaded.base.like.dtype == kind


def test_files_name_what_is_known_and_nothing_else(tmp_path: Path) -> None:
    description, tensors = describe(by_hand())
    with pytest.raises(UsageError, match=r"'os\.system', which is not known"):
        build_from({"part": "os.system", "arguments": {}, "number": 0}, tensors)
    with pytest.raises(UsageError, match=r"torch\.distributions does not have"):
        build_from({"torch": "__builtins__", "arguments": {}, "number": 0}, tensors)
    assert "model" not in description
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    with pytest.raises(CheckpointError, match="damaged or foreign"):
        pf.load(tmp_path / "cut.safetensors")


def test_a_models_file_names_its_recipe(tmp_path: Path) -> None:
    pf.save(pf.build("nsf", features=3, layers=2, context=(2,)), tmp_path / "flow.safetensors")
    metadata, _ = read_tensors(tmp_path / "flow.safetensors")
    assert '"model": "nsf"' in metadata["description"]
    assert pf.load(tmp_path / "flow.safetensors").recipe == {
        "model": "nsf",
        "features": 3,
        "layers": 2,
        "context": (2,),
    }


def test_a_coupling_takes_its_mask_with_its_weights() -> None:
    made, other = (Coupling(mask, Affine(), MLP) for mask in (masks.halves(4), ~masks.halves(4)))
    pf.testing.randomise(made)
    other.load_state_dict(made.state_dict())
    x = torch.randn(3, 4)
    assert torch.equal(other(x)[0], made(x)[0])


def test_summary_shows_every_part() -> None:
    flow = by_hand()
    text = str(pf.summary(flow))
    for word in ("Standardise", "Inverse of Autoregressive", "transform.1.0", "FromTorch", "1x8x8", "exact"):
        assert word in text
    assert f"{sum(weight.numel() for weight in flow.parameters()):,} parameters" in text
    assert "bins=4, bound=3.0" in repr(flow)


def test_a_loaded_flow_gives_the_same_to_the_last_bit(tmp_path: Path) -> None:
    """Weights that lie unaligned in the file's memory would make matrix products round differently."""
    coupling = Coupling(masks.halves(2), RationalQuadraticSpline(), partial(MLP, hidden=(64, 64)))
    flow = pf.testing.randomise(pf.Flow([coupling], pf.distributions.StandardNormal((2,)))).eval()
    pf.save(flow, tmp_path / "flow.safetensors")
    loaded = pf.load(tmp_path / "flow.safetensors")
    for seed in range(50):
        one, other = (each.sample((), generator=torch.Generator().manual_seed(seed)) for each in (flow, loaded))
        assert torch.equal(one, other)


def saved(flow: pf.Flow, folder: Path) -> pf.Flow:
    pf.save(flow, folder / "flow.safetensors")
    return pf.load(folder / "flow.safetensors")


def normal(features: int = 4) -> pf.distributions.StandardNormal:
    return pf.distributions.StandardNormal((features,))


def test_what_the_caller_does_to_the_arguments_later_changes_no_flow(tmp_path: Path) -> None:
    mask, hidden, order = masks.halves(4), [8], torch.tensor([2, 0, 3, 1])
    layers = [Coupling(mask, Affine(), partial(MLP, hidden=hidden)), Autoregressive(4, Affine(), order=order)]
    flow = pf.testing.randomise(pf.Flow(layers, normal())).eval()
    x = torch.randn(5, 4)
    expected = flow.log_prob(x)
    layers.append(pf.transforms.flip(4))
    mask.logical_not_()
    hidden.append(16)
    order.copy_(torch.arange(4))
    assert torch.equal(flow.log_prob(x), expected)
    assert torch.equal(saved(flow, tmp_path).log_prob(x), expected)


def test_couplings_of_one_mask_load_masks_of_their_own(tmp_path: Path) -> None:
    def flow(first: Tensor, second: Tensor) -> pf.Flow:
        network = partial(MLP, hidden=(8,))
        return pf.Flow([Coupling(first, Affine(), network), Coupling(second, Affine(), network)], normal())

    mask = masks.halves(4)
    made, other = flow(mask, mask), pf.testing.randomise(flow(mask, ~mask)).eval()
    made.load_state_dict(other.state_dict())
    x = torch.randn(5, 4)
    for each in (made.eval(), saved(made.eval(), tmp_path)):
        assert torch.equal(each.log_prob(x), other.log_prob(x))
    assert torch.equal(mask, masks.halves(4))


def test_a_flow_that_was_changed_is_not_saved_as_what_it_was(tmp_path: Path) -> None:
    by_parts = pf.Flow([Coupling(masks.halves(2), Affine(), MLP)], normal(2))
    for flow in (by_parts, pf.build("maf", features=2, layers=1)):
        flow.base = pf.distributions.StandardLogistic((2,))
        with pytest.raises(UsageError, match=r"base of the flow is StandardLogistic.*StandardNormal.*new flow"):
            pf.save(flow, tmp_path / "flow.safetensors")
        assert not list(tmp_path.iterdir())
        again = pf.Flow(flow.transform, flow.base)
        x = torch.randn(5, 2)
        assert torch.equal(saved(again, tmp_path).log_prob(x), flow.log_prob(x))
        (tmp_path / "flow.safetensors").unlink()
    spline = pf.Flow([pf.transforms.Elementwise(RationalQuadraticSpline(4, bound=2.0), (2,))], normal(2))
    spline.transform[0].scalar = RationalQuadraticSpline(4, bound=3.0)
    with pytest.raises(UsageError, match=r"transform\.parts\.0\.scalar of the flow is .*bound=3\.0"):
        pf.save(spline, tmp_path / "flow.safetensors")


def test_saving_draws_no_random_numbers(tmp_path: Path) -> None:
    flow = pf.build("maf", features=2, layers=1)
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    pf.save(flow, tmp_path / "flow.safetensors")
    assert torch.equal(torch.rand(4), expected)


class ByName(nn.Module):
    def __init__(self, parts: nn.ModuleDict) -> None:
        super().__init__()
        self.parts = parts

    def forward(self, x: Tensor) -> Tensor:
        return self.parts["b"](self.parts["a"](x))


def test_modules_of_torch_keep_their_names(tmp_path: Path) -> None:
    shared = nn.SiLU()
    named = nn.Sequential(
        OrderedDict(flat=nn.Flatten(), same=nn.Identity(), first=nn.Linear(4, 8), act=shared, out=nn.Linear(8, 3))
    )
    by_name = pf.register("tests.ByName")(ByName)
    for embedding in (named, by_name(nn.ModuleDict({"b": nn.Linear(8, 3), "a": nn.Linear(4, 8)}))):
        flow = pf.Flow([Coupling(masks.halves(4), Affine(), MLP, 3)], normal(), context=4, embedding=embedding)
        pf.testing.randomise(flow, 0.1).eval()
        loaded = saved(flow, tmp_path)
        x, context = torch.randn(5, 4), torch.randn(5, 4)
        assert torch.equal(loaded.log_prob(x, context), flow.log_prob(x, context))
        assert list(loaded.state_dict()) == list(flow.state_dict())


class Attending(nn.Module):
    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, x: Tensor) -> Tensor:
        inputs = (x, x, x) if isinstance(self.attention, nn.MultiheadAttention) else (x,)
        return self.attention(*inputs)[0][..., :3]


def test_an_argument_that_a_module_does_not_keep_is_told(tmp_path: Path) -> None:
    kind = pf.register("tests.Attending")(Attending)
    layers = [Coupling(masks.halves(4), Affine(), MLP, 3)]
    for attention in (nn.MultiheadAttention(4, 2, bias=False), nn.LSTM(4, 3)):
        flow = pf.Flow(layers, normal(), context=4, embedding=kind(attention))
        with pytest.raises(UsageError, match=r"pushforward\.register"):
            pf.save(flow, tmp_path / "flow.safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("order", [range(3), np.array([2, 0, 1]), np.array([2, 0, 1], dtype=np.int32), (2, 1, 0)])
def test_orders_of_any_kind_are_saved(order: Any, tmp_path: Path) -> None:
    flow = pf.testing.randomise(pf.Flow([Autoregressive(3, Affine(), order=order)], normal(3))).eval()
    x = torch.randn(5, 3)
    assert torch.equal(saved(flow, tmp_path).log_prob(x), flow.log_prob(x))


PART = {"part": "distributions.StandardNormal", "arguments": {"event_shape": [2]}, "number": 0}
BROKEN = {
    "number": "5",
    "nothing": "null",
    "text": '"flow"',
    "empty list": "[]",
    "empty object": "{}",
    "no json": "{",
    "deep": "[" * 100_000 + "]" * 100_000,
    "deep objects": '{"tuple": [' * 5000 + "]}" * 5000,
    "unknown kind": '{"code": "1"}',
    "a class": '{"name": "torch.nn.Linear"}',
    "a list of flows": json.dumps([PART]),
    "a module": '{"part": "torch.nn.Identity", "arguments": {}, "number": 0}',
    "numbers for names": json.dumps(PART | {"part": 3}),
    "a list for arguments": json.dumps(PART | {"arguments": [2]}),
    "nothing for arguments": json.dumps(PART | {"arguments": None}),
    "no arguments": json.dumps({"part": PART["part"], "number": 0}),
    "a list for a number": json.dumps(PART | {"number": []}),
    "a wrong argument": json.dumps(PART | {"arguments": {"event_shape": {"float": []}}}),
    "a missing tensor": json.dumps(PART | {"arguments": {"event_shape": {"tensor": "7"}}}),
    "a wrong shape": json.dumps(PART | {"arguments": {"event_shape": "two"}}),
    "what is not made yet": json.dumps({"same": 4}),
    "no distribution": json.dumps({"torch": "Normal", "arguments": {"loc": 0.0, "scale": 1.0}, "number": 0}),
    "no model": json.dumps({"model": "none", "arguments": {}, "number": 0}),
    "no name of a model": json.dumps({"model": [], "arguments": {}, "number": 0}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_description_is_told(name: str, tmp_path: Path) -> None:
    path = tmp_path / "flow.safetensors"
    pf.save(normal(2), path)
    metadata, tensors = read_tensors(path)
    save_file(tensors, str(path), metadata | {"description": BROKEN[name]})
    with pytest.raises(CheckpointError, match=r"flow\.safetensors"):
        pf.load(path)
