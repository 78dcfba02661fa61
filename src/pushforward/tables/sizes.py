"""How large a flow suits a table, and how long it is trained."""

from __future__ import annotations

from dataclasses import dataclass


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
    4000: Size(3, (64, 64), 1200, 512, 5e-3),
    20_000: Size(3, (128, 128), 2000, 1024, 3e-3),
    100_000: Size(5, (128, 128), 4000, 1024, 2e-3),
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


def suitable_size(rows: int, conditional: bool = False) -> Size:
    """Choose by the number of rows, for a joint density or for one given other columns.

    Example:
        >>> suitable_size(100).layers < suitable_size(100_000).layers
        True
    """
    sizes = _GIVEN if conditional else _JOINT
    return sizes[max(least for least in sizes if least <= rows)]
