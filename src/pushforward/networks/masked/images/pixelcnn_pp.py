"""PixelCNN++: gated residual blocks in two streams, at several scales."""

from __future__ import annotations

from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.networks.context import Context
from pushforward.networks.masked.images.base import PixelNetwork, PixelSweep
from pushforward.networks.masked.images.conditions import Condition
from pushforward.networks.masked.images.pixelcnn import PixelHead
from pushforward.networks.masked.images.scales import Scale
from pushforward.networks.masked.images.scales_swept import MultiscaleSweep
from pushforward.networks.masked.images.stacks import HorizontalConvolution, VerticalConvolution, check_kernels


class PixelCNNPlusPlus(PixelNetwork):
    r"""PixelCNN++: one stream ``u`` sees the rows above, the other ``v`` those and the row to the left; both are gated
    residual blocks ``x + a sigmoid(b)``, in which the second sees the first. They are sampled down to half the sides,
    ``scales - 1`` times, and up again, with skip connections between the blocks of a scale.

    A pixel is one variable: its channels' distribution is up to the outputs (:class:`CoupledLogisticMixture`). The last
    layer starts at zero.

    Args:
        inputs, outputs, context, center, unit: as for every :class:`PixelNetwork`.
        hidden: channels of each stream.
        layers: blocks at each scale, on the way down and on the way up.
        scales: the number of scales.
        first_kernel: the side of the first layer's kernels, odd and at least 3.
        dropout: the share of hidden units that training leaves out.
        numbers: all channels of the image.

    Raises:
        UsageError: if channels, outputs and kernels do not fit.
        ShapeError: if the input is not ``(..., C, H, W)``, or the context is missing or does not fit.

    Source: Salimans, Karpathy, Chen, Kingma (2017), arXiv:1701.05517. The layers here have no weight normalisation,
    and what is sampled up does not overlap.

    Example:
        >>> import torch
        >>> PixelCNNPlusPlus(3, 6, hidden=4, layers=1, numbers=3)(torch.ones(5, 3, 4, 4)).shape
        torch.Size([5, 6, 4, 4])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        context: Context = 0,
        *,
        hidden: int = 32,
        layers: int = 2,
        scales: int = 2,
        first_kernel: int = 5,
        dropout: float = 0.0,
        numbers: int = 1,
        center: float = 0.0,
        unit: float = 1.0,
    ) -> None:
        super().__init__(inputs, outputs, context, numbers, center, unit)
        check_kernels(first_kernel)
        if self.variables != 1:
            raise UsageError(f"PixelCNNPlusPlus expects pixels of one variable, numbers={inputs}, got {numbers}")
        self.first_above = VerticalConvolution(inputs, hidden, first_kernel, strict=True)
        self.first_beside = HorizontalConvolution([0] * inputs, [0] * hidden, first_kernel, strict=True)
        self.link = nn.Conv2d(hidden, hidden, 1, bias=False)
        self.scale = Scale(hidden, layers, scales, dropout, self.context_channels)
        self.head = PixelHead([0] * hidden, [0] * outputs)

    def _evaluate(self, x: Tensor, condition: Condition) -> Tensor:
        above = self.first_above(x)
        _, corner = self.scale(above, self.first_beside(x) + self.link(above), condition)
        return self.head(corner)

    def _sweep(self, rows: int, width: int) -> PixelSweep:
        return MultiscaleSweep(self, rows, width)
