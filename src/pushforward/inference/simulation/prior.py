"""Priors: what simulation-based inference needs to know of a distribution of parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pushforward.distributions.inputs import as_batch
from pushforward.errors import UsageError
from pushforward.inference.simulation.bounds import bounds
from pushforward.inference.simulation.unbounded import Unbounded


class Prior:
    """A distribution of vectors of parameters, checked, with the bounds of its support.

    A batch of ``torch.distributions`` becomes part of the event: ``Uniform(low, high)`` with bounds of shape ``(D,)``
    is a box. A list of distributions is their product, one parameter (or vector of them) after the other.

    Args:
        distribution: of ``torch.distributions``, or anything with ``sample(shape)`` and ``log_prob(theta)``; or a list.

    Attributes:
        low, high: the bounds of each parameter, infinite where there is none, ``(D,)``.

    Raises:
        UsageError: if it cannot be sampled or scored, is not one of vectors, or its support is no box.

    Example:
        >>> from torch.distributions import Gamma, Uniform
        >>> prior = Prior([Uniform(torch.zeros(2), torch.ones(2)), Gamma(2.0, 1.0)])
        >>> prior.low, prior.high, prior.sample(5).shape
        (tensor([0., 0., 0.]), tensor([1., 1., inf]), torch.Size([5, 3]))
    """

    def __init__(self, distribution: Any) -> None:
        several = isinstance(distribution, Sequence)
        self._parts = [_Part(part) for part in (distribution if several else [distribution])]
        if not self._parts:
            raise UsageError("a prior expects a distribution or a list of them, got an empty list")
        self.low = torch.cat([part.low for part in self._parts])
        self.high = torch.cat([part.high for part in self._parts])

    @classmethod
    def of(cls, prior: Any) -> Prior:
        """Return a prior as it is, anything else as one."""
        return prior if isinstance(prior, Prior) else cls(prior)

    @property
    def features(self) -> int:
        """The number of parameters ``D``."""
        return len(self.low)

    @property
    def bounded(self) -> bool:
        """Whether any parameter has a bound."""
        return bool((torch.isfinite(self.low) | torch.isfinite(self.high)).any())

    def sample(self, sample_shape: int | Sequence[int] = ()) -> Tensor:
        """Draw parameters, ``sample_shape + (D,)``."""
        shape = as_batch(sample_shape)
        # In single precision what lies near a bound may be rounded to it.
        return self.inside(torch.cat([part.sample(shape) for part in self._parts], -1))

    def log_prob(self, theta: Tensor) -> Tensor:
        """Return the log-density of ``theta`` in nats, ``-inf`` outside of the support."""
        inside = ((theta >= self.low) & (theta <= self.high)).all(-1)
        pieces = self.inside(theta).split([part.width for part in self._parts], -1)
        log_prob = torch.stack([part.log_prob(piece) for part, piece in zip(self._parts, pieces)]).sum(0)
        return torch.where(inside, log_prob, -torch.inf)

    def inside(self, theta: Tensor) -> Tensor:
        """Return the parameters, those at or beyond a bound as the nearest ones strictly inside."""
        above = torch.nextafter(self.low, torch.full_like(self.low, torch.inf)).to(theta)
        below = torch.nextafter(self.high, torch.full_like(self.high, -torch.inf)).to(theta)
        return torch.minimum(torch.maximum(theta, above), below)

    def cdf(self, theta: Tensor) -> Tensor | None:
        """Return the cumulative probability of each parameter by itself, None where they are not independent or the
        distribution does not tell."""
        pieces = [part.cdf(piece) for part, piece in zip(self._parts, theta.split(self._widths, -1))]
        return None if any(piece is None for piece in pieces) else torch.cat(pieces, -1)  # type: ignore[arg-type]

    def icdf(self, probability: Tensor) -> Tensor | None:
        """Return the parameters of cumulative probabilities, the inverse of :meth:`cdf`, or None as there."""
        pieces = [part.icdf(piece) for part, piece in zip(self._parts, probability.split(self._widths, -1))]
        return None if any(piece is None for piece in pieces) else torch.cat(pieces, -1)  # type: ignore[arg-type]

    def unbounded(self) -> Unbounded:
        """Return the bijection from the support onto the reals."""
        return Unbounded(self.low, self.high)

    @property
    def _widths(self) -> list[int]:
        return [part.width for part in self._parts]


class _Part:
    """One distribution of the product."""

    def __init__(self, distribution: Any) -> None:
        if isinstance(distribution, type) or not all(
            callable(getattr(distribution, name, None)) for name in ("sample", "log_prob")
        ):
            raise UsageError(
                f"a prior expects a distribution with sample(shape) and log_prob(theta), such as one of "
                f"torch.distributions, got {distribution!r}"
            )
        with torch.random.fork_rng(devices=[]):
            drawn = distribution.sample(torch.Size([2]))
        if (
            not isinstance(drawn, Tensor)
            or drawn.dim() not in (1, 2)
            or len(drawn) != 2
            or not drawn.is_floating_point()
        ):
            got = tuple(drawn.shape) if isinstance(drawn, Tensor) else type(drawn).__name__
            raise UsageError(
                f"a prior expects a continuous distribution of vectors, got samples {got} for a shape (2,)"
            )
        self.distribution = distribution
        self.width = drawn[0].numel()
        self._scalar = drawn.dim() == 1
        low, high = bounds(distribution)
        self.low, self.high = (bound.expand(drawn.shape[1:]).reshape(-1).clone() for bound in (low, high))

    def sample(self, shape: torch.Size) -> Tensor:
        drawn: Tensor = self.distribution.sample(shape)
        return drawn.reshape(*shape, self.width).to(torch.get_default_dtype())

    def log_prob(self, theta: Tensor) -> Tensor:
        log_prob: Tensor = self.distribution.log_prob(theta.squeeze(-1) if self._scalar else theta)
        return log_prob.sum(-1) if log_prob.dim() == theta.dim() else log_prob

    def cdf(self, theta: Tensor) -> Tensor | None:
        return self._elementwise("cdf", theta)

    def icdf(self, probability: Tensor) -> Tensor | None:
        return self._elementwise("icdf", probability)

    def _elementwise(self, name: str, values: Tensor) -> Tensor | None:
        inner = self.distribution
        while isinstance(inner, torch.distributions.Independent):
            inner = inner.base_dist
        if not isinstance(inner, torch.distributions.Distribution) or inner.event_shape:
            return None
        try:
            return getattr(inner, name)(values)  # type: ignore[no-any-return]
        except NotImplementedError:
            return None
