"""Exported methods give what the flow gives, in other runtimes too, and what is no fixed graph is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from model_helpers import context_for, events, small
from torch import Tensor, nn

import pushforward as pf
from pushforward.accuracy import Accuracy
from pushforward.cli.main import run
from pushforward.errors import UsageError
from pushforward.exporting import refusals, textbook
from pushforward.exporting.methods import METHODS
from pushforward.exporting.noise import Given
from pushforward.exporting.textbook import FORMS

Function = Callable[[Tensor], Tensor]

BATCH = 7
"""Of another size than what graphs are traced with."""

CASES = [
    ("realnvp", "log_prob"),
    ("realnvp", "sample"),
    ("nice", "sample"),
    pytest.param("nsf-coupling", "decode", marks=pytest.mark.slow),
    pytest.param("maf", "sample", marks=pytest.mark.slow),
    pytest.param("nsf", "log_prob", marks=pytest.mark.slow),
    pytest.param("glow", "decode", marks=pytest.mark.slow),
    pytest.param("multiscale", "log_prob", marks=pytest.mark.slow),
    pytest.param("multiscale", "decode", marks=pytest.mark.slow),
    pytest.param("torus", "sample", marks=pytest.mark.slow),
]


def inputs_for(flow: pf.Flow, signature: pf.exporting.Signature) -> list[Tensor]:
    """Events, contexts, latents and random numbers."""
    made = {"events": lambda port: events(flow, BATCH).float(), "context": lambda port: context_for(flow, BATCH)}
    made["uniform"] = lambda port: torch.rand(BATCH, *port.shape)
    made |= dict.fromkeys(("normal", "latents"), lambda port: torch.randn(BATCH, *port.shape))
    return [made[port.kind](port) for port in signature.inputs]


@torch.no_grad()
def by_the_flow(flow: pf.Flow, signature: pf.exporting.Signature, inputs: list[Tensor]) -> list[Tensor]:
    """What the flow gives, with these random numbers in the place of its own."""
    kinds = [port.kind for port in signature.inputs]
    numbers = [values for values, kind in zip(inputs, kinds) if kind in ("normal", "uniform")]
    given = [values for values, kind in zip(inputs, kinds) if kind in ("events", "latents")]
    context = next((values for values, kind in zip(inputs, kinds) if kind == "context"), None)
    with Given(numbers):
        if signature.method == "sample":
            found = flow.sample(BATCH if context is None else (), context)
        elif signature.method == "decode":
            found = flow.decode(given, context)
        else:
            found = getattr(flow, signature.method)(*given, context)
    return [found] if isinstance(found, Tensor) else list(found)


def by_onnxruntime(path: Path, signature: pf.exporting.Signature, inputs: list[Tensor]) -> list[Tensor]:
    """What the file gives."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    feed = {port.name: values.numpy() for port, values in zip(signature.inputs, inputs)}
    return [torch.as_tensor(each) for each in session.run(signature.output_names, feed)]


def check_equal(found: list[Tensor], expected: list[Tensor]) -> None:
    assert [each.shape for each in found] == [each.shape for each in expected]
    for each, other in zip(found, expected):
        assert torch.allclose(each.to(other.dtype), other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("name", "method"), CASES)
