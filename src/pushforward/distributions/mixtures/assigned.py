"""Mixtures whose assignments are given."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pushforward.distributions.base import Distribution
from pushforward.distributions.mixtures.groups import by_group
from pushforward.distributions.mixtures.mixture import Mixture
from pushforward.errors import UsageError
from pushforward.spaces import Categories


class Assigned(Distribution):
    r"""The components of a mixture for events whose component is known, ``p(x | k) = p_k(x)``: the context is ``k``.

    Trained with classes, clusters or parts of a survey as contexts, each component sees its own events alone, and
    :meth:`initialise` sets the mixture's weights to their shares in its batch, where the likelihood of its assignments
    is highest; nothing changes them afterwards. The mixture itself is then the density of events whose assignment is
    not known, and its ``responsibilities`` classify them.

    Args:
        mixture: the mixture, whose components take no context of their own.

    Shapes: ``x`` is ``(..., D)``, the context ``k`` an integer for each event, ``(...)``, and so is the log-density.

    Raises:
        UsageError: if they do.

    Source: Izmailov, Kirichenko, Finzi, Wilson (2020), Semi-Supervised Learning with Normalizing Flows,
    arXiv:1912.13025, with a Gaussian for each class.

    Example:
        >>> from pushforward.distributions import DiagonalNormal
        >>> mixture = Mixture([DiagonalNormal((2,)), DiagonalNormal((2,))])
        >>> Assigned(mixture).log_prob(torch.zeros(3, 2), [0, 1, 1]).shape
        torch.Size([3])
    """

    def __init__(self, mixture: Mixture) -> None:
        super().__init__()
        if mixture.context is not None:
            raise UsageError(f"Assigned expects components without a context, got {mixture.context}")
        self.mixture = mixture
        self.support, self.accuracy, self.uses_batch = mixture.support, mixture.accuracy, mixture.uses_batch
        self.reparametrised = all(each.reparametrised for each in mixture.members)
        self.context = Categories(len(mixture.components), ())

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        group, events = self._group(context), x.reshape(-1, *self.event_shape)

        def score(index: int, rows: Tensor) -> Tensor:
            return self.mixture.members[index].score(events[rows], None, generator)

        batch = x.shape[: x.dim() - len(self.event_shape)]
        return by_group(group.expand(batch).flatten(), len(self.mixture.components), score).reshape(batch)

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        def drawn(index: int, rows: Tensor) -> Tensor:
            return self.mixture.members[index].draw(rows.shape, None, temperature, generator)

        group = self._group(context).flatten()
        return by_group(group, len(self.mixture.components), drawn).reshape(batch + self.event_shape)

    def initialise(self, x: Tensor, context: Tensor | None = None) -> None:
        """Begin with the events that each component is given, once."""
        if not self.mixture.initialised:
            x, given = self.check(x, context)
            self.mixture.start_from(x, self._group(given).expand(x.shape[: x.dim() - len(self.event_shape)]))

    def composition(self) -> list[tuple[str, Any]]:
        return [("mixture", self.mixture)]

    @staticmethod
    def _group(context: Tensor | None) -> Tensor:
        """The component of each event, of what :meth:`take_context` makes of it."""
        assert context is not None
        return context.argmax(-1)
