"""Any composition is saved, loaded without running code of the file, and shown."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
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
