"""Local bits-back coding: continuous flows as lossless codecs (Ho, Lohn, Abbeel 2019, arXiv:1905.08500).

A layer ``z = f(x)`` is coded on a fine grid: ``z`` is decoded from the bits that are already there, near ``f(x)``, and
``x`` encoded near the inverse of ``z``; what the second costs less the first gives back is minus the log-determinant.

The arithmetic is that of float64 networks: files are read where those give the same bits, and refused elsewhere.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from pushforward.codec.bitsback.coding import code_base, code_transform
from pushforward.codec.bitsback.grid import BINS, GRID_BITS, codable
from pushforward.codec.bitsback.layers import NOISE
from pushforward.codec.bitsback.priors import FlowPrior
from pushforward.codec.bitsback.stack import BitStack
from pushforward.codec.entropy import AnsCoder
from pushforward.codec.model import FINGERPRINT_BYTES
from pushforward.distributions.base import Distribution
from pushforward.errors import CodecError, UsageError
from pushforward.flows.flow import Flow
from pushforward.transforms.base import Transform
from pushforward.transforms.chain import Chain
from pushforward.transforms.surjections.dequantization import Dequantization

_DRAWN = 16


class LocalBitsBack:
    """A continuous flow as a :class:`pushforward.codec.model.CodecModel`.

    Its layers may be couplings with any scalar bijection and any network, autoregressive layers, invertible 1x1
    convolutions, elementwise layers and normalisations, permutations, squeezes, factor-out, and what is registered
    with :func:`pushforward.codec.bitsback.coding.code_transform`; its base normal or logistic. It begins with a
    dequantization, whose noise is drawn evenly, a learned one's too. The bits that the first event needs to begin with
    are in the file; each further event uses those of the events before it, so files of many events lose little by
    them.

    Args:
        flow: the flow; a float64 copy is made.

    Raises:
        UsageError: if the flow has another part, or does not begin with a dequantization.

    Source: Ho, Lohn, Abbeel (2019), Compression with flows via local bits-back coding, arXiv:1905.08500.

    Example:
        >>> import numpy as np, torch, pushforward as pf
        >>> from pushforward.codec import compress, decompress
        >>> from pushforward.distributions import StandardNormal
        >>> from pushforward.transforms import Dequantization, Logit
        >>> flow = pf.Flow([Dequantization(4), Logit(0.05)], StandardNormal((1, 2, 2)))
        >>> images = np.array([[[0, 3], [1, 2]]] * 100, dtype=np.uint8)
        >>> bool((decompress(flow, compress(flow, images)) == images).all())
        True
    """

    # One block as a rule: each block pays for its first event's bits.
    block_elements = 2**24
    working_bytes = 64

    def __init__(self, flow: Distribution) -> None:
        self.fingerprint = _fingerprint(flow)
        own = copy.deepcopy(flow).cpu().double().eval()
        parts = _parts(own.transform) if isinstance(own, Flow) else []
        if not isinstance(own, Flow) or not parts or not isinstance(parts[0], Dequantization):
            raise UsageError("local bits-back coding expects a flow of integers that begins with a Dequantization")
        if own.context is not None:
            raise UsageError("local bits-back coding expects a flow without a context: a file would not hold it")
        self.flow = own
        self.levels = parts[0].levels
        self.low, self.high = 0, self.levels - 1
        self.event_shape = tuple(flow.event_shape)
        # The first event draws on bits that the block has to hold.
        self.starting_bits = 64 * math.prod(self.event_shape) + 256
        # Where in its cell a value lies is decoded from the stack, all places alike.
        layers = code_transform(Chain(parts[1:]), own.event_shape) if parts[1:] else []
        self.prior = FlowPrior(own, layers, code_base(own.base))

    def push(self, coder: AnsCoder, x: Tensor) -> None:
        """Encode events (N, *event_shape) of integers."""
        size = math.prod(self.event_shape)
        supply = np.random.default_rng(0).integers(1, 2**32, 2 * size + 256, dtype=np.uint32)
        coder.refill(supply.astype("<u4").tobytes())
        bits = BitStack(coder)
        with _one_thread():
            for event in x.long().split(1):
                self.prior.push(bits, self.draw_points(bits, event), None)
        # What was never touched of the first bits is not needed to read the file.
        coder.drop_bottom(max(0, bits.lowest - 3))

    def pop(self, coder: AnsCoder, count: int) -> Tensor:
        """Decode the ``count`` events that were pushed last."""
        bits = BitStack(coder)
        events = []
        with _one_thread():
            for _ in range(count):
                points = self.prior.pop(bits, (1, *self.event_shape), None)
                event = (points * self.levels) >> GRID_BITS
                if bool((event < 0).any()) or bool((event >= self.levels).any()):
                    raise CodecError("a block decodes to values that the model does not have: it is damaged")
                first, sizes = self.cells(event)
                bits.push_uniform((points - first).flatten().numpy(), sizes.flatten().numpy())
                events.append(event)
        return torch.cat(events[::-1]) if events else torch.zeros((0, *self.event_shape), dtype=torch.int64)

    def expected_bits(self) -> float:
        """About how many bits an event takes that the flow itself would draw: the mean of the bound for a few draws."""
        with torch.no_grad():
            drawn = self.flow.sample(_DRAWN, generator=torch.Generator().manual_seed(0))
            return -float(self.flow.log_prob(drawn).mean()) / math.log(2)

    def draw_points(self, bits: BitStack, event: Tensor) -> Tensor:
        """Decode, from what is on the stack, where in their cells on the grid the event's values lie."""
        first, sizes = self.cells(event)
        return first + torch.from_numpy(bits.pop_uniform(sizes.flatten().numpy())).view_as(event)

    def cells(self, event: Tensor) -> tuple[Tensor, Tensor]:
        """The first point of each value's cell on the grid, and how many points it has."""
        first = -((-event << GRID_BITS) // self.levels)
        after = -((-(event + 1) << GRID_BITS) // self.levels)
        return first, torch.from_numpy(codable((after - first).numpy()))


def _parts(transform: Transform) -> list[Transform]:
    """The parts of a chain, those of chains within it too."""
    if not isinstance(transform, Chain):
        return [transform]
    return [part for inner in transform for part in _parts(inner)]


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread and no gradients: sums must run in one order while encoding and decoding."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            yield
    finally:
        torch.set_num_threads(threads)


def _fingerprint(flow: Distribution) -> bytes:
    """16 bytes that identify a flow: a digest of its structure and weights."""
    digest = hashlib.blake2b(b"local bits-back 1", digest_size=FINGERPRINT_BYTES)
    digest.update(json.dumps([GRID_BITS, NOISE, BINS]).encode())
    digest.update(repr([type(part).__name__ for part in flow.modules()]).encode())
    for name, tensor in sorted(flow.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.digest()
