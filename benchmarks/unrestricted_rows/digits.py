"""Digits of 8 x 8 pixels and 17 levels: bits per dimension of the DenseNet flow ("ours") and the residual flow
("other") on the test images of the demo's split, after twenty minutes of training each.

The log-likelihood is a lower bound in the mean, by uniform dequantization, and its log-determinants are unbiased
estimates with 20 exact terms.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

import pushforward as pf
from pushforward.data.digits import load_digits

OPTIONS: dict[str, dict[str, Any]] = {
    "densenet-flow": {"layers": 6, "hidden": 9},
    "residual-flow": {"layers": 6, "hidden": 50},
}
SECONDS = 1200.0
TRAINING: dict[str, Any] = {
    "batch_size": 64,
    "learning_rate": 2e-3,
    "optimizer": "adamw",
    "weight_decay": 0.01,
    "warmup_steps": 50,
    "ema": 0.995,
    "shift": 1,
    "validate_every": 200,
}
REPEATS = 2


def run(seconds: float | None, data: Path) -> list[dict[str, object]]:
    """Train both flows."""
    budget = seconds or SECONDS
    (ours, error, size), (other, _, other_size) = (bits_per_dim(model, budget) for model in OPTIONS)
    what = (
        f"digits 8x8: test bits/dim after {budget:.0f} s (+- {error:.3f}), DenseNet flow ({size:,} parameters) beside "
        f"residual flow ({other_size:,})"
    )
    return [{"what": what, "ours": ours, "other": other, "asked": "both < 2.2"}]


def bits_per_dim(model: str, seconds: float) -> tuple[float, float, int]:
    """The test images' mean bits per dimension with its standard error, and the flow's number of parameters."""
    torch.manual_seed(0)
    digits = load_digits()
    flow = pf.build(model, shape=digits.event_shape, levels=digits.levels, **OPTIONS[model])
    pf.fit(flow, digits, max_time=seconds, seed=0, progress=False, **TRAINING)
    with torch.no_grad():
        bits = torch.stack([flow.bits_per_dim(digits.test) for _ in range(REPEATS)])
    size = sum(parameter.numel() for parameter in flow.parameters())
    return bits.mean().item(), bits.mean(0).std().item() / bits.shape[1] ** 0.5, size
