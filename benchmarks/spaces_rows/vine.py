"""The vine copula autoencoder of the 8 x 8 digits that scikit-learn ships, against a plain variational autoencoder of
the same networks and steps: the accuracy of a classifier that tells samples from the autoencoder's reconstructions of
held-out digits ("ours": samples of the vine, "other": of the variational autoencoder). One half is as good as can be.

Beside the vine are the latents' marginals alone, and a normal with their mean and covariance, by the same decoder.
Needs pyvinecopulib: pip install 'pushforward[vines]'.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

import pushforward as pf
from pushforward.data import load_data
from pushforward.diagnostics import c2st
from pushforward.training import ELBO

SECONDS = 120.0
LATENTS, HIDDEN = 10, 256
SHAPE = (1, 8, 8)
LEVELS = 17


def run(seconds: float | None, data: Path) -> list[dict[str, object]]:
    """Train both and compare their samples with what the autoencoder makes of held-out digits."""
    digits = load_data("digits")
    train = torch.as_tensor(digits.train)
    held_out = torch.cat([torch.as_tensor(digits.validation), torch.as_tensor(digits.test)])
    torch.manual_seed(0)
    autoencoder = pf.models.vine_autoencoder(shape=SHAPE, levels=LEVELS, latents=LATENTS, hidden=HIDDEN)
    steps = pf.fit(autoencoder, train, max_time=seconds or SECONDS, seed=0, progress=False).steps
    torch.manual_seed(0)
    plain = pf.models.vae(shape=SHAPE, levels=LEVELS, latents=LATENTS, hidden=HIDDEN)
    pf.fit(plain, train, max_steps=steps, objective=ELBO(), seed=0, progress=False)

    vine = pf.models.with_vine(autoencoder, train)
    reconstructions = autoencoder.decode(autoencoder.encode(held_out))
    theirs = told_apart(plain.sample(len(held_out)), reconstructions)
    contenders = {
        "vine copula": vine.sample(len(held_out)),
        "empirical marginals, independent": autoencoder.decode(marginals_alone(vine, len(held_out))),
        "a normal": autoencoder.decode(normal_latents(autoencoder, train, len(held_out))),
    }
    return [
        {
            "what": f"classifier's accuracy, {name} of the latents, {steps:,} steps",
            "ours": told_apart(samples, reconstructions),
            "other": theirs,
            "asked": "below the variational autoencoder's" if name == "vine copula" else "",
        }
        for name, samples in contenders.items()
    ]


def told_apart(samples: Tensor, reconstructions: Tensor) -> float:
    """The cross-validated accuracy of a classifier of the two."""
    return float(c2st(samples.flatten(1).float(), reconstructions.flatten(1).float(), seed=0).value)


def marginals_alone(vine: pf.Flow, count: int) -> Tensor:
    """Latents whose dimensions are those of the vine, and independent."""
    independent = pf.distributions.StandardNormal(vine.base.event_shape)
    return pf.Flow(vine.base.transform, independent).sample(count)


def normal_latents(flow: pf.Flow, x: Tensor, count: int) -> Tensor:
    """Latents of a normal with the mean and the covariance of the data's."""
    latents = flow.encode(x).detach()
    return torch.distributions.MultivariateNormal(latents.mean(0), torch.cov(latents.T)).sample((count,))
