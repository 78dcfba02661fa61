"""Vine copulas of what a flow leaves, and the vine copula autoencoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.distributions import VineCopula
from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.models.autoencoders.vae import vae
from pushforward.models.registry import model
from pushforward.networks.context import Context
from pushforward.transforms import NormalScores


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

    ``fit`` maximises ``E_q log p(x | z)`` alone, and no prior pulls at the latents. ``pf.models.with_vine(flow, x)``
    then gives the flow whose prior is the distribution of the data's latents: empirical marginals, and a vine of pair
    copulas. Its ``log_prob`` is an evidence lower bound, its samples are decoded from the vine's. Until then the base
    is a standard normal, which the latents do not follow, and samples are of no use.

    Args:
        features: the number of dimensions of a vector; give this or ``shape``.
        shape: channels, height and width of an image of integers.
        levels: how many values a pixel takes, 256 by default; 2 for black and white.
        context: the context, which both networks see: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        encoder: ``"mlp"``, ``"convolutional"``, or a module, as of ``vae``.
        decoder: ``"mlp"``, ``"convolutional"``, or a module, as of ``vae``.
        latents: the dimensions of the latent.
        likelihood: of pixels ``"bernoulli"``, ``"categorical"`` or ``"logistic"``, of vectors ``"gaussian"``.
        hidden: widths of the networks, channels of convolutional ones; one number stands for two layers.

    Raises:
        UsageError: if an option does not fit, or not exactly one of ``features`` and ``shape`` is given.

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
        likelihood=likelihood,
        hidden=hidden,
    )


@torch.no_grad()
def with_vine(flow: Flow, x: Any, context: Any = None) -> Flow:
    """Return the flow with a vine copula of its latents, and their empirical marginals, in the place of its base.

    It is of use where the base is left at independence: behind marginals (``pf.models.copula``), or an autoencoder
    (``pf.models.vine_autoencoder``). The transform is shared with ``flow``.

    Args:
        flow: a flow onto a standard normal, or another base that is to be replaced, of vectors.
        x: the data, ``(N, ...)``.
        context: their contexts, where the flow takes any; the vine is that of the latents of all contexts together.

    Raises:
        UsageError: if the latents are no vectors of two dimensions or more.
        MissingExtraError: if ``pyvinecopulib`` (the extra ``vines``) is not installed.
    """
    shape = flow.base.event_shape
    if len(shape) != 1 or shape[0] < 2:
        raise UsageError(f"with_vine expects latents that are vectors of 2 dimensions or more, got {tuple(shape)}")
    latents = flow.encode(x, context)
    # A base of vectors is one of a flow that splits nothing off.
    assert isinstance(latents, Tensor)
    scores = NormalScores(shape[0]).to(latents)
    prior = Flow([scores], VineCopula.fitted(scores.initialise(latents)).to(latents))
    return Flow(flow.transform, prior, context=flow.context or 0, embedding=flow.embedding)
