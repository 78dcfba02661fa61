"""Dequantization: integers become continuous, at the price of a bound."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from pushforward.accuracy import Accuracy, Draws
from pushforward.errors import UsageError
from pushforward.networks.context import Context, for_network, image_context, join_image
from pushforward.networks.embeddings.cell_middles import cell_of
from pushforward.networks.images.convolution import channels as channels_of
from pushforward.numerics import log_sigmoid_slope, no_log_det, rand, sum_event
from pushforward.scalar.elementary import into_unit_interval
from pushforward.spaces import ANY, Anything, Integers, Interval, Reals, Space
from pushforward.transforms.base import Transform
from pushforward.transforms.logit import logit_and_log_slope

# encode() keeps the noise this far from the edges of its cell, so that rounding on the way back cannot cross them.
ENCODE_MARGIN = 0.1


class Dequantization(Transform):
    r"""Uniform dequantization of integers ``0 ... levels - 1``: ``z = (x + u) / levels``, ``u ~ U[0, 1)``.

    ``log_det = -D log levels``; the flow behind it models ``p(z)``, and ``log p(x) >= E log p(z) + log_det``: a lower
    bound, as ``accuracy`` says. The inverse takes the level whose cell ``z`` lies in; ``inverse(forward(x)) = x``.

    Args:
        levels: how many values the integers take.
        event_dims: 1 for vectors, 3 for images.

    Shapes: ``x`` and ``z`` are ``(..., D)``, or ``(..., C, H, W)`` of images; ``log_det`` is ``(...)``.

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

    accuracy = Accuracy.LOWER_BOUND
    draws = Draws.FORWARD
    like: Tensor

    def __init__(self, levels: int, event_dims: int = 3) -> None:
        super().__init__()
        if levels < 2:
            raise UsageError(f"Dequantization expects at least 2 levels, got {levels}")
        self.levels = levels
        shape = [ANY] * event_dims
        self.domain, self.codomain = Integers(0, levels - 1, shape), Interval(0.0, 1.0, shape)
        # Integers carry no floating-point type of their own: this follows .double(), .half() and .to(device).
        self.register_buffer("like", torch.zeros(()), persistent=False)

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        x, context = self.check(x.to(self.like.dtype), context, self.domain)
        noise, log_density = self._noise(x, context, generator)
        return self._scaled(x, noise), self._log_scale(x) - log_density

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        z, context = self.check(z, context, self.codomain)
        x = self._level(z)
        return x, self._log_density(z, x, context) - self._log_scale(z)

    def encode(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        x, context = self.check(x.to(self.like.dtype), context, self.domain)
        noise, _ = self._noise(x, context, generator)
        return self._scaled(x, ENCODE_MARGIN + (1 - 2 * ENCODE_MARGIN) * noise)

    def decode(self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        self.check(z, context, self.codomain)
        return self._level(z)

    def initialise(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self(x, context)[0]

    def inverse_space(self, space: Space) -> Space:
        # What lies behind may be defined beyond [0, 1], such as an inset logit; what it says there is of no data.
        low, high = (space.low, space.high) if isinstance(space, Interval) else (-math.inf, math.inf)
        if not isinstance(space, Interval | Reals | Anything) or low > 0 or high < 1:
            raise UsageError(f"{type(self).__name__} leads into [0, 1], which is not within {space}")
        return self.domain.with_shape(space.shape)

    def _noise(self, x: Tensor, context: Tensor | None, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Return noise in [0, 1) and its log-density ``log q(u | x)``."""
        return rand(x, x.shape, generator), no_log_det(x, self.event_dims)

    def _log_density(self, z: Tensor, x: Tensor, context: Tensor | None) -> Tensor:
        """Return ``log q(u | x)`` of the noise that led from ``x`` to ``z``."""
        return no_log_det(z, self.event_dims)

    def _scaled(self, x: Tensor, noise: Tensor) -> Tensor:
        # x + u must not round up into the next cell, in the last one least of all.
        below_one = 1.0 - self.levels * torch.finfo(x.dtype).eps
        if below_one > 0.5:
            return (x + noise.clamp(max=below_one)) / self.levels
        # A type with hardly more values than there are levels: whatever noise it can hold without leaving the cell.
        exact = (x.float() + noise.float()) / self.levels
        candidates = [exact.to(x.dtype), ((x.float() + 0.5) / self.levels).to(x.dtype)]
        z = (x.float() / self.levels).to(x.dtype)
        for candidate in reversed(candidates):
            z = torch.where(self._level(candidate) == x, candidate, z)
        return z

    def _level(self, z: Tensor) -> Tensor:
        return cell_of(z, self.levels)

    def _log_scale(self, x: Tensor) -> Tensor:
        elements = math.prod(x.shape[x.dim() - self.event_dims :])
        return no_log_det(x, self.event_dims) - math.log(self.levels) * elements


class VariationalDequantization(Dequantization):
    r"""Dequantization whose noise a flow draws for each image, ``u ~ q(u | x)``.

    Uniform noise is taken to the reals by a logit, through ``noise`` (a transform conditioned on the image, scaled to
    -1 ... 1), and back into (0, 1) by a sigmoid. ``log_det = -log q(u | x) - D log levels``: the bound tightens where
    the noise suits the flow behind it.

    Args:
        levels: how many values the integers take.
        noise: a transform of images that takes the image, with the user's context joined to it as channels, as its
            context.
        context: features of a context vector, or the shape of a context image; 0 for none.
        alpha: the logit's inset, which keeps it from the edges.

    Raises:
        UsageError: for fewer than two levels, or noise whose context is not the image with the user's context.

    Source: Ho, Chen, Srinivas, Duan, Abbeel (2019), Flow++, arXiv:1902.00275.

    Example:
        >>> from functools import partial
        >>> from pushforward.networks import GatedConvNet
        >>> from pushforward.scalar import Affine
        >>> from pushforward.transforms import Coupling, masks
        >>> network = partial(GatedConvNet, hidden=4, blocks=1)
        >>> noise = Coupling(masks.checkerboard((1, 4, 4)), Affine(), network, context=(1, 4, 4))
        >>> layer = VariationalDequantization(256, noise)
        >>> x = torch.randint(256, (5, 1, 4, 4))
        >>> bool((layer.inverse(layer(x)[0])[0] == x).all())
        True
    """

    def __init__(self, levels: int, noise: Transform, context: Context = 0, alpha: float = 1e-5) -> None:
        super().__init__(levels, event_dims=3)
        self.noise = noise
        self.alpha = alpha
        self.context = image_context(context, "VariationalDequantization")
        channels, *plane = noise.domain.shape
        seen = noise.context_shape
        extra = channels_of(for_network(self.context))
        if seen is None or len(seen) != 3 or channels not in (ANY, seen[0] - extra):
            raise UsageError(
                f"VariationalDequantization expects noise that is conditioned on the image, with the user's context as "
                f"{extra} more channels: context=({channels} + {extra}, height, width), got context shape {seen}"
            )
        shape = (seen[0] - extra, *plane)
        self.domain, self.codomain = Integers(0, levels - 1, shape), Interval(0.0, 1.0, shape)

    def blocks(self) -> Iterator[Transform]:
        yield from self.noise.blocks()

    def initialise(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        x, given = self.check(x.to(self.like.dtype), context, self.domain)
        latent, _ = logit_and_log_slope(rand(x, x.shape, None), self.alpha)
        self.noise.initialise(latent, self._condition(x, given))
        return super().initialise(x, context)

    def _noise(self, x: Tensor, context: Tensor | None, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        latent, log_slope = logit_and_log_slope(rand(x, x.shape, generator), self.alpha)
        latent, log_det = self.noise(latent, self._condition(x, context))
        log_det = log_det + sum_event(log_slope + log_sigmoid_slope(latent), 3)
        return torch.sigmoid(latent), -log_det

    def _log_density(self, z: Tensor, x: Tensor, context: Tensor | None) -> Tensor:
        noise = into_unit_interval(z * self.levels - x)
        latent = torch.logit(noise)
        start, log_det = self.noise.inverse(latent, self._condition(x, context))
        uniform = (torch.sigmoid(start) - 0.5 * self.alpha) / (1 - self.alpha)
        _, log_slope = logit_and_log_slope(uniform, self.alpha)
        return log_det - sum_event(log_slope + log_sigmoid_slope(latent), 3)

    def _condition(self, x: Tensor, context: Tensor | None) -> Tensor:
        """The image between -1 and 1, the user's context behind it as further channels."""
        image = x / (self.levels - 1) * 2 - 1
        shape = for_network(self.context)
        return join_image(image, context, shape, "VariationalDequantization")
