"""What maps that are placed by data share: when that happens, and what of the data they are placed by."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.numerics import at_least_single, check_start
from pushforward.spaces import Reals
from pushforward.transforms.base import Bijection

MOST_ROWS = 16384
"""More rows than these do not place a map better than chance moves it: so many are drawn of them."""

LEAST_POINTS = 20
"""The fewest points that a map acts on, which are what tells how strongly it should."""


class Placed(Bijection):
    """A map that is the identity until :meth:`initialise` places it by the data, once; nothing of it is learned by
    gradients. A subclass says in ``_place`` how."""

    initialised: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.domain = self.codomain = Reals((features,))
        self.register_buffer("initialised", torch.tensor(False))

    @torch.no_grad()
    def initialise(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        self.check(x, context, self.domain)
        if not self.initialised:
            rows = at_least_single(x.reshape(-1, x.shape[-1]))
            check_start(rows.t(), type(self).__name__)
            self._place(
                rows if len(rows) <= MOST_ROWS else rows[torch.randperm(len(rows), device=rows.device)[:MOST_ROWS]]
            )
            self.initialised.fill_(True)
        return super().initialise(x, context)

    def _place(self, rows: Tensor) -> None:
        """Set the buffers by rows ``(N, D)``."""
        raise NotImplementedError(f"{type(self).__name__} does not say how data place it: Placed is abstract")


def drawn(rows: Tensor, count: int) -> Tensor:
    """So many of the rows, drawn with replacement, by the global seed."""
    return rows[torch.randint(len(rows), (count,), device=rows.device)]
