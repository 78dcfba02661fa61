"""Networks in exact arithmetic: integers carried in float64, every sum below 2^53, so that no order of summation, no
fused multiply-add, no instruction set and no device can change a bit of the result.

A convolution is a sum of plain matrix products of shifted rows, never a library's convolution, which could be a
Winograd or Fourier transform.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.codec.exact.tables import FRACTION_BITS
from pushforward.errors import CodecError

EXACT = 2**53
"""Up to here float64 holds every integer."""

ACTIVATION_LIMIT = 2**26
"""Activations are clamped to this many units of 2^-14, that is to +-4096."""

WEIGHT_BITS = 16
"""Weights count multiples of 2^-16, fewer where a layer's sums would not be exact."""


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Keep away what would compute with fewer bits than the tensors have: autocast, and a gradient's bookkeeping."""
    with torch.inference_mode(), torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
        yield


def quantise(values: Tensor, bits: int = FRACTION_BITS) -> Tensor:
    """The nearest multiples of ``2^-bits``, as integers.

    >>> quantise(torch.tensor([0.5, -1.25]), 2).tolist()
    [2, -5]
    """
    scaled = values.detach().cpu().double() * 2.0**bits
    if not bool(torch.isfinite(scaled).all()) or bool((scaled.abs() > 2.0**60).any()):
        raise CodecError("the model has weights that are not finite or too large to export: train it anew")
    return torch.round(scaled).long()


@dataclass
class IntegerConv:
    """A convolution with stride 1 and zero padding on fixed-point activations, rounded to the nearest unit.

    ``weight`` has shape (kernel * kernel, channels in, channels out) in units of ``2^-weight_bits``, ``bias`` in units
    of ``2^-(14 + weight_bits)``. A linear layer is a convolution with kernel 1.
    """

    weight: Tensor
    bias: Tensor
    weight_bits: int

    def __post_init__(self) -> None:
        taps, self.inputs, self.outputs = self.weight.shape
        self.kernel = next((k for k in range(1, 64, 2) if k * k == taps), 0)
        largest = worst_case_sum(self.weight, self.bias, self.weight_bits)
        if self.kernel == 0 or largest >= EXACT:
            raise CodecError(f"a layer's sums reach {largest}, not below 2^53: the exported model is damaged")
        self._weight = self.weight.double()
        self._bias = self.bias.double() + 2.0 ** (self.weight_bits - 1)

    @classmethod
    def from_float(cls, weight: Tensor, bias: Tensor | None) -> IntegerConv:
        """Round a float layer's weight (out, in, k, k) or (out, in); as many bits as keep every sum exact."""
        taps = weight[..., None, None] if weight.dim() == 2 else weight
        taps = taps.detach().cpu().double().permute(2, 3, 1, 0).flatten(0, 1).contiguous()
        offsets = torch.zeros(taps.shape[-1]) if bias is None else bias
        for bits in range(WEIGHT_BITS, 3, -1):
            integers, biases = quantise(taps, bits), quantise(offsets, FRACTION_BITS + bits)
            if worst_case_sum(integers, biases, bits) < EXACT:
                return cls(integers, biases, bits)
        raise CodecError("a layer's weights are too large for exact arithmetic: train the model with weight decay")

    def rows(self, source: Tensor, first: int, count: int, stride: int) -> Tensor:
        """The convolution of ``count`` rows from ``first``; a pixel's lower neighbour is ``stride`` rows further."""
        radius = self.kernel // 2
        self._to(source.device)
        total = self._bias.repeat(count, 1)
        for tap in range(self.kernel**2):
            offset = first + (tap // self.kernel - radius) * stride + tap % self.kernel - radius
            total.addmm_(source[offset : offset + count, : self.inputs], self._weight[tap])
        return total.mul_(2.0**-self.weight_bits).floor_()

    def _to(self, device: torch.device) -> None:
        self._weight, self._bias = self._weight.to(device), self._bias.to(device)


def worst_case_sum(weight: Tensor, bias: Tensor, weight_bits: int) -> int:
    """The largest absolute value that any partial sum of a layer can reach, in exact integer arithmetic."""
    magnitudes = weight.abs().flatten(0, 1).sum(0)
    if int(weight.abs().max()) * weight.shape[0] * weight.shape[1] >= 2**62:
        return 2**62
    return max(
        int(m) * ACTIVATION_LIMIT + abs(int(b)) + 2**weight_bits for m, b in zip(magnitudes.tolist(), bias.tolist())
    )


@dataclass
class IntegerDenseNet:
    """A densely connected network in fixed point: integers (N, C, H, W) in, multiples of 2^-14 (N, H, W, out) out.

    The input is shifted by ``center`` multiples of 2^-14 and multiplied by ``multiplier / 2^20``.
    """

    center: int
    multiplier: int
    layers: list[IntegerConv]
    last: IntegerConv

    @property
    def inputs(self) -> int:
        """How many channels the network sees, those of a context among them."""
        return (self.layers[0] if self.layers else self.last).inputs

    def given(self, x: Tensor, context: Tensor, pixels: int) -> Tensor:
        """Run the network on ``x`` and as many channels of the context as it takes besides."""
        missing = self.inputs - x.shape[1]
        return self(torch.cat([x, context[:, :missing]], 1) if missing > 0 else x, pixels)

    def __call__(self, x: Tensor, pixels: int) -> Tensor:
        """Run the network, about ``pixels`` pixels at a time, which cannot change the result."""
        images = max(1, pixels // (x.shape[2] * x.shape[3]))
        return torch.cat([self._run(part) for part in x.split(images)]) if len(x) else self._run(x)

    def _run(self, x: Tensor) -> Tensor:
        count, channels, height, width = x.shape
        if channels != self.inputs:
            raise CodecError(f"the exported network expects other than {channels} channels: the model is damaged")
        radius = max(conv.kernel // 2 for conv in [*self.layers, self.last])
        # One zero column right of each row and one zero row below each image serve as the padding of both sides.
        stride, tall = width + radius, height + radius
        first = radius * stride + radius
        rows = count * tall * stride
        buffer = x.new_zeros((rows + 2 * first, self.last.inputs), dtype=torch.float64)
        pixels = buffer[first : first + rows].view(count, tall, stride, -1)
        pixels[:, :height, :width, :channels] = scaled(x, self.center, self.multiplier).permute(0, 2, 3, 1)
        filled = channels
        for conv in self.layers:
            conv_rows = conv.rows(buffer, first, rows, stride).clamp_(0, ACTIVATION_LIMIT)
            new = conv_rows.view(count, tall, stride, -1)[:, :height, :width]
            pixels[:, :height, :width, filled : filled + conv.outputs] = new
            filled += conv.outputs
        result = self.last.rows(buffer, first, rows, stride).clamp_(-ACTIVATION_LIMIT, ACTIVATION_LIMIT)
        return result.view(count, tall, stride, -1)[:, :height, :width].contiguous()


def scaled(x: Tensor, center: int, multiplier: int) -> Tensor:
    """Integers shifted by ``center`` multiples of 2^-14 and multiplied by ``multiplier / 2^20``, as activations."""
    shifted = (x.double() * 2.0**FRACTION_BITS).sub_(center).clamp_(-(2.0**30), 2.0**30)
    return shifted.mul_(multiplier).mul_(2.0**-20).floor_().clamp_(-ACTIVATION_LIMIT, ACTIVATION_LIMIT)
