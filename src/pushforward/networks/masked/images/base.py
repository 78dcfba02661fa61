"""What every causal network of images is: the network of whole images, and the same pixel by pixel."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.kernels.convolution import channels_last
from pushforward.kernels.recording import recording_nothing
from pushforward.networks.causal import Choose
from pushforward.networks.context import Context, as_planes, broadcast, check_context, for_network, image_context
from pushforward.networks.images.convolution import channels
from pushforward.networks.masked.images.conditions import Condition, places
from pushforward.numerics import check_event
from pushforward.parts import ModulePart


class PixelNetwork(ModulePart):
    r"""What causal networks of images share.

    A **causal network of images** maps ``(..., C, H, W)`` to ``(..., V P, H, W)``. Each pixel is ``V`` variables of
    ``F`` numbers each, ``C = V F``: every channel by itself (``F = 1``), or the pixel as a whole (``F = C``). The
    variables are in raster order, row by row, within a row pixel by pixel and within a pixel in turn; the ``P``
    outputs for a variable, channels ``v P ... (v + 1) P - 1`` of its pixel, depend on the variables before it alone.

    A subclass writes :meth:`_evaluate`, the network of whole images, and :meth:`_sweep`, the same arithmetic one pixel
    after the other, by which :meth:`generate` makes a pixel cost its own column of each layer and not a whole image.

    Every layer sees where it is and the context (a vector for all pixels, or planes: see :class:`Condition`).

    Args:
        inputs: channels ``C`` of the images.
        outputs: ``V P``.
        context: features of a context vector, or the shape of a context image; 0 for none.
        numbers: how many channels make a variable, ``F``.
        center, unit: the middle and the order of magnitude of the pixels' values; the layers see ``(x - center) /
            unit``.

    Raises:
        UsageError: if the channels do not make whole variables, or the outputs no multiple of them.
        ShapeError: if the input is not ``(..., C, H, W)``, or the context is missing or does not fit.

    Source: van den Oord, Kalchbrenner, Kavukcuoglu (2016), Pixel Recurrent Neural Networks, arXiv:1601.06759.

    Example:
        >>> import pushforward as pf
        >>> network = pf.networks.GatedPixelCNN(1, 2, hidden=4, layers=1)
        >>> network(torch.zeros(3, 1, 5, 5)).shape
        torch.Size([3, 2, 5, 5])
    """

    def __init__(
        self, inputs: int, outputs: int, context: Context, numbers: int = 1, center: float = 0.0, unit: float = 1.0
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        if min(inputs, outputs, numbers) < 1 or inputs % numbers or outputs % (inputs // numbers) or not unit > 0:
            raise UsageError(
                f"{owner} expects inputs to be a multiple of numbers, outputs one of the variables of a pixel, and a "
                f"positive unit, got inputs={inputs}, outputs={outputs}, numbers={numbers}, unit={unit}"
            )
        self.inputs, self.outputs, self.numbers = inputs, outputs, numbers
        self.center, self.unit = center, unit
        self.variables = inputs // numbers
        self.context = image_context(context, owner)
        self.context_channels = channels(for_network(self.context))
        self.input_degrees = [channel // numbers for channel in range(inputs)]
        self.output_degrees = [output * self.variables // outputs for output in range(outputs)]

    @abstractmethod
    def _evaluate(self, x: Tensor, condition: Condition) -> Tensor:
        """Map images ``(N, C, H, W)``, scaled, to outputs ``(N, V P, H, W)``."""

    @abstractmethod
    def _sweep(self, rows: int, width: int) -> PixelSweep:
        """Return the evaluation of ``rows`` images of a width, one pixel after the other."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the outputs ``(..., V P, H, W)`` for ``x`` of shape ``(..., C, H, W)``."""
        owner = type(self).__name__
        check_event(x, (self.inputs, -1, -1), owner)
        check_context(context, self.context, owner)
        if context is not None and self.context is not None:
            x = broadcast(x, 3, context, len(self.context.features_shape), owner)
        batch = x.shape[:-3]
        images = self._scaled(x.reshape(math.prod(batch), *x.shape[-3:]))
        outputs = self._evaluate(channels_last(images), self._condition(batch, context, x.shape[-2:], images))
        return outputs.reshape(*batch, *outputs.shape[1:])

    def generate(self, choose: Choose, batch: torch.Size, context: Tensor | None = None, *, plane: torch.Size) -> None:
        """Choose the variables of images of a ``plane`` (height and width) in order, each given the outputs for it.

        ``choose(variables, outputs)`` is told the slice of variables that is next and the outputs ``(n, rows, P)`` for
        them; rows are the flattened ``batch``. It returns the values it chose, ``(n F, rows)``. Gradients pass.
        """
        check_context(context, self.context, type(self).__name__)
        rows, like = math.prod(batch), next(self.parameters())
        condition = self._condition(batch, context, plane, like)
        variable = 0
        with recording_nothing():
            sweep = self._sweep(rows, plane[1])
            nothing = like.new_zeros(rows, self.numbers)
            for i in range(plane[0]):
                sweep.begin(condition.row(i))
                for j in range(plane[1]):
                    pixel = [nothing] * self.variables
                    for v in range(self.variables):
                        outputs = sweep.outputs(j).unflatten(1, (self.variables, -1))[None, :, v]
                        chosen = choose(slice(variable, variable + 1), outputs)
                        pixel[v] = self._scaled(chosen.t())
                        sweep.write(j, torch.cat(pixel, 1))
                        variable += 1
                sweep.end()

    def _scaled(self, x: Tensor) -> Tensor:
        return (x - self.center) / self.unit

    def _condition(self, batch: torch.Size, context: Tensor | None, plane: torch.Size, like: Tensor) -> Condition:
        where = places(plane[0], plane[1], like)
        if context is None or self.context is None:
            return Condition(where, None)
        dims = len(self.context.features_shape)
        planes = context[..., None, None] if dims == 1 else as_planes(context, dims, plane)
        planes = planes.to(like.dtype).expand(*batch, *planes.shape[-3:])
        return Condition(where, planes.reshape(math.prod(batch), *planes.shape[-3:]))


class PixelSweep(ABC):
    """A network's evaluation at one pixel of a row after the other; rows come from the top.

    For each row: :meth:`begin`; for each pixel :meth:`outputs` and :meth:`write` (several times, where its variables
    come in turn); :meth:`end`.
    """

    @abstractmethod
    def begin(self, condition: Condition) -> None:
        """Compute what the row's outputs take from the rows above and the row's condition."""

    @abstractmethod
    def outputs(self, j: int) -> Tensor:
        """Return the outputs ``(rows, V P)`` for pixel ``j`` of the row, given the pixels written so far."""

    @abstractmethod
    def write(self, j: int, pixel: Tensor) -> None:
        """Set pixel ``j`` of the row to scaled values ``(rows, C)``."""

    @abstractmethod
    def end(self) -> None:
        """Keep the row, all of whose pixels are written."""


def hidden_degrees(hidden: int, variables: int) -> list[int]:
    """Spread hidden channels evenly over the variables of a pixel: of degree ``m`` are those that see the variables
    before ``m``.

    Example:
        >>> hidden_degrees(6, 3)
        [0, 0, 1, 1, 2, 2]
    """
    if hidden < variables:
        raise UsageError(
            f"expected a hidden channel at least for each of a pixel's {variables} variables, got {hidden}"
        )
    return [channel * variables // hidden for channel in range(hidden)]
