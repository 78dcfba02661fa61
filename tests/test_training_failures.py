"""When numbers fail: what is clipped, what is told, what is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from training_helpers import affine_flow, fit, moons, same, weights

import pushforward as pf
from pushforward.distributions import StandardNormal
from pushforward.errors import TrainingError
from pushforward.scalar import Affine
from pushforward.training.batches import Batches
from pushforward.transforms import Elementwise, Transform


class FailsAfter(Transform):
    """The identity, until a number of steps is over; then NaN."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps, self.calls = steps, 0

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
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
        def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
            return super().log_prob(x, context) / 0.0

    with pytest.raises(TrainingError, match=r"base \(Broken\)"):
        fit(pf.Flow([Elementwise(Affine(), (2,))], Broken((2,))), moons(), max_steps=2)

    class RootAtZero(StandardNormal):
        def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
            return super().log_prob(x, context) - torch.sqrt((x - x).sum(-1))

    with pytest.raises(TrainingError, match="the gradient of transform"):
        fit(pf.Flow([Elementwise(Affine(), (2,))], RootAtZero((2,))), moons(), max_steps=2)
    with pytest.raises(TrainingError, match="the data itself"):
        fit(affine_flow(), torch.full((64, 2), torch.nan), max_steps=2)
