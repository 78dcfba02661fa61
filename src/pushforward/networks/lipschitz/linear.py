"""Linear layers of a bounded norm."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from pushforward.networks.lipschitz.spectral import Normalised, Product


class LipschitzLinear(Normalised):
    r"""A linear layer with ``|f(x) - f(y)| <= c |x - y|``: ``f(x) = W min(1, c / |W|_2) x + b``.

    The spectral norm is exact where the smaller side of ``W`` has at most 64 dimensions, else by power iteration to a
    tolerance of 0.2%, which the bound allows for; only weights made so are missed by more (`IteratedNorm`).

    Args:
        inputs, outputs: features in and out.
        lipschitz: the bound ``c``, above 0 and at most 1.

    Shapes: ``(..., inputs)`` to ``(..., outputs)``.

    Raises:
        UsageError: if the bound is none.

    Source: Gouk, Frank, Pfahringer, Cree (2018), arXiv:1804.04368; Behrmann et al. (2019), arXiv:1811.00995.

    Example:
        >>> import torch
        >>> layer = LipschitzLinear(3, 5, lipschitz=0.9)
        >>> bool(torch.linalg.matrix_norm(10 * layer.normalised_weight(), 2) <= 9.0)
        True
    """

    def __init__(self, inputs: int, outputs: int, *, lipschitz: float = 1.0) -> None:
        super().__init__(Product(inputs, outputs), lipschitz, "LipschitzLinear")
        start = nn.Linear(inputs, outputs)
        self.weight, self.bias = start.weight, start.bias

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.normalised_weight(), self.bias)

    def along(self, x: Tensor, tangents: Tensor) -> tuple[Tensor, Tensor]:
        """Return the value and the derivatives along tangents."""
        weight = self.normalised_weight()
        return F.linear(x, weight, self.bias), F.linear(tangents, weight)
