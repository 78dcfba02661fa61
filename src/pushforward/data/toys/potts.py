"""Potts models: categories on a lattice whose neighbours like to agree."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.errors import ShapeError, UsageError


@dataclass(frozen=True)
class Potts:
    r"""Categories on a square lattice, ``p(x) ~ exp(coupling * sum_(i, j) [x_i = x_j])`` over neighbours ``(i, j)``.

    Attributes:
        side: of the lattice, ``L``.
        states: the categories of each place, ``q``.
        coupling: how much neighbours like to agree; below zero, to differ.

    Raises:
        UsageError: for no place, fewer than two states, or a coupling that is not finite.

    Source: Tran, Vafa, Agrawal, Dinh, Poole (2019), arXiv:1905.10347, whose example it is.

    Example:
        >>> model = Potts(side=2, states=3, coupling=0.5)
        >>> model.agreements(torch.tensor([[0.0, 0.0, 1.0, 0.0]]))
        tensor([2.])
    """

    side: int = 4
    states: int = 3
    coupling: float = 0.5

    def __post_init__(self) -> None:
        if self.side < 1 or self.states < 2:
            raise UsageError(f"Potts expects a side of at least 1 and two states, got {self.side} and {self.states}")
        if not math.isfinite(self.coupling):
            raise UsageError(f"Potts expects a finite coupling, got {self.coupling}")

    def agreements(self, x: Tensor) -> Tensor:
        """Return how many neighbours agree, of lattices ``(..., L L)`` row by row.

        Raises:
            ShapeError: if ``x`` does not end in ``L L``.
        """
        if x.shape[-1:] != (self.side**2,):
            raise ShapeError(f"Potts expects lattices (..., {self.side**2}), got {tuple(x.shape)}")
        lattice = x.unflatten(-1, (self.side, self.side))
        across = (lattice[..., 1:] == lattice[..., :-1]).sum((-2, -1))
        return (across + (lattice[..., 1:, :] == lattice[..., :-1, :]).sum((-2, -1))).float()

    def log_prob(self, x: Tensor) -> Tensor:
        """Return the exact log-mass of lattices, ``coupling`` times :meth:`agreements`, normalised; ``-inf`` where a
        place has none of the states.

        Raises:
            ShapeError: if ``x`` does not end in ``L L``.
            UsageError: as :meth:`log_partition`.
        """
        log_mass = self.coupling * self.agreements(x) - self.log_partition()
        of_states = ((x >= 0) & (x < self.states) & (x == x.floor())).all(-1)
        return torch.where(of_states, log_mass, -torch.inf)

    def log_partition(self) -> Tensor:
        """Return the logarithm of the sum over all lattices, row by row (the method of transfer matrices).

        Raises:
            UsageError: if a row has more than 4096 states, ``q^L``.
        """
        if self.states**self.side > 4096:
            raise UsageError(f"Potts sums over rows of up to 4096 states, got {self.states}^{self.side}: lower side")
        rows = torch.cartesian_prod(*[torch.arange(self.states)] * self.side).view(-1, self.side)
        within = self.coupling * (rows[:, 1:] == rows[:, :-1]).sum(-1)
        between = self.coupling * (rows[:, None] == rows).sum(-1)
        log_sum = within
        for _ in range(self.side - 1):
            log_sum = within + torch.logsumexp(log_sum[:, None] + between, 0)
        return torch.logsumexp(log_sum, 0)

    def sample(self, rows: int, sweeps: int = 200, generator: torch.Generator | None = None) -> Tensor:
        """Draw lattices ``(rows, L L)`` by Gibbs sampling from even ones, one colour of a chessboard after the other.

        Args:
            rows: how many, each the end of a chain of its own.
            sweeps: how often each place is drawn anew, given its neighbours.
            generator: where the random numbers come from.

        Raises:
            UsageError: for a negative number of either.
        """
        if rows < 0 or sweeps < 0:
            raise UsageError(f"Potts draws no negative number of lattices, nor in sweeps, got {rows} and {sweeps}")
        side = self.side
        x = torch.randint(self.states, (rows, side, side), generator=generator)
        place = torch.arange(side)
        colour = (place[:, None] + place) % 2
        for step in range(2 * sweeps):
            logits = self.coupling * self._neighbours(x)
            drawn = torch.multinomial(torch.softmax(logits, -1).flatten(0, 2), 1, generator=generator)
            x = torch.where(colour == step % 2, drawn.view_as(x), x)
        return x.flatten(1).float()

    def _neighbours(self, x: Tensor) -> Tensor:
        """How many neighbours of each place have each state, ``(rows, L, L, q)``."""
        states = torch.nn.functional.one_hot(x, self.states).float()
        padded = torch.nn.functional.pad(states, (0, 0, 1, 1, 1, 1))
        return padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1] + padded[:, 1:-1, :-2] + padded[:, 1:-1, 2:]
