"""The latent of an invertible network: what was observed, and what was lost."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.distributions.base import Distribution
from pushforward.distributions.conditioning import base_context
from pushforward.distributions.continuous.normal import LOG_SQRT_TWO_PI
from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.networks.context import Context
from pushforward.numerics import finite_square, randn
from pushforward.scalar.arguments import check_counts, check_positive
from pushforward.spaces import Reals


class ObservationAndLatent(Distribution):
    r"""Independent normals around an observation, ``[y', p, z] ~ N([y, 0, 0], diag(s^2, s^2, 1))`` given ``y``.

    With this base a flow without a context, ``f(x) = [f_y(x), f_p(x), f_z(x)]``, becomes one of ``x`` given ``y``: as
    ``s`` tends to 0, ``q(x | y) = p(z = f_z(x)) |det df/dx|`` where ``f_y(x) = y``, and 0 elsewhere.

    Args:
        observation: the observation ``y``, a number of features or a space of vectors; it is this base's context.
        latent: the dimensions of ``z``.
        padding: the dimensions of ``p``, which fill the vector up.
        noise: the standard deviation ``s``.

    Raises:
        UsageError: if a size or the noise does not fit.

    Source: Ardizzone et al. (2019), arXiv:1808.04730, equations 2 and 3; the normal around ``y`` is that of Kruse et
    al. (2021), arXiv:2101.10763.

    Example:
        >>> base = ObservationAndLatent(2, latent=3, padding=1)
        >>> base.sample(5, torch.zeros(2)).shape
        torch.Size([5, 6])
    """

    like: Tensor

    def __init__(self, observation: Context, latent: int, padding: int = 0, noise: float = 0.02) -> None:
        super().__init__()
        check_counts("ObservationAndLatent", latent=latent)
        check_counts("ObservationAndLatent", least=0, padding=padding)
        check_positive("ObservationAndLatent", noise=noise)
        self.context = base_context(observation, 1, "ObservationAndLatent")
        self.observed = self.context.features_shape[0]
        self.latent, self.padding, self.noise = latent, padding, noise
        self.support = Reals((self.observed + padding + latent,))
        self.register_buffer("like", torch.zeros(()), persistent=False)

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        return self.log_density(x, context, self.noise)

    def log_density(self, x: Tensor, context: Tensor | None, noise: float) -> Tensor:
        """The log-density of a base with another noise."""
        standard = (x - self._mean(context)) / self._scale(noise)
        constant = LOG_SQRT_TWO_PI * self.event_shape[0] + (self.observed + self.padding) * math.log(noise)
        return -0.5 * finite_square(standard).sum(-1) - constant

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        standard = randn(self.like, batch + self.event_shape, generator)
        return self._mean(context) + temperature * self._scale(self.noise) * standard

    def split(self, latents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the observation, the padding and the latent of ``(..., D)``."""
        observation, padding, latent = latents.split([self.observed, self.padding, self.latent], -1)
        return observation, padding, latent

    @classmethod
    def of(cls, flow: Flow, objective: str) -> ObservationAndLatent:
        """The base of a flow that an objective trains.

        Raises:
            UsageError: if it is another.
        """
        if not isinstance(flow.base, cls):
            raise UsageError(
                f"{objective} trains flows onto an observation and a latent, as invertible_flow makes them; this "
                f"one's base is {type(flow.base).__name__}"
            )
        return flow.base

    def _mean(self, context: Tensor | None) -> Tensor:
        assert context is not None
        return torch.nn.functional.pad(context, (0, self.padding + self.latent))

    def _scale(self, noise: float) -> Tensor:
        scale = torch.ones_like(self.like).expand(self.event_shape).clone()
        scale[: self.observed + self.padding] = noise
        return scale
