"""Invertible 1 x 1 convolutions: a learned linear mixing of the channels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pushforward.numerics import at_least_single, batch_shape, bounded, solve_triangular
from pushforward.spaces import ANY, Reals
from pushforward.transforms.base import Bijection

# The diagonal of the LU form stays within exp(+-MAX_LOG_DIAGONAL), so that the inverse exists and stays finite.
MAX_LOG_DIAGONAL = 7.0


class InvertibleConvolution(Bijection):
    r"""A 1 x 1 convolution with a full matrix, ``z_hw = W x_hw``, ``log_det = H W log |det W|``.

    Starts as a random rotation. The determinant costs ``O(C^3)``; :class:`InvertibleConvolutionLU` costs ``O(C)``.

    Args:
        channels: the number of channels ``C``.

    Raises:
        ShapeError: if the input is no image of ``C`` channels.

    Source: Kingma, Dhariwal (2018), Glow, arXiv:1807.03039.

    Example:
        >>> layer = InvertibleConvolution(3)
        >>> x = torch.randn(2, 3, 4, 4)
        >>> bool(torch.allclose(layer.inverse(layer(x)[0])[0], x, atol=1e-5))
        True
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.domain = self.codomain = Reals((channels, ANY, ANY))
        self.weight = nn.Parameter(_random_rotation(channels))

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(x, context, self.domain)
        return _mix(self.weight, x), _over_pixels(self._log_det(), x)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(z, context, self.codomain)
        return self._solve(z), -_over_pixels(self._log_det(), z)

    def encode(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        self.check(x, context, self.domain)
        return _mix(self.weight, x)

    def decode(self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        self.check(z, context, self.codomain)
        return self._solve(z)

    def _solve(self, z: Tensor) -> Tensor:
        rows = torch.linalg.solve(at_least_single(self.weight), at_least_single(z).flatten(-2))
        return rows.to(z.dtype).reshape(z.shape)

    def _log_det(self) -> Tensor:
        return torch.linalg.slogdet(at_least_single(self.weight)).logabsdet.to(self.weight.dtype)


class InvertibleConvolutionLU(Bijection):
    r"""A 1 x 1 convolution by its LU factors, ``W = P L (U + diag(sign * exp(s)))``, ``log_det = H W sum s``.

    ``P`` and the signs are fixed at the start, where ``W`` is a random rotation; ``L`` is unit lower and ``U`` strictly
    upper triangular. ``s`` is bounded, so ``W`` is invertible whatever is learned.

    Args:
        channels: the number of channels ``C``.

    Shapes: ``x`` and ``z`` are ``(..., C, H, W)``, ``log_det`` is ``(...)``.

    Raises:
        ShapeError: if the input is no image of ``C`` channels.

    Source: Kingma, Dhariwal (2018), Glow, arXiv:1807.03039.

    Example:
        >>> layer = InvertibleConvolutionLU(3)
        >>> x = torch.randn(2, 3, 4, 4)
        >>> bool(torch.allclose(layer.inverse(layer(x)[0])[0], x, atol=1e-5))
        True
    """

    permutation: Tensor
    sign: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.domain = self.codomain = Reals((channels, ANY, ANY))
        permutation, lower, upper = torch.linalg.lu(_random_rotation(channels))
        diagonal = upper.diagonal()
        self.register_buffer("permutation", permutation)
        self.register_buffer("sign", diagonal.sign())
        self.lower = nn.Parameter(lower.tril(-1))
        self.upper = nn.Parameter(upper.triu(1))
        self.log_diagonal = nn.Parameter(diagonal.abs().log())

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(x, context, self.domain)
        lower, upper, log_diagonal = self._factors()
        return _mix(self.permutation @ lower @ upper, x), _over_pixels(log_diagonal.sum(), x)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(z, context, self.codomain)
        lower, upper, log_diagonal = self._factors()
        rows = self.permutation.T @ z.flatten(-2)
        rows = solve_triangular(lower, rows, upper=False, unitriangular=True)
        rows = solve_triangular(upper, rows, upper=True)
        return rows.reshape(z.shape), -_over_pixels(log_diagonal.sum(), z)

    def encode(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        self.check(x, context, self.domain)
        lower, upper, _ = self._factors()
        return _mix(self.permutation @ lower @ upper, x)

    def _factors(self) -> tuple[Tensor, Tensor, Tensor]:
        log_diagonal = bounded(self.log_diagonal, MAX_LOG_DIAGONAL)
        lower = self.lower.tril(-1) + torch.eye(len(self.lower), dtype=self.lower.dtype, device=self.lower.device)
        upper = self.upper.triu(1) + torch.diag(self.sign * torch.exp(log_diagonal))
        return lower, upper, log_diagonal


def _random_rotation(channels: int) -> Tensor:
    return torch.linalg.qr(torch.randn(channels, channels)).Q


def _mix(weight: Tensor, x: Tensor) -> Tensor:
    return (weight @ x.flatten(-2)).reshape(x.shape)


def _over_pixels(log_det: Tensor, x: Tensor) -> Tensor:
    return (log_det * (x.shape[-1] * x.shape[-2])).expand(batch_shape(x, 3))
