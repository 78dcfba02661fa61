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
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.codec.bitsback.coding import code_base, code_transform, merged
from pushforward.codec.bitsback.dequantization import code_dequantization
from pushforward.codec.bitsback.grid import BINS, GRID_BITS, NOISE_BINS
from pushforward.codec.bitsback.layers import NOISE, ElementwiseLayer, Layer
from pushforward.codec.bitsback.priors import FlowPrior
from pushforward.codec.bitsback.stack import BitStack
from pushforward.codec.bitsback.start import (
    CANDIDATES,
    DRAWN,
    LARGEST_COUNT,
    Histograms,
    Schedule,
    bits_to_begin,
    plain_first,
    pop_plain,
    pop_schedule,
    push_plain,
    push_schedule,
)
from pushforward.codec.entropy import AnsCoder
from pushforward.codec.model import FINGERPRINT_BYTES
from pushforward.distributions.base import Distribution
from pushforward.errors import CodecError, ConvergenceError, UsageError
from pushforward.flows.flow import Flow
from pushforward.transforms.base import Transform
from pushforward.transforms.chain import Chain
from pushforward.transforms.linear.standardisation import Standardise
from pushforward.transforms.surjections.dequantization import Dequantization

_DRAWN = 16
_LARGEST_BATCH = 2**16
"""Elements that are coded at a time, at most."""


