"""Trainings compile where that pays, and leave a flow as they found it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters

import pushforward as pf
from pushforward.errors import UsageError
from pushforward.kernels import compiler
from pushforward.kernels.compilation import PARTS, compiled_call
from pushforward.kernels.compile_cost import CompileCost, compile_cost
from pushforward.kernels.compiler import has_compiler
from pushforward.kernels.operations import Work, count_work
from pushforward.training import compiling
from pushforward.training.compiling import SURELY, compiles
from pushforward.training.stopping import Limits

CPU = torch.device("cpu")
needs_compiler = pytest.mark.skipif(not has_compiler(CPU), reason="needs a C++ compiler")


@pytest.fixture(autouse=True)
def _no_compiled_code_from_before() -> Iterator[None]:
    torch.compiler.reset()
    counters.clear()
    yield
    torch.compiler.reset()


@pytest.fixture
def flow() -> pf.Flow:
    torch.manual_seed(0)
    return pf.models.maf(features=2, layers=2, hidden=(8,))


@pytest.fixture
def table() -> torch.Tensor:
    return torch.randn(150, 2, generator=torch.Generator().manual_seed(1))


def compiled_parts(flow: pf.Flow) -> int:
    return sum(compiled_call(part) is not None or PARTS in part.__dict__ for part in flow.modules())


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling by a back end that needs no compiler, and that is said to cost nothing."""
    compile_blocks = pf.Flow.compile_blocks
    monkeypatch.setattr(pf.Flow, "compile_blocks", lambda self: compile_blocks(self, backend="aot_eager"))
    monkeypatch.setattr(compiling, "compile_cost", lambda *_: CompileCost(compiling=0.0, saved=1.0))
    monkeypatch.setattr(compiling, "has_compiler", lambda device: True)


def test_work_is_counted_without_products_and_views() -> None:
    x, weight = torch.ones(6, 4), torch.ones(4, 3)
    assert count_work(lambda: (x @ weight).t().exp(), torch.nn.Identity()) == Work(operations=3, elements=18)


def test_the_cost_counts_equal_layers_once_and_the_saving_counts_all() -> None:
    few, many = (pf.models.nsf(features=8, layers=layers) for layers in (2, 6))
    one, other = compile_cost(few, 512, "cpu"), compile_cost(many, 512, "cpu")
    assert one is not None and other is not None
    assert other.compiling == pytest.approx(one.compiling, rel=0.1)
    assert other.saved == pytest.approx(3 * one.saved, rel=0.1)


def test_larger_batches_save_more_and_unknown_devices_are_not_guessed(flow: pf.Flow) -> None:
    small, large = compile_cost(flow, 100, "cpu"), compile_cost(flow, 10_000, "cpu")
    assert small is not None and large is not None
    assert large.saved > small.saved and large.compiling == small.compiling
    assert compile_cost(flow, 100, "mps") is None


def test_counting_leaves_the_random_state_and_the_statistics_of_a_flow_alone() -> None:
    torch.manual_seed(0)
    flow = pf.build("mnist-simple")
    state, before = torch.get_rng_state(), {name: value.clone() for name, value in flow.state_dict().items()}
    flow.train()
    compile_cost(flow, 16, "cpu")
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in flow.state_dict().items())
    assert flow.training


def test_a_hundred_steps_of_a_spline_flow_stay_eager_and_a_hundred_thousand_do_not() -> None:
    flow = pf.models.nsf(features=8)
    assert not compiles("auto", flow, 256, Limits(100, None, None), CPU)
    if has_compiler(CPU):
        assert compiles("auto", flow, 256, Limits(100_000, None, None), CPU)
        assert compiles("auto", flow, 256, Limits(None, 3600.0, 6), CPU)
    assert not compiles("auto", flow, 256, Limits(100_000, 10.0, None), CPU)
    assert compiles(True, flow, 256, Limits(1, None, None), CPU)


def test_flows_of_an_adaptive_solver_stay_eager_however_long_they_are_trained() -> None:
    for model in ("ffjord", "cnf"):
        assert not compiles("auto", pf.build(model, features=2), 256, Limits(10**9, None, None), CPU)


def test_a_training_that_may_end_early_has_to_be_longer(flow: pf.Flow) -> None:
    cost = compile_cost(flow, 256, "cpu")
    assert cost is not None
    steps = int(1.2 * SURELY * cost.compiling / cost.saved)
    assert compiles("auto", flow, 256, Limits(steps, None, None), CPU) == has_compiler(CPU)
    assert not compiles("auto", flow, 256, Limits(steps, None, 6), CPU)


