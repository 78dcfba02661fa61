"""Convolutions of a bounded norm."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from pushforward.errors import ShapeError, UsageError
from pushforward.kernels.convolution import convolve
from pushforward.networks.lipschitz.spectral import Normalised, PlaneConvolution


class LipschitzConvolution(Normalised):
    r"""A convolution with ``|f(x) - f(y)| <= c |x - y|`` in the 2-norm of all channels and pixels.

    ``f(x) = W min(1, c / |conv_W|) * x + b``, where ``|conv_W|`` is the norm of the convolution itself, with its zero
    padding on the given plane, and not one of the kernel as a matrix. It is exact where the smaller side has at most 64
    dimensions, or the kernel has size 1 and as few channels; else by power iteration with the convolution and its
    transpose, to a tolerance of 0.2% that the bound allows for; only weights made so are missed by more
    (`IteratedNorm`).

    Args:
        inputs, outputs: channels in and out.
        kernel_size: odd.
        plane: height and width of the images.
        lipschitz: the bound ``c``, above 0 and at most 1.

    Shapes: ``(N, inputs, H, W)`` to ``(N, outputs, H, W)``.

    Raises:
        UsageError: if the bound is none, or the kernel's size is even.
        ShapeError: if the images have another plane.

    Source: Gouk, Frank, Pfahringer, Cree (2018), arXiv:1804.04368; Behrmann et al. (2019), arXiv:1811.00995.

    Example:
        >>> import torch
        >>> LipschitzConvolution(1, 4, 3, (6, 6))(torch.randn(2, 1, 6, 6)).shape
        torch.Size([2, 4, 6, 6])
    """

    def __init__(
        self, inputs: int, outputs: int, kernel_size: int, plane: Sequence[int], *, lipschitz: float = 1.0
    ) -> None:
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise UsageError(f"LipschitzConvolution expects an odd kernel size, got {kernel_size}")
        height, width = plane
        # Pixels do not meet in a kernel of size 1: one of them shows the norm of all.
        operator = PlaneConvolution(inputs, outputs, (1, 1) if kernel_size == 1 else (height, width))
        super().__init__(operator, lipschitz, "LipschitzConvolution")
        self.plane = (height, width)
        start = nn.Conv2d(inputs, outputs, kernel_size)
        assert start.bias is not None
        self.weight, self.bias = start.weight, start.bias

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-2:] != self.plane:
            raise ShapeError(
                f"LipschitzConvolution bounds its norm on planes of {self.plane}, got images of {tuple(x.shape)}: make "
                f"it with plane={tuple(x.shape[-2:])}"
            )
        return convolve(x, self.normalised_weight(), self.bias)
