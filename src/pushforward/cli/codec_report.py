"""What a codec makes of test data: bits and speeds, measured on files that were read back and compared."""

from __future__ import annotations

import lzma
import time
import warnings

import numpy as np
from torch import Tensor

from pushforward.codec import compress, decompress
from pushforward.codec.api import as_model
from pushforward.codec.exact.portable import PortableFlow
from pushforward.errors import CodecError, UsageError
from pushforward.flows.flow import Flow
from pushforward.reports import Section, Table

# Local bits-back coding takes the derivative of each event.
_MOST_EVENTS, _MOST_LOCAL_EVENTS, _MOST_ELEMENTS = 256, 32, 2**14


def codec_sections(flow: Flow, x: Tensor, levels: int | None) -> list[Section]:
    """Compress some of the test data with the flow and xz, where they are whole numbers and it can be a codec.

    Raises:
        CodecError: if what comes back is not what went in.
    """
    if levels is None:
        return []
    try:
        codec = as_model(flow)
    except UsageError as error:
        return [Section("Compression", f"None: {error}.")]
    most = _MOST_EVENTS if isinstance(codec, PortableFlow) else _MOST_LOCAL_EVENTS
    count = max(1, min(most, _MOST_ELEMENTS // x[0].numel()))
    events = x[:count].cpu().numpy().astype(np.min_scalar_type(levels - 1))
    with warnings.catch_warnings():
        # That the model takes more bits than for data of its own is what the table tells.
        warnings.simplefilter("ignore")
        started = time.perf_counter()
        content = compress(codec, events)
        written = time.perf_counter()
        back = decompress(codec, content)
    read = time.perf_counter()
    if not np.array_equal(back, events):
        raise CodecError("test data came back changed from the codec: this is a bug, please report it")
    plain = len(lzma.compress(events.tobytes(), preset=9 | lzma.PRESET_EXTREME))
    rows = [
        (
            "this model",
            8 * len(content) / events.size,
            _speed(events, written - started),
            _speed(events, read - written),
        ),
        ("xz -9e", 8 * plain / events.size, "", ""),
    ]
    table = Table(("codec", "bits/dim", "writes, events/s", "reads, events/s"), rows)
    text = (
        f"The first {len(events):,} test events as a file, without the model; it was read back and compared. What "
        "the model makes no shorter than xz or zstd do is coded by these. Speeds "
        "are of this machine, and of so few events they are rough."
    )
    return [Section("Compression", text, [table])]


def _speed(events: np.ndarray, seconds: float) -> str:  # type: ignore[type-arg]
    return f"{len(events) / seconds:,.0f}"
