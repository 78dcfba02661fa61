"""Flow++."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from pushforward.distributions import StandardNormal
from pushforward.flows.flow import Flow
from pushforward.models.contexts import conditioning
from pushforward.models.images.architecture import CIFAR, Shape, couplings, image_shape, squeezable
from pushforward.models.registry import model
from pushforward.networks import AttentionConvNet
from pushforward.networks.context import Context, image_with
from pushforward.scalar import MixtureCDF
from pushforward.transforms import ActNorm, Chain, Logit, Squeeze, Transform, VariationalDequantization, masks


@model("flowpp")
def flowpp(
    shape: Sequence[int] = CIFAR,
    levels: int = 256,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 4,
    hidden: int = 96,
    components: int = 8,
    blocks: int = 2,
) -> Flow:
    """Flow++: logistic mixture CDF couplings with self-attention, and variational dequantization.

    Variational dequantization and a logit; checkerboard couplings, a squeeze, channel couplings, checkerboard
    couplings, each behind an activation normalisation; a standard normal base.

    Args:
        shape: channels, height and width.
        levels: how many values a pixel takes.
        context: the context: a number of features, or the shape of an image; 0 for none.
        embedding: a network of the context that is trained with the flow.
        layers: couplings of each kind, of the dequantization's noise too.
        hidden: width of the coupling networks, a multiple of their 4 attention heads.
        components: logistics in each mixture.
        blocks: convolution-attention blocks in each network.

    Raises:
        UsageError: if an option does not fit.

    Source: Ho, Chen, Srinivas, Duan, Abbeel (2019), arXiv:1902.00275.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.flowpp(shape=(1, 4, 4), levels=17, layers=2, hidden=8, blocks=1)
        >>> flow.bits_per_dim(torch.zeros(3, 1, 4, 4)).shape
        torch.Size([3])
    """
    given, shape = conditioning(context, embedding), image_shape(shape)
    network = partial(AttentionConvNet, hidden=hidden, blocks=blocks)
    mixture = MixtureCDF("logistic", components)

    def coupled(shape: Shape, mask: Tensor, context: Context = given.taken) -> list[Transform]:
        pairs = couplings(mask, mixture, network, context, layers)
        return [part for coupling in pairs for part in (ActNorm(shape[0], event_dims=3), coupling)]

    noise = Chain(coupled(shape, masks.checkerboard(shape), image_with(given.taken, shape)))
    parts = [VariationalDequantization(levels, noise, given.taken), Logit(0.05)]
    parts += coupled(shape, masks.checkerboard(shape))
    if squeezable(shape):
        shape = Squeeze().forward_shape(shape)
        parts += [Squeeze(), *coupled(shape, masks.channel(shape)), *coupled(shape, masks.checkerboard(shape))]
    return given.flow(parts, StandardNormal(shape))
