"""What codes each file: the model, or a general coder where that is shorter.

Each item is tried with the model, and compared with what a general coder makes of its arrays and of its own bytes. In
the end the file as a whole is compared with one of all items' own bytes, since many small files alike are shorter
together than any of them alone.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from pushforward.codec.archive.arrays import OPAQUE, PLANES, choose_scheme, shuffle
from pushforward.codec.archive.container import write_container
from pushforward.codec.archive.encoding import Encoded, Encoder, Part
from pushforward.codec.archive.entry import Entry
from pushforward.codec.archive.fit import warn_of_misfit
from pushforward.codec.archive.parallel import Progress
from pushforward.codec.model import CodecModel

_WORTH_OPENING = 1.02
"""How much longer than the file its arrays must be for a general coder to be tried on them: they were deflated."""
_WORTH_CODING_ANEW = 0.005
"""The share that other ways must save: blocks without the items that go another way are coded once more."""


@dataclass(frozen=True)
class Item:
    """One file or array, and the ways to code it: its own bytes, its arrays, and its arrays with the model."""

    stored: Sequence[Part]
    opened: Sequence[Part]
    modelled: Sequence[Part]

    @property
    def suits(self) -> bool:
        """Whether the model can be tried."""
        return any(scheme not in (OPAQUE, PLANES) for _, scheme in self.modelled)


def to_item(model: CodecModel, entries: Sequence[Entry], stored: Entry | None) -> Item:
    """The ways to code the entries of one file; ``stored`` is the file's own bytes, None for a bare array."""
    opened = [(entry, PLANES if entry.array.dtype.itemsize > 1 else OPAQUE) for entry in entries]
    schemes = [choose_scheme(entry.array, model.event_shape, model.low, model.high) for entry in entries]
    modelled = [
        (entry, plain if scheme == OPAQUE else scheme) for (entry, plain), scheme in zip(opened, schemes, strict=True)
    ]
    return Item([(stored, OPAQUE)] if stored else [(entry, OPAQUE) for entry in entries], opened, modelled)


def shortest(encoder: Encoder, items: Sequence[Item], progress: Progress | None) -> bytes:
    """The shortest file of the items that is found."""
    suited = [item for item in items if item.suits]
    trial = encoder.encode([part for item in suited for part in item.modelled], progress)
    warn_of_misfit(encoder.model, trial)
    sizes = dict(zip(map(id, suited), _sizes(suited, trial)))
    ways = [_ways(encoder, item, sizes.get(id(item))) for item in items]
    general = [_least(found[:-1] if item.suits else found) for item, found in zip(items, ways)]
    gain = sum(sizes[id(item)] - min(size for size, _ in found) for item, found in zip(items, ways) if item.suits)
    if gain < _WORTH_CODING_ANEW * sum(sizes.values()):
        ways = [found[-1:] if item.suits else found for item, found in zip(items, ways)]
    chosen = encoder.encode(_parts([_least(found) for found in ways]))
    plans = [_parts([item.stored for item in items])]
    # What is laid out for a model that codes none of it is better left to the general coders, and to any reader.
    if not chosen.uses_model:
        plans += [_parts(general), _parts([item.opened for item in items])]
    found = [encoder.encode(plan) for plan in plans]
    # Of plans that are equally long the first one is taken.
    files = [_to_file(encoded) for encoded in ([chosen, *found] if chosen.uses_model else found)]
    return min(files, key=len)


def _least(ways: Sequence[tuple[float, Sequence[Part]]]) -> Sequence[Part]:
    return min(ways, key=lambda way: way[0])[1]


def _ways(encoder: Encoder, item: Item, modelled: float | None) -> list[tuple[float, Sequence[Part]]]:
    """The bytes that each way to code an item takes, the model's as given and last."""
    stored = _content(item.stored)
    ways: list[tuple[float, Sequence[Part]]] = [(encoder.size(stored), item.stored)]
    planes = any(scheme == PLANES for _, scheme in item.opened)
    if item.opened is not item.stored and (planes or len(_content(item.opened)) > _WORTH_OPENING * len(stored)):
        extra = sum(len(zlib.compress(entry.extra)) for entry, _ in item.opened)
        ways.append((encoder.size(_content(item.opened)) + extra, item.opened))
    if modelled is not None and item.suits:
        ways.append((modelled, item.modelled))
    return ways


def _sizes(items: Sequence[Item], trial: Encoded) -> list[float]:
    """What each item takes with the model: its share of the blocks, and of what its file needs besides."""
    shares = iter(trial.shares())
    extras = [b"".join(entry.extra for entry, _ in item.modelled) for item in items]
    besides = len(zlib.compress(b"".join(extras), 9)) / max(len(items), 1) if any(extras) else 0.0
    return [sum(next(shares) for _ in item.modelled) + besides for item in items]


def _content(parts: Sequence[Part]) -> bytes:
    return b"".join(
        shuffle(entry.array.tobytes(), entry.array.itemsize) if scheme == PLANES else entry.array.tobytes()
        for entry, scheme in parts
    )


def _parts(ways: Sequence[Sequence[Part]]) -> list[Part]:
    return [part for way in ways for part in way]


def _to_file(encoded: Encoded) -> bytes:
    return write_container(encoded.header, encoded.blocks)
