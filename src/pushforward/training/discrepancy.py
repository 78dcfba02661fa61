"""The maximum mean discrepancy as a loss: how far the means of two samples are, of all functions of a kernel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from pushforward.numerics import squared_distances

Kernel = Callable[[Tensor], Tensor]
"""What a kernel makes of squared distances ``|x - y|^2``."""


@dataclass(frozen=True)
class InverseMultiquadric:
    """The sum of the kernels ``s^2 / (s^2 + |x - y|^2)`` over several widths ``s``.

    Their tails are heavy: events that are far from all others still feel where they are.

    Attributes:
        widths: in the units of the events.

    Source: Tolstikhin et al. (2018), arXiv:1711.01558; Ardizzone et al. (2019), arXiv:1808.04730, appendix.

    Example:
        >>> import torch
        >>> InverseMultiquadric((1.0,))(torch.tensor([0.0, 1.0, 9.0]))
        tensor([1.0000, 0.5000, 0.1000])
    """

    widths: tuple[float, ...] = (0.1, 0.3, 1.0)

    def __call__(self, squares: Tensor) -> Tensor:
        first, *others = (width**2 / (width**2 + squares) for width in self.widths)
        return sum(others, first)


def maximum_mean_discrepancy(x: Tensor, y: Tensor, kernel: Kernel) -> Tensor:
    r"""The squared discrepancy of two samples, ``mean k(x, x') + mean k(y, y') - 2 mean k(x, y)``, a scalar.

    The means are over all pairs, an event with itself too, so that it is never negative. Time and memory grow with the
    square of the number of events.

    Args:
        x: ``(n, D)``.
        y: ``(m, D)``.
        kernel: of squared distances.

    Source: Gretton et al. (2012), JMLR 13, 723-773, equation 5.

    Example:
        >>> import torch
        >>> x = torch.tensor([[0.0], [1.0]])
        >>> maximum_mean_discrepancy(x, x, InverseMultiquadric()).item()
        0.0
    """
    within = kernel(squared_distances(x, x)).mean() + kernel(squared_distances(y, y)).mean()
    return within - 2 * kernel(squared_distances(x, y)).mean()
