"""The log-determinant by the whole Jacobian."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.numerics import at_least_single
from pushforward.transforms.residual.log_determinants.base import LogDeterminant, Perturbation


class ExactLogDeterminant(LogDeterminant):
    r"""``log |det(I + J)|`` itself, from all ``D`` rows ``J_i = dg_i / dx`` of the Jacobian of ``g``.

    The rows are gradients along the axes, which share one evaluation of ``g``; the cost grows as ``D`` evaluations and
    ``D^3``, so this is the rule for few dimensions: toys in the plane train with it.

    Shapes: ``x`` and ``g(x)`` are ``(..., D)``, ``log_det`` is ``(...)``.

    Raises:
        nothing of its own: what ``g`` raises.

    Source: Behrmann, Grathwohl, Chen, Duvenaud, Jacobsen (2019), Invertible Residual Networks, arXiv:1811.00995, where
    few dimensions are computed so.

    Example:
        >>> import pushforward as pf
        >>> g = Perturbation(torch.nn.Linear(2, 2, bias=False))
        >>> _ = g.network.weight.data.copy_(torch.tensor([[0.5, 0.0], [0.3, -0.5]]))
        >>> shift, log_det = ExactLogDeterminant()(g, torch.ones(1, 2))
        >>> round(log_det.exp().item(), 4)
        0.75
    """

    def forward(self, g: Perturbation, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        shift, jacobian = g.with_jacobian(x)
        return shift, log_determinant(jacobian)


def log_determinant(jacobian: Tensor) -> Tensor:
    r"""``log |det(I + J)|`` of matrices ``(rows, D, D)`` whose norms are below 1.

    In up to three dimensions it is ``log1p`` of the sum of the principal minors, which loses nothing to the ones on the
    diagonal where ``J`` is small.

    Example:
        >>> log_determinant(torch.tensor([[[1e-9, 0.0], [0.0, 1e-9]]]))
        tensor([2.0000e-09])
    """
    size = jacobian.shape[-1]
    if size > 3:
        matrices = at_least_single(jacobian)
        identity = torch.eye(size, dtype=matrices.dtype, device=matrices.device)
        return torch.linalg.slogdet(identity + matrices).logabsdet.to(jacobian.dtype)
    entries = [row.unbind(-1) for row in jacobian.unbind(-2)]
    minors = [entries[i][i] for i in range(size)]
    minors += [entries[i][i] * entries[j][j] - entries[i][j] * entries[j][i] for j in range(size) for i in range(j)]
    if size == 3:
        a, b, c = entries
        minors.append(
            a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0]) + a[2] * (b[0] * c[1] - b[1] * c[0])
        )
    return torch.log1p(torch.stack(minors).sum(0))
