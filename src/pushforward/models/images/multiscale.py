"""Multi-scale flows of images: Glow, and the flow that we find best on small images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import nn

from pushforward.flows.flow import Flow
from pushforward.models.contexts import conditioning
from pushforward.models.images.architecture import (
    CIFAR,
    MNIST,
    conditional_prior,
    couplings,
    glow_steps,
    image_shape,
    multiscale_flow,
)
from pushforward.models.registry import model
from pushforward.networks import GatedConvNet, GlowConvNet
from pushforward.networks.context import Context, image_with
from pushforward.scalar import Affine, MixtureCDF
from pushforward.transforms import Chain, Dequantization, Logit, VariationalDequantization, masks


@model("glow")
def glow(
    shape: Sequence[int] = CIFAR,
    levels: int = 256,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 8,
    hidden: int = 128,
    scales: int = 3,
) -> Flow:
    """Glow: activation normalisation, invertible 1x1 convolutions and affine couplings at several scales.

    Uniform dequantization and a logit; at each scale a squeeze, the steps of flow, and half of the channels factored
    out into normals conditioned on the rest.

    Args:
        shape: channels, height and width.
        levels: how many values a pixel takes.
        context: the context: a number of features, or the shape of an image; 0 for none.
        embedding: a network of the context that is trained with the flow.
        layers: steps of flow at each scale, ``K`` of the paper.
        hidden: width of the coupling networks.
        scales: how often the image is squeezed and half of it factored out, ``L`` of the paper.

    Raises:
        UsageError: if an option does not fit.

    Source: Kingma, Dhariwal (2018), arXiv:1807.03039.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.glow(shape=(3, 8, 8), levels=32, layers=1, hidden=8, scales=2)
        >>> flow.bits_per_dim(torch.zeros(4, 3, 8, 8)).shape
        torch.Size([4])
    """
    given, shape = conditioning(context, embedding), image_shape(shape)
    network = partial(GlowConvNet, hidden=hidden)
    step = glow_steps(Affine(), network, given.taken, layers)
    start = [Dequantization(levels), Logit(0.05)]
    return multiscale_flow(start, shape, scales, step, conditional_prior(network, given.taken), given)


@model("multiscale")
def multiscale(
    shape: Sequence[int] = MNIST,
    levels: int = 256,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 4,
    hidden: int = 48,
    scales: int = 2,
    components: int = 4,
    dropout: float = 0.0,
) -> Flow:
    """The flow that we find best on small images: Glow's steps with Flow++'s couplings and dequantization.

    Variational dequantization and a logit; at each scale a squeeze, ``layers`` steps of activation normalisation,
    invertible 1x1 convolution and logistic-mixture coupling, and half of the channels factored out into normals
    conditioned on the rest.

    Args:
        shape: channels, height and width.
        levels: how many values a pixel takes.
        context: the context: a number of features, or the shape of an image; 0 for none.
        embedding: a network of the context that is trained with the flow.
        layers: steps at each scale.
        hidden: width of the coupling networks.
        scales: how often the image is squeezed.
        components: logistics in each mixture.
        dropout: share of the hidden units that training leaves out; for small data.

    Raises:
        UsageError: if an option does not fit.

    Source: Kingma, Dhariwal (2018), arXiv:1807.03039; Ho, Chen, Srinivas, Duan, Abbeel (2019), arXiv:1902.00275.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.multiscale(shape=(1, 8, 8), levels=17, context=10, layers=1, hidden=8)
        >>> flow.sample(2, torch.eye(10)).shape
        torch.Size([2, 10, 1, 8, 8])
    """
    given, shape = conditioning(context, embedding), image_shape(shape)
    network = partial(GatedConvNet, hidden=hidden, blocks=2, dropout=dropout)
    step = glow_steps(MixtureCDF("logistic", components), network, given.taken, layers)
    noise = Chain(couplings(masks.checkerboard(shape), Affine(), network, image_with(given.taken, shape), 2))
    start = [VariationalDequantization(levels, noise, given.taken), Logit(0.01)]
    return multiscale_flow(start, shape, scales, step, conditional_prior(network, given.taken), given)
