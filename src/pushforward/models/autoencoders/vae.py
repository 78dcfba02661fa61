"""The variational autoencoder."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from pushforward.distributions import GaussianConditional, GivenParameters
from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.models.autoencoders.networks import Networks
from pushforward.models.autoencoders.posteriors import Sizes, posterior_named
from pushforward.models.autoencoders.priors import prior_named
from pushforward.models.contexts import Conditioning, conditioning
from pushforward.models.images.architecture import image_shape
from pushforward.models.kinds import LEVELS, only_shape, vector_features
from pushforward.models.likelihoods import pixel_likelihood
from pushforward.models.registry import model
from pushforward.networks.context import Context
from pushforward.transforms import Standardise, Transform, VariationalEncoding


@model("vae")
def vae(
    features: int | None = None,
    shape: Sequence[int] | None = None,
    levels: int | None = None,
    context: Context = 0,
    embedding: nn.Module | None = None,
    encoder: str | nn.Module = "mlp",
    decoder: str | nn.Module = "mlp",
    latents: int = 32,
    posterior: str = "diagonal",
    prior: str = "normal",
    likelihood: str | None = None,
    layers: int = 4,
    hidden: int | Sequence[int] = 300,
    units: int = 16,
) -> Flow:
    """Variational autoencoder whose posterior may be a flow: its ``log_prob`` is the evidence lower bound.

    Vectors are standardised first. ``importance_log_prob`` tightens the bound; ``fit`` maximises it, or what
    ``pf.training.ELBO`` makes of it.

    Args:
        features: the number of dimensions of a vector; give this or ``shape``.
        shape: channels, height and width of an image of integers.
        levels: how many values a pixel takes, 256 by default; 2 for black and white.
        context: the context, which both networks see: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        encoder: ``"mlp"``, ``"convolutional"`` (gated, of images), or a module that makes of events ``(N, ...)``, and
            contexts where there are any, features ``(N, H)``; its last layer must not start at zero.
        decoder: ``"mlp"``, ``"convolutional"``, or a module that makes of latents ``(N, latents)``, and contexts, the
            likelihood's parameters: ``(N, P features)`` or ``(N, P channels, height, width)``, ``P`` numbers of the
            first feature or channel, then those of the next.
        latents: the dimensions of the latent.
        posterior: ``"diagonal"``, ``"full"`` (covariance), ``"copula"`` (the neural Gaussian copula), ``"planar"``,
            ``"radial"``, ``"iaf"``, ``"nsf"``, ``"sylvester"`` (orthogonal), ``"householder-sylvester"`` or
            ``"triangular-sylvester"``.
        prior: ``"normal"``, ``"flow"`` or ``"mixture"``, which are learned, or ``"vine"``: normal while the rest is
            trained, and then empirical marginals and a vine copula of the data's latents, which ``fit`` estimates at
            its end (the extra ``vines``).
        likelihood: of pixels ``"bernoulli"``, ``"categorical"`` or ``"logistic"`` (discretised), by default the first
            for two levels and the last for more; of vectors ``"gaussian"``.
        layers: how many transforms a posterior that is a flow has.
        hidden: widths of the networks, channels of convolutional ones; one number stands for two layers.
        units: hidden units of each Sylvester map, at most ``latents``; the triangular ones have ``latents``.

    Raises:
        UsageError: if an option does not fit, or not exactly one of ``features`` and ``shape`` is given.

    Source: Kingma, Welling (2014), arXiv:1312.6114; Rezende, Mohamed (2015), arXiv:1505.05770; Kingma et al. (2016),
    arXiv:1606.04934; van den Berg et al. (2018), arXiv:1803.05649; Wang, Wang (2019), arXiv:1909.03569.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.vae(shape=(1, 8, 8), levels=2, latents=4, posterior="iaf", hidden=16)
        >>> flow.accuracy.describe(), flow.log_prob(torch.zeros(5, 1, 8, 8)).shape
        ('lower bound', torch.Size([5]))
        >>> flow.sample(3).shape
        torch.Size([3, 1, 8, 8])
    """
    given = conditioning(context, embedding)
    start: list[Transform]
    if shape is not None:
        count = levels or LEVELS
        event_shape: Sequence[int] = image_shape(only_shape(shape, features))
        elements = GivenParameters(pixel_likelihood(likelihood, count), event_shape)
        start, middle = [], (count - 1) / 2
        center, unit = middle, middle
    else:
        size = vector_features(features, levels)
        if likelihood not in (None, "gaussian"):
            raise UsageError(f"likelihood expects 'gaussian' for vectors, got {likelihood!r}")
        elements = GivenParameters(GaussianConditional(), (size,))
        start, center, unit = [Standardise(size)], 0.0, 1.0
    networks = Networks(elements.support, taken_shape(given), hidden, center, unit)
    encode = networks.encoder(encoder)
    sizes = Sizes(latents, networks.features(encode), layers, units, hidden)
    decode = networks.decoder(decoder, latents, elements.context_shape or ())
    layer = VariationalEncoding(encode, posterior_named(posterior, sizes), decode, elements, given.taken)
    return given.flow([*start, layer], prior_named(prior, latents, hidden))


def taken_shape(given: Conditioning) -> tuple[int, ...]:
    """The shape of a context as the networks see it, ``()`` for none."""
    if isinstance(given.taken, int):
        return (given.taken,) if given.taken else ()
    return given.taken