def test_a_file_gives_what_the_flow_gives_for_batches_of_any_size(name: str, method: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    flow, path = small(name), tmp_path / "model.onnx"
    signature = pf.export(flow, path, method)
    inputs = inputs_for(flow, signature)
    check_equal(by_onnxruntime(path, signature, inputs), by_the_flow(flow, signature, inputs))


def test_a_context_is_an_input_and_a_file_holds_standard_functions_and_its_signature(tmp_path: Path) -> None:
    torch.manual_seed(0)
    flow, path = small("realnvp", context=3), tmp_path / "model.onnx"
    signature = pf.export(flow, path, "sample")
    assert signature.input_names == ["context", "normal_0"]
    inputs = inputs_for(flow, signature)
    check_equal(by_onnxruntime(path, signature, inputs), by_the_flow(flow, signature, inputs))
    model = onnx.load(path)
    assert {each.domain for each in model.opset_import} <= {"", "ai.onnx"}
    assert not {node.op_type for node in model.graph.node} & {"NonZero", "Loop", "If", "Scan", "RandomNormal"}
    kept = {each.key: each.value for each in model.metadata_props}
    told = json.loads(kept["pushforward"])
    assert told["method"] == "sample" and told["written_by"] == pf.__version__


def test_a_program_of_torch_gives_what_the_flow_gives(tmp_path: Path) -> None:
    torch.manual_seed(0)
    flow, path = small("realnvp"), tmp_path / "model.pt2"
    signature = pf.export(flow, path, "encode")
    (x,) = inputs_for(flow, signature)
    files = {"pushforward": ""}
    program = torch.export.load(path, extra_files=files)
    assert torch.allclose(program.module()(x)[0], flow.encode(x), atol=1e-5)
    told = json.loads(files["pushforward"])
    assert told["outputs"] == [{"name": "latent", "shape": [2], "kind": "latents"}]
    assert told["written_by"] == pf.__version__


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["logistic", "gaussian"])
def test_roots_far_out_are_found_by_the_loop_of_a_file(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    layer = pf.transforms.Elementwise(pf.scalar.MixtureCDF(kind, components=4), (2,))
    flow = pf.testing.randomise(pf.Flow([layer], pf.distributions.StandardNormal((2,)))).eval()
    path = tmp_path / "model.onnx"
    signature = pf.export(flow, path, "decode")
    for scale in (1.0, 50.0, 1e4):
        inputs = [scale * values for values in inputs_for(flow, signature)]
        check_equal(by_onnxruntime(path, signature, inputs), by_the_flow(flow, signature, inputs))


def test_inverses_of_matrices_are_computed_beforehand(tmp_path: Path) -> None:
    torch.manual_seed(0)
    flow = pf.Flow([pf.transforms.Triangular(4), pf.transforms.Householder(4)], pf.distributions.StandardNormal((4,)))
    pf.testing.randomise(flow).eval()
    path = tmp_path / "model.onnx"
    signature = pf.export(flow, path, "sample")
    inputs = inputs_for(flow, signature)
    check_equal(by_onnxruntime(path, signature, inputs), by_the_flow(flow, signature, inputs))
    assert len(onnx.load(path).graph.node) <= 12


def test_dropout_drops_nothing(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(1, 4), nn.Dropout(0.5), nn.Linear(4, 2))
    coupling = pf.transforms.Coupling([True, False], pf.scalar.Affine(), network)
    flow = pf.testing.randomise(pf.Flow([coupling], pf.distributions.StandardNormal((2,))))
    pf.export(flow, tmp_path / "model.pt2", "encode")
    x = torch.randn(BATCH, 2)
    found = torch.export.load(tmp_path / "model.pt2").module()(x)
    assert torch.allclose(found[0], flow.eval().encode(x))


def test_a_flow_is_left_as_it_was(tmp_path: Path) -> None:
    flow = pf.models.realnvp(features=2, layers=1, hidden=4).train()
    state = torch.random.get_rng_state()
    pf.export(flow, tmp_path / "model.pt2", "sample")
    assert flow.training and torch.equal(torch.random.get_rng_state(), state)


def test_what_is_no_fixed_graph_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    with pytest.raises(UsageError, match="the same for all data"):
        pf.export(small("ffjord"), path, "decode")
    estimated = small("nice")
    estimated.accuracy = Accuracy.ESTIMATE
    with pytest.raises(UsageError, match="not an estimate"):
        pf.export(estimated, path)
    with pytest.raises(UsageError, match="one element after the other"):
        pf.export(pf.models.maf(features=400, layers=2, hidden=400), path, "sample")
    assert not list(tmp_path.iterdir())


def test_many_loops_are_too_many_operations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = pf.transforms.Elementwise(pf.scalar.MixtureCDF(components=2), (2,))
    flow = pf.Flow([layer], pf.distributions.StandardNormal((2,)))
    monkeypatch.setattr(refusals, "MOST_OPERATIONS", 1)
    with pytest.raises(UsageError, match="and the steps of its loops, and writes 20 at most"):
        pf.export(flow, tmp_path / "model.pt2", "decode")


def test_a_failure_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    class Eigenvalues(pf.transforms.Elementwise):
        def encode(self, x: Tensor, context: Tensor | None = None, generator: object = None) -> Tensor:
            return super().encode(x, context) + torch.linalg.eigvalsh(x.unsqueeze(-1) * x.unsqueeze(-2))

    path = tmp_path / "model.onnx"
    path.write_text("as it was")
    with pytest.raises(UsageError, match="no standard function for a step of encode"):
        pf.export(
            pf.Flow([Eigenvalues(pf.scalar.Affine(), (2,))], pf.distributions.StandardNormal((2,))), path, "encode"
        )
    assert path.read_text() == "as it was" and len(list(tmp_path.iterdir())) == 1


def test_names_of_columns_are_in_the_file(tmp_path: Path) -> None:
    flow, path, files = small("nice"), tmp_path / "model.pt2", {"pushforward": ""}
    pf.export(flow, path, "encode", columns=["width", "height"])
    torch.export.load(path, extra_files=files)
    assert json.loads(files["pushforward"])["columns"] == ["width", "height"]
    with pytest.raises(UsageError, match="name each number"):
        pf.export(flow, path, columns=["width"])


def test_an_unknown_method_or_format_is_told_before_any_work(tmp_path: Path) -> None:
    flow = small("realnvp")
    with pytest.raises(UsageError, match="log_prob, sample, encode, decode, got 'score'"):
        pf.export(flow, tmp_path / "model.onnx", "score")
    with pytest.raises(UsageError, match=r"ends in \.onnx, \.pt2, got \.tflite"):
        pf.export(flow, tmp_path / "model.tflite")
    assert set(METHODS) == {"log_prob", "sample", "encode", "decode"}


@pytest.mark.parametrize(
    ("form", "function", "low", "high"),
    [
        (textbook.erfcx, torch.special.erfcx, -2.0, 50.0),
        (textbook.erfc, torch.special.erfc, -4.0, 8.0),
        (textbook.ndtr, torch.special.ndtr, -10.0, 10.0),
        (textbook.log_ndtr, torch.special.log_ndtr, -50.0, 10.0),
        (textbook.erfinv, torch.special.erfinv, -1.0, 1.0),
        (textbook.ndtri, torch.special.ndtri, 1e-7, 1.0 - 1e-7),
        (textbook.ndtri, torch.special.ndtri, 1e-300, 1e-7),
        (textbook.ndtri, torch.special.ndtri, 0.0, 1e-30),
    ],
)
def test_series_are_right_to_single_precision_over_the_range(
    form: Function, function: Function, low: float, high: float
) -> None:
    x = torch.linspace(low, high, 10_001, dtype=torch.float64)
    found, expected = form(x), function(x)
    assert torch.equal(found.isinf(), expected.isinf())
    finite = expected.isfinite()
    assert torch.allclose(found[finite], expected[finite], rtol=5e-7, atol=1e-9)


def test_logarithms_of_sums_and_lengths_neither_overflow_nor_lose_digits() -> None:
    x = torch.tensor([-math.inf, -1e4, -90.0, -1e-3, 0.0, 30.0, 1e4, math.inf])
    first, second = torch.cartesian_prod(x, x).unbind(-1)
    assert torch.allclose(textbook.logaddexp(first, second), torch.logaddexp(first, second), rtol=1e-6)
    assert torch.allclose(textbook.logsigmoid(x), torch.nn.functional.logsigmoid(x), rtol=1e-6)
    large = torch.tensor([0.0, 1e-30, 3.0, 1e30, math.inf])
    first, second = torch.cartesian_prod(large, large).unbind(-1)
    assert torch.allclose(textbook.hypot(first, second), torch.hypot(first, second), rtol=1e-6)


@pytest.mark.parametrize("left", [True, False])
def test_products_with_inverses_solve(left: bool) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(3, 3, dtype=torch.float64).tril() + 3.0 * torch.eye(3, dtype=torch.float64)
    right = torch.randn(3, 3, dtype=torch.float64)
    solve, triangular = torch.linalg.solve, torch.linalg.solve_triangular
    assert torch.allclose(FORMS[solve](matrix, right, left=left), solve(matrix, right, left=left))
    wanted = triangular(matrix, right, upper=False, left=left)
    assert torch.allclose(FORMS[triangular](matrix, right, upper=False, left=left), wanted)
    assert torch.allclose(FORMS[solve](matrix, right[0]), solve(matrix, right[0]))


@pytest.mark.parametrize("right", [True, False])
def test_a_count_is_a_search(right: bool) -> None:
    knots = torch.tensor([[0.0, 1.0, 1.0, 2.0], [-1.0, 0.0, 3.0, 4.0]])
    values = torch.tensor([[-1.0, 1.0, 5.0], [0.0, 3.5, 4.0]])
    found = FORMS[torch.searchsorted](knots, values, right=right)
    assert torch.equal(found, torch.searchsorted(knots, values, right=right))
    assert np.array_equal(FORMS[torch.searchsorted](knots[0], values), np.searchsorted(knots[0], values))
    assert math.isclose(float(found.sum()), float(torch.searchsorted(knots, values, right=right).sum()))


def test_the_command_writes_a_file_and_says_what_it_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    given = ["--max-steps", "1", "--quiet", "--set", "layers=1", "--set", "hidden=4"]
    assert run(["train", "realnvp", "--data", "moons", "--out", str(folder), *given]) == 0
    capsys.readouterr()
    assert run(["export", str(folder), "-o", str(tmp_path / "sampler.pt2"), "--method", "sample", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["inputs"] == {"normal_0": ["batch", 2]} and told["outputs"] == {"x": ["batch", 2]}
