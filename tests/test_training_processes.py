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
from training_helpers import moons

import pushforward as pf

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
        assert float(two["train_loss"]) == pytest.approx(float(one["train_loss"]), abs=1e-4)
        assert two["val_loss"] == one["val_loss"] == "" or float(two["val_loss"]) == pytest.approx(
            float(one["val_loss"]), abs=1e-4
        )
    models = [pf.load(tmp_path / run / "model.safetensors") for run in ("one", "two")]
    assert torch.allclose(models[0].log_prob(moons(50)), models[1].log_prob(moons(50)), atol=1e-3)
