"""When numbers fail: what is clipped, what is told, what is kept."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from training_helpers import affine_flow, fit, moons, same, weights

import pushforward as pf
from pushforward.distributions import StandardNormal, Uniform
from pushforward.errors import TrainingError
from pushforward.kernels.random_state import random_state
from pushforward.scalar import Affine
from pushforward.spaces import Interval, Reals
from pushforward.training.batches import Batches
from pushforward.training.diagnosis import rows_at_fault
from pushforward.training.failure import step_failure
from pushforward.training.gradients import clip_, scaled_norm
from pushforward.transforms import Elementwise, Transform


class FailsAfter(Transform):
    """The identity, until a number of steps is over; then NaN."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.domain = self.codomain = Reals((2,))
        self.steps, self.calls = steps, 0

    def forward(self, x: Tensor, context: Any = None, generator: Any = None) -> tuple[Tensor, Tensor]:
        self.calls += self.training
        bad = x * float("nan") if self.calls > self.steps else x
        return bad, torch.zeros(x.shape[:-1])


def test_nonfinite_loss_names_step_batch_and_part(tmp_path: Path) -> None:
    parts = [Elementwise(Affine(), (2,)), FailsAfter(12), Elementwise(Affine(), (2,))]
    flow = pf.Flow(parts, StandardNormal((2,)))
    with pytest.raises(TrainingError) as error:
        fit(flow, moons(), batch_size=64, max_steps=50, out=tmp_path, ema=None)
    text = str(error.value)
    # One call was spent on initialising.
    assert "step 12" in text and "transform.parts.1 (FailsAfter)" in text and "\n" not in text
    rows = Batches(moons(), None, 64, seed=0).rows(11)
    assert torch.equal(error.value.rows, rows) and str(rows[0].item()) in text
    # The weights are those of eleven good steps.
    by_hand = pf.Flow([Elementwise(Affine(), (2,)), Elementwise(Affine(), (2,))], StandardNormal((2,)))
    assert not same(weights(flow), weights(by_hand)) and all(torch.isfinite(value).all() for value in weights(flow))
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["pushforward"]["step"] == 0


def test_nonfinite_base_gradient_and_data_are_named() -> None:
    class Broken(StandardNormal):
        def forward(self, x: Tensor, context: Any = None, generator: Any = None) -> Tensor:
            return super().forward(x, context, generator) / 0.0

    with pytest.raises(TrainingError, match=r"base \(Broken\)"):
        fit(pf.Flow([Elementwise(Affine(), (2,))], Broken((2,))), moons(), max_steps=2)

    class RootAtZero(StandardNormal):
        def forward(self, x: Tensor, context: Any = None, generator: Any = None) -> Tensor:
            return super().forward(x, context, generator) - torch.sqrt((x - x).sum(-1))

    with pytest.raises(TrainingError, match="the gradient of transform"):
        fit(pf.Flow([Elementwise(Affine(), (2,))], RootAtZero((2,))), moons(), max_steps=2)
    with pytest.raises(TrainingError, match="the objective, though every part is finite"):
        fit(affine_flow(), moons(), max_steps=2, objective=lambda flow, x, context: flow.log_prob(x).mean() / 0.0)


def test_a_latent_outside_of_the_bases_support_is_named() -> None:
    class Misses(Transform):
        """A linear map that says it leads into an interval, which it leaves."""

        domain, codomain = Reals((2,)), Interval(-1.0, 1.0, (2,))

        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, x: Tensor, context: Any = None, generator: Any = None) -> tuple[Tensor, Tensor]:
            return self.scale * x, x.new_zeros(x.shape[:-1])

    with pytest.raises(TrainingError, match=r"base \(Uniform\)"):
        fit(pf.Flow([Misses()], Uniform((2,), -1.0, 1.0)), moons(), max_steps=2)


class Breaks(nn.Linear):
    """A linear map that is no number for large inputs, and has no gradient at 15."""

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(torch.where(x.abs() > 100, torch.nan, x))
        return y + torch.where(y == 15, y - 15, 1.0).abs().sqrt()


class Shifts(Transform):
    """Moves vectors by what a network makes of them, and forgets that in the log-determinant."""

    def __init__(self) -> None:
        super().__init__()
        self.domain = self.codomain = Reals((2,))
        self.network = nn.Sequential(nn.Identity(), Breaks(2, 2, bias=False), nn.ReLU())
        nn.init.eye_(self.network[1].weight)

    def forward(self, x: Tensor, context: Any = None, generator: Any = None) -> tuple[Tensor, Tensor]:
        return x + self.network(x), x.new_zeros(x.shape[:-1])


def failure(rows: Tensor, **options: object) -> TrainingError:
    flow = pf.Flow([pf.transforms.Permutation(torch.tensor([1, 0])), Shifts()], StandardNormal((2,)))
    with pytest.raises(TrainingError) as error:
        fit(flow, rows, max_steps=20, batch_size=64, learning_rate=1e-5, **options)
    assert "\n" not in str(error.value)
    return error.value


