"""What the codec needs to know of a model: how it writes a batch of events onto a stack of bits and reads it back."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from pushforward.codec.entropy import AnsCoder


class CodecModel(Protocol):
    """A model that codes batches of events of one shape, whose elements are integers from ``low`` to ``high``.

    ``block_elements`` is about how many elements should share a block, ``working_bytes`` about how much memory each
    element of a block takes while it is coded, and ``starting_bits`` about how many bits a block takes besides its
    events.
    """

    event_shape: tuple[int, ...]
    low: int
    high: int
    fingerprint: bytes
    block_elements: int
    working_bytes: int
    starting_bits: int

    def push(self, coder: AnsCoder, x: Tensor) -> None:
        """Encode events ``(N, *event_shape)``.

        Raises:
            CodecError: if the model cannot code these values; the coder is then in an undefined state.
        """
        ...

    def pop(self, coder: AnsCoder, count: int) -> Tensor:
        """Decode the ``count`` events that were pushed last."""
        ...

    def expected_bits(self) -> float:
        """About how many bits an event takes that the model itself would draw."""
        ...


FINGERPRINT_BYTES = 16
