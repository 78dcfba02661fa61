"""Rotations that are not learned: drawn once, or the principal axes of the data."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.numerics import at_least_single, check_start
from pushforward.transforms.linear.matrices import Orthogonal


class RandomRotation(Orthogonal):
    r"""An orthogonal map that is drawn when it is made, ``z = Q x``, uniform over all of them, and stays as it is.

    Args:
        features: the number of dimensions ``D``.

    Shapes: ``x`` and ``z`` are ``(..., D)``, ``log_det`` is ``(...)``.

    Raises:
        ShapeError: if the input does not end in ``D``.

    Source: Stewart (1980), SIAM Journal on Numerical Analysis 17, for the draw.

    Example:
        >>> x = torch.randn(8, 3)
        >>> torch.allclose(RandomRotation(3)(x)[0].norm(dim=-1), x.norm(dim=-1), atol=1e-5)
        True
    """

    matrix: Tensor

    def __init__(self, features: int) -> None:
        super().__init__(features)
        self.register_buffer("matrix", orthonormal(torch.randn(features, features)))

    def _apply_to(self, x: Tensor) -> Tensor:
        return torch.nn.functional.linear(x, orthonormal(self.matrix))

    def _apply_transpose_to(self, z: Tensor) -> Tensor:
        return torch.nn.functional.linear(z, orthonormal(self.matrix).t())


class PrincipalAxes(Orthogonal):
    r"""The rotation onto the principal axes of the data, ``z = V^T x`` with ``V`` the eigenvectors of their covariance.

    :meth:`initialise` takes the axes from the data, in the order of their variances; until then the layer is the
    identity. Nothing is learned.

    Args:
        features: the number of dimensions ``D``.

    Shapes: ``x`` and ``z`` are ``(..., D)``, ``log_det`` is ``(...)``.

    Raises:
        ShapeError: if the input does not end in ``D``.
        DataError: from :meth:`initialise`, of an empty batch.

    Source: Pearson (1901), Philosophical Magazine 2.

    Example:
        >>> x = torch.randn(500, 1) * torch.tensor([1.0, 2.0]) + 0.1 * torch.randn(500, 2)
        >>> z = PrincipalAxes(2).initialise(x)
        >>> bool((z.var(0)[1] > 100 * z.var(0)[0]) & (torch.corrcoef(z.t())[0, 1].abs() < 1e-3))
        True
    """

    axes: Tensor
    initialised: Tensor

    def __init__(self, features: int) -> None:
        super().__init__(features)
        self.register_buffer("axes", torch.eye(features))
        self.register_buffer("initialised", torch.tensor(False))

    @torch.no_grad()
    def initialise(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        self.check(x, context, self.domain)
        if not self.initialised:
            rows = x.reshape(-1, x.shape[-1]).double()
            check_start(rows.t(), "PrincipalAxes")
            covariance = torch.cov(rows.t(), correction=0).reshape(x.shape[-1], x.shape[-1])
            self.axes.copy_(torch.linalg.eigh(covariance).eigenvectors.t())
            self.initialised.fill_(True)
        return super().initialise(x, context)

    def _apply_to(self, x: Tensor) -> Tensor:
        return torch.nn.functional.linear(x, orthonormal(self.axes))

    def _apply_transpose_to(self, z: Tensor) -> Tensor:
        return torch.nn.functional.linear(z, orthonormal(self.axes).t())


def orthonormal(matrix: Tensor) -> Tensor:
    """The factor Q of a matrix, with the signs at which R has a positive diagonal: uniform over all orthogonal matrices
    where the matrix is normal, and of a matrix that is orthogonal up to rounding the same, to the digits of its type.

    Example:
        >>> matrix = orthonormal(torch.randn(4, 4)).double()
        >>> q = orthonormal(matrix)
        >>> torch.allclose(q @ q.t(), torch.eye(4).double(), atol=1e-12), torch.allclose(q, matrix, atol=1e-5)
        (True, True)
    """
    q, r = torch.linalg.qr(at_least_single(matrix))
    return (q * torch.where(torch.diagonal(r) < 0, -1.0, 1.0)).to(matrix.dtype)
