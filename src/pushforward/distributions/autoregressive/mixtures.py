"""Mixtures as the distribution of one real number, given parameters."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor

from pushforward.distributions.continuous.learned_normal import bounded_log_scale, log_normal
from pushforward.distributions.continuous.mixture import check_components
from pushforward.distributions.discrete.mass import gumbel_argmax
from pushforward.numerics import rand, randn, uniform_noise
from pushforward.parts import Part
from pushforward.spaces import Reals

LOG_TWO = math.log(2.0)


class MixtureConditional(Part):
    r"""A mixture of one family of location and scale, ``p(x) = sum_k w_k f((x - mu_k) / s_k) / s_k``.

    Parameters per element, ``3 * components`` in this order: the weights' logits, the locations (added to quantiles of
    a normal, so that the components differ), the log-scales (bounded).

    Args:
        components: the number of components.

    Shapes: element by element, ``x`` and its log-density are ``(...)``, parameters ``(..., P)`` with ``P = 3 K``.

    Raises:
        UsageError: for no component.

    Source: Uria, Murray, Larochelle (2013), RNADE, arXiv:1306.0186.

    Example:
        >>> import pushforward as pf
        >>> laplace = pf.distributions.LaplaceMixtureConditional(components=2)
        >>> laplace.num_parameters, isinstance(laplace, MixtureConditional)
        (6, True)
    """

    support = Reals()

    def __init__(self, components: int = 5) -> None:
        check_components(components)
        self.components = components
        self.num_parameters = 3 * components
        levels = (torch.arange(components) + 0.5) / components
        self._spread = torch.special.ndtri(levels).tolist()

    @abstractmethod
    def log_density(self, x: Tensor, location: Tensor, log_scale: Tensor) -> Tensor:
        """Return the log-density of a component, element by element."""

    @abstractmethod
    def standard_draw(self, like: Tensor, generator: torch.Generator | None) -> Tensor:
        """Draw from ``f``, as many values as ``like`` has."""

    def log_prob(self, x: Tensor, parameters: Tensor) -> Tensor:
        """The log-density of each value, that of the mixture of its parameters."""
        logits, location, log_scale = self._components(parameters)
        components = self.log_density(x.unsqueeze(-1), location, log_scale)
        return torch.logsumexp(torch.log_softmax(logits, -1) + components, -1)

    def sample(
        self, parameters: Tensor, *, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw values; the temperature multiplies the scales and divides the logits."""
        logits, location, log_scale = self._components(parameters)
        chosen = gumbel_argmax(torch.log_softmax(logits, -1), temperature, generator).unsqueeze(-1)
        location, log_scale = location.gather(-1, chosen).squeeze(-1), log_scale.gather(-1, chosen).squeeze(-1)
        return location + temperature * torch.exp(log_scale) * self.standard_draw(location, generator)

    def _components(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits, location, raw_log_scale = parameters.unflatten(-1, (3, self.components)).unbind(-2)
        spread = torch.tensor(self._spread, dtype=location.dtype, device=location.device)
        return logits, location + spread, bounded_log_scale(raw_log_scale)


class GaussianMixtureConditional(MixtureConditional):
    r"""A mixture of Gaussians of one number, ``p(x) = sum_k w_k N(x; mu_k, sigma_k)``.

    Parameters per element: see :class:`MixtureConditional`.

    Args:
        components: the number of components.

    Shapes: element by element, ``x`` and its log-density are ``(...)``, parameters ``(..., P)`` with ``P = 3 K``.

    Raises:
        UsageError: for no component.

    Source: Uria, Murray, Larochelle (2013), RNADE, arXiv:1306.0186.

    Example:
        >>> GaussianMixtureConditional(2).log_prob(torch.zeros(4), torch.zeros(4, 6)).shape
        torch.Size([4])
    """

    def log_density(self, x: Tensor, location: Tensor, log_scale: Tensor) -> Tensor:
        return log_normal(x, location, log_scale)

    def standard_draw(self, like: Tensor, generator: torch.Generator | None) -> Tensor:
        return randn(like, like.shape, generator)


class LaplaceMixtureConditional(MixtureConditional):
    r"""A mixture of Laplace distributions of one number, ``p(x) = sum_k w_k exp(-|x - mu_k| / b_k) / (2 b_k)``, sharper
    and with heavier tails than one of Gaussians.

    Parameters per element: see :class:`MixtureConditional`.

    Args:
        components: the number of components.

    Raises:
        UsageError: for no component.

    Source: Uria, Murray, Larochelle (2013), arXiv:1306.0186, section 4 (RNADE-MoL).

    Example:
        >>> LaplaceMixtureConditional(1).log_prob(torch.zeros(1), torch.zeros(1, 3)).exp()
        tensor([0.5000])
    """

    def log_density(self, x: Tensor, location: Tensor, log_scale: Tensor) -> Tensor:
        return -(x - location).abs() * torch.exp(-log_scale) - log_scale - LOG_TWO

    def standard_draw(self, like: Tensor, generator: torch.Generator | None) -> Tensor:
        magnitude = -torch.log(uniform_noise(like, like.shape, generator))
        return torch.where(rand(like, like.shape, generator) < 0.5, magnitude, -magnitude)
