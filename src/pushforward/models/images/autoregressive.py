"""Autoregressive flows of images: each pixel's density is decided by the pixels before it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import nn

from pushforward.distributions import Uniform
from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.models.contexts import conditioning
from pushforward.models.images.architecture import MNIST, image_shape
from pushforward.models.registry import model
from pushforward.networks import GatedPixelCNN, RasterNetwork
from pushforward.networks.context import Context
from pushforward.scalar import DiscretizedLogisticCDF, HistogramCDF, ScalarBijection
from pushforward.transforms import Autoregressive, Dequantization, Patches


@model("autoregressive-image-flow")
def autoregressive_image_flow(
    shape: Sequence[int] = MNIST,
    levels: int = 256,
    context: Context = 0,
    embedding: nn.Module | None = None,
    likelihood: str = "categorical",
    components: int = 10,
    layers: int = 7,
    hidden: int = 64,
    first_kernel: int = 7,
    dropout: float = 0.0,
) -> Flow:
    """Autoregressive flow of images: a gated PixelCNN decides each pixel's density, a histogram; onto a uniform base.

    The pixels are dequantized by uniform noise, and mapped to uniform numbers by the distribution function of each
    given the pixels before it in raster order, a cell of a histogram for each level. Densities take one pass of the
    network, samples one of a pixel at a time.

    Args:
        shape: channels, height and width; the channels of a pixel come in turn.
        levels: how many values a pixel takes.
        context: the context: a number of features, or the shape of an image; 0 for none.
        embedding: a network of the context that is trained with the flow.
        likelihood: of a pixel's level: ``"categorical"``, or ``"logistic"`` (a mixture of discretized ones), which
            knows that levels have an order, and is for tens of them.
        components: logistics in each mixture.
        layers: gated layers.
        hidden: channels of each stack.
        first_kernel: the side of the first layer's kernels, odd and at least 3.
        dropout: of the network, in training.

    Raises:
        UsageError: if an option does not fit.

    Source: Papamakarios, Pavlakou, Murray (2017), arXiv:1705.07057, for the flow; van den Oord, Kalchbrenner, Vinyals,
    Espeholt, Graves, Kavukcuoglu (2016), arXiv:1606.05328, for the network.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.autoregressive_image_flow(shape=(1, 4, 4), levels=4, layers=2, hidden=8)
        >>> flow.log_prob(torch.randint(4, (3, 1, 4, 4))).shape, flow.sample(2).shape
        (torch.Size([3]), torch.Size([2, 1, 4, 4]))
    """
    shape = image_shape(shape)
    given = conditioning(context, embedding)
    context_image = None if isinstance(given.taken, int) else given.taken
    if context_image is not None:
        # Autoregressive layers are of vectors, and so are their contexts.
        given = conditioning(context, nn.Sequential(nn.Identity() if embedding is None else embedding, nn.Flatten()))
    pixels = partial(
        GatedPixelCNN,
        hidden=hidden,
        layers=layers,
        first_kernel=first_kernel,
        dropout=dropout,
        center=0.5,
        unit=0.5,
    )
    network = partial(RasterNetwork, plane=shape[1:], network=pixels, context_image=context_image)
    layer = Autoregressive(shape.numel(), cells_of(likelihood, levels, components), network, given.taken)
    return given.flow([Dequantization(levels), Patches(shape, 1), layer], Uniform((shape.numel(),)))


def cells_of(likelihood: str, levels: int, components: int) -> ScalarBijection:
    """The distribution function of a pixel with a cell for each level, by name.

    Raises:
        UsageError: if there is none of the name.
    """
    if likelihood == "categorical":
        return HistogramCDF(levels)
    if likelihood == "logistic":
        return DiscretizedLogisticCDF(levels, components)
    raise UsageError(f"likelihood expects one of categorical, logistic for flows of images, got {likelihood!r}")
