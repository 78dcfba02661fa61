"""NPE of sbi 0.27, with its defaults, in an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

FOLDER = Path(__file__).resolve().parents[1] / "build" / "benchmark-sbi"
TASKS = ("two_moons", "slcp")

_CODE = """
import sys, time, numpy as np, torch
from sbi.inference import NPE
from sbi.utils import BoxUniform
torch.set_num_threads(int(sys.argv[3]))
given = {name: torch.from_numpy(value) for name, value in np.load(sys.argv[1]).items()}
features = given["theta"].shape[1]
bound = float(sys.argv[4]) * torch.ones(features)
inference = NPE(BoxUniform(-bound, bound), show_progress_bars=False)
began = time.perf_counter()
inference.append_simulations(given["theta"], given["x"]).train()
training = time.perf_counter() - began
posterior = inference.build_posterior()
times, samples = [], []
for x in given["observed"]:
    began = time.perf_counter()
    samples.append(posterior.sample((10_000,), x=x, show_progress_bars=False).numpy())
    times.append(time.perf_counter() - began)
np.savez(sys.argv[2], samples=np.stack(samples), training=training, sampling=np.median(times))
"""


@dataclass(frozen=True)
class Found:
    """What sbi found: samples ``(observations, 10000, D)``, and seconds of its training and of 10,000 samples."""

    samples: Tensor
    training: float
    sampling: float


def setup_sbi() -> None:
    """Make an environment with sbi beside this one, which shares its packages, PyTorch above all."""
    subprocess.run([sys.executable, "-m", "venv", "--system-site-packages", str(FOLDER)], check=True)
    for own in FOLDER.glob("lib/python*/site-packages"):
        (own / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")
    subprocess.run([str(FOLDER / "bin" / "pip"), "install", "-q", "sbi==0.27.0"], check=True)


def npe(theta: Tensor, x: Tensor, observed: Tensor, bound: float) -> Found:
    """Train on simulations whose prior is uniform within ``bound``, and draw 10,000 samples for each observation."""
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "given.npz", Path(folder) / "found.npz"
        np.savez(given, theta=theta.numpy(), x=x.numpy(), observed=observed.numpy())
        arguments = [str(given), str(found), str(torch.get_num_threads()), str(bound)]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        subprocess.run([str(FOLDER / "bin" / "python"), "-c", _CODE, *arguments], check=True, env=environment)
        with np.load(found) as loaded:
            return Found(torch.from_numpy(loaded["samples"]), float(loaded["training"]), float(loaded["sampling"]))


if __name__ == "__main__":
    setup_sbi()
