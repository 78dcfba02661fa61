"""Deep density models, of before flows had cheap determinants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from pushforward.distributions import Beta
from pushforward.distributions.inputs import as_events, check_inside
from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.models.registry import model
from pushforward.transforms import Chain, Inverse, SigmoidalDecoder


@model("deep-density")
def deep_density(
    features: int = 2,
    layers: int = 2,
    hidden: int | Sequence[int] = (128, 128),
    alpha: float = 2.0,
    beta: float = 2.0,
) -> Flow:
    """Deep density model: a decoder of sigmoidal layers from independent Beta codes, and an encoder beside it.

    ``fit`` minimises ``pf.training.DeepDensity``, three terms in the place of the likelihood. The density is exact, and
    zero outside of what the decoder reaches; ``pf.models.reconstruction_log_prob`` scores any data by what the encoder
    and the decoder make of them, as the paper does.

    Args:
        features: the number ``D`` of dimensions; events are ``(D,)``, of data from 0 to 1.
        layers: how many sigmoidal layers the decoder has.
        hidden: widths of the encoder's hidden layers; one number stands for two layers.
        alpha: the first exponent of the codes' Beta distribution.
        beta: the second.

    Raises:
        UsageError: if an option does not fit.

    Source: Rippel, Adams (2013), High-Dimensional Probability Estimation with Deep Density Models, arXiv:1302.5125.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.deep_density(features=3)
        >>> x = flow.sample(5)
        >>> bool(torch.isfinite(flow.log_prob(x)).all()), flow.log_prob(torch.full((3,), 0.999)).item()
        (True, -inf)
    """
    return Flow([Inverse(SigmoidalDecoder(features, layers, hidden))], Beta((features,), alpha, beta))


def reconstruction_log_prob(flow: Flow, x: Any) -> Tensor:
    r"""Return the log-density, of a deep density model, of the reconstruction ``f(g(x))`` of each event,
    ``log p_Z(g(x)) - log |det df/dz (g(x))|``.

    It is finite for all data, and no density of theirs: it tells which are alike those that the model was trained on.

    Args:
        flow: what ``deep_density`` makes.
        x: events ``(..., D)``.

    Raises:
        UsageError: if the flow is no deep density model.
        ShapeError, DataError: if the events are none of the flow's, or not from 0 to 1.

    Source: Rippel, Adams (2013), arXiv:1302.5125, section 4.

    Example:
        >>> import torch
        >>> flow = deep_density(features=3)
        >>> reconstruction_log_prob(flow, torch.rand(5, 3)).shape
        torch.Size([5])
    """
    decoder, base = decoder_and_base(flow)
    x, _ = flow.check(as_events(flow, x, discrete=False), None)
    check_inside(x, decoder.codomain, "reconstruction_log_prob")
    z = decoder.read(x)
    return base.score(z) - decoder(z)[1]


def decoder_and_base(flow: Flow) -> tuple[SigmoidalDecoder, Beta]:
    """Return the two parts of a deep density model.

    Raises:
        UsageError: if the flow is none.
    """
    parts = list(flow.transform) if isinstance(flow.transform, Chain) else [flow.transform]
    decoder = parts[0].transform if isinstance(parts[0], Inverse) else None
    if len(parts) > 1 or not isinstance(decoder, SigmoidalDecoder) or not isinstance(flow.base, Beta):
        raise UsageError("expected a deep density model, a SigmoidalDecoder run backwards onto a Beta base")
    return decoder, flow.base
