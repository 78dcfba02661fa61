"""Local bits-back coding: continuous flows as lossless codecs (Ho, Lohn, Abbeel 2019, arXiv:1905.08500).

A layer ``z = f(x)`` is coded on a fine grid: ``z`` is decoded from the bits that are already there, near ``f(x)``, and
``x`` encoded near the inverse of ``z``; what the second costs less the first gives back is minus the log-determinant.
Every layer here is made of steps that change one part of the event element by element given the rest, so that no
matrix is ever needed: couplings as they are, autoregressive and triangular layers one dimension after the other.

The arithmetic is that of float64 networks: files are read where those give the same bits, and refused elsewhere.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.codec.entropy import AnsCoder, Table
from pushforward.codec.exact.exporting import reordering
from pushforward.codec.exact.portable import Reorder
from pushforward.codec.model import FINGERPRINT_BYTES
from pushforward.distributions.base import Distribution
from pushforward.distributions.continuous.learned_normal import DiagonalNormal, bounded_log_scale
from pushforward.distributions.continuous.logistic import StandardLogistic
from pushforward.distributions.continuous.normal import ConditionalNormal, StandardNormal
from pushforward.errors import CodecError, UsageError
from pushforward.flows.factor_out import FactorOut
from pushforward.flows.flow import Flow
from pushforward.transforms.autoregressive.autoregressive import Autoregressive
from pushforward.transforms.base import Transform
from pushforward.transforms.chain import Chain
from pushforward.transforms.coupling.coupling import Coupling
from pushforward.transforms.elementwise import Elementwise
from pushforward.transforms.inverse import Inverse
from pushforward.transforms.linear.convolution import InvertibleConvolution, InvertibleConvolutionLU
from pushforward.transforms.linear.normalisation import ActNorm, BatchNorm
from pushforward.transforms.linear.permutation import Permutation
from pushforward.transforms.logit import Logit
from pushforward.transforms.reshape.interlace import Interlace
from pushforward.transforms.reshape.squeeze import Squeeze
from pushforward.transforms.surjections.dequantization import Dequantization

GRID_BITS = 28
"""Continuous values count multiples of 2^-28."""

NOISE = 2.0**-14
"""How far from its image a value is decoded, at most: far above the grid, far below what bends a layer."""

BINS = 32
"""Bins of a distribution's table for each unit of its scale."""

FARTHEST = 2.0**30
"""Values beyond are taken for a flow that has lost its way."""

Scalar = Callable[[Tensor], tuple[Tensor, Tensor]]
Exchange = Callable[["_Stack", Tensor, Scalar, Scalar], Tensor]


