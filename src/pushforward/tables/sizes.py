"""How large a flow suits a table, and how long it is trained."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Size:
    """What suits a number of rows: the flow's size and the length of its training."""

    layers: int
    hidden: tuple[int, ...]
    steps: int
    batch_size: int
    learning_rate: float


# From so many rows on. Tiny tables get tiny flows, which cannot overfit much and train in a moment.
_JOINT = {
    0: Size(1, (16,), 120, 128, 1e-2),
    150: Size(2, (32, 32), 250, 128, 1e-2),
    1000: Size(2, (64, 64), 400, 512, 5e-3),
    4000: Size(3, (64, 64), 800, 1024, 5e-3),
    20_000: Size(5, (128, 128), 3000, 512, 1e-3),
    100_000: Size(5, (128, 128), 6000, 512, 2e-3),
}
# A target's few numbers cost little beside the network that sees its features: it may be wider and deeper.
_GIVEN = {
    0: Size(1, (16,), 120, 128, 1e-2),
    150: Size(1, (16,), 200, 128, 5e-3),
    1000: Size(2, (64, 64), 600, 256, 2e-3),
    4000: Size(2, (128, 128), 1000, 512, 2e-3),
    20_000: Size(2, (128, 128, 128), 3000, 512, 3e-3),
    100_000: Size(2, (128, 128, 128), 6000, 1024, 3e-3),
}


MOST_NUMBERS = 2**15
"""The most numbers in a batch: the steps of wide tables would take long otherwise."""

LEAST_BATCH = 128
LEAST_ROWS_TO_WIDEN = 1000
MOST_WIDENED = 256


def suitable_size(rows: int, columns: int, conditional: bool = False) -> Size:
    """Choose by the number of rows and of columns that are modelled, for a joint density or one given others.

    Example:
        >>> suitable_size(2000, columns=8)
        Size(layers=2, hidden=(64, 64), steps=400, batch_size=512, learning_rate=0.005)
        >>> suitable_size(2000, columns=200)
        Size(layers=2, hidden=(200, 200), steps=400, batch_size=163, learning_rate=0.005)
    """
    sizes = _GIVEN if conditional else _JOINT
    size = sizes[max(start for start in sizes if start <= rows)]
    # Of a masked network's units, each sees the columns up to one; with fewer units than columns some see the same.
    least = min(columns, MOST_WIDENED) if rows >= LEAST_ROWS_TO_WIDEN else 0
    widened = tuple(max(width, least) for width in size.hidden)
    batch = min(size.batch_size, max(LEAST_BATCH, MOST_NUMBERS // columns))
    return replace(size, hidden=widened, batch_size=batch)