def test_without_a_compiler_a_training_stays_eager_without_a_word(
    flow: pf.Flow, table: torch.Tensor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(compiling, "compile_cost", lambda *_: CompileCost(compiling=0.0, saved=1.0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not has_compiler(CPU)
        pf.fit(flow, table, max_steps=3, batch_size=64, progress=False, seed=0)
    assert counters["stats"]["unique_graphs"] == 0


def test_on_a_gpu_triton_is_needed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "find_spec", lambda name: None)
    assert not has_compiler(torch.device("cuda"))


def test_nothing_is_compiled_again_for_validations_or_after_the_training(
    flow: pf.Flow, table: torch.Tensor, cheap: None
) -> None:
    pf.fit(flow, table, table[:130], max_steps=12, batch_size=64, validate_every=2, progress=False, seed=0)
    graphs = counters["stats"]["unique_graphs"]
    assert graphs >= 1 and compiled_parts(flow) == 0
    pf.fit(flow, table, table[:130], max_steps=12, batch_size=64, validate_every=2, progress=False, seed=0)
    for rows in (1, 7, 30, 64, 100):
        flow.log_prob(table[:rows])
        flow.sample(rows)
    assert counters["stats"]["unique_graphs"] == graphs


def test_a_compiled_training_comes_out_as_an_eager_one(table: torch.Tensor, cheap: None) -> None:
    ends = []
    for compile in ("auto", False):
        torch.manual_seed(0)
        flow = pf.build("nsf", features=2, layers=2, hidden=(8,))
        pf.fit(flow, table, max_steps=8, batch_size=64, progress=False, seed=0, compile=compile)
        ends.append(flow.log_prob(table).detach())
    torch.testing.assert_close(*ends, rtol=1e-3, atol=1e-3)


def test_a_flow_that_was_compiled_before_is_so_afterwards(flow: pf.Flow, table: torch.Tensor, cheap: None) -> None:
    flow.compile_blocks()
    before = {part: compiled_call(part) for part in flow.modules()}
    pf.fit(flow, table, max_steps=2, batch_size=64, progress=False, seed=0)
    assert {part: compiled_call(part) for part in flow.modules()} == before


def test_a_compiler_that_fails_is_told_in_one_sentence_and_the_training_goes_on(
    flow: pf.Flow, table: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("no space left\nand a page of details")

    compile_blocks = pf.Flow.compile_blocks
    monkeypatch.setattr(pf.Flow, "compile_blocks", lambda self: compile_blocks(self, backend=broken))
    with pytest.warns(UserWarning, match="the compiler failed, so the training goes on without it") as told:
        result = pf.fit(flow, table, max_steps=3, batch_size=64, progress=False, seed=0, compile=True)
    assert result.steps == 3 and compiled_parts(flow) == 0
    assert all("\n" not in str(each.message) for each in told)


def test_an_objective_that_fails_is_told_as_that(flow: pf.Flow, table: torch.Tensor, cheap: None) -> None:
    def objective(flow: pf.Flow, x: torch.Tensor, context: torch.Tensor | None) -> torch.Tensor:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        pf.fit(flow, table, objective=objective, max_steps=3, progress=False, seed=0)


def test_wrong_choices_are_refused(flow: pf.Flow, table: torch.Tensor) -> None:
    with pytest.raises(UsageError, match="compile must be True, False or auto, got 'always'"):
        pf.fit(flow, table, compile="always", max_steps=1)  # type: ignore[arg-type]


@needs_compiler
@pytest.mark.slow
def test_the_real_compiler_says_nothing(flow: pf.Flow, table: torch.Tensor, capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pf.fit(flow, table, max_steps=3, batch_size=64, progress=False, seed=0, compile=True)
    assert capfd.readouterr() == ("", "")


def test_deciding_leaves_the_flow_alone() -> None:
    flow = pf.Flow([CountsTrainingCalls()], pf.distributions.StandardNormal((2,)))
    flow.train()
    compile_cost(flow, 64, "cpu")
    assert flow.transform.parts[0].calls == 0 and flow.training


class CountsTrainingCalls(pf.transforms.Transform):
    """The identity, which counts its calls in training mode, as statistics of batches do."""

    def __init__(self) -> None:
        super().__init__()
        self.domain = self.codomain = pf.spaces.Reals((2,))
        self.scale = torch.nn.Parameter(torch.ones(()))
        self.calls = 0

    def forward(
        self, x: torch.Tensor, context: torch.Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        self.calls += self.training
        return x * self.scale, (self.scale.log() * 2).expand(x.shape[:-1])
