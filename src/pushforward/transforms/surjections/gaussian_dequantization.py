"""Integers with normal noise added, so that the density behind is smooth: what is drawn can be denoised."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.accuracy import Accuracy, Draws
from pushforward.errors import UsageError
from pushforward.networks.embeddings.cell_middles import cell_of
from pushforward.numerics import at_least_single, log1mexp, rand, randn, sum_event
from pushforward.spaces import ANY, Integers, Reals
from pushforward.transforms.base import Transform

# encode() keeps this far from the edges of a level's cell, as a share of it, so that rounding cannot cross them.
ENCODE_MARGIN = 0.1


class GaussianDequantization(Transform):
    r"""Normal noise on integers ``0 ... levels - 1``: ``z = c_x + noise * e``, ``e ~ N(0, 1)``, with the middles
    ``c_x = (2 x + 1) / levels - 1`` of the levels' cells, which fill ``(-1, 1)``.

    Noise wider than a cell makes the density that a flow has to learn smooth, and its samples noisy; one step against
    the noise, :func:`pushforward.flows.denoised`, then takes it off. What is read back of ``z`` is a level whose cell a
    normal around ``z`` falls in, the first and the last cell reaching out to infinity, so that

    .. math:: \log p(x) \ge E \Bigl[\log p(z) + \sum_d \log p(x_d \mid z_d) - \log N(z_d; c_{x_d}, \mathrm{noise}^2)
        \Bigr], \qquad p(x \mid z) = \Phi\bigl(\tfrac{b_x - z}{\mathrm{noise}}\bigr) -
        \Phi\bigl(\tfrac{a_x - z}{\mathrm{noise}}\bigr):

    a lower bound, as ``accuracy`` says; ``log_det`` is the sum. The wider the noise, the less it says: bits per
    dimension are for small noise. The inverse takes the level whose cell ``z`` lies in.

    Args:
        levels: how many values the integers take.
        noise: the noise's standard deviation, where the data fill ``(-1, 1)``.
        event_dims: 1 for vectors, 3 for images.

    Raises:
        UsageError: for fewer than 2 levels, or noise that is not above 0.

    Source: Zhai et al. (2024), arXiv:2412.06329.

    Example:
        >>> layer = GaussianDequantization(256, 0.05, event_dims=1)
        >>> x = torch.tensor([0, 17, 255])
        >>> layer.decode(layer.encode(x))
        tensor([  0.,  17., 255.])
    """

    accuracy = Accuracy.LOWER_BOUND
    draws = Draws.FORWARD
    reads_back = False
    like: Tensor

    def __init__(self, levels: int, noise: float, event_dims: int = 3) -> None:
        super().__init__()
        if levels < 2 or not 0 < noise < math.inf:
            raise UsageError(
                f"GaussianDequantization expects at least 2 levels and noise above 0, got {levels} and {noise}"
            )
        self.levels, self.noise = levels, noise
        shape = [ANY] * event_dims
        self.domain, self.codomain = Integers(0, levels - 1, shape), Reals(shape)
        # Integers carry no floating-point type of their own: this follows .double(), .half() and .to(device).
        self.register_buffer("like", torch.zeros(()), persistent=False)

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        x, _ = self.check(x.to(self.like.dtype), context, self.domain)
        z = self._middle(x) + self.noise * randn(x, x.shape, generator)
        return z, self._log_ratio(x, z)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        x = self.decode(z, context)
        return x, -self._log_ratio(x, z)

    def encode(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Return noise within the level's cell, which is read back as ``x``."""
        x, _ = self.check(x.to(self.like.dtype), context, self.domain)
        place = (1 - 2 * ENCODE_MARGIN) * (rand(x, x.shape, generator) - 0.5)
        return self._middle(x + place)

    def decode(self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        self.check(z, context, self.codomain)
        return cell_of((at_least_single(z) + 1) / 2, self.levels).to(z.dtype)

    def initialise(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self(x, context)[0]

    def _middle(self, x: Tensor) -> Tensor:
        return (2 * x + 1) / self.levels - 1

    def _log_ratio(self, x: Tensor, z: Tensor) -> Tensor:
        """``log p(x | z) - log q(z | x)``."""
        x, wide = at_least_single(x), at_least_single(z)
        away = (wide - self._middle(x)) / self.noise
        log_noise = -0.5 * away.square() - 0.5 * math.log(2 * math.pi) - math.log(self.noise)
        ratio = _log_cell(away, 1 / (self.levels * self.noise), x <= 0, x >= self.levels - 1) - log_noise
        return sum_event(ratio, self.event_dims).to(z.dtype)


def _log_cell(away: Tensor, half: float, first: Tensor, last: Tensor) -> Tensor:
    """The log-probability that a normal around a point falls into a cell, in units of the normal's deviation: ``away``
    is how far the point lies above the cell's middle, ``half`` half of the cell's width."""
    # A cell and its mirror image are as probable: in the lower tail nothing cancels.
    far = away.abs()
    upper = torch.special.log_ndtr(half - far)
    inner = upper + log1mexp(upper - torch.special.log_ndtr(-half - far))
    below, above = torch.special.log_ndtr(half - away), torch.special.log_ndtr(half + away)
    return torch.where(first, below, torch.where(last, above, inner))
