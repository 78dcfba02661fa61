"""Independent elements whose parameters are the context."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.distributions.autoregressive.masked import Conditional
from pushforward.distributions.base import Distribution
from pushforward.distributions.continuous.learned_normal import bounded_log_scale, log_normal
from pushforward.errors import UsageError
from pushforward.numerics import randn, sum_event
from pushforward.parts import Part
from pushforward.spaces import Reals


class GivenParameters(Distribution):
    r"""Independent elements, each of one family with parameters of its own, which are the context:
    ``log p(x | theta) = sum_d log p(x_d; theta_d)``.

    It is what a decoder's outputs are for: the likelihood of a variational autoencoder.

    Args:
        family: the distribution of one element given parameters: a mass function such as ``BernoulliMass()``,
            ``CategoricalMass(levels)`` or ``DiscretizedLogisticMixture(...)``, or ``GaussianConditional()``.
        event_shape: the shape of one event, ``(C, ...)``.

    The context has ``P C`` channels, ``(P C, ...)``: the ``P`` parameters of the first channel, then those of the next.

    Raises:
        UsageError: if the event has no dimension.

    Source: Kingma, Welling (2013), Auto-Encoding Variational Bayes, arXiv:1312.6114, appendix C.

    Example:
        >>> from pushforward.distributions import BernoulliMass
        >>> likelihood = GivenParameters(BernoulliMass(), (1, 2, 2))
        >>> likelihood.log_prob(torch.ones(5, 1, 2, 2), torch.zeros(5, 1, 2, 2)).exp()
        tensor([0.0625, 0.0625, 0.0625, 0.0625, 0.0625])
    """

    like: Tensor

    def __init__(self, family: Conditional, event_shape: Sequence[int]) -> None:
        super().__init__()
        self.family = family
        self.support = family.support.with_shape(event_shape)
        if not self.event_shape:
            raise UsageError("GivenParameters expects events of at least one dimension, (C, ...), got scalars")
        channels, *positions = self.event_shape
        self.context = Reals((family.num_parameters * channels, *positions))
        self.reparametrised = getattr(family, "reparametrised", False)
        # There is no parameter: this follows .double(), .half() and .to(device).
        self.register_buffer("like", torch.zeros(()), persistent=False)

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        parameters = self._by_element(context)
        # Many events with one context, and one event with many: mass functions look up what they are given.
        shape = torch.broadcast_shapes(x.shape, parameters.shape[:-1])
        log_prob = self.family.log_prob(x.to(parameters.dtype).expand(shape), parameters.expand(*shape, -1))
        return sum_event(log_prob, len(self.event_shape))

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        return self.family.sample(self._by_element(context), temperature=temperature, generator=generator)

    def _by_element(self, context: Tensor | None) -> Tensor:
        """The parameters, ``batch + (C, ..., P)``."""
        assert context is not None
        axis = -len(self.event_shape)
        return context.unflatten(axis, (self.event_shape[0], -1)).movedim(axis, -1)


class GaussianConditional(Part):
    r"""A normal of one number, ``x = mu + exp(s) e``.

    Parameters per element, in this order: the mean, the log-scale, bounded to +-7.

    Shapes: element by element, ``x`` and its log-density are ``(...)``, parameters ``(..., P)`` with ``P = 2``.

    Source: Kingma, Welling (2013), Auto-Encoding Variational Bayes, arXiv:1312.6114, appendix C.2.

    Example:
        >>> round(GaussianConditional().log_prob(torch.zeros(1), torch.zeros(1, 2)).item(), 4)
        -0.9189
    """

    support = Reals()
    num_parameters = 2
    reparametrised = True

    def log_prob(self, x: Tensor, parameters: Tensor) -> Tensor:
        """Return ``log p(x)`` of ``x``'s shape; ``parameters`` is ``x.shape + (2,)``."""
        mean, raw_log_scale = parameters.unbind(-1)
        return log_normal(x, mean, bounded_log_scale(raw_log_scale))

    def sample(
        self, parameters: Tensor, *, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw one number for each ``parameters[...]``, with gradients to them."""
        mean, raw_log_scale = parameters.unbind(-1)
        return mean + temperature * torch.exp(bounded_log_scale(raw_log_scale)) * randn(mean, mean.shape, generator)
