"""Matrices with orthonormal columns, made of parameters that are free: what a Sylvester flow turns its events by."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from pushforward.errors import UsageError
from pushforward.kernels.reflections import Reflections
from pushforward.parts import Part

REACH = 0.9
"""How far, in the Frobenius norm, a matrix may be from the one that :class:`OrthogonalBasis` starts at."""

STEPS = 13
"""Bjorck steps from a singular value of 1 - REACH, divided by 1 + REACH, to 1 within the rounding of float64."""


class Columns:
    """A matrix ``Q`` of ``D`` rows and ``M`` orthonormal columns, one for each event or one for all."""

    @abstractmethod
    def project(self, x: Tensor) -> Tensor:
        """Return ``Q^T x``, ``(..., M)``."""

    @abstractmethod
    def expand(self, y: Tensor) -> Tensor:
        """Return ``Q y``, ``(..., D)``."""


class OrthonormalBasis(Part):
    """How ``Q``, a matrix with orthonormal columns, ``Q^T Q = I``, is made of free parameters.

    Shapes: ``Q`` is ``(..., D, M)``, of parameters ``(..., P)``.

    Source: van den Berg, Hasenclever, Tomczak, Welling (2018), Sylvester Normalizing Flows, arXiv:1803.05649, section
    4.

    Example:
        >>> basis = HouseholderBasis()
        >>> columns = basis.columns(basis.start(4, 2), 4, 2)
        >>> isinstance(basis, OrthonormalBasis), columns.project(torch.ones(5, 4)).shape
        (True, torch.Size([5, 2]))
    """

    @abstractmethod
    def start(self, features: int, units: int) -> Tensor:
        """Return the parameters to begin with, ``(P,)``, at which no gradient vanishes.

        Raises:
            UsageError: if there is no such ``Q``.
        """

    @abstractmethod
    def columns(self, parameters: Tensor, features: int, units: int) -> Columns:
        """Return ``Q`` of ``D = features`` rows and ``M = units`` columns, given parameters ``(..., P)``."""


class HouseholderBasis(OrthonormalBasis):
    r"""The first columns of a product of Householder reflections, ``Q = H_1 ... H_K`` (van den Berg et al. 2018,
    arXiv:1803.05649, section 4.2; Tomczak, Welling 2016, arXiv:1611.09630).

    Args:
        reflections: the number of reflections ``K``; by default ``M``, which reaches every ``Q``.

    Shapes: ``Q`` is ``(..., D, M)``, of parameters ``(..., K D)``.

    Raises:
        UsageError: for no reflection.

    Example:
        >>> basis = HouseholderBasis()
        >>> columns = basis.columns(basis.start(4, 2), 4, 2)
        >>> y = torch.randn(8, 2)
        >>> torch.allclose(columns.project(columns.expand(y)), y, atol=1e-5)
        True
    """

    def __init__(self, reflections: int | None = None) -> None:
        if reflections is not None and reflections < 1:
            raise UsageError(f"HouseholderBasis expects at least 1 reflection, got {reflections}")
        self.reflections = reflections

    def start(self, features: int, units: int) -> Tensor:
        return 0.1 * torch.randn((self.reflections or units) * features)

    def columns(self, parameters: Tensor, features: int, units: int) -> Columns:
        return ReflectedAxes(Reflections.along(parameters.unflatten(-1, (-1, features))), units)


class OrthogonalBasis(OrthonormalBasis):
    r"""The orthonormal matrix nearest to a free one, found by Bjorck's iteration ``Q <- Q (I + (I - Q^T Q) / 2)`` (van
    den Berg et al. 2018, arXiv:1803.05649, section 4.1; Bjorck, Bowie 1971).

    The iteration converges from every matrix of full rank with a norm of at most 1. The free matrix is ``A + B``, with
    ``A`` the one to begin with, orthonormal, and the network's ``B`` bounded to a Frobenius norm below 0.9, so that the
    iteration never fails and a fixed number of steps ends at the last digits. ``Q`` turns away from its start by at
    most ``arcsin 0.9``, 64 degrees.

    Args:
        first: the axis that the first column of ``A`` is, the next ones behind it; layers that begin at different axes
            reach all of the space.

    Raises:
        nothing: :class:`Sylvester` takes no more units than dimensions.

    Example:
        >>> basis = OrthogonalBasis()
        >>> columns = basis.columns(basis.start(4, 2), 4, 2)
        >>> torch.allclose(columns.matrix.mT @ columns.matrix, torch.eye(2), atol=1e-5)
        True
    """

    def __init__(self, first: int = 0) -> None:
        self.first = first

    def start(self, features: int, units: int) -> Tensor:
        return 0.1 * torch.randn(features * units)

    def columns(self, parameters: Tensor, features: int, units: int) -> Columns:
        free = parameters.unflatten(-1, (features, units))
        # Scaled by the largest first: its square may have no place in the type.
        largest = free.abs().amax((-2, -1), keepdim=True).clamp_min(torch.finfo(free.dtype).tiny)
        norm = largest * torch.linalg.vector_norm(free / largest, dim=(-2, -1), keepdim=True)
        step = REACH * free / (1.0 + norm)
        axes = torch.eye(features, units, dtype=step.dtype, device=step.device).roll(self.first, 0)
        return Matrix(nearest_orthonormal((axes + step) / (1.0 + REACH)))


class PermutationBasis(OrthonormalBasis):
    r"""The dimensions themselves, in turn, ``Q = I``, or backwards: the triangular form of Sylvester flows, in which
    layers alternate between the two (van den Berg et al. 2018, arXiv:1803.05649, section 4.3). There are no parameters,
    and as many units as dimensions.

    Args:
        backwards: whether the last dimension comes first.

    Shapes: ``Q`` is ``(D, D)``, of no parameters.

    Raises:
        UsageError: where there are fewer units than dimensions.

    Example:
        >>> PermutationBasis(backwards=True).columns(torch.zeros(0), 3, 3).project(torch.tensor([1.0, 2.0, 3.0]))
        tensor([3., 2., 1.])
    """

    def __init__(self, backwards: bool = False) -> None:
        self.backwards = backwards

    def start(self, features: int, units: int) -> Tensor:
        if units != features:
            raise UsageError(f"PermutationBasis expects as many units as features, {features}, got {units}")
        return torch.zeros(0)

    def columns(self, parameters: Tensor, features: int, units: int) -> Columns:
        return Backwards() if self.backwards else InTurn()


@dataclass(frozen=True)
class ReflectedAxes(Columns):
    """The first columns of ``H_1 ... H_K``, the transpose of a product of reflections."""

    reflections: Reflections
    units: int

    def project(self, x: Tensor) -> Tensor:
        return self.reflections.apply(x)[..., : self.units]

    def expand(self, y: Tensor) -> Tensor:
        padded = F.pad(y, (0, self.reflections.unit.shape[-1] - self.units))
        return self.reflections.apply_transposed(padded)


@dataclass(frozen=True)
class Matrix(Columns):
    """A matrix ``(..., D, M)`` as it is."""

    matrix: Tensor

    def project(self, x: Tensor) -> Tensor:
        return (x[..., None, :] @ self.matrix)[..., 0, :]

    def expand(self, y: Tensor) -> Tensor:
        return (self.matrix @ y[..., None])[..., 0]


class InTurn(Columns):
    """The identity."""

    def project(self, x: Tensor) -> Tensor:
        return x

    def expand(self, y: Tensor) -> Tensor:
        return y


class Backwards(Columns):
    """The reversal."""

    def project(self, x: Tensor) -> Tensor:
        return x.flip(-1)

    def expand(self, y: Tensor) -> Tensor:
        return y.flip(-1)


def nearest_orthonormal(matrix: Tensor) -> Tensor:
    """The orthonormal factor of matrices ``(..., D, M)`` with singular values between 0.05 and 1, by Bjorck's
    iteration.

    All but the last two steps follow the square ``Q^T Q`` and the product of the factors alone, which are ``M x M``;
    what these lose of a small singular value's digits the last two bring back.

    Example:
        >>> nearest_orthonormal(torch.tensor([[0.5, 0.0], [0.0, 0.8]]))
        tensor([[1., 0.],
                [0., 1.]])
    """
    square = matrix.mT @ matrix
    identity = torch.eye(square.shape[-1], dtype=matrix.dtype, device=matrix.device)
    product = factor = 1.5 * identity - 0.5 * square
    for _ in range(STEPS - 3):
        square = factor @ square @ factor
        factor = 1.5 * identity - 0.5 * square
        product = product @ factor
    matrix = matrix @ product
    for _ in range(2):
        matrix = 1.5 * matrix - 0.5 * matrix @ (matrix.mT @ matrix)
    return matrix