def test_the_innermost_part_and_the_rows_are_named() -> None:
    x = moons()
    x[[40, 300]] = 1000.0
    error = failure(x)
    assert error.part == "transform.parts.1.network.1 (Breaks)"
    culprits = [row for row in error.rows.tolist() if row in (40, 300)]
    assert error.rows_at_fault.tolist() == culprits
    assert f"{', '.join(map(str, culprits))} alone, look at" in str(error) and "learning rate" not in str(error)


def test_the_row_of_an_infinite_gradient_is_named() -> None:
    x = moons()
    row = int(Batches(x, None, 64, seed=0).rows(0)[20])
    x[row] = 15.0
    error = failure(x)
    assert error.rows_at_fault.tolist() == [row] and "gradient of transform.parts.1" in error.part
    assert f"it fails for row {row} alone" in str(error)


def test_no_row_is_named_where_all_fail() -> None:
    error = failure(1000 + moons())
    assert len(error.rows_at_fault) == 0 and "try a lower learning rate" in str(error)


def test_a_part_that_was_given_the_fault_is_not_named() -> None:
    class Divides(Transform):
        def __init__(self) -> None:
            super().__init__()
            self.domain = self.codomain = Reals((2,))
            self.network = nn.Linear(2, 2)

        def forward(self, x: Tensor, context: Any = None, generator: Any = None) -> tuple[Tensor, Tensor]:
            return self.network(x / 0.0), x.new_zeros(x.shape[:-1])

    flow = pf.Flow([Divides()], StandardNormal((2,)))
    with pytest.raises(TrainingError, match=r"the first part to fail is transform.parts.0 \(Divides\)"):
        fit(flow, moons(), max_steps=2)


def test_the_diagnosis_leaves_buffers_as_they_were() -> None:
    flow = pf.Flow([pf.transforms.BatchNorm(2)], StandardNormal((2,)))
    x = moons(64)
    flow.train()
    before = weights(flow)
    step_failure(flow, lambda flow, x, context: flow.log_prob(x).mean() / 0, (x, None, torch.arange(64)), 1, state())
    assert same(weights(flow), before)


def state() -> list[Tensor]:
    return random_state(torch.device("cpu"))


# Few rows of many


@pytest.mark.parametrize("culprits", [[0], [63], [3, 4], [0, 31, 32, 63], list(range(8))])
def test_rows_are_found_by_halving(culprits: list[int]) -> None:
    calls = []

    def fails(rows: Tensor) -> bool:
        calls.append(rows)
        return any(row in culprits for row in rows.tolist())

    assert rows_at_fault(fails, 64) == culprits
    assert len(calls) <= 2 * 6 * len(culprits)


def test_more_than_a_few_rows_are_nobodys_fault() -> None:
    calls = []
    assert rows_at_fault(lambda rows: not calls.append(rows), 4096) == [] and len(calls) < 100
    assert rows_at_fault(lambda rows: len(rows) > 10, 64) == []
    assert rows_at_fault(lambda rows: True, 1) == []


# Gradients that are large


def test_gradients_whose_squares_overflow_are_clipped() -> None:
    gradients = [torch.full((3,), 1e25), torch.full((2, 2), -1e25)]
    assert not torch.isfinite(torch.nn.utils.get_total_norm(gradients))
    norm = scaled_norm(gradients)
    assert norm == pytest.approx(1e25 * math.sqrt(7), rel=1e-6)
    clip_(gradients, norm, 2.0)
    assert torch.nn.utils.get_total_norm(gradients).item() == pytest.approx(2.0, rel=1e-5)
    assert gradients[0].tolist() == pytest.approx([2 / math.sqrt(7)] * 3) and (gradients[1] < 0).all()


@pytest.mark.parametrize("limit", [1e-3, 1.0, 1e6])
def test_the_largest_numbers_are_clipped_exactly(limit: float) -> None:
    gradients = [torch.tensor([3e38, -1e-3]), torch.tensor([1e38])]
    clip_(gradients, scaled_norm(gradients), limit)
    assert torch.nn.utils.get_total_norm(gradients).item() == pytest.approx(limit, rel=1e-5)


def test_scaled_norm_of_nothing_and_of_what_is_not_finite() -> None:
    assert scaled_norm([torch.zeros(3)]) == 0
    assert scaled_norm([torch.tensor([1.0]), torch.tensor([torch.inf])]) == math.inf
    assert math.isnan(scaled_norm([torch.tensor([1.0, torch.nan]), torch.tensor([1.0])]))


@pytest.mark.parametrize(("clip", "steps"), [(1.0, 200), (None, 20)])
def test_one_wild_row_does_not_stop_the_training(clip: float | None, steps: int) -> None:
    x = torch.randn(2000, 2)
    x[5] = 1e6
    flow = pf.build("maf", features=2)
    assert fit(flow, x, max_steps=steps, clip=clip).steps == steps
    assert torch.isfinite(flow.log_prob(x[:5])).all()


def test_finite_gradients_of_any_size_are_taken() -> None:
    flow = affine_flow()
    result = fit(flow, moons(), max_steps=5, objective=lambda flow, x, context: 1e25 * -flow.log_prob(x).mean())
    assert result.steps == 5 and not same(weights(flow), weights(affine_flow()))
