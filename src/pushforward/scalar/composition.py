"""New increasing functions from old: composition and conical combination."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.kernels.iteration import separate
from pushforward.numerics import bounded
from pushforward.scalar.base import ScalarBijection
from pushforward.scalar.root import TOLERANCE, Increasing, invert, solve
from pushforward.spaces import Reals

MAX_LOG_WEIGHT = 5.0


class Composition(ScalarBijection):
    r"""Scalar bijections one after the other, ``z = h_n(... h_1(x))``.

    Parameters per element: those of ``h_1``, then of ``h_2``, and so on.

    Args:
        *bijections: the functions, the first to be applied first.

    Shapes: element by element, ``x`` and ``z`` are ``(...)``, parameters ``(..., P)`` with ``P = P_1 + ... + P_n``.

    Raises:
        UsageError: no function, what is not a scalar bijection, a function learned per dimension (``num_shared``), or
            one that does not lead onto the domain of the next.

    Source: Papamakarios, Nalisnick, Rezende, Mohamed, Lakshminarayanan (2021), Normalizing Flows for Probabilistic
    Modeling and Inference, arXiv:1912.02762, section 3.1: increasing functions of increasing ones.

    Example:
        >>> from pushforward.scalar import Affine, Sigmoid
        >>> bijection = Composition(Affine(), Sigmoid())
        >>> bijection.num_parameters, bijection.codomain
        (2, Interval(low=0.0, high=1.0))
    """

    def __init__(self, *bijections: ScalarBijection) -> None:
        _check_parts(bijections)
        for before, after in pairwise(bijections):
            if not before.codomain.fits(after.domain):
                raise UsageError(
                    f"A composition expects each function to lead onto the domain of the next, got {before} onto "
                    f"{before.codomain} before {after} from {after.domain}: put a function between them"
                )
        self.bijections = bijections
        self.num_parameters = sum(part.num_parameters for part in bijections)
        self.domain = bijections[0].domain
        self.codomain = bijections[-1].codomain
        self.tolerance = max((part.tolerance for part in bijections if part.tolerance is not None), default=None)

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        total = torch.zeros_like(x)
        for part, own in zip(self.bijections, _split(self.bijections, parameters)):
            x, log_derivative = part.forward(x, own)
            total = total + log_derivative
        return x, total

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        total = torch.zeros_like(z)
        for part, own in reversed(list(zip(self.bijections, _split(self.bijections, parameters)))):
            z, log_derivative = part.inverse(z, own)
            total = total + log_derivative
        return z, total

    def encode(self, x: Tensor, parameters: Tensor) -> Tensor:
        for part, own in zip(self.bijections, _split(self.bijections, parameters)):
            x = part.encode(x, own)
        return x

    def decode(self, z: Tensor, parameters: Tensor) -> Tensor:
        for part, own in reversed(list(zip(self.bijections, _split(self.bijections, parameters)))):
            z = part.decode(z, own)
        return z


class ConicalCombination(ScalarBijection):
    r"""A combination with positive weights, ``z = sum_k a_k h_k(x) + b``, ``a_k > 0``.

    Parameters per element, in this order: those of ``h_1``, ``h_2``, ..., the ``K`` log-weights (bounded, relative to
    ``1 / K``), the shift ``b``. The root lies between those that the functions give one by one for ``(z - b) / sum_k
    a_k``. The inverse is iterative, see ``tolerance``; gradients through it are by implicit differentiation.

    Args:
        *bijections: the functions; all lead from the reals onto the reals.

    Shapes: element by element, ``x`` and ``z`` are ``(...)``, parameters ``(..., P)`` with
    ``P = P_1 + ... + P_K + K + 1``.

    Raises:
        UsageError: no function, what is not a scalar bijection, one that is not from the reals onto the reals, or one
            learned per dimension.

    Source: Papamakarios, Nalisnick, Rezende, Mohamed, Lakshminarayanan (2021), Normalizing Flows for Probabilistic
    Modeling and Inference, arXiv:1912.02762, section 3.1 (combination-based transformers).

    Example:
        >>> from pushforward.scalar import Affine, LeakyReLU
        >>> bijection = ConicalCombination(Affine(), LeakyReLU(0.5))
        >>> parameters = torch.randn(3, bijection.num_parameters)
        >>> x = torch.tensor([-1.0, 0.5, 1e6])
        >>> bool(torch.allclose(bijection.inverse(bijection.forward(x, parameters)[0], parameters)[0], x, atol=1e-5))
        True
    """

    tolerance = TOLERANCE

    def __init__(self, *bijections: ScalarBijection) -> None:
        _check_parts(bijections)
        for part in bijections:
            if part.domain != Reals() or part.codomain != Reals():
                raise UsageError(
                    f"A conical combination takes functions from the reals onto the reals, got {part}: choose another"
                )
        self.bijections = bijections
        self.num_parameters = sum(part.num_parameters for part in bijections) + len(bijections) + 1

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        own, log_weights, shift = self._constrain(parameters)
        return self._combine(x, own, log_weights, shift)

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return invert(*self._equation(z, parameters))

    def encode(self, x: Tensor, parameters: Tensor) -> Tensor:
        own, log_weights, shift = self._constrain(parameters)
        return self._weigh([part.encode(x, mine) for part, mine in zip(self.bijections, own)], log_weights, shift)

    def decode(self, z: Tensor, parameters: Tensor) -> Tensor:
        return solve(*self._equation(z, parameters))

    def _equation(self, z: Tensor, parameters: Tensor) -> tuple[Increasing, Tensor, Tensor, Tensor]:
        """The function, what it should reach, and numbers below and above the root."""
        own, log_weights, shift = separate(self._constrain(parameters))
        with torch.no_grad():
            mean = (z - shift) * torch.exp(-torch.logsumexp(log_weights, -1))
            roots = torch.stack([part.decode(mean, mine) for part, mine in zip(self.bijections, own)])
        return lambda x: self._combine(x, own, log_weights, shift), z, roots.amin(0), roots.amax(0)

    def _combine(self, x: Tensor, own: list[Tensor], log_weights: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
        values, log_derivatives = zip(*(part.forward(x, mine) for part, mine in zip(self.bijections, own)))
        z = self._weigh(list(values), log_weights, shift)
        return z, torch.logsumexp(log_weights + torch.stack(log_derivatives, -1), -1)

    def _weigh(self, values: list[Tensor], log_weights: Tensor, shift: Tensor) -> Tensor:
        return (torch.exp(log_weights) * torch.stack(values, -1)).sum(-1) + shift

    def _constrain(self, parameters: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
        count = len(self.bijections)
        inner, raw_weights, shift = parameters.split([self.num_parameters - count - 1, count, 1], -1)
        log_weights = bounded(raw_weights, MAX_LOG_WEIGHT) - torch.log(torch.full_like(shift, count))
        return _split(self.bijections, inner), log_weights, shift.squeeze(-1)


def _check_parts(bijections: tuple[ScalarBijection, ...]) -> None:
    if not bijections:
        raise UsageError("A combination of scalar bijections needs at least one, got none: give it some")
    for part in bijections:
        if not isinstance(part, ScalarBijection):
            raise UsageError(f"A combination expects scalar bijections such as Affine(), got {part!r}: make them first")
        if part.num_shared:
            raise UsageError(
                f"A combination takes functions whose parameters all come per element, got {part}: choose another"
            )


def _split(bijections: tuple[ScalarBijection, ...], parameters: Tensor) -> list[Tensor]:
    return list(parameters.split([part.num_parameters for part in bijections], -1))
