"""Dequantization: integers become continuous, at the price of a bound."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from pushforward.distributions.base import rand
from pushforward.errors import UsageError
from pushforward.networks.context import condition_on
from pushforward.transforms.base import Transform, sum_event
from pushforward.transforms.logit import log_sigmoid_slope, logit_and_log_slope

# encode() keeps the noise this far from the edges of its cell, so that rounding on the way back cannot cross them.
ENCODE_MARGIN = 0.1


class Dequantization(Transform):
    r"""Uniform dequantization of integers ``0 ... levels - 1``: ``z = (x + u) / levels``, ``u ~ U[0, 1)``.

    ``log_det = -D log levels``; the flow behind it models ``p(z)``, and ``log p(x) >= E log p(z) + log_det``: a lower
    bound, so ``exact`` is ``False``. The inverse takes the level whose cell ``z`` lies in; ``inverse(forward(x)) = x``.

    Args:
        levels: how many values the integers take.
        event_dims: 1 for vectors, 3 for images.

    Raises:
        UsageError: if there are fewer than 2 levels.

    Source: Theis, van den Oord, Bethge (2016), arXiv:1511.01844; Uria, Murray, Larochelle (2013), arXiv:1306.0186.

    Example:
        >>> layer = Dequantization(256, event_dims=1)
        >>> x = torch.tensor([0, 17, 255])
        >>> z, log_det = layer(x)
        >>> layer.inverse(z)[0]
        tensor([  0.,  17., 255.])
    """

    exact = False
    stochastic = True
    like: Tensor

    def __init__(self, levels: int, event_dims: int = 3) -> None:
        super().__init__()
        if levels < 2:
            raise UsageError(f"Dequantization expects at least 2 levels, got {levels}")
        self.levels = levels
        self.event_dims = event_dims
        # Integers carry no floating-point type of their own: this follows .double(), .half() and .to(device).
        self.register_buffer("like", torch.zeros(()), persistent=False)

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        x = x.to(self.like.dtype)
        noise, log_density = self._noise(x, context, generator)
        z, log_det = self._scaled(x, noise)
        return z, log_det - log_density

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x = torch.floor(z * self.levels).clamp(0, self.levels - 1)
        return x, -self._log_scale(z)

    def encode(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        x = x.to(self.like.dtype)
        noise, _ = self._noise(x, context, generator)
        return self._scaled(x, ENCODE_MARGIN + (1 - 2 * ENCODE_MARGIN) * noise)[0]

    def _noise(self, x: Tensor, context: Tensor | None, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Return noise in [0, 1) and its log-density ``log q(u | x)``."""
        noise = rand(x, x.shape, generator)
        return noise, torch.zeros(x.shape[: x.dim() - self.event_dims], dtype=x.dtype, device=x.device)

    def _scaled(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        # x + u must not round up into the next cell, in the last one least of all.
        below_one = 1.0 - self.levels * torch.finfo(x.dtype).eps
        return (x + noise.clamp(max=below_one)) / self.levels, self._log_scale(x)

    def _log_scale(self, x: Tensor) -> Tensor:
        elements = math.prod(x.shape[x.dim() - self.event_dims :])
        value = -math.log(self.levels) * elements
        return torch.full(x.shape[: x.dim() - self.event_dims], value, dtype=x.dtype, device=x.device)


class VariationalDequantization(Dequantization):
    r"""Dequantization whose noise a flow draws for each image, ``u ~ q(u | x)``.

    Uniform noise is taken to the reals by a logit, through ``noise`` (a transform conditioned on the image, scaled to
    -1 ... 1), and back into (0, 1) by a sigmoid. ``log_det = -log q(u | x) - D log levels``: the bound tightens where
    the noise suits the flow behind it.

    Args:
        levels: how many values the integers take.
        noise: a transform of images that takes the image, with the user's context joined to it, as its context.
        alpha: the logit's inset, which keeps it from the edges.

    Source: Ho, Chen, Srinivas, Duan, Abbeel (2019), Flow++, arXiv:1902.00275.

    Example:
        >>> from functools import partial
        >>> from pushforward.networks import GatedConvNet
        >>> from pushforward.scalar import Affine
        >>> from pushforward.transforms import Coupling, masks
        >>> network = partial(GatedConvNet, hidden=4, layers=1)
        >>> noise = Coupling(masks.checkerboard((1, 4, 4)), Affine(), network, context=1)
        >>> layer = VariationalDequantization(256, noise)
        >>> x = torch.randint(256, (5, 1, 4, 4))
        >>> bool((layer.inverse(layer(x)[0])[0] == x).all())
        True
    """

    def __init__(self, levels: int, noise: Transform, alpha: float = 1e-5) -> None:
        super().__init__(levels, event_dims=3)
        self.noise = noise
        self.alpha = alpha

    def blocks(self) -> Iterator[Transform]:
        yield from self.noise.blocks()

    def _noise(self, x: Tensor, context: Tensor | None, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        image = x / (self.levels - 1) * 2 - 1
        uniform = rand(x, x.shape, generator)
        latent, log_slope = logit_and_log_slope(uniform, self.alpha)
        latent, log_det = self.noise(latent, condition_on(image, context, "VariationalDequantization"))
        log_det = log_det + sum_event(log_slope + log_sigmoid_slope(latent), 3)
        return torch.sigmoid(latent), -log_det

    def initialise(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        x = x.to(self.like.dtype)
        image = x / (self.levels - 1) * 2 - 1
        latent, _ = logit_and_log_slope(rand(x, x.shape, None), self.alpha)
        self.noise.initialise(latent, condition_on(image, context, "VariationalDequantization"))
        return super().initialise(x, context)
