"""What every Markov kernel of a stochastic layer is."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.kernels.derivatives import value_and_gradient
from pushforward.networks.context import Context, vector_context
from pushforward.numerics import bounded
from pushforward.parts import ModulePart
from pushforward.spaces import Space
from pushforward.transforms.stochastic.targets import check_exact, log_density_of

MAX_FORCE = 1000.0
"""The bound of each element of a force. A kernel may have any drift, as its density is known, and steep targets do not
throw a step out of float32; the truncation is that of Roberts and Tweedie (1996), Bernoulli 2, 341-363."""
STEEPEST = 50 * MAX_FORCE
MAX_LOG_STEP = 3.0
"""How far a learned step size may move from where it starts, as a logarithm: a factor of 20 up and down."""


class Point(NamedTuple):
    """Events and what a kernel knows about them, so that nothing is computed twice on the way.

    Attributes:
        x: the events, ``(..., D)``.
        log_density: of the target, ``(...)``, in nats up to a constant.
        force: its gradient, ``(..., D)``, each element bounded by `MAX_FORCE`.
    """

    x: Tensor
    log_density: Tensor
    force: Tensor


class Kernel(ModulePart):
    r"""A Markov kernel ``K(y | x)`` on vectors that tells how its moves weigh, ``log w = log K(x | y) - log K(y | x)``,
    of which :class:`~pushforward.transforms.Relaxation` makes a transform.

    To write one, derive from this class and write :meth:`at` and :meth:`move`.

    Attributes:
        features: the number of dimensions.
        context: the space of the target's context, None where it takes none.

    Shapes: events ``x`` and ``y`` are ``(..., D)``, their weights ``(...)``.

    Raises:
        nothing of its own: what the target raises.

    Source: Wu, Koehler, Noe (2020), Stochastic Normalizing Flows, arXiv:2002.06707.

    Example:
        >>> import pushforward as pf
        >>> kernel = pf.transforms.Langevin(2, pf.distributions.StandardNormal((2,)), step_size=0.1)
        >>> y, weight = kernel.move(kernel.at(torch.zeros(5, 2), None), None)
        >>> isinstance(kernel, Kernel), y.x.shape, weight.shape
        (True, torch.Size([5, 2]), torch.Size([5]))
    """

    features: int
    context: Space | None = None

    def at(self, x: Tensor, context: Tensor | None) -> Point:
        """Return the point of events, from which moves begin."""
        raise NotImplementedError(f"{type(self).__name__} has no at: a Kernel is abstract")

    def move(
        self, point: Point, context: Tensor | None, generator: torch.Generator | None = None
    ) -> tuple[Point, Tensor]:
        """Draw ``y ~ K(y | x)`` and return it with ``log K(x | y) - log K(y | x)``, of the batch's shape: what the way
        back weighs over the way there. Where the kernel draws more than ``y`` (a momentum, noise in between) these are
        the densities of all that it draws, and their ratio is right in the mean."""
        raise NotImplementedError(f"{type(self).__name__} has no move: a Kernel is abstract")

    def displace(self, point: Point, context: Tensor | None, generator: torch.Generator | None = None) -> Tensor:
        """Return the values of a move alone, those of :meth:`move` with the same generator."""
        return self.move(point, context, generator)[0].x

    def way(self, point: Point, context: Tensor | None, generator: torch.Generator | None = None) -> list[Tensor]:
        """Return the events that a move passes through, the last of them where it leads: to draw them."""
        return [self.displace(point, context, generator)]


class ForceKernel(Kernel):
    r"""A kernel that follows the force of a target, ``F(x) = grad log f(x)``, with a learned step size in each
    dimension.

    Args:
        features: the number of dimensions ``D``.
        target: a log-density up to a constant, called as ``target(x)``, with a context as ``target(x, context)``, or a
            distribution.
        step_size: where the step sizes start, above 0; training moves each by a factor of 20 at most.
        context: a number of features or a space of vectors, which the target sees; 0 for none.

    Shapes: events and forces are ``(..., D)``, log-densities and weights ``(...)``.

    Raises:
        UsageError: if an argument does not fit.

    Source: Roberts, Tweedie (1996), Bernoulli 2, 341-363, for the bounded force; Wu, Koehler, Noe (2020),
    arXiv:2002.06707.

    Example:
        >>> import pushforward as pf
        >>> kernel = pf.transforms.Langevin(2, pf.distributions.StandardNormal((2,)), step_size=0.1)
        >>> force = kernel.at(torch.tensor([1.0, -2.0]), None).force
        >>> isinstance(kernel, ForceKernel), torch.allclose(force, torch.tensor([-1.0, 2.0]), atol=1e-4)
        (True, True)
    """

    def __init__(self, features: int, target: Any, step_size: float, context: Context = 0) -> None:
        super().__init__()
        owner = type(self).__name__
        check_exact(target, owner)
        if features < 1 or not 0 < step_size < math.inf:
            raise UsageError(
                f"{owner} expects at least 1 feature and a step size above 0, got {features} and {step_size}"
            )
        self.features, self.target = features, target
        self.context = vector_context(context, owner)
        self.log_step = nn.Parameter(torch.zeros(features))
        self._start = math.log(step_size)

    @property
    def step_size(self) -> Tensor:
        """The step size of each dimension, ``(D,)``."""
        return torch.exp(self._start + bounded(self.log_step, MAX_LOG_STEP))

    def at(self, x: Tensor, context: Tensor | None) -> Point:
        log_density, force = value_and_gradient(lambda x: log_density_of(self.target, x, context), x)
        # Infinite forces too: cut off where the bound is as good as reached, before a square that would overflow.
        return Point(x, log_density, bounded(force.clamp(-STEEPEST, STEEPEST), MAX_FORCE))
