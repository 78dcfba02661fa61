"""Moves that are accepted or rejected, so that a kernel leaves its target invariant."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.numerics import uniform_noise
from pushforward.transforms.stochastic.kernel import Kernel, Point


class Metropolis(Kernel):
    r"""A kernel whose moves are accepted with probability ``a = min(1, f(y) K(x | y) / f(x) K(y | x))``, and else not
    made.

    It leaves the target ``f`` invariant, by detailed balance, so that the way back weighs ``log f(x) - log f(y)``,
    whatever the proposal. ``Metropolis(Langevin(...))`` is MALA, ``Metropolis(Hamiltonian(...))`` Hamiltonian Monte
    Carlo. Gradients pass through the moves that are made and not through the choice, which biases those of an
    expectation; weights are exact.

    Args:
        proposal: the kernel that proposes.

    Raises:
        UsageError: if it is no kernel.

    Source: Hastings (1970), Biometrika 57; Wu, Koehler, Noe (2020), arXiv:2002.06707, equation 14.

    Example:
        >>> from pushforward.distributions import StandardNormal
        >>> from pushforward.transforms import Langevin, Relaxation
        >>> layer = Relaxation(Metropolis(Langevin(2, StandardNormal((2,)), step_size=0.5)), steps=10)
        >>> z, log_det = layer(torch.zeros(5, 2))
        >>> torch.allclose(log_det, 0.5 * z.square().sum(-1), atol=1e-5)
        True
    """

    def __init__(self, proposal: Kernel) -> None:
        super().__init__()
        if not isinstance(proposal, Kernel):
            raise UsageError(f"Metropolis expects a kernel such as Langevin(...), got {type(proposal).__name__}")
        self.proposal = proposal
        self.features, self.context = proposal.features, proposal.context

    def at(self, x: Tensor, context: Tensor | None) -> Point:
        return self.proposal.at(x, context)

    def move(
        self, point: Point, context: Tensor | None, generator: torch.Generator | None = None
    ) -> tuple[Point, Tensor]:
        proposed, log_ratio = self.proposal.move(point, context, generator)
        gain = proposed.log_density - point.log_density
        threshold = uniform_noise(gain.detach(), gain.shape, generator).log()
        accepted = threshold < (gain + log_ratio).detach()
        wide = accepted.unsqueeze(-1)
        moved = Point(
            torch.where(wide, proposed.x, point.x),
            torch.where(accepted, proposed.log_density, point.log_density),
            torch.where(wide, proposed.force, point.force),
        )
        return moved, torch.where(accepted, -gain, 0.0)
