"""Normalisation layers: activation normalisation (Glow) and batch normalisation as a flow (RealNVP)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pushforward.numerics import check_start
from pushforward.spaces import ANY, Reals
from pushforward.transforms.base import Bijection

# The log-scale stays within a range whose exponential is finite and far from 0 in float32.
MAX_LOG_SCALE = 15.0


class ActNorm(Bijection):
    r"""A learned scale and shift per feature or channel that starts from the data, ``z = (x - m) exp(s)``.

    :meth:`initialise` (which ``fit`` and ``flow.initialise`` call once, with a first batch) sets ``m`` and ``s`` so
    that the outputs have mean 0 and variance 1; from then on they are ordinary parameters. Until then, and in a channel
    that is constant, the layer is the identity. ``log_det = H W sum_c s_c``.

    Args:
        features: features of vectors, or channels of images.
        event_dims: 1 for vectors, 3 for images.

    Shapes: ``x`` and ``z`` are ``(..., D)``, or ``(..., C, H, W)`` of images; ``log_det`` is ``(...)``.

    Raises:
        ShapeError: if the input has not as many features or channels.
        DataError: from :meth:`initialise`, of an empty batch.

    Source: Kingma, Dhariwal (2018), Glow, arXiv:1807.03039.

    Example:
        >>> layer = ActNorm(2)
        >>> z = layer.initialise(3 + 5 * torch.randn(1000, 2))
        >>> bool((z.mean(0).abs() < 1e-5).all())
        True
    """

    initialised: Tensor

    def __init__(self, features: int, event_dims: int = 1) -> None:
        super().__init__()
        self.domain = self.codomain = Reals((features, *[ANY] * (event_dims - 1)))
        self.mean = nn.Parameter(torch.zeros(features, *[1] * (event_dims - 1)))
        self.log_scale = nn.Parameter(torch.zeros_like(self.mean))
        self.register_buffer("initialised", torch.tensor(False))

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(x, context, self.domain)
        log_scale = self._bounded()
        return (x - self.mean) * torch.exp(log_scale), per_channel_log_det(log_scale, x, self.event_dims)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(z, context, self.codomain)
        log_scale = self._bounded()
        return z * torch.exp(-log_scale) + self.mean, -per_channel_log_det(log_scale, z, self.event_dims)

    def initialise(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        self.check(x, context, self.domain)
        if not self.initialised:
            mean, deviation = mean_and_deviation(rows_of(x, self.event_dims), "ActNorm")
            self._start(mean, -torch.log(deviation))
        return super().initialise(x, context)

    def initialise_inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        self.check(z, context, self.codomain)
        if not self.initialised:
            # Backwards the layer is x = z exp(-s) + m, and it is x that is normalised.
            mean, deviation = mean_and_deviation(rows_of(z, self.event_dims), "ActNorm")
            self._start(-mean / deviation, torch.log(deviation))
        return super().initialise_inverse(z, context)

    @torch.no_grad()
    def _start(self, mean: Tensor, log_scale: Tensor) -> None:
        self.mean.copy_(mean.view_as(self.mean))
        self.log_scale.copy_(log_scale.view_as(self.mean))
        self.initialised.fill_(True)

    def _bounded(self) -> Tensor:
        return self.log_scale.clamp(-MAX_LOG_SCALE, MAX_LOG_SCALE)


class BatchNorm(Bijection):
    r"""Batch normalisation as a flow, ``z = (x - mean) / sqrt(var + eps) exp(s) + b``.

    In training mode the forward direction uses the batch's own statistics and updates the running ones; in evaluation
    mode, and in the inverse always, the running statistics are used. So forward and inverse are each other's inverse
    in evaluation mode.

    Args:
        features: features of vectors, or channels of images.
        event_dims: 1 for vectors, 3 for images.
        momentum: how much of a new batch's statistics enters the running ones.
        eps: added to the variance.

    Shapes: ``x`` and ``z`` are ``(..., D)``, or ``(..., C, H, W)`` of images; ``log_det`` is ``(...)``.

    Raises:
        ShapeError: if the input has not as many features or channels.

    Source: Dinh, Sohl-Dickstein, Bengio (2016), RealNVP, arXiv:1605.08803.

    Example:
        >>> layer = BatchNorm(2).eval()
        >>> x = torch.randn(5, 2)
        >>> bool(torch.allclose(layer.inverse(layer(x)[0])[0], x, atol=1e-6))
        True
    """

    running_mean: Tensor
    running_variance: Tensor

    def __init__(self, features: int, event_dims: int = 1, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.domain = self.codomain = Reals((features, *[ANY] * (event_dims - 1)))
        self.momentum, self.eps = momentum, eps
        shape = (features, *[1] * (event_dims - 1))
        self.log_scale = nn.Parameter(torch.zeros(shape))
        self.shift = nn.Parameter(torch.zeros(shape))
        self.register_buffer("running_mean", torch.zeros(shape))
        self.register_buffer("running_variance", torch.ones(shape))

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(x, context, self.domain)
        mean, variance = self._statistics(x)
        log_scale = self._log_scale(variance)
        return (x - mean) * torch.exp(log_scale) + self.shift, per_channel_log_det(log_scale, x, self.event_dims)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(z, context, self.codomain)
        log_scale = self._log_scale(self.running_variance)
        x = (z - self.shift) * torch.exp(-log_scale) + self.running_mean
        return x, -per_channel_log_det(log_scale, z, self.event_dims)

    def _log_scale(self, variance: Tensor) -> Tensor:
        return self.log_scale.clamp(-MAX_LOG_SCALE, MAX_LOG_SCALE) - 0.5 * torch.log(variance + self.eps)

    uses_batch = True

    def _statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if not self.training or x.numel() <= len(self.shift):
            return self.running_mean, self.running_variance
        rows = x.movedim(-self.event_dims, 0).reshape(len(self.shift), -1)
        mean = rows.mean(dim=1).view_as(self.shift)
        variance = rows.var(dim=1, unbiased=False).view_as(self.shift)
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_variance.lerp_(variance, self.momentum)
        return mean, variance


def per_channel_log_det(log_scale: Tensor, x: Tensor, event_dims: int) -> Tensor:
    """Return the log-determinant of a scale per channel, of ``x``'s batch shape."""
    pixels = math.prod(x.shape[x.dim() - event_dims + 1 :])
    return (log_scale.sum() * pixels).expand(x.shape[: x.dim() - event_dims])


def rows_of(x: Tensor, event_dims: int) -> Tensor:
    """Return the values of each feature or channel in a row, ``(C, values)``."""
    return x.detach().movedim(-event_dims, 0).flatten(1) if x.dim() > 1 else x.detach()[:, None]


def mean_and_deviation(rows: Tensor, owner: str) -> tuple[Tensor, Tensor]:
    """Return the mean and the standard deviation of each row; a deviation of 1 where a row is constant.

    Raises:
        DataError: if there are no values.
    """
    check_start(rows, owner)
    kind = rows.dtype
    # In double precision: the squares of large values overflow single.
    rows = rows.double()
    mean, deviation = rows.mean(1), rows.std(1, unbiased=False)
    # A spread that is all rounding is none: a scale of a million would blow up the next row that differs.
    constant = deviation <= 8 * torch.finfo(kind).eps * rows.abs().amax(1)
    return mean.to(kind), torch.where(constant, torch.ones_like(deviation), deviation).to(kind)
