"""Linear maps of vectors whose determinants are cheap: diagonal, triangular, LU, orthogonal, QR."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.kernels.reflections import Reflections
from pushforward.numerics import batch_shape, bounded, no_log_det, solve_triangular
from pushforward.scalar.affine import Affine
from pushforward.spaces import Reals
from pushforward.transforms.base import Bijection
from pushforward.transforms.chain import Chain
from pushforward.transforms.elementwise import Elementwise

MAX_LOG_DIAGONAL = 5.0
"""Bound on the log-diagonal of a triangular matrix."""


class Triangular(Bijection):
    r"""A triangular linear map, ``z = T x + b``, ``log_det = sum_i log t_ii``.

    The logarithm of the diagonal is bounded to +-5. It starts at the identity. The inverse is
    one triangular solve.

    Args:
        features: the number of dimensions ``D``.
        upper: whether ``T`` is upper triangular, else lower.

    Shapes: ``x`` and ``z`` are ``(..., D)``, ``log_det`` is ``(...)``.

    Raises:
        ShapeError: if the input does not end in ``D``.

    Source: Golub, Van Loan (2013), Matrix Computations, for the triangular solve; as a flow, Kingma, Dhariwal (2018),
    Glow, arXiv:1807.03039.

    Example:
        >>> z, log_det = Triangular(3)(torch.ones(2, 3))
        >>> z.shape, log_det.shape
        (torch.Size([2, 3]), torch.Size([2]))
    """

    def __init__(self, features: int, upper: bool = False) -> None:
        super().__init__()
        self.domain = self.codomain = Reals((features,))
        self.upper = upper
        self.raw_diagonal = nn.Parameter(torch.zeros(features))
        self.raw = nn.Parameter(torch.zeros(features, features))
        self.bias = nn.Parameter(torch.zeros(features))

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(x, context, self.domain)
        matrix, log_det = self._matrix()
        return nn.functional.linear(x, matrix, self.bias), log_det.expand(batch_shape(x, 1))

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(z, context, self.codomain)
        matrix, log_det = self._matrix()
        # One matrix for all rows: x T' = z - b, with the rows flattened to one right-hand side.
        rows = (z - self.bias).reshape(-1, z.shape[-1])
        x = solve_triangular(matrix.t(), rows, upper=not self.upper, left=False)
        return x.reshape(z.shape), -log_det.expand(batch_shape(z, 1))

    def _matrix(self) -> tuple[Tensor, Tensor]:
        log_diagonal = bounded(self.raw_diagonal, MAX_LOG_DIAGONAL)
        rest = self.raw.triu(1) if self.upper else self.raw.tril(-1)
        return rest + torch.diag(torch.exp(log_diagonal)), log_diagonal.sum()


class Orthogonal(Bijection):
    """What orthogonal maps share, ``z = Q x``: the inverse is the transpose and ``log_det = 0``."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.domain = self.codomain = Reals((features,))

    def _apply_to(self, x: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} does not say how to apply Q: Orthogonal is abstract")

    def _apply_transpose_to(self, z: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} does not say how to apply Q^T: Orthogonal is abstract")

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(x, context, self.domain)
        return self._apply_to(x), no_log_det(x, 1)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(z, context, self.codomain)
        return self._apply_transpose_to(z), no_log_det(z, 1)


