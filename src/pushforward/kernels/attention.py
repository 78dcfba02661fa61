"""Attention: fused code where it is enough, the textbook's products where functions are transformed."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from pushforward.kernels.recording import is_transformed


def attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    r"""Return ``softmax(Q K^T / sqrt d) V`` of ``(N, heads, T, d)``: every query looks at all keys."""
    with _differentiable():
        return scaled_dot_product_attention(query, key, value)


def causal_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    r"""Return the same of as many queries as keys, each of which looks at its own key and those before it."""
    with _differentiable():
        return scaled_dot_product_attention(query, key, value, is_causal=True)


def _differentiable() -> AbstractContextManager[Any]:
    """The fused code has a first derivative in reverse and nothing else: no vmap, no forward mode, no second one."""
    if torch.compiler.is_compiling() or not is_transformed():
        return nullcontext()
    return sdpa_kernel(SDPBackend.MATH)
