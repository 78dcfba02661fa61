"""The forerunners on known densities, and the deep density model's experiment on digits.

``KL(p | q)`` in nats on fresh samples of ``p``: in one dimension a mixture of three normals, on the plane a mixture of
two and a bent normal, ``x_2 = x_1^2 / 2 + N(0, 1/4)``, from 10,000 training rows. "Other" is ``nsf`` trained by
likelihood on the same rows in the same time.

Then a deep density model of the nines of scikit-learn's digits: the median log-density of the reconstruction of
held-out nines ("ours") beside that of sixes, of sixes turned by half a turn, and of distorted nines ("other"), in nats.
A picture of all, ``forerunners.png``, is written into the working directory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

import pushforward as pf

SECONDS = 120.0
ROWS, HELD_OUT, TEST = 10_000, 2000, 20_000


@dataclass(frozen=True)
class Known:
    """A density that can be drawn from."""

    features: int
    sample: Callable[[int], Tensor]
    log_prob: Callable[[Tensor], Tensor]


def mixture(weights: list[float], means: list[list[float]], scales: list[list[float]]) -> Known:
    """A mixture of normals."""
    parts = Independent(Normal(torch.tensor(means), torch.tensor(scales)), 1)
    law = MixtureSameFamily(Categorical(torch.tensor(weights)), parts)
    return Known(len(means[0]), lambda rows: law.sample((rows,)), law.log_prob)


def bent(rows: int) -> Tensor:
    """Samples of the bent normal."""
    z = torch.randn(rows, 2)
    return torch.stack([z[:, 0], 0.5 * z[:, 1] + 0.5 * z[:, 0].square()], 1)


def bent_log_prob(x: Tensor) -> Tensor:
    """The bent normal's log-density."""
    return Normal(0.0, 1.0).log_prob(x[:, 0]) + Normal(0.5 * x[:, 0].square(), 0.5).log_prob(x[:, 1])


KNOWN = {
    "three normals, 1-D": mixture([0.5, 0.3, 0.2], [[-2.0], [1.0], [2.0]], [[0.5], [1.0], [0.2]]),
    "two normals, 2-D": mixture([0.4, 0.6], [[-1.0, 0.0], [1.5, 1.0]], [[0.5, 1.0], [0.7, 0.3]]),
    "bent normal, 2-D": Known(2, bent, bent_log_prob),
}
BY_GRADIENTS = {"batch_size": 1000, "learning_rate": 2e-2, "compile": False}
MODELS: dict[str, tuple[str, dict[str, Any], dict[str, Any], str]] = {
    "Tabak-Turner": ("tabak-turner", {}, {}, "<= 0.1"),
    "RBIG": ("rbig", {}, {}, "<= 0.05"),
    "CDF network": ("cdf-network", {"units": 64}, BY_GRADIENTS, "<= 0.05"),
}
"""The name of the model, its options, those of its training, and what is asked."""


def run(seconds: float | None, data: Path) -> list[dict[str, object]]:
    """Fit every model to every density, then the digits."""
    budget = seconds or SECONDS
    lines: list[dict[str, object]] = []
    for what, known in KNOWN.items():
        other = divergence(known, "nsf", {"layers": 2, "hidden": 32}, {"compile": False}, budget)
        for name, (model, options, training, asked) in MODELS.items():
            ours = divergence(known, model, options, training, budget)
            lines.append({"what": f"{name}, {what}: KL", "ours": ours, "other": other, "asked": asked})
    known = KNOWN["three normals, 1-D"]
    penalised = divergence(known, "cdf-network", {"units": 16, "increasing": "penalty"}, BY_GRADIENTS, budget)
    lines.append({"what": "CDF network by penalty, 1-D: KL", "ours": penalised, "other": None, "asked": "<= 0.05"})
    return lines + digits(budget)


