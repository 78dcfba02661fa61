"""Entropy coding: integers to bits and back with asymmetric numeral systems (ANS).

The coder is constriction's. It is given integer weights carried in float64, all below 2^53 in sum, so what it computes
from them (a cumulative sum, one division, one product per symbol) has the same bits on every IEEE machine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.errors import CodecError
from pushforward.extras import requires

Integers = NDArray[np.integer]
PRECISION = 24
MAX_TOTAL = 2**52


def _stream() -> Any:
    """The coders of constriction."""
    with requires("codec", purpose="entropy coding"):
        from constriction import stream
    return stream


class Table:
    """One distribution for many symbols, made of integer weights once."""

    def __init__(self, weights: NDArray[np.number]) -> None:
        self.model = _stream().model.Categorical(np.asarray(weights, dtype=np.float64), perfect=False)


class AnsCoder:
    """A stack of bits: `push` encodes, `pop` decodes, and what was pushed last is popped first.

    A row of integer weights `w` gives symbol `k` the probability `(w_k + 1) / (sum(w) + n)` up to 2^-24 resolution: no
    symbol of the alphabet is ever impossible. Weights have shape (symbols, alphabet) and sum to less than 2^52 per row.
    Below the last bit there are zeros: what is popped from an empty stack can be pushed back, and leaves it empty.

    Args:
        data: what :meth:`to_bytes` returned.

    Raises:
        CodecError: if no stack can have given these bytes.

    Source: Duda (2009), arXiv:0902.0271; the implementation is constriction's, Bamler (2022), arXiv:2201.01741.

    >>> import numpy as np
    >>> coder = AnsCoder()
    >>> coder.push(np.array([0, 2]), np.array([[3, 1, 0], [1, 1, 2]]))
    >>> AnsCoder(coder.to_bytes()).pop(np.array([[3, 1, 0], [1, 1, 2]])).tolist()
    [0, 2]
    """

    def __init__(self, data: bytes = b"") -> None:
        stream = _stream()
        self._family = stream.model.Categorical(perfect=False)
        self._uniform = stream.model.Uniform()
        # The last word of a finished stack is never zero, so its zero bytes at the end are not stored.
        words = np.frombuffer(data + b"\0" * (-len(data) % 4), dtype="<u4").astype(np.uint32)
        try:
            self._stack = stream.stack.AnsCoder(words) if len(words) else stream.stack.AnsCoder()
        except ValueError as error:
            raise CodecError("the compressed block is damaged: its last word is zero") from error

    def push(self, symbols: Integers, weights: NDArray[np.number]) -> None:
        """Encode `symbols[i]` with row `weights[i]`; a later `pop(weights)` returns them in the same order."""
        if len(symbols):
            self._stack.encode_reverse(
                np.ascontiguousarray(symbols, dtype=np.int32), self._family, np.ascontiguousarray(weights, np.float64)
            )

    def pop(self, weights: NDArray[np.number]) -> NDArray[np.int32]:
        """Decode one symbol for each row of `weights`."""
        if not len(weights):
            return np.empty(0, dtype=np.int32)
        return np.asarray(self._stack.decode(self._family, np.ascontiguousarray(weights, np.float64)))

    def push_alike(self, symbols: Integers, table: Table) -> None:
        """Encode symbols that all have the distribution of ``table``."""
        if len(symbols):
            self._stack.encode_reverse(np.ascontiguousarray(symbols, dtype=np.int32), table.model)

    def pop_alike(self, count: int, table: Table) -> NDArray[np.int32]:
        """Decode ``count`` symbols that all have the distribution of ``table``."""
        return np.asarray(self._stack.decode(table.model, count)) if count else np.empty(0, dtype=np.int32)

    def push_uniform(self, values: Integers, sizes: Integers) -> None:
        """Encode ``values[i]``, each as likely as any from 0 to ``sizes[i] - 1``; sizes are from 2 to 2^24."""
        if len(values):
            arguments = (np.ascontiguousarray(part, dtype=np.int32) for part in (values, sizes))
            symbols, counts = arguments
            self._stack.encode_reverse(symbols, self._uniform, counts)

    def pop_uniform(self, sizes: Integers) -> NDArray[np.int32]:
        """Decode what :meth:`push_uniform` encoded."""
        if not len(sizes):
            return np.empty(0, dtype=np.int32)
        return np.asarray(self._stack.decode(self._uniform, np.ascontiguousarray(sizes, dtype=np.int32)))

    @property
    def bits(self) -> int:
        """The number of bits on the stack."""
        return int(self._stack.num_valid_bits())

    def to_bytes(self) -> bytes:
        """The stack as bytes, little-endian on every machine."""
        return self._stack.get_compressed().astype("<u4").tobytes().rstrip(b"\0")


def ideal_bits(symbols: Integers, weights: NDArray[np.number]) -> float:
    """-log2 of the probability that rows of integer weights give to `symbols`, before any coder's rounding."""
    weights = np.asarray(weights, dtype=np.float64)
    chosen = np.take_along_axis(weights, np.asarray(symbols, dtype=np.int64)[:, None], axis=1)[:, 0]
    return float(-np.log2(np.maximum(chosen, 1.0) / np.maximum(weights.sum(axis=1), 1.0)).sum())
