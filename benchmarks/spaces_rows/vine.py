"""The vine copula autoencoder of MNIST in black and white, against a plain variational autoencoder of the same networks
and steps: the accuracy of a classifier that tells samples from reconstructions of held-out digits. One half is as good
as can be.

The classifier sees the first 20 principal components of the reconstructions. Samples of the vine ("ours") and of the
variational autoencoder ("other") stand each beside what its own model makes of the digits, and in a second line both
beside the reconstructions of the vine's autoencoder. Then, by the decoder of the vine, the latents' marginals alone,
and a normal of their mean and covariance. Needs pyvinecopulib: pip install 'pushforward[vines]'.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

import pushforward as pf
from pushforward.data import load_mnist
from pushforward.diagnostics import c2st
from pushforward.training import ELBO

SECONDS = 60.0
LATENTS, HIDDEN = 10, 300
SHAPE = (1, 28, 28)
LATENT_ROWS = 5000
COMPARED = 1000
COMPONENTS = 20


def run(seconds: float | None, data: Path) -> list[dict[str, object]]:
    """Train both and compare their samples with what they make of held-out digits."""
    mnist = load_mnist(data / "mnist")
    train, held_out = black_and_white(mnist.train), black_and_white(mnist.test)[:COMPARED]
    torch.manual_seed(0)
    autoencoder = pf.models.vine_autoencoder(shape=SHAPE, levels=2, latents=LATENTS, hidden=HIDDEN)
    steps = pf.fit(autoencoder, train, max_time=seconds or SECONDS, seed=0, progress=False).steps
    torch.manual_seed(0)
    plain = pf.models.vae(shape=SHAPE, levels=2, latents=LATENTS, hidden=HIDDEN)
    pf.fit(plain, train, max_steps=steps, objective=ELBO(), seed=0, progress=False)

    torch.manual_seed(0)
    ours, theirs = reconstructed(autoencoder, held_out), reconstructed(plain, held_out)
    drawn, plain_drawn = autoencoder.sample(COMPARED), plain.sample(COMPARED)
    samples = told_apart(drawn, ours)
    coder = autoencoder.transform
    independent = told_apart(coder.decode(marginals_alone(autoencoder, COMPARED)), ours)
    normal = told_apart(coder.decode(normal_latents(autoencoder, train[:LATENT_ROWS], COMPARED)), ours)
    asked = "below the variational autoencoder's"
    what = f"classifier's accuracy after {steps:,} steps, "
    return [
        line(what + "against the own reconstructions", samples, told_apart(plain_drawn, theirs), asked),
        line(what + "against the vine autoencoder's", samples, told_apart(plain_drawn, ours), asked),
        line(what + "empirical marginals, independent", independent, None, ""),
        line(what + "a normal of the latents' covariance", normal, None, ""),
    ]


def line(what: str, ours: float, other: float | None, asked: str) -> dict[str, object]:
    """A line of the table."""
    return {"what": what, "ours": ours, "other": other, "asked": asked}


def black_and_white(images: object) -> Tensor:
    """Pixels that are 1 where they were brighter than half."""
    return (torch.as_tensor(images) > 127).float()


@torch.no_grad()
def reconstructed(flow: pf.Flow, images: Tensor) -> Tensor:
    """What an autoencoder makes of images."""
    return flow.decode(flow.encode(images))


def told_apart(samples: Tensor, reconstructions: Tensor) -> float:
    """The cross-validated accuracy of a classifier of the two, by the reconstructions' principal components."""
    rows, others = reconstructions.flatten(1).float(), samples.flatten(1).float()
    center = rows.mean(0)
    _, _, components = torch.linalg.svd(rows - center, full_matrices=False)
    seen = components[:COMPONENTS].T
    return float(c2st((others - center) @ seen, (rows - center) @ seen, seed=0).value)


def marginals_alone(flow: pf.Flow, count: int) -> Tensor:
    """Latents whose dimensions are those of the vine, and independent."""
    independent = pf.distributions.StandardNormal(flow.base.event_shape)
    return pf.Flow(flow.base.transform, independent).sample(count)


@torch.no_grad()
def normal_latents(flow: pf.Flow, x: Tensor, count: int) -> Tensor:
    """Latents of a normal with the mean and the covariance of the data's."""
    latents = flow.transform.encode(x)
    return torch.distributions.MultivariateNormal(latents.mean(0), torch.cov(latents.T)).sample((count,))
