"""PixelRNN: images of integers, one pixel after the other, by recurrent layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from torch import nn

from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.models.images.architecture import MNIST
from pushforward.models.images.pixels import pixel_conditioning, pixel_flow, pixel_mass
from pushforward.models.registry import model
from pushforward.networks import DiagonalBiLSTM, RowLSTM
from pushforward.networks.context import Context

RECURRENT: dict[str, Callable[..., nn.Module]] = {"diagonal": DiagonalBiLSTM, "row": RowLSTM}
"""Networks of recurrent layers, by name."""


@model("pixelrnn")
def pixelrnn(
    shape: Sequence[int] = MNIST,
    levels: int = 256,
    context: Context = 0,
    embedding: nn.Module | None = None,
    likelihood: str | None = None,
    components: int = 10,
    layer: str = "diagonal",
    layers: int = 7,
    hidden: int = 16,
    first_kernel: int = 7,
    dropout: float = 0.0,
) -> Flow:
    """PixelRNN: long short-term memories along diagonals or rows decide each pixel; an exact mass of integers.

    Args:
        shape: channels, height and width; the channels of a pixel come in turn.
        levels: how many values a pixel takes.
        context: the context: a number of features, or the shape of an image; 0 for none.
        embedding: a network of the context that is trained with the flow.
        likelihood: of a pixel: ``"bernoulli"``, ``"categorical"`` or ``"logistic"`` (a mixture of discretized ones); by
            default the first for two levels and the second for more.
        components: discretized logistics in each mixture.
        layer: ``"diagonal"`` (Diagonal BiLSTM, which sees farthest) or ``"row"`` (Row LSTM, faster).
        layers: recurrent layers.
        hidden: channels of the states.
        first_kernel: the side of the first convolution's kernel, odd.
        dropout: of the network, in training.

    Raises:
        UsageError: if an option does not fit.

    Source: van den Oord, Kalchbrenner, Kavukcuoglu (2016), arXiv:1601.06759.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.pixelrnn(shape=(1, 4, 4), levels=2, layers=1, hidden=4)
        >>> flow.sample(3).shape
        torch.Size([3, 1, 4, 4])
    """
    if layer not in RECURRENT:
        raise UsageError(f"layer expects one of {', '.join(RECURRENT)}, got {layer!r}")
    given, (center, unit) = pixel_conditioning(levels, context, embedding)
    network = partial(
        RECURRENT[layer],
        hidden=hidden,
        layers=layers,
        first_kernel=first_kernel,
        dropout=dropout,
        center=center,
        unit=unit,
    )
    return pixel_flow(shape, levels, pixel_mass(likelihood, levels, components), network, given)
