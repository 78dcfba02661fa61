"""Work that is done for each group of rows by itself."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def by_group(group: Tensor, count: int, function: Callable[[int, Tensor], Tensor]) -> Tensor:
    """Return ``function(index, rows)`` of each group's rows, in the rows' own order.

    Args:
        group: the group ``0, ..., count - 1`` of each row, ``(N,)``.
        count: how many groups there are.
        function: of a group and the indices of its rows; it gives as many results.

    Example:
        >>> by_group(torch.tensor([1, 0, 1]), 2, lambda index, rows: 10 * index + rows)
        tensor([10,  1, 12])
    """
    order = group.argsort(stable=True)
    sizes = torch.bincount(group, minlength=count).tolist()
    results = torch.cat([function(index, rows) for index, rows in enumerate(order.split(sizes))])
    return results[order.argsort()]
