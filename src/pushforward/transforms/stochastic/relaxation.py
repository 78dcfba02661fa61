"""Steps of a Markov kernel as a transform."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.accuracy import Accuracy, Draws
from pushforward.errors import UsageError
from pushforward.spaces import Reals
from pushforward.transforms.base import Transform
from pushforward.transforms.stochastic.kernel import Kernel


class Relaxation(Transform):
    r"""A stochastic layer: steps of a Markov kernel, from data to latent and, drawn anew, from latent to data.

    Both directions relax towards the kernel's target. ``forward`` draws ``z ~ K(z | x)`` and returns, in the place of
    a log-determinant, ``log K(x | z) - log K(z | x)``; ``inverse`` draws ``x ~ K(x | z)`` and returns ``log K(z | x) -
    log K(x | z)``. The exponential of a flow's ``log_prob`` is then the density in the mean, so that ``log_prob`` is a
    lower bound in the mean, which importance weighting tightens. Along paths from the base to the data, ``E exp(log
    f(x) - log q)`` is exactly the normaliser of any ``f``, with the ``log q`` of ``rsample_and_log_prob``.

    Args:
        kernel: the kernel, such as ``Langevin(...)`` or ``Metropolis(Hamiltonian(...))``.
        steps: how many of its moves.

    Raises:
        UsageError: if it is no kernel, or there is less than one step.
        ShapeError: if the input does not end in the kernel's features, or the context is missing or misshapen.

    Source: Wu, Koehler, Noe (2020), arXiv:2002.06707; Nielsen, Jaini, Hoogeboom, Winther, Welling (2020),
    arXiv:2007.02731.

    Example:
        >>> from pushforward.distributions import StandardNormal
        >>> from pushforward.transforms import Langevin
        >>> layer = Relaxation(Langevin(2, StandardNormal((2,))), steps=5)
        >>> layer.inverse(torch.zeros(3, 2))[0].shape, layer.accuracy.describe()
        (torch.Size([3, 2]), 'lower bound')
    """

    accuracy = Accuracy.LOWER_BOUND
    draws = Draws.BOTH

    def __init__(self, kernel: Kernel, steps: int = 1) -> None:
        super().__init__()
        if not isinstance(kernel, Kernel):
            raise UsageError(f"Relaxation expects a kernel such as Langevin(...), got {type(kernel).__name__}")
        if steps < 1:
            raise UsageError(f"Relaxation expects at least 1 step, got {steps}")
        self.kernel, self.steps = kernel, steps
        self.domain = self.codomain = Reals((kernel.features,))
        self.context = kernel.context

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        x, context = self.check(x, context, self.domain)
        point = self.kernel.at(x, context)
        point, log_ratio = self.kernel.move(point, context, generator)
        for _ in range(self.steps - 1):
            point, term = self.kernel.move(point, context, generator)
            log_ratio = log_ratio + term
        return point.x, log_ratio

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        # The kernel is its own reversal, and what a move weighs is the way back over the way there.
        return self.forward(z, context, generator)

    def encode(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        x, context = self.check(x, context, self.domain)
        point = self.kernel.at(x, context)
        for _ in range(self.steps - 1):
            point, _ = self.kernel.move(point, context, generator)
        return self.kernel.displace(point, context, generator)

    def decode(self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        return self.encode(z, context, generator)
