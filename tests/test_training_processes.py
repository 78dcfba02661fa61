"""Several processes train to what one does."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from training_helpers import fit, moons, same, small_flow, weights

import pushforward as pf
from pushforward.errors import TrainingError, UsageError
from pushforward.training.outcome import Handover, Outcome
from pushforward.training.result import FitResult

_DISTRIBUTED = """
import sys, torch
import pushforward as pf

def run(out, **options):
    torch.manual_seed(0)
    flow = pf.build("realnvp", features=2, layers=2)
    x = pf.data.toy("moons").sample(500, torch.Generator().manual_seed(0))
    pf.fit(flow, x, x[:101], max_steps=40, batch_size=64, seed=3, log_every=1, validate_every=10, progress=False,
           accelerator="cpu", out=out, **options)

if __name__ == "__main__":
    run(sys.argv[1], devices=2, strategy="ddp")
"""


def test_two_processes_train_to_the_loss_of_one(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(_DISTRIBUTED)
    namespace: dict[str, Any] = {"__name__": "script"}
    exec(_DISTRIBUTED, namespace)
    namespace["run"](tmp_path / "one")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), str(tmp_path / "two")]
    subprocess.run(command, check=True, env=environment, capture_output=True, timeout=300)
    curves = []
    for run in ("one", "two"):
        with (tmp_path / run / "metrics.csv").open() as file:
            curves.append(list(csv.DictReader(file)))
    assert len(curves[0]) == len(curves[1]) == 40
    for one, two in zip(*curves):
        assert float(two["train_nats"]) == pytest.approx(float(one["train_nats"]), abs=1e-4)
        assert two["validation_nats"] == one["validation_nats"] == "" or float(two["validation_nats"]) == pytest.approx(
            float(one["validation_nats"]), abs=1e-4
        )
    models = [pf.load(tmp_path / run / "model.safetensors") for run in ("one", "two")]
    assert torch.allclose(models[0].log_prob(moons(50)), models[1].log_prob(moons(50)), atol=1e-3)


# Processes that are spawned

_SPAWNED = {"accelerator": "cpu", "devices": 2, "strategy": "ddp_spawn", "batch_size": 64, "log_every": 1}


def fails_for_one_row(flow: pf.Flow, x: Tensor, context: Tensor | None) -> Tensor:
    broken = torch.where(x[:, 0] == moons()[77, 0], torch.inf, 0.0)
    return pf.training.negative_log_likelihood(flow, x, context) + broken.sum()


@pytest.mark.slow
def test_spawned_processes_bring_everything_back(tmp_path: Path) -> None:
    x, given = moons(), moons(101)
    alone, together = small_flow(), small_flow()
    options = {"max_steps": 40, "validate_every": 10, "precision": "64"}
    expected = fit(alone, x, given, log_every=1, batch_size=64, **options)
    found = fit(together, x, given, out=tmp_path, **_SPAWNED, **options)
    assert found.steps == 40 and found.stopped == "steps" and found.seconds > 0 and not together.training
    for name in ("step", "train_loss", "val_loss", "lr"):
        one, two = ([row[name] or 0.0 for row in result.history] for result in (expected, found))
        assert two == pytest.approx(one, abs=1e-6)
    # The weights are the best average, not the last step's.
    assert found.best_validation == pytest.approx(-together.log_prob(given.double()).mean().item(), abs=1e-9)
    assert all(torch.allclose(one, two, atol=1e-6) for one, two in zip(weights(alone), weights(together)))
    assert same(weights(pf.load(tmp_path / "model.safetensors")), weights(together))


@pytest.mark.slow
def test_a_spawned_process_that_fails_tells_why() -> None:
    flow = small_flow()
    with pytest.raises(TrainingError, match="it fails for row 77 alone") as error:
        fit(flow, moons(), max_steps=8, objective=fails_for_one_row, seed=1, **_SPAWNED)
    assert error.value.rows_at_fault.tolist() == [77] and 77 in error.value.rows
    assert error.value.step > 1 and not same(weights(flow), weights(small_flow()))


def test_what_cannot_be_sent_to_a_process_is_told() -> None:
    with pytest.raises(UsageError, match="define them at the top level of a module, or take strategy='ddp'"):
        fit(small_flow(), moons(), max_steps=2, objective=lambda flow, x, context: flow.log_prob(x).mean(), **_SPAWNED)


def test_an_outcome_is_handed_over(tmp_path: Path) -> None:
    handover = Handover(tmp_path)
    assert handover.take() is None and not handover.in_worker
    error = TrainingError("it failed")
    error.step, error.rows = 3, torch.arange(4)
    result = FitResult([{"step": 1, "val_loss": None}], None, 1, 0.5, "steps")
    handover.leave(Outcome(result, [torch.ones(2, dtype=torch.float64)], error))
    found = handover.take()
    assert found.result == result and torch.equal(found.weights[0], torch.ones(2, dtype=torch.float64))
    assert str(found.failure) == "it failed" and found.failure.step == 3 and found.failure.rows.tolist() == [0, 1, 2, 3]