class LocalBitsBack:
    """A continuous flow as a :class:`pushforward.codec.model.CodecModel`.

    Its layers may be couplings with any scalar bijection and any network, autoregressive layers, invertible 1x1
    convolutions, elementwise layers and normalisations, permutations, squeezes, factor-out, and what is registered
    with :func:`pushforward.codec.bitsback.coding.code_transform`; its base normal or logistic. It begins with a
    dequantization, whose noise is drawn from the stack as the flow has it: evenly, or by its own ``q(u | x)``. The bits
    that the first draws take are those of a few events of the block, which are coded by a histogram for each element;
    the more there are on the stack, the more events are coded at a time.

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

    # One block as a rule: each block begins anew.
    block_elements = 2**24
    working_bytes = 64
    starting_bits = 256

    # Automatic differentiation takes no weights that were copied in inference mode.
    @torch.inference_mode(False)
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
        self.noise = code_dequantization(parts[0], own.event_shape)
        layers: list[Layer] = [ElementwiseLayer(_by_levels(self.levels, own.event_shape))]
        if parts[1:]:
            layers = merged([*layers, *code_transform(Chain(parts[1:]), own.event_shape)])
        self.prior = FlowPrior(own, layers, code_base(own.base))

    def push(self, coder: AnsCoder, x: Tensor) -> None:
        """Encode events ``(N, *event_shape)`` of integers."""
        if not len(x):
            return
        bits = BitStack(coder)
        with _coding():
            x = x.long().clone()
            plain, share = self._begin(coder, x)
            schedule, order = Schedule(len(plain), share), plain_first(plain, len(x))
            for start, stop in self._bounds(schedule, len(x)):
                self.push_events(bits, x[order[start:stop]])
        push_plain(coder, plain, len(x))
        push_schedule(coder, schedule)

    def pop(self, coder: AnsCoder, count: int) -> Tensor:
        """Decode the ``count`` events that were pushed last."""
        if not count:
            return torch.zeros((0, *self.event_shape), dtype=torch.int64)
        bits, schedule = BitStack(coder), pop_schedule(coder)
        order = plain_first(pop_plain(coder, schedule.plain, count), count)
        with _coding():
            batches = [self._pop_events(bits, stop - start) for start, stop in reversed(self._bounds(schedule, count))]
            plain = [torch.from_numpy(self.histograms.pop(coder)) for _ in range(schedule.plain)]
        first = [event.reshape(1, *self.event_shape) for event in reversed(plain)]
        return torch.cat([*first, *reversed(batches)])[torch.argsort(order)]

    def push_events(self, bits: BitStack, events: Tensor) -> None:
        """Encode events together, by bits-back."""
        self.prior.push(bits, self.noise.draw(bits, events), None)

    def expected_bits(self) -> float:
        """About how many bits an event takes that the flow itself would draw: the mean of the bound for a few draws."""
        return self._expected

    @property
    def _at_a_time(self) -> int:
        """How many events are coded together, at most."""
        return max(1, _LARGEST_BATCH // math.prod(self.event_shape))

    @cached_property
    def _expected(self) -> float:
        return float(self._bounds_of(self._drawn(_DRAWN)).mean())

    @cached_property
    def histograms(self) -> Histograms:
        """What codes the plain events of a block."""
        try:
            events = self._drawn(DRAWN)
        # A flow whose inverse does not converge at its own latents may do so near the data's.
        except CodecError:
            events = torch.zeros((0, *self.event_shape), dtype=torch.int64)
        return Histograms(events, self.levels)

    def _drawn(self, count: int) -> Tensor:
        """Events that the flow draws itself."""
        with _coding():
            drawn = self.flow.sample(count, generator=torch.Generator().manual_seed(0)).round()
            return drawn.nan_to_num().clamp(self.low, self.high).long()

    def _begin(self, coder: AnsCoder, x: Tensor) -> tuple[list[int], int]:
        """Encode as many events plainly as bits-back coding of the next takes bits to begin with, those that lose least
        of what they put on the stack; return which, and the share of :class:`Schedule`."""
        bound, plainly = self._bounds_of(x[:CANDIDATES]), self.histograms.bits(x[:CANDIDATES])
        need, plain = bits_to_begin(math.prod(self.event_shape)), []
        for index in np.argsort((plainly - bound) / plainly, kind="stable").tolist():
            if coder.bits >= need:
                break
            self.histograms.push(coder, x[index])
            plain.append(index)
        return plain, min(max(math.ceil(need / max(float(bound.mean()), 1.0)), len(plain), 1), LARGEST_COUNT)

    def _bounds(self, schedule: Schedule, count: int) -> list[tuple[int, int]]:
        """The batches of a schedule, cut into what memory holds."""
        most = self._at_a_time
        return [
            (first, min(first + most, stop))
            for start, stop in schedule.bounds(count)
            for first in range(start, stop, most)
        ]

    def _pop_events(self, bits: BitStack, count: int) -> Tensor:
        """Undo :meth:`push_events`."""
        points = self.prior.pop(bits, (count, *self.event_shape), None)
        events = points >> GRID_BITS
        if bool((events < 0).any()) or bool((events >= self.levels).any()):
            raise CodecError("a block decodes to values that the model does not have: it is damaged")
        self.noise.give_back(bits, points)
        return events

    def _bounds_of(self, events: Tensor) -> NDArray[np.float64]:
        """The bound on the bits of each event, its noise drawn by a seed.

        Raises:
            CodecError: if the flow gives one no density.
        """
        generator = torch.Generator().manual_seed(0)
        with _coding():
            nats = [self.flow.log_prob(part.double(), generator=generator) for part in events.split(self._at_a_time)]
        bits = -torch.cat(nats).numpy() / math.log(2)
        if not np.isfinite(bits).all():
            raise CodecError("the flow gives the events no density that is finite")
        return np.asarray(bits)


def _by_levels(levels: int, shape: torch.Size) -> Transform:
    """From the levels of the data to the unit interval."""
    part = Standardise(shape[0], len(shape)).double()
    part.scale.fill_(levels)
    return part


def _parts(transform: Transform) -> list[Transform]:
    """The parts of a chain, those of chains within it too."""
    if not isinstance(transform, Chain):
        return [transform]
    return [part for inner in transform for part in _parts(inner)]


@contextmanager
def _coding() -> Iterator[None]:
    """One thread and no gradients: sums must run in one order while encoding and decoding."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        # The slopes of elementwise layers are found by automatic differentiation, which inference mode forbids.
        with torch.inference_mode(False), torch.no_grad(), torch.autocast("cpu", enabled=False):
            yield
    except ConvergenceError as error:
        raise CodecError(f"a layer of the flow cannot be inverted here: {error}") from error
    finally:
        torch.set_num_threads(threads)


def _fingerprint(flow: Distribution) -> bytes:
    """16 bytes that identify a flow: a digest of its structure and weights."""
    digest = hashlib.blake2b(b"local bits-back 3", digest_size=FINGERPRINT_BYTES)
    digest.update(json.dumps([GRID_BITS, NOISE, BINS, NOISE_BINS]).encode())
    digest.update(repr([type(part).__name__ for part in flow.modules()]).encode())
    for name, tensor in sorted(flow.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.digest()
