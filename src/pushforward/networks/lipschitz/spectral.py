"""Spectral norms: the largest singular value of a linear map, and weights that are kept below a bound of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pushforward.errors import UsageError
from pushforward.kernels.iteration import iterate
from pushforward.numerics import at_least_single
from pushforward.parts import ModulePart

EXACT_UP_TO = 64
"""A map whose smaller side has so many dimensions has its norm by an eigenvalue problem: as fast as an iteration."""
BLOCK = 4
"""How many vectors are kept and iterated together, so that a second singular value that overtakes the first is seen."""
FRESH = 2
"""How many vectors from the start join those that are kept: these may have lost a direction altogether, as all that a
map was blind to, before its weights moved on."""
TOLERANCE = 2e-3
"""The relative error of an iterated norm."""
LIMIT = 2000
"""The most iterations, behind which the error is below the tolerance whatever the spectrum is (``ln n / 4k`` in the
mean over starts; Kuczynski and Wozniakowski 1992)."""


class LinearOperator(Protocol):
    """A linear map that weights decide, from events of shape ``inputs`` to events of shape ``outputs``."""

    inputs: torch.Size
    outputs: torch.Size

    def apply(self, weight: Tensor, x: Tensor) -> Tensor:
        """Map ``(batch, *inputs)`` to ``(batch, *outputs)``."""

    def adjoint(self, weight: Tensor, y: Tensor) -> Tensor:
        """Map ``(batch, *outputs)`` to ``(batch, *inputs)``, such that ``<y, A x> = <A' y, x>``."""


class Product(LinearOperator):
    """The product with a matrix, ``x -> W x``."""

    def __init__(self, inputs: int, outputs: int) -> None:
        self.inputs, self.outputs = torch.Size([inputs]), torch.Size([outputs])

    def apply(self, weight: Tensor, x: Tensor) -> Tensor:
        return F.linear(x, weight)

    def adjoint(self, weight: Tensor, y: Tensor) -> Tensor:
        return y @ weight


