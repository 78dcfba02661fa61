"""Pixel models: images of integers, one pixel after the other, with exact masses."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import nn

from pushforward.distributions import Conditional, CoupledLogisticMixture, MassFunction, PixelDistribution
from pushforward.flows.flow import Flow
from pushforward.models.bases import bounded_mixture
from pushforward.models.contexts import Conditioning, conditioning
from pushforward.models.images.architecture import CIFAR, MNIST, image_shape
from pushforward.models.likelihoods import pixel_likelihood
from pushforward.models.registry import model
from pushforward.networks import GatedPixelCNN, NetworkFactory, PixelCNN, PixelCNNPlusPlus
from pushforward.networks.context import Context
from pushforward.transforms import Integers


@model("pixelcnn")
def pixelcnn(
    shape: Sequence[int] = MNIST,
    levels: int = 256,
    context: Context = 0,
    embedding: nn.Module | None = None,
    likelihood: str | None = None,
    components: int = 10,
    layers: int = 7,
    hidden: int = 64,
    first_kernel: int = 7,
    dropout: float = 0.0,
) -> Flow:
    """PixelCNN: masked convolutions decide each pixel from those before it; an exact mass of integers.

    Args:
        shape: channels, height and width; the channels of a pixel come in turn.
        levels: how many values a pixel takes.
        context: the context: a number of features, or the shape of an image; 0 for none.
        embedding: a network of the context that is trained with the flow.
        likelihood: of a pixel: ``"bernoulli"``, ``"categorical"`` or ``"logistic"`` (a mixture of discretized ones); by
            default the first for two levels and the second for more.
        components: discretized logistics in each mixture.
        layers: residual blocks.
        hidden: channels of the network.
        first_kernel: the side of the first convolution's kernel, odd.
        dropout: of the network, in training.

    Raises:
        UsageError: if an option does not fit.

    Source: van den Oord, Kalchbrenner, Kavukcuoglu (2016), arXiv:1601.06759.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.pixelcnn(shape=(1, 4, 4), levels=4, layers=1, hidden=8)
        >>> flow.bits_per_dim(torch.randint(4, (3, 1, 4, 4))).shape
        torch.Size([3])
    """
    given, (center, unit) = pixel_conditioning(levels, context, embedding)
    network = partial(
        PixelCNN, hidden=hidden, layers=layers, first_kernel=first_kernel, dropout=dropout, center=center, unit=unit
    )
    return pixel_flow(shape, levels, pixel_mass(likelihood, levels, components), network, given)


@model("gated-pixelcnn")
def gated_pixelcnn(
    shape: Sequence[int] = MNIST,
    levels: int = 256,
    context: Context = 0,
    embedding: nn.Module | None = None,
    likelihood: str | None = None,
    components: int = 10,
    layers: int = 7,
    hidden: int = 64,
    first_kernel: int = 7,
    dropout: float = 0.0,
) -> Flow:
    """Gated PixelCNN: a stack of the rows above and one of the row itself decide each pixel; an exact mass of integers.

    The context, a class or an image, gates every layer.

    Args:
        shape: channels, height and width; the channels of a pixel come in turn.
        levels: how many values a pixel takes.
        context: the context: a number of features, or the shape of an image; 0 for none.
        embedding: a network of the context that is trained with the flow.
        likelihood: of a pixel: ``"bernoulli"``, ``"categorical"`` or ``"logistic"`` (a mixture of discretized ones); by
            default the first for two levels and the second for more.
        components: discretized logistics in each mixture.
        layers: gated layers.
        hidden: channels of each stack.
        first_kernel: the side of the first layer's kernels, odd and at least 3.
        dropout: of the network, in training.

    Raises:
        UsageError: if an option does not fit.

    Source: van den Oord, Kalchbrenner, Vinyals, Espeholt, Graves, Kavukcuoglu (2016), arXiv:1606.05328.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.gated_pixelcnn(shape=(1, 4, 4), levels=4, context=pf.spaces.Categories(10), hidden=8)
        >>> flow.sample(3, context=torch.tensor([7])).shape
        torch.Size([3, 1, 1, 4, 4])
    """
    given, (center, unit) = pixel_conditioning(levels, context, embedding)
    network = partial(
        GatedPixelCNN,
        hidden=hidden,
        layers=layers,
        first_kernel=first_kernel,
        dropout=dropout,
        center=center,
        unit=unit,
    )
    return pixel_flow(shape, levels, pixel_mass(likelihood, levels, components), network, given)


@model("pixelcnn-pp")
def pixelcnn_pp(
    shape: Sequence[int] = CIFAR,
    levels: int = 256,
    context: Context = 0,
    embedding: nn.Module | None = None,
    components: int = 10,
    layers: int = 2,
    hidden: int = 32,
    scales: int = 2,
    first_kernel: int = 5,
    dropout: float = 0.0,
) -> Flow:
    """PixelCNN++: gated residual blocks at several scales, and mixtures of discretized logistics of whole pixels.

    Args:
        shape: channels, height and width; red moves the means of green and blue, green those of blue.
        levels: how many values a pixel takes.
        context: the context: a number of features, or the shape of an image; 0 for none.
        embedding: a network of the context that is trained with the flow.
        components: discretized logistics in each mixture.
        layers: residual blocks at each scale, on the way down and on the way up.
        hidden: channels of each of the two streams.
        scales: the number of scales, each of half the sides.
        first_kernel: the side of the first layer's kernels, odd and at least 3.
        dropout: of the network, in training.

    Raises:
        UsageError: if an option does not fit.

    Source: Salimans, Karpathy, Chen, Kingma (2017), arXiv:1701.05517.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.pixelcnn_pp(shape=(3, 4, 4), layers=1, hidden=8)
        >>> flow.bits_per_dim(torch.randint(256, (2, 3, 4, 4))).shape
        torch.Size([2])
    """
    given, (center, unit) = pixel_conditioning(levels, context, embedding)
    network = partial(
        PixelCNNPlusPlus,
        hidden=hidden,
        layers=layers,
        scales=scales,
        first_kernel=first_kernel,
        dropout=dropout,
        center=center,
        unit=unit,
    )
    shape = image_shape(shape)
    return pixel_flow(shape, levels, CoupledLogisticMixture(shape[0], levels, components), network, given)


def pixel_conditioning(
    levels: int, context: Context, embedding: nn.Module | None
) -> tuple[Conditioning, tuple[float, float]]:
    """A pixel model's context, and the middle and the order of magnitude of its pixels."""
    middle = (levels - 1) / 2
    return conditioning(context, embedding), (middle, middle)


def pixel_mass(likelihood: str | None, levels: int, components: int) -> MassFunction:
    """The distribution of one channel of a pixel, by name.

    Raises:
        UsageError: if there is none of the name, or it is not one of such pixels.
    """
    if likelihood == "logistic":
        return bounded_mixture(levels, components)
    return pixel_likelihood(likelihood or ("bernoulli" if levels == 2 else "categorical"), levels)


def pixel_flow(
    shape: Sequence[int], levels: int, conditional: Conditional, network: NetworkFactory, given: Conditioning
) -> Flow:
    """The flow of integers whose base is a pixel model of this network."""
    base = PixelDistribution(image_shape(shape), conditional, network, given.taken)
    return given.flow([Integers(levels, event_dims=3)], base)
