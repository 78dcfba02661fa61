"""A block of a causal transformer, over a whole sequence or one token after the other."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from pushforward.kernels.attention import attention, causal_attention


class Cache(Protocol):
    """The keys and values of the tokens so far."""

    def grown(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Take those of the next token, ``(N, heads, 1, d)``, and return all, ``(N, heads, t, d)``."""


class CausalBlock(nn.Module):
    r"""Causal self-attention and a network of each token, both as residuals behind a layer norm.

    .. math:: h \leftarrow h + W\, \mathrm{softmax}(Q K^\top / \sqrt d)\, V, \qquad
        h \leftarrow h + W_2\, \mathrm{GELU}(W_1 \mathrm{norm}(h))

    with queries, keys and values linear in ``norm(h)``, and of the products those with later tokens left out
    (Vaswani et al. 2017, arXiv:1706.03762; the norms before as Xiong et al. 2020, arXiv:2002.04745).

    Args:
        hidden: the width of a token, a multiple of ``heads``.
        heads: attention heads.
        dropout: the share of what both residuals add that training leaves out.
    """

    def __init__(self, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(hidden)
        self.project = nn.Linear(hidden, 3 * hidden)
        self.mix = nn.Linear(hidden, hidden)
        self.tokenwise = nn.Sequential(
            nn.LayerNorm(hidden), nn.Linear(hidden, 4 * hidden), nn.GELU(), nn.Linear(4 * hidden, hidden)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, h: Tensor) -> Tensor:
        """All tokens at once, ``(N, T, hidden)``."""
        return self._residuals(h, causal_attention(*self._heads(h)))

    def step(self, h: Tensor, cache: Cache) -> Tensor:
        """The next token, ``(N, 1, hidden)``, given the keys and values of those before it."""
        query, key, value = self._heads(h)
        return self._residuals(h, attention(query, *cache.grown(key, value)))

    def _heads(self, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, ``(N, heads, T, d)`` each."""
        query, key, value = self.project(self.norm(h)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return query, key, value

    def _residuals(self, h: Tensor, attended: Tensor) -> Tensor:
        h = h + self.dropout(self.mix(attended.transpose(1, 2).flatten(2)))
        return h + self.dropout(self.tokenwise(h))


class FilledCache:
    """A cache without gradients: one buffer, filled from the front.

    Args:
        tokens: how many tokens there will be.
    """

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens
        self.known = 0

    def grown(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        if self.known == 0:
            rows, heads, _, width = key.shape
            self.buffer = key.new_empty(2, rows, heads, self.tokens, width)
        self.buffer[:, :, :, self.known] = torch.stack([key, value])[:, :, :, 0]
        self.known += 1
        keys, values = self.buffer[:, :, :, : self.known]
        return keys, values


class GrownCache:
    """A cache that never overwrites, so that gradients pass through it."""

    def __init__(self) -> None:
        self.pairs: list[tuple[Tensor, Tensor]] = []

    def grown(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        self.pairs.append((key, value))
        keys, values = zip(*self.pairs, strict=True)
        return torch.cat(keys, 2), torch.cat(values, 2)