class PlaneConvolution(LinearOperator):
    """The convolution with zero padding of images of one plane, to images of the same plane."""

    def __init__(self, inputs: int, outputs: int, plane: tuple[int, int]) -> None:
        self.inputs, self.outputs = torch.Size([inputs, *plane]), torch.Size([outputs, *plane])

    def apply(self, weight: Tensor, x: Tensor) -> Tensor:
        return F.conv2d(x, weight, padding=weight.shape[-1] // 2)

    def adjoint(self, weight: Tensor, y: Tensor) -> Tensor:
        return F.conv_transpose2d(y, weight, padding=weight.shape[-1] // 2)


class ExactNorm(nn.Module):
    r"""The norm by the largest eigenvalue of ``A A'`` or ``A' A``, whichever is smaller.

    The gradient is that of ``|A v|`` for the singular vector ``v``: ``d sigma = u' dA v``.
    """

    def __init__(self, operator: LinearOperator) -> None:
        super().__init__()
        self.inputs, self.outputs = operator.inputs, operator.outputs
        self.map = operator.apply if self.inputs.numel() <= self.outputs.numel() else operator.adjoint
        self.smaller = min(self.inputs, self.outputs, key=torch.Size.numel)

    def forward(self, weight: Tensor) -> Tensor:
        """Return the norm of the map that ``weight`` decides."""
        weight, scale = scaled(weight)
        with torch.no_grad():
            identity = torch.eye(self.smaller.numel(), dtype=weight.dtype, device=weight.device)
            rows = self.map(weight, identity.unflatten(1, self.smaller)).flatten(1)
            vector = torch.linalg.eigh(rows @ rows.T).eigenvectors[:, -1]
        return scale * torch.linalg.vector_norm(self.map(weight, vector.reshape(1, *self.smaller)))


class IteratedNorm(nn.Module):
    r"""The norm by power iteration on a few vectors at once, to a tolerance.

    .. math:: Q \leftarrow \mathrm{orthonormal}(A' A Q), \quad
        \theta, x = \text{largest Ritz pair of } Q, \quad \text{until } |A' A x - \theta x| \le 2 \tau \theta,

    when an eigenvalue of ``A' A`` lies so near to ``theta`` that its root is within ``tau``. The estimate is a lower
    bound; what is returned is ``(1 + tau)`` times as much, with the gradient of ``|A x|``. It is the largest eigenvalue
    that lies there, unless one a few per cent larger belongs to a direction that the vectors hardly have a part in: of
    weights that are made so, as an orthogonal matrix of a thousand dimensions with one direction stretched by 3%.

    In training mode the vectors are kept, so that the next call, at weights that are nearly the same, is done after an
    iteration or two; in evaluation mode they stay as they are and the norm is a function of the weights.

    Args:
        operator: the map.
        tolerance: the relative error ``tau``.

    Source: subspace iteration with Rayleigh-Ritz (Golub, Van Loan, section 8.2.4); Miyato et al. (2018),
        arXiv:1802.05957; Gouk et al. (2018), arXiv:1804.04368, for convolutions.
    """

    basis: Tensor
    fresh: Tensor

    def __init__(self, operator: LinearOperator, tolerance: float = TOLERANCE) -> None:
        super().__init__()
        self.operator, self.tolerance = operator, tolerance
        dimensions = operator.inputs.numel()
        # A start of its own, so that a norm does not depend on the global seed.
        generator = torch.Generator().manual_seed(0)
        kept = min(BLOCK, dimensions)
        self.register_buffer("basis", orthonormal(torch.randn(kept, dimensions, generator=generator)))
        fresh = torch.randn(min(FRESH, dimensions - kept), dimensions, generator=generator)
        self.register_buffer("fresh", fresh, persistent=False)

    def forward(self, weight: Tensor) -> Tensor:
        """Return the norm of the map that ``weight`` decides, at most ``1 + 2 tolerance`` times too large."""
        weight, scale = scaled(weight)
        with torch.no_grad():
            basis, vector = self._ritz(weight)
            if self.training:
                self.basis.copy_(basis)
        image = self.operator.apply(weight, vector.reshape(1, *self.operator.inputs))
        return (1.0 + self.tolerance) * scale * torch.linalg.vector_norm(image)

    def _ritz(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return the leading vectors ``(BLOCK, n)`` at the end and the unit vector of the largest Ritz value."""

        def step(remaining: Tensor, basis: Tensor, vector: Tensor, residual: Tensor) -> tuple[Tensor, ...]:
            basis = orthonormal(basis)
            images = self._gram(weight, basis)
            values, vectors = torch.linalg.eigh(basis @ images.T)
            # The largest Ritz value first: the rows that follow are those to keep.
            value, turn = values[-1], vectors.flip(1).T
            basis, images = turn @ basis, turn @ images
            error = torch.linalg.vector_norm(images[0] - value * basis[0]) - 2.0 * self.tolerance * value
            # A map that is zero leaves no vectors to go on from.
            return torch.where(value > 0, images, basis), basis[0], error

        basis = self.basis.to(weight.dtype)
        start = (
            torch.cat([basis, self.fresh.to(weight.dtype)]),
            torch.zeros_like(basis[0]),
            torch.ones_like(basis[0, 0]),
        )
        basis, vector, _ = iterate(step, lambda basis, vector, error: error > 0, start, LIMIT)
        return orthonormal(basis)[: len(self.basis)], vector

    def _gram(self, weight: Tensor, x: Tensor) -> Tensor:
        images = self.operator.apply(weight, x.unflatten(1, self.operator.inputs))
        return self.operator.adjoint(weight, images).flatten(1)


def spectral_norm(operator: LinearOperator) -> ExactNorm | IteratedNorm:
    """Return what computes the norm of a map: exactly where that is cheap."""
    smaller = min(operator.inputs.numel(), operator.outputs.numel())
    return ExactNorm(operator) if smaller <= EXACT_UP_TO else IteratedNorm(operator)


class Normalised(ModulePart):
    r"""A layer whose weights are shrunk where their norm exceeds a bound, ``W min(1, c / |W|)`` (Behrmann et al. 2019,
    arXiv:1811.00995, equation 7); the bias is free.

    Attributes:
        weight, bias: the parameters.
        lipschitz: the bound ``c``.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, operator: LinearOperator, lipschitz: float, owner: str) -> None:
        super().__init__()
        check_bound(lipschitz, owner)
        self.lipschitz = lipschitz
        self.norm = spectral_norm(operator)
        self._held: Tensor | None = None

    def normalised_weight(self) -> Tensor:
        """Return the weight whose norm is at most ``lipschitz``."""
        if self._held is not None:
            return self._held
        with torch.autocast(self.weight.device.type, enabled=False):
            weight = at_least_single(self.weight)
            # So much more than the norm that rounding does not take it over the bound.
            rounding = max(32.0 * torch.finfo(weight.dtype).eps, torch.finfo(self.weight.dtype).eps)
            norm = self.norm(weight) * (1.0 + rounding)
            return (weight * (self.lipschitz / norm.clamp(min=self.lipschitz))).to(self.weight.dtype)


@contextmanager
def normalised_once(network: nn.Module) -> Iterator[None]:
    """Let every layer of a network normalise its weights, ``W min(1, c / |W|)``, once for all calls within a block,
    where they do not change.

    Args:
        network: of layers of a bounded Lipschitz constant, whose inputs and outputs keep their shapes.

    Raises:
        nothing.

    Source: Behrmann, Grathwohl, Chen, Duvenaud, Jacobsen (2019), Invertible Residual Networks, arXiv:1811.00995,
    equation 7.

    Example:
        >>> from pushforward.networks import LipschitzMLP
        >>> network = LipschitzMLP(2, 2)
        >>> with normalised_once(network):
        ...     held = [network(torch.ones(2)) for _ in range(10)]
        >>> torch.allclose(held[-1], network(torch.ones(2)))
        True
    """
    layers = [layer for layer in network.modules() if isinstance(layer, Normalised) and layer._held is None]
    try:
        for layer in layers:
            layer._held = layer.normalised_weight()
        yield
    finally:
        for layer in layers:
            layer._held = None


def check_bound(lipschitz: float, owner: str) -> None:
    """Raise :class:`UsageError` unless a Lipschitz constant is in ``(0, 1]``."""
    if not 0.0 < lipschitz <= 1.0:
        raise UsageError(f"{owner} expects a Lipschitz constant above 0 and at most 1, got {lipschitz}")


def scaled(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return weights whose largest is 1, so that no square of them overflows, and the scale that was taken off. Where
    weights are not finite it is the scale that says so, and the others are zero: eigenvalues are of finite numbers."""
    scale = weight.detach().abs().amax().clamp(min=torch.finfo(weight.dtype).tiny)
    return torch.where(torch.isfinite(scale), weight / scale, 0.0), scale


def orthonormal(rows: Tensor) -> Tensor:
    """Return rows of the same span that are orthonormal, and turn with the given ones steadily."""
    columns, triangle = torch.linalg.qr(rows.T)
    return (columns * torch.where(triangle.diagonal() < 0, -1.0, 1.0)).T
