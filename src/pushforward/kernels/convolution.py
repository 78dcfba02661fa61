"""The convolution of the image networks on a CPU: oneDNN's, except where oneDNN is slow.

oneDNN fills few channels up with zeros, to sixteen. A convolution *to* few channels is therefore one product that gives
what each pixel adds to each of its neighbours, and a sum of shifted planes; the gradient of a convolution *from* few
channels is such a convolution too. And the gradient of the bias is a plain sum, which oneDNN takes longer for, and
which compiled code joins with what comes before it.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pushforward.kernels.recording import applied, is_transformed

# The most channels for which the product and the sum are faster than oneDNN's convolution.
FEW = 4


def convolve(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve ``(N, C, H, W)`` with a ``(C', C, k, k)`` kernel, ``k`` odd, and add a bias, keeping the plane's size.

    Example:
        >>> x, weight, bias = torch.randn(5, 3, 6, 6), torch.randn(2, 3, 3, 3), torch.randn(2)
        >>> torch.allclose(convolve(x, weight, bias), F.conv2d(x, weight, bias, padding=1), atol=1e-5)
        True
    """
    if x.device.type != "cpu" or torch.is_autocast_enabled("cpu") or is_transformed():
        return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)
    if torch.compiler.is_compiling():
        # Apart, so that the bias joins the activation that follows, and its gradient what comes before it.
        return _Convolve.apply(x, weight, None) + bias[:, None, None]  # type: ignore[no-any-return]
    return applied(_Convolve, x, weight, bias)  # type: ignore[no-any-return]


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if _is_few(weight.shape[0], weight):
            summed = _to_few(x, weight)
            return summed if bias is None else summed + bias[:, None, None]
        return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor | None], output: Tensor) -> None:
        x, weight, _ = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        return (
            _x_gradient(gradient, x, weight) if of_x else None,
            _weight_gradient(gradient, x, weight) if of_weight else None,
            gradient.sum((0, 2, 3)) if of_bias else None,
        )


def _is_few(channels: int, weight: Tensor) -> bool:
    return channels <= FEW and weight.shape[-1] > 1


def _x_gradient(gradient: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    if _is_few(weight.shape[1], weight):
        return _to_few(gradient, _turned(weight))
    return _gradients(gradient, x, weight, [True, False, False])[0]


def _weight_gradient(gradient: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    if weight.shape[0] >= weight.shape[1]:
        return _gradients(gradient, x, weight, [False, True, False])[1]
    # The same sums with the roles swapped: oneDNN is faster, several times for few channels, from fewer to more.
    return _turned(_gradients(x, gradient, weight.transpose(0, 1), [False, True, False])[1])


def _turned(weight: Tensor) -> Tensor:
    """The kernel of the convolution that goes back: outputs and inputs swapped, upside down."""
    return weight.flip(2, 3).transpose(0, 1)


def _gradients(gradient: Tensor, x: Tensor, weight: Tensor, asked: list[bool]) -> tuple[Tensor, Tensor, Tensor]:
    padding = [weight.shape[-1] // 2] * 2
    return torch.ops.aten.convolution_backward(  # type: ignore[no-any-return]
        gradient, x, weight, None, [1, 1], padding, [1, 1], False, [0, 0], 1, asked
    )


def _to_few(x: Tensor, weight: Tensor) -> Tensor:
    """Convolve by a product with the whole kernel at each pixel and a sum of shifted planes."""
    height, width = x.shape[-2:]
    outputs, channels, size = weight.shape[:3]
    kernel = weight.permute(2, 3, 0, 1).reshape(size * size * outputs, channels, 1, 1)
    products = F.conv2d(x, kernel).permute(0, 2, 3, 1).unflatten(-1, (size, size, outputs))
    padded = F.pad(products, (0, 0, 0, 0, 0, 0, *[size // 2] * 4))
    shifted = [padded[:, i : i + height, j : j + width, i, j] for i in range(size) for j in range(size)]
    return reduce(torch.add, shifted).permute(0, 3, 1, 2)


def channels_last(x: Tensor) -> Tensor:
    """Return images ``(N, C, H, W)`` with their channels last in memory, where all of a kernel's reads are short; as
    they are for functions of ``torch.func``, which know one memory format."""
    return x if is_transformed() else x.contiguous(memory_format=torch.channels_last)
