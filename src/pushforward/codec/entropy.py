"""Entropy coding: integers to bits and back with asymmetric numeral systems (ANS).

The coder is constriction's. It is given integer weights carried in float64, all below 2^53 in sum, so what it computes
from them (a cumulative sum, one division, one product per symbol) has the same bits on every IEEE machine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pushforward.errors import CodecError

Integers = NDArray[np.integer]
PRECISION = 24
MAX_TOTAL = 2**52


class AnsCoder:
    """A stack of bits: `push` encodes, `pop` decodes, and what was pushed last is popped first.

    A row of integer weights `w` gives symbol `k` the probability `(w_k + 1) / (sum(w) + n)` up to 2^-24 resolution: no
    symbol of the alphabet is ever impossible. Weights have shape (symbols, alphabet) and sum to less than 2^52 per row.

    Source: Duda (2009), arXiv:0902.0271; the implementation is constriction's, Bamler (2022), arXiv:2201.01741.

    >>> import numpy as np
    >>> coder = AnsCoder()
    >>> coder.push(np.array([0, 2]), np.array([[3, 1, 0], [1, 1, 2]]))
    >>> AnsCoder(coder.to_bytes()).pop(np.array([[3, 1, 0], [1, 1, 2]])).tolist()
    [0, 2]
    """

    def __init__(self, data: bytes = b"") -> None:
        from constriction import stream

        # The last word of a finished stack is never zero, so its zero bytes at the end are not stored.
        padded = data + b"\0" * (-len(data) % 4)
        words = np.frombuffer(padded, dtype="<u4").astype(np.uint32)
        try:
            self._stack = stream.stack.AnsCoder(words) if len(words) else stream.stack.AnsCoder()
        except ValueError as error:
            raise CodecError("the compressed block is damaged: its last word is zero") from error
        self._family = stream.model.Categorical(perfect=False)

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

    @property
    def bits(self) -> int:
        """The number of bits on the stack."""
        return int(self._stack.num_valid_bits())

    @property
    def is_empty(self) -> bool:
        """True where everything that was pushed has been popped."""
        return bool(self._stack.is_empty())

    def to_bytes(self) -> bytes:
        """The stack as bytes, little-endian on every machine."""
        return self._stack.get_compressed().astype("<u4").tobytes().rstrip(b"\0")


def ideal_bits(symbols: Integers, weights: NDArray[np.number]) -> float:
    """-log2 of the probability that rows of integer weights give to `symbols`, before any coder's rounding."""
    weights = np.asarray(weights, dtype=np.float64)
    chosen = np.take_along_axis(weights, np.asarray(symbols, dtype=np.int64)[:, None], axis=1)[:, 0]
    return float(-np.log2(np.maximum(chosen, 1.0) / np.maximum(weights.sum(axis=1), 1.0)).sum())