class Householder(Orthogonal):
    r"""A product of reflections, ``z = H_K ... H_1 x`` with ``H x = x - 2 v (v . x) / |v|^2`` (Householder 1958;
    Tomczak, Welling 2016, arXiv:1611.09630).

    Args:
        features: the number of dimensions ``D``.
        reflections: the number of reflections ``K``; by default ``D``, which reaches every orthogonal matrix of
            determinant ``(-1)^D``.

    Shapes: ``x`` and ``z`` are ``(..., D)``, ``log_det`` is ``(...)``.

    Raises:
        UsageError: for no reflection.

    Example:
        >>> x = torch.randn(8, 3)
        >>> z, _ = Householder(3)(x)
        >>> torch.allclose(z.norm(dim=-1), x.norm(dim=-1), atol=1e-5)
        True
    """

    def __init__(self, features: int, reflections: int | None = None) -> None:
        super().__init__(features)
        reflections = features if reflections is None else reflections
        if reflections < 1:
            raise UsageError(f"Householder expects at least 1 reflection, got {reflections}")
        self.vectors = nn.Parameter(torch.randn(reflections, features))

    def _apply_to(self, x: Tensor) -> Tensor:
        return Reflections.along(self.vectors).apply(x)

    def _apply_transpose_to(self, z: Tensor) -> Tensor:
        return Reflections.along(self.vectors).apply_transposed(z)


class MatrixExponential(Orthogonal):
    r"""A rotation, ``z = exp(A) x`` with ``A`` skew-symmetric (Lezcano-Casado, Martinez-Rubio 2019,
    arXiv:1901.08428).

    The entries of ``A`` are bounded to ``(-pi, pi)``, which still reaches every rotation and keeps the exponential
    accurate. It starts at a small random rotation.

    Args:
        features: the number of dimensions ``D``.

    Raises:
        ShapeError: if the input does not end in ``D``.

    Example:
        >>> x = torch.randn(8, 3)
        >>> z, _ = MatrixExponential(3)(x)
        >>> torch.allclose(z.norm(dim=-1), x.norm(dim=-1), atol=1e-5)
        True
    """

    def __init__(self, features: int) -> None:
        super().__init__(features)
        self.raw = nn.Parameter(torch.randn(features, features) / features)

    def matrix(self) -> Tensor:
        """Return the rotation ``(D, D)``."""
        upper = (math.pi * torch.tanh(self.raw / math.pi)).triu(1)
        return torch.linalg.matrix_exp(upper - upper.t())

    def _apply_to(self, x: Tensor) -> Tensor:
        return x @ self.matrix().t()

    def _apply_transpose_to(self, z: Tensor) -> Tensor:
        return z @ self.matrix()


def diagonal(features: int) -> Elementwise:
    """A diagonal linear map with a shift, ``z = (x + t) exp(s)``.

    Args:
        features: the number of dimensions ``D``.

    Shapes: ``x`` and ``z`` are ``(..., D)``, ``log_det`` is ``(...)``.

    Raises:
        ShapeError: if the input does not end in ``D``.

    Source: Dinh, Krueger, Bengio (2014), NICE, arXiv:1410.8516, whose last layer scales each dimension.

    Example:
        >>> diagonal(3)(torch.ones(2, 3))[0].shape
        torch.Size([2, 3])
    """
    return Elementwise(Affine(), (features,))


def lu(features: int) -> Chain:
    """A linear map ``z = L (U x + b) + c``; put a :class:`Permutation` beside it to reach every matrix.

    Args:
        features: the number of dimensions ``D``.

    Raises:
        ShapeError: if the input does not end in ``D``.

    Source: Kingma, Dhariwal (2018), Glow, arXiv:1807.03039, section 3.2.

    Example:
        >>> len(lu(3))
        2
    """
    return Chain([Triangular(features, upper=True), Triangular(features)])


def qr(features: int, reflections: int | None = None) -> Chain:
    """A linear map ``z = Q (R x + b)`` with ``R`` upper triangular and ``Q`` a product of reflections.

    Args:
        features: the number of dimensions ``D``.
        reflections: how many; by default ``D``, which reaches every orthogonal matrix of determinant ``(-1)^D``.

    Raises:
        UsageError: for no reflection.
        ShapeError: if the input does not end in ``D``.

    Source: Hoogeboom, van den Berg, Welling (2019), Emerging Convolutions, arXiv:1901.11137, for the QR
    parametrisation.

    Example:
        >>> len(qr(3))
        2
    """
    return Chain([Triangular(features, upper=True), Householder(features, reflections)])
