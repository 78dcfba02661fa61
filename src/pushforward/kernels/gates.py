"""Activations and the norm of the gated networks, on images ``(N, C, H, W)`` that lie channels last in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pushforward.kernels.recording import applied, is_transformed

# Numbers that fit into a processor's cache with what is computed from them.
CACHED = 2**20
# PyTorch's kernels take two vectors at a time: runs of fewer numbers go one by one.
RUN = 32 if torch.backends.cpu.get_cpu_capability() == "AVX512" else 16


def concat_elu(x: Tensor) -> Tensor:
    """Return ``elu(x)`` and ``elu(-x)`` side by side in the channels: a strong gradient wherever the input lies."""
    if is_transformed():
        return torch.cat([F.elu(x), F.elu(-x)], dim=-3)
    return applied(_ConcatELU, x)  # type: ignore[no-any-return]


class _ConcatELU(torch.autograd.Function):
    """Both sides from one exponential, ``elu(+-x) = max(+-x, exp(-|x|) - 1)``, and the gradient from the result alone,
    which the convolution behind it keeps anyway."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        if torch.compiler.is_compiling():
            # Joined in the order of channels-last memory, which the compiler would otherwise copy it into.
            halves = [half.permute(0, 2, 3, 1) for half in _elu_of_both_signs(x)]
            return torch.cat(halves, dim=-1).permute(0, 3, 1, 2)
        batch, channels, height, width = x.shape
        both = x.new_empty(batch, height, width, 2 * channels).permute(0, 3, 1, 2)
        for part, result in in_cache(x, both):
            negative = -part
            below = _below_zero(part, negative)
            torch.maximum(part, below, out=result[:, :channels])
            torch.maximum(negative, below, out=result[:, channels:])
        return both

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        (output,) = ctx.saved_tensors
        if torch.compiler.is_compiling() or torch.is_grad_enabled():
            # The slope is 1 above zero, and one more than the output below.
            return torch.sub(*(gradient * (1 - F.relu(-output))).chunk(2, dim=1))
        batch, channels, height, width = output.shape
        result = gradient.new_empty(batch, height, width, channels // 2).permute(0, 3, 1, 2)
        for slopes, values, part in in_cache(gradient, output, result):
            slopes = torch.ops.aten.elu_backward(slopes, 1.0, 1.0, 1.0, True, values)
            torch.sub(*slopes.chunk(2, dim=1), out=part)
        return result


def _elu_of_both_signs(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``elu(x)`` and ``elu(-x)``, for compiled code: ``elu(x) = relu(x) - relu(depth - relu(x))`` with the depth
    ``1 - exp(-|x|)``, which no ``relu(x) > 0`` is less than.

    ``relu`` compiles to one instruction. ``maximum`` and ``where`` go through masks that make each run of numbers wait
    for the one before: three times as long.
    """
    depth = 1 - torch.exp(-x.abs())
    above, below = F.relu(x), F.relu(-x)
    return above - F.relu(depth - above), below - F.relu(depth - below)


def _below_zero(x: Tensor, negative: Tensor) -> Tensor:
    """Return ``exp(-|x|) - 1``, not by expm1, which takes three times as long: the error is absolute, 1e-7 of values
    of order 1 that are summed."""
    return torch.minimum(x, negative).exp_().sub_(1)


def add_gated(x: Tensor, branch: Tensor) -> Tensor:
    """Return ``x + value * sigmoid(gate)``, of the two halves of the branch's channels."""
    if is_transformed() or torch.compiler.is_compiling():
        value, gate = branch.chunk(2, dim=1)
        return x + value * torch.sigmoid(gate)
    if x.shape[1] < RUN:
        return applied(_AddGated, x, branch)  # type: ignore[no-any-return]
    # Fast where the halves lie in the last dimension, which they do in channels-last memory. Added before the result
    # is turned back: autograd copies the gradients of what changes a view.
    return F.glu(branch.permute(0, 2, 3, 1), dim=-1).add_(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class _AddGated(torch.autograd.Function):
    """For few channels: the sigmoid is taken of value and gate alike, which is faster than going through the halves."""

    @staticmethod
    def forward(x: Tensor, branch: Tensor) -> Tensor:
        result = torch.empty_like(x)
        for part, values, out in in_cache(x, branch, result):
            torch.addcmul(part, _value(values), _gate(torch.sigmoid(values)), out=out)
        return result

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        (branch,) = ctx.saved_tensors
        if torch.is_grad_enabled():
            open_share = torch.sigmoid(_gate(branch))
            by_value = gradient * open_share
            return gradient, torch.cat([by_value, by_value * _value(branch) * (1 - open_share)], dim=1)
        result = torch.empty_like(branch)
        for slopes, values, out in in_cache(gradient, branch, result):
            open_share = _gate(torch.sigmoid(values))
            torch.mul(slopes, open_share, out=_value(out))
            torch.mul(_value(out), _value(values), out=_gate(out))
            _gate(out).addcmul_(_gate(out), open_share, value=-1)
        return gradient, result


def _value(branch: Tensor) -> Tensor:
    return branch[:, : branch.shape[1] // 2]


def _gate(branch: Tensor) -> Tensor:
    return branch[:, branch.shape[1] // 2 :]


def layer_norm_channels(x: Tensor, norm: nn.LayerNorm) -> Tensor:
    """Apply a layer norm to the channels of each pixel of ``(N, C, H, W)`` in channels-last memory, without a copy."""
    if not torch.compiler.is_compiling():
        return norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    # The compiler joins two plain means with their neighbours; the one-pass variance of its own layer norm it cannot.
    centred = x - x.mean(1, keepdim=True)
    scaled = centred * torch.rsqrt(centred.square().mean(1, keepdim=True) + norm.eps)
    return scaled * norm.weight[:, None, None] + norm.bias[:, None, None]


def in_cache(*images: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Go through batches of images together, as many at a time as stay in the cache between one operation and the
    next.

    Example:
        >>> [len(part) for part, in in_cache(torch.zeros(100, 32, 28, 28))]
        [41, 41, 18]
    """
    count = max(1, CACHED // max(1, images[0][:1].numel()))
    return zip(*[batch.split(count) for batch in images], strict=True)
