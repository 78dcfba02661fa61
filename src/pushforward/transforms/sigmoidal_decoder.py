"""The decoder of the deep density model: layers of sigmoids on the unit cube."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.networks.mlp import MLP
from pushforward.numerics import at_least_single, log_sigmoid_slope
from pushforward.scalar.arguments import check_counts
from pushforward.scalar.elementary import into_unit_interval
from pushforward.spaces import Interval
from pushforward.transforms.base import Bijection

GAIN = 4.0
"""The scale of a layer's orthogonal matrix at the start: codes from 0 to 1 then reach sigmoids of 0.1 to 0.9."""

SLACK = 1e-4
"""By how much a code may be beyond the cube by rounding."""


class SigmoidalDecoder(Bijection):
    r"""The decoder of a deep density model, layers ``h' = sigmoid(W h + b)`` of the unit cube into itself, with the
    network that learns to read its codes off.

    ``forward`` decodes, from codes ``z`` in ``(0, 1)^D`` to data, and ``inverse`` is exact, ``h = W^-1 (logit(h') -
    b)``: run backwards (:class:`Inverse`) the layer is the transform of a flow. The image of the cube is a part of the
    cube alone; elsewhere the density is zero, which ``inverse`` says by a log-determinant of ``-inf``, with the nearest
    numbers of the cube in the place of a code. :meth:`read` is the encoder ``g``, a code of any data, which is near the
    exact one as far as the training has come.

    Args:
        features: the number of dimensions ``D``.
        layers: how many sigmoidal layers.
        hidden: widths of the encoder's hidden layers.

    Raises:
        UsageError: of fewer than one layer.

    Source: Rippel, Adams (2013), High-Dimensional Probability Estimation with Deep Density Models, arXiv:1302.5125.

    Example:
        >>> decoder = SigmoidalDecoder(3)
        >>> z = torch.rand(8, 3)
        >>> x, log_det = decoder(z)
        >>> torch.allclose(decoder.inverse(x)[0], z, atol=1e-4), decoder.inverse(torch.ones(1, 3))[1].item()
        (True, -inf)
    """

    def __init__(self, features: int, layers: int = 2, hidden: int | Sequence[int] = (128, 128)) -> None:
        super().__init__()
        check_counts("SigmoidalDecoder", layers=layers)
        self.domain = self.codomain = Interval(0.0, 1.0, (features,))
        matrices = torch.stack([GAIN * nn.init.orthogonal_(torch.empty(features, features)) for _ in range(layers)])
        self.weights = nn.Parameter(matrices)
        # The middle of the cube onto itself.
        self.biases = nn.Parameter(-0.5 * matrices.sum(-1))
        self.encoder = MLP(features, features, hidden=hidden)

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(x, context, self.domain)
        log_det = self._log_volume().expand(x.shape[:-1])
        for weight, bias in zip(self.weights, self.biases, strict=True):
            x, logits = _layer(x, weight, bias)
            log_det = log_det + log_sigmoid_slope(logits).sum(-1)
        return x, log_det

    def encode(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        self.check(x, context, self.domain)
        for weight, bias in zip(self.weights, self.biases, strict=True):
            x, _ = _layer(x, weight, bias)
        return x

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(z, context, self.codomain)
        log_det = -self._log_volume().expand(z.shape[:-1])
        inside = torch.ones(z.shape[:-1], dtype=torch.bool, device=z.device)
        for weight, bias in zip(self.weights.flip(0), self.biases.flip(0), strict=True):
            code, logits = _layer_back(z, weight, bias)
            log_det = log_det - log_sigmoid_slope(logits).sum(-1)
            inside = inside & ((code > -SLACK) & (code < 1.0 + SLACK)).all(-1)
            z = into_unit_interval(code)
        return z, torch.where(inside, log_det, -torch.inf)

    def decode(self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        self.check(z, context, self.codomain)
        for weight, bias in zip(self.weights.flip(0), self.biases.flip(0), strict=True):
            z = into_unit_interval(_layer_back(z, weight, bias)[0])
        return z

    def read(self, x: Tensor) -> Tensor:
        """Return the codes ``g(x)`` that the encoder reads off data ``(..., D)``."""
        return into_unit_interval(torch.sigmoid(self.encoder(2.0 * x - 1.0)))

    def log_condition_numbers(self) -> Tensor:
        """Return ``log(s_max / s_min)`` of the singular values of each layer's matrix, ``(layers,)``."""
        values = torch.linalg.svdvals(at_least_single(self.weights))
        condition = torch.log(values[:, 0]) - torch.log(values[:, -1].clamp_min(torch.finfo(values.dtype).tiny))
        return condition.to(self.weights.dtype)

    def _log_volume(self) -> Tensor:
        """The sum of the logarithms of the matrices' determinants."""
        return torch.linalg.slogdet(at_least_single(self.weights)).logabsdet.sum().to(self.weights.dtype)


def _layer(x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """A layer's sigmoids, and their logits."""
    logits = nn.functional.linear(x, weight, bias)
    return into_unit_interval(torch.sigmoid(logits)), logits


def _layer_back(z: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """What a layer makes into these sigmoids, and their logits."""
    logits = torch.logit(into_unit_interval(z))
    # One matrix for all rows: X W^T = logits - b, with the rows flattened to one right-hand side.
    rows = at_least_single(logits - bias).reshape(-1, z.shape[-1])
    codes = torch.linalg.solve(at_least_single(weight).t(), rows, left=False)
    return codes.to(z.dtype).reshape(z.shape), logits
