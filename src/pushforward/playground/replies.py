"""What the page is told: facts as JSON, followed by arrays of float32 that it reads without parsing."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

from torch import Tensor


def pack(kind: str, facts: Mapping[str, Any], arrays: Mapping[str, Tensor] | None = None) -> bytes:
    """One reply: the length of the header as a little-endian uint32, the header in JSON, the arrays in turn.

    The header is ``{"type", ...facts, "arrays": {name: shape}}``, padded with spaces so that the arrays begin at a
    multiple of 4, as typed arrays must.

    Example:
        >>> pack("paused", {}).partition(b"{")[2]
        b'"type": "paused", "arrays": {}}'
    """
    arrays = arrays or {}
    shapes = {name: list(array.shape) for name, array in arrays.items()}
    header = json.dumps({"type": kind, **facts, "arrays": shapes}, allow_nan=False).encode()
    header += b" " * (-len(header) % 4)
    bodies = [array.detach().float().contiguous().numpy().astype("<f4").tobytes() for array in arrays.values()]
    return b"".join([struct.pack("<I", len(header)), header, *bodies])
