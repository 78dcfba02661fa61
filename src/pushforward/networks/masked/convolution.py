"""Convolutions that are causal in raster order: what they say of a pixel depends on the pixels before it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.errors import ShapeError, UsageError
from pushforward.kernels.convolution import convolve


def raster_mask(
    in_degrees: Sequence[int],
    out_degrees: Sequence[int],
    kernel_size: int,
    *,
    strict: bool = False,
    reverse: bool = False,
) -> Tensor:
    r"""Which weights ``(out, in, k, k)`` of a convolution see what comes before in raster order.

    The numbers of an image are ordered row by row, within a row pixel by pixel, and within a pixel by the channels'
    degrees. A tap before the kernel's centre sees a pixel before: all of it. The tap in the centre sees the same pixel,
    of which a channel of degree ``m`` may see the channels of degrees up to ``m``, or below ``m``: those are the masks
    B and A of van den Oord, Kalchbrenner, Kavukcuoglu (2016, arXiv:1601.06759, section 3.4). Taps behind see nothing.

    Args:
        in_degrees, out_degrees: the degrees of the channels that come in and go out.
        kernel_size: the sides ``k`` of the kernel, an odd number.
        strict: whether a channel sees lower degrees alone (mask A), or its own too (mask B).
        reverse: the order turned round, from the last pixel's highest degree to the first's lowest.

    Raises:
        UsageError: if the kernel has no centre, or there are no channels.

    Example:
        >>> raster_mask([0], [0], 3)[0, 0].int()
        tensor([[1, 1, 1],
                [1, 1, 0],
                [0, 0, 0]], dtype=torch.int32)
        >>> raster_mask([0, 1, 2], [0, 1, 2], 1, strict=True)[:, :, 0, 0].int()
        tensor([[0, 0, 0],
                [1, 0, 0],
                [1, 1, 0]], dtype=torch.int32)
    """
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise UsageError(f"a masked convolution expects an odd kernel_size, which has a centre, got {kernel_size}")
    if not in_degrees or not out_degrees:
        raise UsageError("a masked convolution expects a degree for each of its channels, got none")
    sign = -1 if reverse else 1
    seen, own = sign * torch.as_tensor(in_degrees), sign * torch.as_tensor(out_degrees)[:, None]
    tap = torch.arange(kernel_size**2).view(kernel_size, kernel_size)
    behind = sign * (tap - kernel_size**2 // 2)
    centre = own > seen if strict else own >= seen
    return (behind < 0) | ((behind == 0) & centre[..., None, None])


class MaskedConvolution(nn.Conv2d):
    r"""A convolution that is causal in raster order, ``y = (W * M) x + b``, with ``M`` of :func:`raster_mask`.

    It keeps the plane's size. A stack of these of which one is strict and all others are not has outputs for a channel
    of degree ``m`` that depend on the pixels before and, of the same pixel, on degrees below ``m`` alone: what an
    autoregressive model of images is made of. Weights start uniform within one over the root of the weights seen.

    Args:
        in_degrees, out_degrees: the degrees of the channels that come in and go out: of an RGB image 0, 1, 2; all the
            same, where the channels of a pixel do not see each other.
        kernel_size: the sides ``k`` of the kernel, an odd number.
        strict: whether a channel sees, of its own pixel, lower degrees alone.
        reverse: the raster order turned round.

    Raises:
        UsageError: if the kernel has no centre, or there are no channels.
        ShapeError: if the input is not ``(N, in, H, W)``.

    Source: van den Oord, Kalchbrenner, Kavukcuoglu (2016), arXiv:1601.06759.

    Example:
        >>> layer = MaskedConvolution([0, 1, 2], [0, 0, 1, 1, 2, 2], 3, strict=True)
        >>> x = torch.zeros(1, 3, 4, 4)
        >>> x[:, 0, 1, 1] = 1.0
        >>> changed = (layer(x) != layer(torch.zeros_like(x))).any(1)
        >>> changed[0].int()
        tensor([[0, 0, 0, 0],
                [0, 1, 1, 0],
                [1, 1, 1, 0],
                [0, 0, 0, 0]], dtype=torch.int32)
    """

    mask: Tensor

    def __init__(
        self,
        in_degrees: Sequence[int],
        out_degrees: Sequence[int],
        kernel_size: int,
        *,
        strict: bool = False,
        reverse: bool = False,
    ) -> None:
        mask = raster_mask(in_degrees, out_degrees, kernel_size, strict=strict, reverse=reverse)
        super().__init__(len(in_degrees), len(out_degrees), kernel_size, padding=kernel_size // 2)
        self.register_buffer("mask", mask.to(self.weight.dtype), persistent=False)
        with torch.no_grad():
            bound = self.mask.sum((1, 2, 3)).clamp_min(1.0).rsqrt()
            self.weight.uniform_(-1.0, 1.0).mul_(bound[:, None, None, None])
            self._bias.uniform_(-1.0, 1.0).mul_(bound)

    @property
    def masked_weight(self) -> Tensor:
        """``W * M``."""
        return self.weight * self.mask

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() != 4 or x.shape[1] != self.in_channels:
            raise ShapeError(
                f"MaskedConvolution expects images of shape (N, {self.in_channels}, H, W), got a tensor of "
                f"{tuple(x.shape)}"
            )
        return convolve(x, self.masked_weight, self._bias)

    @property
    def _bias(self) -> Tensor:
        assert self.bias is not None
        return self.bias
