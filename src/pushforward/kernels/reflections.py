"""Products of Householder reflections as one matrix product."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.numerics import solve_triangular, unit


@dataclass(frozen=True)
class Reflections:
    r"""A product ``Q = H_K ... H_1`` of the reflections along vectors ``v_1 ... v_K``, one for all events or one for
    each.

    With unit vectors as rows of ``V``, ``Q = I - 2 V^T T V``. Reflecting ``x`` along one after the other takes away
    ``2 c_k v_k`` with ``c_k = v_k . x - 2 sum_{j<k} (v_k . v_j) c_j``, so that ``T^-1 = I + 2 L``, ``L`` the part of
    ``V V^T`` below the diagonal (Schreiber, Van Loan 1989, A storage-efficient WY representation).

    Attributes:
        unit: ``V``, ``(..., K, D)``.
        factor: ``T``, ``(..., K, K)``.

    Example:
        >>> Reflections.along(torch.tensor([[3.0, 0.0]])).apply(torch.tensor([1.0, 2.0]))
        tensor([-1.,  2.])
    """

    unit: Tensor
    factor: Tensor

    @classmethod
    def along(cls, vectors: Tensor) -> Reflections:
        """The product of the reflections along ``vectors`` ``(..., K, D)``, the first first; along zero is none."""
        rows = unit(vectors)
        identity = torch.eye(rows.shape[-2], dtype=rows.dtype, device=rows.device)
        # The diagonal is taken to be one; only what lies below it is read.
        below = 2.0 * rows @ rows.mT
        factor = solve_triangular(below, identity.expand_as(below), upper=False, unitriangular=True)
        return cls(rows, factor)

    def apply(self, x: Tensor) -> Tensor:
        """Return ``Q x`` of ``x`` ``(..., D)``."""
        return self._reflected(x, self.factor)

    def apply_transposed(self, x: Tensor) -> Tensor:
        """Return ``Q^T x``: the last reflection first."""
        return self._reflected(x, self.factor.mT)

    def _reflected(self, x: Tensor, factor: Tensor) -> Tensor:
        along = x[..., None, :] @ self.unit.mT @ factor.mT @ self.unit
        return x - 2.0 * along[..., 0, :]