def divergence(known: Known, model: str, options: dict[str, Any], training: dict[str, Any], seconds: float) -> float:
    """The divergence of a fitted model from the density."""
    torch.manual_seed(0)
    train, held_out, test = known.sample(ROWS), known.sample(HELD_OUT), known.sample(TEST)
    flow = pf.build(model, features=known.features, **options)
    pf.fit(flow, train, held_out, max_time=seconds, seed=0, progress=False, **training)
    with torch.no_grad():
        return (known.log_prob(test) - flow.log_prob(test)).mean().item()


def digits(seconds: float) -> list[dict[str, object]]:
    """The scores of a deep density model of nines."""
    nines, sixes = digit(9), digit(6)
    train, test = nines.split([130, len(nines) - 130])
    torch.manual_seed(0)
    flow = pf.models.deep_density(features=64)
    options = {"batch_size": 130, "learning_rate": 2e-3, "compile": False}
    pf.fit(flow, train.flatten(1), max_steps=1500, max_time=seconds, seed=0, progress=False, **options)
    noisy = (test + 0.3 * torch.randn_like(test)).clamp(0.0, 1.0)
    shuffled = test.flatten(1)[:, torch.randperm(64)]
    others = {
        "nines that it was trained on": train,
        "sixes": sixes,
        "sixes turned by half a turn": sixes.flip(1, 2),
        "nines with noise of 0.3": noisy,
        "nines of shuffled pixels": shuffled,
    }
    asked = {"sixes turned by half a turn": "about the same", "nines that it was trained on": "about the same"}
    scores = {name: score(flow, each) for name, each in {"nines": test, **others}.items()}
    draw(scores)
    ours = scores["nines"].median().item()
    return [
        {
            "what": f"deep density of nines: held-out nines, beside {name}",
            "ours": ours,
            "other": scores[name].median().item(),
            "asked": asked.get(name, "ours higher"),
        }
        for name in others
    ]


def digit(label: int) -> Tensor:
    """The images of a digit, (N, 8, 8), from 0 to 1."""
    from sklearn.datasets import load_digits

    loaded = load_digits()
    return torch.tensor(loaded.images[loaded.target == label] / 16.0).float()


def score(flow: pf.Flow, images: Tensor) -> Tensor:
    """The log-density of each image's reconstruction."""
    with torch.no_grad():
        return pf.models.reconstruction_log_prob(flow, images.flatten(1))


def draw(scores: dict[str, Tensor]) -> None:
    """The papers' pictures: points on their way to a normal, a distribution function with its density, and scores."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 5, figsize=(17, 3.4))
    torch.manual_seed(0)
    x = bent(3000)
    flow = pf.models.tabak_turner(features=2, candidates=8)
    pf.fit(flow, x, bent(1000), seed=0, progress=False)
    for axis, count in zip(axes, (1, 30, len(flow.transform)), strict=False):
        with torch.no_grad():
            axis.scatter(*flow.transform[:count].encode(x).t(), s=1)
        axis.set_title("standardised data" if count == 1 else f"after {count - 1} maps")
        axis.set(xlim=(-4, 4), ylim=(-4, 4), aspect="equal")
    known = KNOWN["three normals, 1-D"]
    network = pf.models.cdf_network(features=1, units=32)
    pf.fit(network, known.sample(5000), max_steps=600, seed=0, progress=False, **BY_GRADIENTS)
    grid = torch.linspace(-5.0, 4.5, 400)[:, None]
    with torch.no_grad():
        axes[3].plot(grid, network.base.cdf(network.transform.encode(grid)), label="distribution function")
        axes[3].plot(grid, network.log_prob(grid).exp(), label="its derivative")
    axes[3].plot(grid, known.log_prob(grid).exp(), "k:", label="the density")
    axes[3].legend(fontsize=7)
    for name, values in scores.items():
        axes[4].hist(values.clamp_min(0.0).tolist(), bins=25, histtype="step", density=True, label=name)
    axes[4].legend(fontsize=6)
    axes[4].set_xlabel("log-density of the reconstruction")
    figure.tight_layout()
    figure.savefig("forerunners.png", dpi=70)
    plt.close(figure)
