"""The vine copula autoencoder."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from pushforward.flows.flow import Flow
from pushforward.models.autoencoders.vae import vae
from pushforward.models.registry import model
from pushforward.networks.context import Context


@model("vine-autoencoder")
def vine_autoencoder(
    features: int | None = None,
    shape: Sequence[int] | None = None,
    levels: int | None = None,
    context: Context = 0,
    embedding: nn.Module | None = None,
    encoder: str | nn.Module = "mlp",
    decoder: str | nn.Module = "mlp",
    latents: int = 10,
    likelihood: str | None = None,
    hidden: int | Sequence[int] = 300,
) -> Flow:
    """Vine copula autoencoder: an autoencoder, trained to reconstruct, and then a vine copula of its latents.

    ``fit`` maximises ``E_q log p(x | z)`` alone, and no prior pulls at the latents. At its end it estimates the
    distribution of the data's latents (of 5,000 events at most), empirical marginals and a vine of pair copulas, by the
    extra ``vines``, and that is the prior: ``log_prob`` is an evidence lower bound, samples are decoded from
    the vine's.

    Args:
        features: the number of dimensions of a vector; give this or ``shape``.
        shape: channels, height and width of an image of integers.
        levels: how many values a pixel takes, 256 by default; 2 for black and white.
        context: the context, which both networks see: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        encoder: ``"mlp"``, ``"convolutional"``, or a module, as of ``vae``.
        decoder: ``"mlp"``, ``"convolutional"``, or a module, as of ``vae``.
        latents: the dimensions of the latent, two or more.
        likelihood: of pixels ``"bernoulli"``, ``"categorical"`` or ``"logistic"``, of vectors ``"gaussian"``.
        hidden: widths of the networks, channels of convolutional ones; one number stands for two layers.

    Raises:
        UsageError: if an option does not fit, or not exactly one of ``features`` and ``shape`` is given.
        MissingExtraError: if ``pyvinecopulib`` is not installed.

    Source: Tagasovska, Ackerer, Vatter (2019), Copulas as high-dimensional generative models: vine copula autoencoders,
    arXiv:1906.05423; its marginals are kernel estimates, ours join quantiles.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.vine_autoencoder(shape=(1, 8, 8), levels=2, latents=4, hidden=16)
        >>> flow.encode(torch.zeros(5, 1, 8, 8)).shape
        torch.Size([5, 4])
    """
    return vae(
        features,
        shape,
        levels,
        context,
        embedding,
        encoder=encoder,
        decoder=decoder,
        latents=latents,
        prior="vine",
        likelihood=likelihood,
        hidden=hidden,
    )