class LocalBitsBack:
    """A continuous flow of couplings as a :class:`pushforward.codec.model.CodecModel`.

    Its layers may be couplings with any scalar bijection, autoregressive layers, invertible 1x1 convolutions,
    elementwise layers and normalisations, permutations, squeezes, factor-out; its base normal or logistic. It begins
    with a dequantization, whose noise is drawn evenly, a learned one's too. The bits that the first event needs to
    begin with are in the file; each further event uses those of the events before it, so files of many events lose
    little by them.

    Args:
        flow: the flow; a float64 copy is made.

    Raises:
        UsageError: if the flow has another part, or does not begin with a dequantization.

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

    def __init__(self, flow: Distribution) -> None:
        self.fingerprint = _fingerprint(flow)
        own = copy.deepcopy(flow).cpu().double().eval()
        dequantization = _first(own)
        if not isinstance(dequantization, Dequantization):
            raise UsageError("local bits-back coding expects a flow of integers that begins with a Dequantization")
        self.levels = dequantization.levels
        self.low, self.high = 0, self.levels - 1
        self.event_shape = tuple(flow.event_shape)
        self._coder = _base(own)

    def push(self, coder: AnsCoder, x: Tensor) -> None:
        """Encode events (N, *event_shape) of integers."""
        size = math.prod(self.event_shape)
        supply = np.random.default_rng(0).integers(1, 2**32, 2 * size + 256, dtype=np.uint32)
        coder.refill(supply.astype("<u4").tobytes())
        bits = _Stack(coder)
        with _one_thread():
            for event in x.long().split(1):
                first, sizes = self._cells(event)
                inside = torch.from_numpy(bits.pop_uniform(sizes.flatten().numpy())).view_as(event)
                self._coder.push(bits, first + inside, None)
        # What was never touched of the first bits is not needed to read the file.
        coder.drop_bottom(max(0, bits.lowest - 3))

    def pop(self, coder: AnsCoder, count: int) -> Tensor:
        """Decode the ``count`` events that were pushed last."""
        bits = _Stack(coder)
        events = []
        with _one_thread():
            for _ in range(count):
                y = self._coder.pop(bits, (1, *self.event_shape), None)
                event = (y * self.levels) >> GRID_BITS
                if bool((event < 0).any()) or bool((event >= self.levels).any()):
                    raise CodecError("a block decodes to values that the model does not have: it is damaged")
                first, sizes = self._cells(event)
                bits.push_uniform((y - first).flatten().numpy(), sizes.flatten().numpy())
                events.append(event)
        return torch.cat(events[::-1]) if events else torch.zeros((0, *self.event_shape), dtype=torch.int64)

    def _cells(self, event: Tensor) -> tuple[Tensor, Tensor]:
        """The first point of each value's cell on the grid, and how many points it has."""
        first = -((-event << GRID_BITS) // self.levels)
        after = -((-(event + 1) << GRID_BITS) // self.levels)
        return first, torch.from_numpy(_codable((after - first).numpy()))


class _Stack:
    """A stack of bits that knows how to code near a place, and how low it has been."""

    def __init__(self, coder: AnsCoder) -> None:
        self.coder = coder
        self.lowest = coder.words

    def draw(self, mean: Tensor, scale: Tensor) -> Tensor:
        """Decode grid points normally distributed around ``mean``, the bits on the stack taken for noise."""
        middle, width = _place(mean, scale)
        bins = self.coder.pop_alike(len(middle), _noise_table()).astype(np.int64)
        return torch.from_numpy(middle + (bins - 8 * BINS) * width + self.pop_uniform(width)).view(mean.shape)

    def give_back(self, points: Tensor, mean: Tensor, scale: Tensor) -> None:
        """Encode what :meth:`draw` decoded."""
        middle, width = _place(mean, scale)
        bins, inside = np.divmod(points.reshape(-1).numpy() - middle, width)
        if len(bins) and (bins.min() < -8 * BINS or bins.max() >= 8 * BINS):
            raise CodecError(
                "a block's noise is none that could have been drawn: the arithmetic differs, or it is damaged"
            )
        self.push_uniform(inside, width)
        self.coder.push_alike(bins + 8 * BINS, _noise_table())

    def pop_near(self, mean: Tensor, scale: Tensor, shape: str = "normal") -> Tensor:
        """Decode what :meth:`push_near` encoded."""
        middle, width = _place(mean, scale)
        bins = self.coder.pop_alike(len(middle), _table(shape)).astype(np.int64)
        escaped = bins == 64 * BINS
        offsets = (bins - 32 * BINS) * width
        offsets[~escaped] += self.pop_uniform(width[~escaped])
        offsets[escaped] = self._pop_far(int(np.count_nonzero(escaped)))
        return torch.from_numpy(middle + offsets).view(mean.shape)

    def push_near(self, points: Tensor, mean: Tensor, scale: Tensor, shape: str = "normal") -> None:
        """Encode grid points that are distributed as ``shape`` around ``mean``, and any others at a price."""
        middle, width = _place(mean, scale)
        offsets = points.reshape(-1).numpy() - middle
        bins, inside = np.divmod(offsets, width)
        escaped = (bins < -32 * BINS) | (bins >= 32 * BINS)
        self._push_far(offsets[escaped])
        self.push_uniform(inside[~escaped], width[~escaped])
        self.coder.push_alike(np.where(escaped, 64 * BINS, bins + 32 * BINS), _table(shape))

    def pop_uniform(self, sizes: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Decode numbers below ``sizes``, which :func:`_codable` made."""
        low = _low_bits(sizes)
        values = self.coder.pop_uniform(sizes >> low).astype(np.int64) << low
        large = low > 0
        values[large] += self.coder.pop_uniform(1 << low[large])
        self.lowest = min(self.lowest, self.coder.words)
        return values

    def push_uniform(self, values: np.ndarray[Any, Any], sizes: np.ndarray[Any, Any]) -> None:
        """Encode numbers below ``sizes``, which :func:`_codable` made."""
        low = _low_bits(sizes)
        large = low > 0
        self.coder.push_uniform(values[large] & (1 << low[large]) - 1, 1 << low[large])
        self.coder.push_uniform(values >> low, sizes >> low)

    def _pop_far(self, count: int) -> np.ndarray[Any, Any]:
        values = np.zeros(count, dtype=np.int64)
        for _ in range(4):
            values = (values << 16) + self.coder.pop_uniform(np.full(count, 2**16))
        return values

    def _push_far(self, values: np.ndarray[Any, Any]) -> None:
        for part in range(4):
            self.coder.push_uniform(values >> 16 * part & 2**16 - 1, np.full(len(values), 2**16))


def _place(mean: Tensor, scale: Tensor) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The grid point of a mean, and the grid points in a bin of a scale."""
    if not bool((mean.abs() < FARTHEST).all()) or not bool(torch.isfinite(scale).all()):
        raise CodecError("the flow leads too far out to be coded")
    middle = torch.round(mean.reshape(-1) * 2.0**GRID_BITS).long().numpy()
    width = (scale.reshape(-1) * (2.0**GRID_BITS / BINS)).clamp(2.0, 2.0**34).round().long().numpy()
    return middle, _codable(width)


def _low_bits(sizes: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """How many low bits are coded by themselves: the coder's 2^24 shares are even for powers of 2 or small sizes."""
    return np.maximum(np.frexp(sizes.astype(np.float64))[1] - 12, 0)


def _codable(sizes: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The largest sizes up to these, at least 2, whose low bits take all values."""
    low = _low_bits(sizes)
    return np.maximum(sizes >> low << low, 2)


@cache
def _noise_table() -> Table:
    """Bins of a normal distribution to 8 scales. What is drawn must be harmless, so nothing lies beyond."""
    return Table(np.round(np.diff(_normal_cdf(8)) * 2**40) + 1)


@cache
def _table(shape: str) -> Table:
    """Bins of a distribution to 32 scales; one more symbol stands for all that lies beyond."""
    below = _normal_cdf(32) if shape == "normal" else 1 / (1 + np.exp(-_edges(32)))
    return Table(np.round(np.append(np.diff(below), 1e-9) * 2**40) + 1)


def _normal_cdf(reach: int) -> np.ndarray[Any, Any]:
    return np.array([0.5 * math.erfc(-edge / math.sqrt(2)) for edge in _edges(reach)])


def _edges(reach: int) -> np.ndarray[Any, Any]:
    return np.arange(-reach * BINS, reach * BINS + 1) / BINS


def _exchange(bits: _Stack, x: Tensor, forward: Scalar, inverse: Scalar) -> Tensor:
    """Take ``z`` off the stack near ``forward(x)``, and put ``x`` on it near ``inverse(z)``."""
    z = bits.draw(*_near_latent(x, forward))
    bits.push_near(x, *_near_data(z, forward, inverse))
    return z


def _exchange_back(bits: _Stack, z: Tensor, forward: Scalar, inverse: Scalar) -> Tensor:
    """Undo :func:`_exchange`."""
    x = bits.pop_near(*_near_data(z, forward, inverse))
    bits.give_back(z, *_near_latent(x, forward))
    return x


def _near_latent(x: Tensor, forward: Scalar) -> tuple[Tensor, Tensor]:
    mean, log_slope = forward(_real(x))
    return mean, NOISE * torch.exp(log_slope.clamp(max=0.0))


def _near_data(z: Tensor, forward: Scalar, inverse: Scalar) -> tuple[Tensor, Tensor]:
    mean = inverse(_real(z))[0]
    # The noise is small on both sides: where the layer stretches, a data point is known the more exactly.
    return mean, NOISE * torch.exp(-forward(mean)[1].clamp(min=0.0))


class _Layer:
    """What changes grid points into other grid points, taking bits from the stack and putting bits on it."""

    def push(self, bits: _Stack, x: Tensor) -> Tensor:
        """From data to latent."""
        return self.run(bits, x, _exchange, backwards=False)

    def pop(self, bits: _Stack, z: Tensor) -> Tensor:
        """From latent to data."""
        return self.run(bits, z, _exchange_back, backwards=True)

    def run(self, bits: _Stack, x: Tensor, exchange: Exchange, backwards: bool) -> Tensor:
        """Change ``x`` step by step, each by an exchange with the stack; ``backwards`` in the order of the inverse."""
        raise NotImplementedError("a _Layer is abstract")


class _Moved(_Layer):
    """A reordering: nothing to code."""

    def __init__(self, order: Reorder, before: torch.Size, after: torch.Size) -> None:
        self.order, self.before, self.after = order, before, after

    def run(self, bits: _Stack, x: Tensor, exchange: Exchange, backwards: bool) -> Tensor:
        if backwards:
            return self.order.inverse(x, 0).reshape(len(x), *self.before)
        return self.order.forward(x, 0).reshape(len(x), *self.after)


class _Each(_Layer):
    """A transform that maps each element by itself."""

    def __init__(self, part: Transform) -> None:
        self.part = part

    def run(self, bits: _Stack, x: Tensor, exchange: Exchange, backwards: bool) -> Tensor:
        return exchange(bits, x, self._forward, self._inverse)

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            inputs = x.detach().requires_grad_()
            z = self.part(inputs)[0]
            (slope,) = torch.autograd.grad(z.sum(), inputs)
        return z.detach(), slope.abs().log()

    def _inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        x = self.part.inverse(z)[0]
        return x, -self._forward(x)[1]


class _Coupled(_Layer):
    """A coupling: the kept part decides how the other is coded."""

    def __init__(self, part: Coupling) -> None:
        self.part = part

    def run(self, bits: _Stack, x: Tensor, exchange: Exchange, backwards: bool) -> Tensor:
        parameters = self.part._scalar_parameters(_real(x), None)
        scalar, split = self.part.scalar, self.part.partition
        changed = exchange(
            bits,
            split.changed(x),
            lambda value: scalar.forward(value, parameters),
            lambda value: scalar.inverse(value, parameters),
        )
        return split.merge(x, changed)


class _Mixed(_Layer):
    """A triangular mixing of the channels, each in turn: a coupling of one channel given those that enter it."""

    def __init__(self, matrix: Tensor) -> None:
        self.matrix = matrix
        # A channel must be changed before those that enter it.
        upper = bool((matrix.tril(-1) == 0).all())
        self.turns = list(range(len(matrix))) if upper else list(reversed(range(len(matrix))))

    def run(self, bits: _Stack, x: Tensor, exchange: Exchange, backwards: bool) -> Tensor:
        x = x.clone()
        for turn in reversed(self.turns) if backwards else self.turns:
            forward, inverse = self._maps(x, turn)
            x[:, turn] = exchange(bits, x[:, turn], forward, inverse)
        return x

    def _maps(self, x: Tensor, turn: int) -> tuple[Scalar, Scalar]:
        row = self.matrix[turn].clone()
        slope = float(row[turn])
        row[turn] = 0.0
        shift = (row[:, None, None] * _real(x)).sum(1)
        log_slope = torch.full_like(shift, math.log(abs(slope)))

        def forward(value: Tensor) -> tuple[Tensor, Tensor]:
            return slope * value + shift, log_slope

        def inverse(value: Tensor) -> tuple[Tensor, Tensor]:
            return (value - shift) / slope, -log_slope

        return forward, inverse


class _Sequential(_Layer):
    """An autoregressive layer, one dimension after the other from the last: the dimensions before it are still data."""

    def __init__(self, part: Autoregressive) -> None:
        self.part = part

    def run(self, bits: _Stack, x: Tensor, exchange: Exchange, backwards: bool) -> Tensor:
        x, count = x.clone(), x.shape[-1]
        for place in range(count) if backwards else reversed(range(count)):
            parameters = self._parameters(x, place)
            dimension = int(self.part.order[place])
            forward = partial(self.part.scalar.forward, parameters=parameters)
            inverse = partial(self.part.scalar.inverse, parameters=parameters)
            x[..., dimension] = exchange(bits, x[..., dimension], forward, inverse)
        return x

    def _parameters(self, x: Tensor, place: int) -> Tensor:
        part = self.part
        ordered = _real(x).index_select(-1, part.order)
        # What comes later must not even be added as zero times something.
        ordered[..., place:] = 0.0
        parameters = part.network(ordered, None).unflatten(-1, (-1, part.network.per_input))[..., place, :]
        if part.shared is None:
            return parameters
        return torch.cat([parameters, part.shared[place].expand(*parameters.shape[:-1], -1)], dim=-1)


class _Turned(_Layer):
    """A layer run backwards."""

    def __init__(self, layer: _Layer) -> None:
        self.layer = layer

    def run(self, bits: _Stack, x: Tensor, exchange: Exchange, backwards: bool) -> Tensor:
        def turned(bits: _Stack, x: Tensor, forward: Scalar, inverse: Scalar) -> Tensor:
            return exchange(bits, x, inverse, forward)

        return self.layer.run(bits, x, turned, not backwards)


class _Prior:
    """What puts grid points on the stack and takes them off."""

    def push(self, bits: _Stack, z: Tensor, context: Tensor | None) -> None:
        """Encode a latent."""
        raise NotImplementedError("a _Prior is abstract")

    def pop(self, bits: _Stack, shape: tuple[int, ...], context: Tensor | None) -> Tensor:
        """Decode a latent of this shape."""
        raise NotImplementedError("a _Prior is abstract")


class _Located(_Prior):
    """A normal or logistic distribution whose mean and scale are known or depend on the context."""

    def __init__(self, parameters: Callable[[Tensor | None], tuple[Tensor, Tensor]], shape: str) -> None:
        self.parameters, self.shape = parameters, shape

    def push(self, bits: _Stack, z: Tensor, context: Tensor | None) -> None:
        mean, scale = self._spread(tuple(z.shape), context)
        bits.push_near(z, mean, scale, self.shape)

    def pop(self, bits: _Stack, shape: tuple[int, ...], context: Tensor | None) -> Tensor:
        return bits.pop_near(*self._spread(shape, context), self.shape)

    def _spread(self, shape: tuple[int, ...], context: Tensor | None) -> tuple[Tensor, Tensor]:
        mean, log_scale = self.parameters(context)
        return mean.expand(shape), torch.exp(log_scale).expand(shape)


class _Split(_Prior):
    """Factor-out: the split-off part is coded given the kept one."""

    def __init__(self, part: FactorOut) -> None:
        self.dim, self.kept = 1, part.kept
        self.split, self.rest = _base(part.split), _base(part.rest)

    def push(self, bits: _Stack, z: Tensor, context: Tensor | None) -> None:
        kept, split = z[:, : self.kept], z[:, self.kept :]
        self.split.push(bits, split, _real(kept))
        self.rest.push(bits, kept, None)

    def pop(self, bits: _Stack, shape: tuple[int, ...], context: Tensor | None) -> Tensor:
        kept = self.rest.pop(bits, (shape[0], self.kept, *shape[2:]), None)
        split = self.split.pop(bits, (shape[0], shape[1] - self.kept, *shape[2:]), _real(kept))
        return torch.cat([kept, split], 1)


class _Layered(_Prior):
    """A flow: its layers, then its base."""

    def __init__(self, flow: Flow) -> None:
        self.layers: list[_Layer] = []
        shape = flow.event_shape
        for part in _parts(flow.transform):
            self.layers += _layers(part, shape)
            shape = part.forward_shape(shape)
        self.latent_shape = shape
        self.base = _base(flow.base)

    def push(self, bits: _Stack, z: Tensor, context: Tensor | None) -> None:
        for layer in self.layers:
            z = layer.push(bits, z)
        self.base.push(bits, z, None)

    def pop(self, bits: _Stack, shape: tuple[int, ...], context: Tensor | None) -> Tensor:
        z = self.base.pop(bits, (shape[0], *self.latent_shape), None)
        for layer in reversed(self.layers):
            z = layer.pop(bits, z)
        return z


def _base(base: Distribution) -> _Prior:
    if isinstance(base, Flow):
        return _Layered(base)
    if isinstance(base, FactorOut):
        return _Split(base)
    zero = torch.zeros((), dtype=torch.float64)
    if isinstance(base, StandardNormal):
        return _Located(lambda context: (zero, zero), "normal")
    if isinstance(base, StandardLogistic):
        return _Located(lambda context: (zero, zero), "logistic")
    if isinstance(base, DiagonalNormal):
        return _Located(lambda context: (base.mean, bounded_log_scale(base.raw_log_scale)), "normal")
    if isinstance(base, ConditionalNormal):
        return _Located(base._mean_and_log_scale, "normal")
    raise _unknown(base)


def _layers(part: Transform, shape: torch.Size) -> list[_Layer]:
    if isinstance(part, Dequantization):
        # Where in its cell a value lies is decoded from the stack, all places alike.
        return []
    if isinstance(part, Chain):
        layers = []
        for inner in part:
            layers += _layers(inner, shape)
            shape = inner.forward_shape(shape)
        return layers
    if isinstance(part, Permutation | Squeeze | Interlace):
        return [_Moved(reordering(part, shape), shape, part.forward_shape(shape))]
    if isinstance(part, Coupling):
        return [_Coupled(part)]
    if isinstance(part, Autoregressive):
        return [_Sequential(part)]
    if isinstance(part, Logit | ActNorm | BatchNorm | Elementwise):
        return [_Each(part)]
    if isinstance(part, Inverse):
        return [_Turned(layer) for layer in reversed(_layers(part.bijection, part.forward_shape(shape)))]
    if isinstance(part, InvertibleConvolution | InvertibleConvolutionLU):
        permutation, lower, upper = _factors(part)
        order = torch.argmax(permutation, dim=1)
        moved = Permutation(order, event_dims=3)
        return [_Mixed(upper), _Mixed(lower), _Moved(reordering(moved, shape), shape, shape)]
    raise _unknown(part)


def _factors(part: InvertibleConvolution | InvertibleConvolutionLU) -> tuple[Tensor, Tensor, Tensor]:
    """``W = P L U``."""
    if isinstance(part, InvertibleConvolution):
        return tuple(torch.linalg.lu(part.weight.detach()))  # type: ignore[return-value]
    lower, upper, _ = part._factors()
    return part.permutation, lower.detach(), upper.detach()


def _parts(transform: Transform) -> list[Transform]:
    return list(transform) if isinstance(transform, Chain) else [transform]


def _first(flow: Distribution) -> Transform | None:
    while isinstance(flow, Flow):
        (first, *_) = _parts(flow.transform)
        return first
    return None


def _real(points: Tensor) -> Tensor:
    """Grid points as numbers."""
    return points.double() * 2.0**-GRID_BITS


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
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.digest()


def _unknown(part: object) -> UsageError:
    return UsageError(
        f"local bits-back coding has no way through {type(part).__name__}: it takes couplings, autoregressive layers, "
        f"1x1 convolutions, elementwise layers, permutations, squeezes, factor-out, and normal or logistic bases"
    )
