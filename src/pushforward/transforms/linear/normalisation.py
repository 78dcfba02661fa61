"""Normalisation layers: activation normalisation (Glow) and batch normalisation as a flow (RealNVP)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pushforward.transforms.base import Bijection, check_event

# The log-scale stays within a range whose exponential is finite and far from 0 in float32.
MAX_LOG_SCALE = 15.0


class ActNorm(Bijection):
    r"""A learned scale and shift per feature or channel that starts from the data, ``z = (x - m) exp(s)``.

    The first batch in training mode (or :meth:`initialise`) sets ``m`` and ``s`` so that the outputs have mean 0 and
    variance 1; from then on they are ordinary parameters. Until then the layer is the identity.
    ``log_det = H W sum_c s_c``.

    Args:
        features: features of vectors, or channels of images.
        event_dims: 1 for vectors, 3 for images.

    Source: Kingma, Dhariwal (2018), Glow, arXiv:1807.03039.

    Example:
        >>> z, log_det = ActNorm(2)(3 + 5 * torch.randn(1000, 2))
        >>> bool((z.mean(0).abs() < 1e-5).all())
        True
    """

    initialised: Tensor

    def __init__(self, features: int, event_dims: int = 1) -> None:
        super().__init__()
        self.event_dims = event_dims
        self.features = features
        self.mean = nn.Parameter(torch.zeros(features, *[1] * (event_dims - 1)))
        self.log_scale = nn.Parameter(torch.zeros_like(self.mean))
        self.register_buffer("initialised", torch.tensor(False))
        # The same as a plain bool: reading a tensor in forward would break the compiled graph.
        self._started = False
        self.register_load_state_dict_post_hook(lambda module, _: module._remember())

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        self._check(x)
        if self.training and not self._started and x.numel() > self.features:
            self._start(x)
        log_scale = self._bounded()
        return (x - self.mean) * torch.exp(log_scale), self._log_det(log_scale, x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        self._check(z)
        log_scale = self._bounded()
        return z * torch.exp(-log_scale) + self.mean, -self._log_det(log_scale, z)

    def initialise(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        self._check(x)
        if not self._started:
            self._start(x)
        return super().initialise(x, context)

    @torch.no_grad()
    def _start(self, x: Tensor) -> None:
        rows = x.detach().movedim(-self.event_dims, 0).reshape(self.features, -1)
        deviation = rows.std(dim=1, unbiased=False)
        self.mean.copy_(rows.mean(dim=1).view_as(self.mean))
        self.log_scale.copy_(-torch.log(deviation + 1e-6).view_as(self.mean))
        self.initialised.fill_(True)
        self._started = True

    def _remember(self) -> None:
        self._started = bool(self.initialised)

    def _bounded(self) -> Tensor:
        return self.log_scale.clamp(-MAX_LOG_SCALE, MAX_LOG_SCALE)

    def _log_det(self, log_scale: Tensor, x: Tensor) -> Tensor:
        return _per_channel_log_det(log_scale, x, self.event_dims)

    def _check(self, x: Tensor) -> None:
        check_event(x, torch.Size([self.features, *x.shape[x.dim() - self.event_dims + 1 :]]), "ActNorm")


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
        self.event_dims, self.features, self.momentum, self.eps = event_dims, features, momentum, eps
        shape = (features, *[1] * (event_dims - 1))
        self.log_scale = nn.Parameter(torch.zeros(shape))
        self.shift = nn.Parameter(torch.zeros(shape))
        self.register_buffer("running_mean", torch.zeros(shape))
        self.register_buffer("running_variance", torch.ones(shape))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        check_event(x, torch.Size([self.features, *x.shape[x.dim() - self.event_dims + 1 :]]), "BatchNorm")
        mean, variance = self._statistics(x)
        log_scale = self._log_scale(variance)
        return (x - mean) * torch.exp(log_scale) + self.shift, _per_channel_log_det(log_scale, x, self.event_dims)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        check_event(z, torch.Size([self.features, *z.shape[z.dim() - self.event_dims + 1 :]]), "BatchNorm")
        log_scale = self._log_scale(self.running_variance)
        x = (z - self.shift) * torch.exp(-log_scale) + self.running_mean
        return x, -_per_channel_log_det(log_scale, z, self.event_dims)

    def _log_scale(self, variance: Tensor) -> Tensor:
        return self.log_scale.clamp(-MAX_LOG_SCALE, MAX_LOG_SCALE) - 0.5 * torch.log(variance + self.eps)

    def _statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if not self.training or x.numel() <= self.features:
            return self.running_mean, self.running_variance
        rows = x.movedim(-self.event_dims, 0).reshape(self.features, -1)
        mean = rows.mean(dim=1).view_as(self.shift)
        variance = rows.var(dim=1, unbiased=False).view_as(self.shift)
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_variance.lerp_(variance, self.momentum)
        return mean, variance


def _per_channel_log_det(log_scale: Tensor, x: Tensor, event_dims: int) -> Tensor:
    pixels = math.prod(x.shape[x.dim() - event_dims + 1 :])
    return (log_scale.sum() * pixels).expand(x.shape[: x.dim() - event_dims])
