"""Stochastic movement, VideoFlow given the first frame ("ours"): bits a clip beside the truth's 3, log2 of 8 directions
("other"), with importance weights since dequantization leaves a bound; and of samples how many are one of the eight
futures to the pixel, how many directions they show, and the p of a chi-squared test that they show them evenly.
Beside them what the noise of dequantization leaves of bits where nothing is uncertain, since it cannot quite be normal:
of noise as the recipe has it ("ours") and of affine noise ("other").
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from scipy.stats import chisquare
from torch import Tensor

import pushforward as pf
from pushforward.data.video import DIRECTIONS, futures, load_movement
from pushforward.distributions import DiagonalNormal
from pushforward.scalar import Affine, Composition, RationalQuadraticSpline, ScalarBijection
from pushforward.transforms import Chain, Elementwise, Logit

SECONDS = 600.0
SAMPLES, TESTED, WEIGHTED = 1000, 200, 16
OPTIONS = {"layers": 1, "hidden": 24, "scales": 1, "memory": 2, "components": 16}


def run(seconds: float | None, data: Path) -> list[dict[str, object]]:
    """Train once and measure."""
    clips = load_movement()
    torch.manual_seed(0)
    flow = pf.models.videoflow(clip=clips.event_shape, levels=2, **OPTIONS)
    budget = seconds or SECONDS
    pf.fit(
        flow,
        given_first(clips.train),
        given_first(clips.validation),
        max_time=budget,
        batch_size=32,
        learning_rate=5e-3,
        compile=False,
        seed=0,
        progress=False,
    )
    test, first = given_first(clips.test[:TESTED])
    nats = pf.evaluate(flow, test, first, importance_samples=WEIGHTED)
    alone = pf.evaluate(flow, test, first)
    dimensions = math.prod(flow.event_shape)
    shown, exact = directions(flow, given_first(clips.test)[1])
    return [
        {
            "what": f"bits a clip, IW-{WEIGHTED}, {budget:.0f} s",
            "ours": nats.bits_per_dim * dimensions,
            "other": math.log2(len(DIRECTIONS)),
            "asked": "within 1 bit",
        },
        {"what": "bits a clip, one draw", "ours": alone.bits_per_dim * dimensions, "other": None, "asked": ""},
        {"what": "directions in samples", "ours": f"{len(shown.unique())} of 8", "other": None, "asked": "8 of 8"},
        {"what": "p of even directions (chi-squared)", "ours": p_even(shown), "other": None, "asked": "over 0.01"},
        {"what": "samples that are a future to the pixel", "ours": exact, "other": 1.0, "asked": ""},
        {
            "what": "bits a clip that the noise leaves at best",
            "ours": dimensions * noise_bits(Composition(RationalQuadraticSpline(bins=6, bound=9.0), Affine())),
            "other": dimensions * noise_bits(Affine()),
            "asked": "",
        },
    ]


def noise_bits(shape: ScalarBijection, steps: int = 1200, batch: int = 512) -> float:
    """The bits of one pixel of two levels whose value is known: of noise in its cell that is fitted to the normal that
    it is to be, and the normal to it, ``KL(q(u) || p(u))``."""
    torch.manual_seed(0)
    # Of a logistic, through the shape that is learned, into the lower of two cells.
    noise = Chain([Logit(1e-5, event_dims=1), Elementwise(shape, (1,))])
    logit, normal = Logit(0.01, event_dims=1), DiagonalNormal((1,))
    optimizer = torch.optim.Adam([*noise.parameters(), *normal.parameters()], 2e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    last = []
    for _ in range(steps):
        latent, shaped = noise(torch.rand(batch, 1))
        cell = torch.sigmoid(latent) / 2
        slope = torch.nn.functional.logsigmoid(latent) + torch.nn.functional.logsigmoid(-latent) - math.log(2)
        z, log_det = logit(cell)
        bits = (-shaped - slope[:, 0] - log_det - normal.log_prob(z)).mean() / math.log(2)
        optimizer.zero_grad()
        bits.backward()
        optimizer.step()
        schedule.step()
        last.append(bits.item())
    return sum(last[-200:]) / 200


def given_first(clips: Tensor) -> tuple[Tensor, Tensor]:
    """The frames that are scored and the one that is given."""
    return clips[:, 1:], clips[:, :1]


def directions(flow: pf.Flow, first: Tensor) -> tuple[Tensor, float]:
    """The nearest direction of samples, and the share of them that agree with it in every pixel."""
    first = first[torch.arange(SAMPLES) % len(first)]
    drawn = flow.sample((), first, generator=torch.Generator().manual_seed(1))
    expected = futures(first[:, 0], drawn.shape[1])
    wrong = (drawn[:, None] != expected).flatten(2).sum(-1)
    fewest, nearest = wrong.min(1)
    return nearest, (fewest == 0).float().mean().item()


def p_even(shown: Tensor) -> float:
    """The p of a chi-squared test."""
    return float(chisquare(torch.bincount(shown, minlength=len(DIRECTIONS)).numpy()).pvalue)
