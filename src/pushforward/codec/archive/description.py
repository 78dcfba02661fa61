"""What compressed files say of themselves, without decoding them."""

from __future__ import annotations

from typing import Any

from pushforward.codec.archive.container import VERSION, read_container
from pushforward.codec.archive.formats import KINDS


def describe(data: bytes) -> dict[str, Any]:
    """What a compressed file says of itself.

    Raises:
        CodecError: if it is damaged.
    """
    header, blocks = read_container(data, 2**62)
    return {
        "format": VERSION,
        "model": header.fingerprint.hex(),
        "bytes": len(data),
        "array_bytes": header.bytes,
        "ratio": len(data) / max(header.bytes, 1),
        "blocks": len(blocks),
        "entries": [
            {
                "name": name,
                "kind": KINDS[form.kind] if form.kind < len(KINDS) else "unknown",
                "dtype": form.dtype,
                "shape": list(form.shape),
            }
            for name, form in zip(header.names, header.entries)
        ],
    }
