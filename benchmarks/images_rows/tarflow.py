"""TarFlow: bits per dimension on digits and MNIST, and what cached keys and values save in sampling.

``ours`` is TarFlow, ``other`` the multi-scale flow after a training of the same time: on the digits' test images of the
demo's split, and on MNIST's, as lower bounds by uniform dequantization (one sample), tightened by 64 samples on the
digits and by 8 on 1,000 images of MNIST. Beside that how many times longer the processor works to draw from one layer
by a pass over all tokens for each token than with cached keys and values, and the largest difference of what they draw.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import pushforward as pf
from pushforward.data import Dataset
from pushforward.data.digits import load_digits
from pushforward.data.idx import load_mnist
from pushforward.networks import CausalTransformer
from pushforward.scalar import Affine
from pushforward.testing import randomise
from pushforward.transforms import Autoregressive

SECONDS = {"digits": 600.0, "mnist": 9000.0}
MODELS: dict[str, dict[str, dict[str, Any]]] = {
    "digits": {
        "tarflow": {"layers": 4, "hidden": 64, "blocks": 2, "dropout": 0.2},
        "multiscale": {"hidden": 32, "dropout": 0.2},
    },
    "mnist": {"tarflow": {"layers": 4, "hidden": 128, "blocks": 3, "patch": 4}, "multiscale": {}},
}
TRAINING: dict[str, Any] = {"optimizer": "adamw", "weight_decay": 0.01, "warmup_steps": 100}
OF_DATA: dict[str, dict[str, Any]] = {
    "digits": {"learning_rate": 2e-3, "batch_size": 64, "shift": 1, "ema": 0.998, "validate_every": 200},
    "mnist": {"learning_rate": 1e-3, "batch_size": 128},
}
DRAWN = 16
"""How many images are drawn at a time."""


def run(seconds: float | None, data: Path, accelerator: str = "cpu") -> list[dict[str, object]]:
    """Measure the sampling, train on the digits and, where it is there, on MNIST."""
    rows = [line for patch in (4, 2) for line in sampling(patch)]
    rows += densities("digits", load_digits(), seconds, accelerator, importance_samples=64)
    if (data / "mnist").is_dir():
        mnist = load_mnist(data / "mnist")
        rows += densities("mnist", mnist, seconds, accelerator, importance_samples=8, tightened=1000)
    return rows


def densities(
    name: str,
    data: Dataset,
    seconds: float | None,
    accelerator: str,
    importance_samples: int,
    tightened: int | None = None,
) -> list[dict[str, object]]:
    """Train both models and score the test images."""
    budget = seconds or SECONDS[name]
    flows = {model: trained(model, name, data, budget, accelerator) for model in MODELS[name]}
    asked = {"digits": "best flow <= 1.75", "mnist": "best flow <= 1.05 (IW-8)"}[name]

    def line(what: str, x: Tensor, samples: int) -> dict[str, object]:
        ours, other = (pf.evaluate(flow, x, importance_samples=samples).bits_per_dim for flow in flows.values())
        return {
            "what": f"{name}, {budget:.0f} s each: test bits/dim, {what}",
            "ours": ours,
            "other": other,
            "asked": asked,
        }

    return [
        line("one sample", data.test, 1),
        line(f"IW-{importance_samples}", data.test[:tightened], importance_samples),
    ]


def trained(model: str, name: str, data: Dataset, seconds: float, accelerator: str) -> pf.Flow:
    """The model after a training of so many seconds, where it was trained."""
    torch.manual_seed(0)
    flow = pf.build(model, shape=data.event_shape, levels=data.levels, **MODELS[name][model])
    options = {**TRAINING, **OF_DATA[name], "accelerator": accelerator}
    pf.fit(flow, data, max_time=seconds, seed=0, progress=False, **options)
    return flow.to(accelerator)


def sampling(patch: int) -> list[dict[str, object]]:
    """One layer's inverse on images of 28 x 28, with and without a cache."""
    token, features = patch**2, 28**2
    network = partial(CausalTransformer, token=token, hidden=128, blocks=4)
    layer = randomise(Autoregressive(features, Affine(), network), 0.1).eval()
    z = torch.randn(DRAWN, features)
    with torch.no_grad():
        layer.decode(z)
    cached, in_cache = timed(layer.decode, z)
    naive, in_turn = timed(partial(token_by_token, layer, token), z)
    what = f"28 x 28 in {features // token} patches of {patch} x {patch}, {DRAWN} images"
    return [
        {
            "what": f"{what}: a pass for each ({in_turn:.2f} s) over cached ({in_cache:.2f} s)",
            "ours": in_turn / in_cache,
            "other": None,
            "asked": ">= 10",
        },
        {
            "what": f"{what}: largest difference",
            "ours": (cached - naive).abs().max().item(),
            "other": None,
            "asked": "1e-5",
        },
    ]


def token_by_token(layer: Autoregressive, token: int, z: Tensor) -> Tensor:
    """The inverse by a pass over the whole image for each patch."""
    x = torch.zeros_like(z)
    for start in range(0, z.shape[-1], token):
        place = slice(start, start + token)
        parameters = layer.parameters_in_order(x, None)[..., place, :]
        x[..., place] = layer.scalar.decode(z[..., place], parameters)
    return x


@torch.no_grad()
def timed(function: Callable[[Tensor], Tensor], z: Tensor) -> tuple[Tensor, float]:
    """What a function gives, and the seconds that a processor works on it, whoever else it works for."""
    began = time.process_time()
    found = function(z)
    return found, time.process_time() - began
