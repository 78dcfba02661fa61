"""Compress arrays with a flow, and get them back bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pushforward.accuracy import Accuracy
from pushforward.codec.archive.container import MEMORY_LIMIT
from pushforward.codec.archive.decoding import Decoder, item_of
from pushforward.codec.archive.entry import Entry
from pushforward.codec.archive.formats import FILE
from pushforward.codec.archive.packing import open_container, pack, read_arrays_of, unpack_preview
from pushforward.codec.archive.parallel import Progress
from pushforward.codec.model import CodecModel
from pushforward.distributions.base import Distribution
from pushforward.errors import UsageError
from pushforward.flows.expected import require_flow

Array = NDArray[Any]


def compress(
    flow: CodecModel | Distribution,
    array: Array | torch.Tensor,
    *,
    block_size: int | None = None,
    verify: bool = True,
    progress: Progress | None = None,
) -> bytes:
    """Compress an array of any shape and type, losslessly, with a flow.

    What suits the flow's shape and levels is coded by it; what does not (other types, values out of range), and what a
    general coder (xz or zstd) makes shorter, is coded by that. A :class:`pushforward.codec.MisfitWarning` says where
    the flow takes many more bits for the data than for data of its own. A model of integers (``coarse-to-fine``,
    ``idf``, ``gated-pixelcnn``) is exported to its portable form: the bytes can be read on any machine; pass the result
    of :func:`pushforward.codec.export` or :func:`pushforward.codec.load_portable` to do that once for many calls. A
    continuous flow codes by local bits-back.

    Args:
        flow: a flow, or what :func:`pushforward.codec.export` made of it.
        array: the data; the leading dimensions are the batch.
        block_size: how many events share a block; blocks are decoded independently of each other.
        verify: decode each block of a model that is not portable once while encoding, and store it plainly unless
            it reads back.
        progress: called with the number of blocks done and to do.

    Raises:
        UsageError: if the flow has neither an exact integer form nor one for bits-back coding, or the array holds
            Python objects or is of a type that NumPy has not.

    Source: Hoogeboom et al. (2019), arXiv:1905.07376; Ho, Lohn, Abbeel (2019), arXiv:1905.08500.

    Example:
        >>> import numpy as np, pushforward as pf
        >>> from pushforward.codec import compress, decompress, export
        >>> model = export(pf.models.coarse_to_fine(shape=(1, 4, 4), levels=4, hidden=[4], blocks=1))
        >>> images = np.arange(64, dtype=np.uint8).reshape(4, 4, 4) % 4
        >>> bool((decompress(model, compress(model, images)) == images).all())
        True
    """
    return pack(as_model(flow), [Entry(_as_array(array))], block_size=block_size, verify=verify, progress=progress)


def _as_array(array: Array | torch.Tensor) -> Array:
    if not isinstance(array, torch.Tensor):
        return np.asarray(array)
    try:
        return array.detach().cpu().numpy()
    except TypeError as error:
        raise UsageError(f"compress expects a type that NumPy has, got {array.dtype}: convert it first") from error


def decompress(
    flow: CodecModel | Distribution,
    data: bytes,
    *,
    index: int | None = None,
    memory_limit: int = MEMORY_LIMIT,
    progress: Progress | None = None,
) -> Array:
    """Get back the array that :func:`compress` was given.

    Args:
        flow: the same flow, or its portable form.
        data: what ``compress`` returned.
        index: decode ``array[index]`` alone, from the blocks that hold it.
        memory_limit: refuse files that hold more bytes of arrays than this, or whose blocks take more to decode
            (256 MiB beside the limit are allowed for that).
        progress: called with the number of blocks done and to do.

    Raises:
        CodecError: if the data are damaged, truncated, foreign, or were made with another model or version.
        UsageError: if the data hold several arrays, or ``index`` is out of range.

    Example:
        >>> import numpy as np, pushforward as pf
        >>> model = pf.codec.export(pf.models.coarse_to_fine(shape=(1, 4, 4), levels=4, hidden=[4], blocks=1))

        >>> data = compress(model, np.arange(32, dtype=np.uint8).reshape(2, 4, 4) % 4)
        >>> decompress(model, data, index=1)[0]
        array([0, 1, 2, 3], dtype=uint8)
    """
    model = as_model(flow)
    if not isinstance(data, bytes | bytearray | memoryview):
        raise UsageError(
            f"decompress expects the bytes that compress returned, got a value of type {type(data).__name__}"
        )
    header, blocks = open_container(model, data, memory_limit)
    if len(header.forms) != 1:
        raise UsageError(f"decompress expects a file with one array, got {len(header.forms)}: use unpack()")
    reader = Decoder(model, header, blocks, memory_limit)
    if index is not None and header.forms[0].kind != FILE:
        return reader.item(index)
    arrays = [part.array for entry in reader.entries(progress) for part in read_arrays_of(entry)]
    if len(arrays) != 1:
        raise UsageError(f"decompress expects a file with one array, got {len(arrays)}: use unpack()")
    return arrays[0] if index is None else item_of(arrays[0], index)


def preview(
    flow: CodecModel | Distribution, data: bytes, latents: int, *, seed: int = 0, memory_limit: int = MEMORY_LIMIT
) -> Array:
    """Decode the deepest ``latents`` latents of every event and draw the others from the model.

    With all latents the result is exact; with fewer it is what the model takes the rest to be, which shows what a file
    holds before all of it is decoded. Blocks that are stored plainly come out exact.

    Raises:
        CodecError: as :func:`decompress` does.
        UsageError: if the model has no latents to choose from, the seed is none, or the data hold several arrays.

    Example:
        >>> import numpy as np, pushforward as pf
        >>> model = pf.codec.export(pf.models.coarse_to_fine(shape=(1, 4, 4), levels=4, hidden=[4], blocks=1))

        >>> data = compress(model, np.random.default_rng(0).integers(4, size=(200, 4, 4), dtype=np.uint8))
        >>> preview(model, data, latents=1).shape
        (200, 4, 4)
    """
    (entry,) = unpack_preview(as_model(flow), data, latents, seed, memory_limit)
    return entry.array


def as_model(flow: CodecModel | Distribution) -> CodecModel:
    """What codes with a flow: itself, its portable form, or local bits-back coding.

    Raises:
        UsageError: if it is neither a flow nor what codes with one, or nothing codes with it.
    """
    if not isinstance(flow, Distribution):
        if not (hasattr(flow, "push") and hasattr(flow, "pop")):
            require_flow("the codec", flow)
        return flow
    # The density of integers is exact where nothing makes them continuous.
    if flow.support.discrete and flow.accuracy is Accuracy.EXACT:
        from pushforward.codec.exact.exporting import export

        return export(flow)
    from pushforward.codec.bitsback.model import LocalBitsBack

    return LocalBitsBack(flow)
