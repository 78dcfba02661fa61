"""Cumulative distribution functions of mixtures: onto a uniform base, and Flow++'s composition onto the reals."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from pushforward.errors import UsageError
from pushforward.numerics import bounded
from pushforward.scalar.affine import Affine
from pushforward.scalar.base import ScalarBijection
from pushforward.scalar.elementary import into_unit_interval
from pushforward.scalar.root import TOLERANCE, invert
from pushforward.spaces import Interval

MAX_LOG_SCALE = 5.0
"""Bound on a component's log-scale."""


class Component(ABC):
    """What a mixture needs to know of the distribution that it mixes, in its standard form, symmetric around 0.

    Attributes:
        variance: of the standard form.
        logit_slope: the slope of ``logit(CDF(u))`` at 0.
    """

    variance: float
    logit_slope: float

    @abstractmethod
    def log_density(self, u: Tensor) -> Tensor:
        """Log-density."""

    @abstractmethod
    def log_cdf(self, u: Tensor) -> Tensor:
        """Log of the cumulative distribution function; that of ``-u`` is the log of the upper tail."""

    @abstractmethod
    def log_hazard(self, u: Tensor) -> Tensor:
        """Log of density over upper tail, without the cancellation that the difference of the two logs suffers."""

    @abstractmethod
    def largest_quantile(self, logit: Tensor) -> Tensor:
        """A number that the quantile at ``sigmoid(logit)`` does not exceed, for a logit of zero or more."""

    @abstractmethod
    def smallest_quantile(self, logit: Tensor) -> Tensor:
        """A number that is not above the quantile at ``sigmoid(logit)``, for a logit of zero or more."""


class LogisticComponent(Component):
    """The logistic distribution."""

    variance = math.pi**2 / 3.0
    logit_slope = 1.0

    def log_density(self, u: Tensor) -> Tensor:
        return logsigmoid(u) + logsigmoid(-u)

    def log_cdf(self, u: Tensor) -> Tensor:
        return logsigmoid(u)

    def log_hazard(self, u: Tensor) -> Tensor:
        return logsigmoid(u)

    def largest_quantile(self, logit: Tensor) -> Tensor:
        return logit

    def smallest_quantile(self, logit: Tensor) -> Tensor:
        return logit


class GaussianComponent(Component):
    """The normal distribution."""

    variance = 1.0
    logit_slope = 4.0 / math.sqrt(2.0 * math.pi)

    def log_density(self, u: Tensor) -> Tensor:
        return -0.5 * u * u - 0.5 * math.log(2.0 * math.pi)

    def log_cdf(self, u: Tensor) -> Tensor:
        # log_ndtr's value is right everywhere, but its derivative is not below -100 in float32.
        tail = self.log_density(u) + _log_mills(-u)
        return torch.where(u < -1.0, tail, torch.special.log_ndtr(u.clamp_min(-1.0)))

    def log_hazard(self, u: Tensor) -> Tensor:
        return torch.where(u > -1.0, -_log_mills(u), self.log_density(u) - torch.special.log_ndtr(-u.clamp_max(-1.0)))

    def largest_quantile(self, logit: Tensor) -> Tensor:
        # The upper tail is at most exp(-u^2 / 2) / 2.
        return torch.sqrt(2.0 * (softplus(logit) - math.log(2.0)).clamp_min(0.0))

    def smallest_quantile(self, logit: Tensor) -> Tensor:
        return torch.zeros_like(logit)


class Mixture:
    """A mixture of shifted and scaled components: log-density, both tails, and the logit of the CDF with its inverse.

    Its ``3 * count`` parameters are, in this order, the weights' logits, the locations and the log-scales. At zeros the
    locations are spread a little, so that the components differ and can learn different things, and the common scale is
    such that the logit of the CDF is close to the identity.
    """

    def __init__(self, component: Component, count: int) -> None:
        if count < 1:
            raise UsageError(f"A mixture needs at least 1 component, got components={count}.")
        self.component = component
        self.count = count
        self._spread = [2.0 * k / (count - 1) - 1.0 for k in range(count)] if count > 1 else [0.0]
        total = component.variance * component.logit_slope**2
        self._scale = component.logit_slope * math.sqrt(1.0 - sum(value**2 for value in self._spread) / count / total)

    def constrain(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log-weights, locations and log-scales, each ``(..., count)``."""
        logits, locations, log_scales = parameters.unflatten(-1, (3, self.count)).unbind(-2)
        spread = torch.tensor(self._spread, dtype=parameters.dtype, device=parameters.device)
        log_scales = bounded(log_scales, MAX_LOG_SCALE) + math.log(self._scale)
        return torch.log_softmax(logits, -1), locations + spread, log_scales

    def log_density(self, x: Tensor, constrained: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        log_weights, locations, log_scales = constrained
        u = (x.unsqueeze(-1) - locations) * torch.exp(-log_scales)
        return torch.logsumexp(log_weights + self.component.log_density(u) - log_scales, -1)

    def log_cdf(self, x: Tensor, constrained: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        log_weights, locations, log_scales = constrained
        u = (x.unsqueeze(-1) - locations) * torch.exp(-log_scales)
        return torch.logsumexp(log_weights + self.component.log_cdf(u), -1)

    def logit_cdf(self, x: Tensor, constrained: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """``log F - log(1 - F)``, which saturates nowhere, and the log of its derivative."""
        log_weights, locations, log_scales = constrained
        u = (x.unsqueeze(-1) - locations) * torch.exp(-log_scales)
        lower = log_weights + self.component.log_cdf(u)
        upper = log_weights + self.component.log_cdf(-u)
        logit = torch.logsumexp(lower, -1) - torch.logsumexp(upper, -1)
        # The derivative is density / F + density / (1 - F), both means of the components' own, weighted with their
        # shares of the tail: positive terms, where log density - log F - log(1 - F) would cancel far out.
        terms = torch.cat(
            [
                torch.log_softmax(lower, -1) + self.component.log_hazard(-u) - log_scales,
                torch.log_softmax(upper, -1) + self.component.log_hazard(u) - log_scales,
            ],
            -1,
        )
        return logit, torch.logsumexp(terms, -1)

    def invert_logit_cdf(self, logit: Tensor, constrained: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """The inverse of :meth:`logit_cdf`: the mixture's quantile lies between the components' own."""
        with torch.no_grad():
            _, locations, log_scales = constrained
            size = logit.abs()
            inner, outer = self.component.smallest_quantile(size), self.component.largest_quantile(size)
            least = torch.where(logit < 0, -outer, inner).unsqueeze(-1)
            most = torch.where(logit < 0, -inner, outer).unsqueeze(-1)
            low = (locations + torch.exp(log_scales) * least).amin(-1)
            high = (locations + torch.exp(log_scales) * most).amax(-1)
            # Rounding must not push the root out of its bracket.
            slack = 1e-5 * (1.0 + torch.maximum(low.abs(), high.abs()))
        return invert(lambda x: self.logit_cdf(x, constrained), logit, low - slack, high + slack)


def _log_mills(u: Tensor) -> Tensor:
    """Log of the normal's upper tail over its density, for ``u`` of -1 or more (the value at -1 for smaller ones)."""
    # The derivative of erfcx cancels far out; there the asymptotic series is exact to 1e-13.
    far = 16.0
    near_value = torch.log(torch.special.erfcx(u.clamp(-1.0, far) / math.sqrt(2.0))) + 0.5 * math.log(0.5 * math.pi)
    above = u.clamp_min(far)
    square = 1.0 / (above * above)
    series = torch.ones_like(u)
    for odd in (13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0):
        series = 1.0 - odd * square * series
    return torch.where(u > far, torch.log(series) - torch.log(above), near_value)


class _CDF(ScalarBijection):
    """The CDF of a mixture, onto the unit interval."""

    codomain = Interval(0.0, 1.0)
    tolerance = TOLERANCE

    def __init__(self, component: Component, components: int) -> None:
        self._mixture = Mixture(component, components)
        self.components = components
        self.num_parameters = 3 * components

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        constrained = self._mixture.constrain(parameters)
        z = torch.exp(self._mixture.log_cdf(x, constrained))
        return into_unit_interval(z), self._mixture.log_density(x, constrained)

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        constrained = self._mixture.constrain(parameters)
        x, _ = self._mixture.invert_logit_cdf(_logit(z), constrained)
        return x, -self._mixture.log_density(x, constrained)


class LogisticMixtureCDF(_CDF):
    r"""The CDF of a mixture of logistics, ``z = sum_k pi_k sigmoid((x - mu_k) / s_k)``, onto ``(0, 1)``: with a uniform
    base the flow's density is the mixture's.

    Parameters per element, ``3 * components`` in this order: the weights' logits, the locations ``mu``, the log-scales
    (bounded). Zeros give nearly ``sigmoid(x)``. The log-derivative is exact however far in the tails; ``z`` itself is
    kept inside the open interval. The inverse is iterative, see ``tolerance``; gradients through it are by implicit
    differentiation.

    Args:
        components: how many logistics are mixed.

    Raises:
        UsageError: no component.

    Example:
        >>> z, log_dz = LogisticMixtureCDF(components=1).forward(torch.tensor([0.0]), torch.zeros(1, 3))
        >>> z.item(), round(log_dz.exp().item(), 4)
        (0.5, 0.25)
    """

    def __init__(self, components: int = 8) -> None:
        super().__init__(LogisticComponent(), components)


class GaussianMixtureCDF(_CDF):
    r"""The CDF of a mixture of Gaussians, ``z = sum_k pi_k Phi((x - mu_k) / s_k)``, onto ``(0, 1)``: with a uniform
    base the flow's density is the mixture's.

    Parameters, raises and inverse as :class:`LogisticMixtureCDF`; zeros too give nearly ``sigmoid(x)``.

    Args:
        components: how many Gaussians are mixed.

    Example:
        >>> z, log_dz = GaussianMixtureCDF(components=1).forward(torch.tensor([0.0]), torch.zeros(1, 3))
        >>> z.item(), round(log_dz.exp().item(), 4)
        (0.5, 0.25)
    """

    def __init__(self, components: int = 8) -> None:
        super().__init__(GaussianComponent(), components)


class MixtureCDF(ScalarBijection):
    r"""Flow++'s map of the reals: a mixture's CDF, its logit, and an affine map, ``z = (logit(F(x)) + t) exp(a)`` (Ho,
    Chen, Srinivas, Duan, Abbeel 2019, Flow++, arXiv:1902.00275).

    The logit is ``log F - log(1 - F)`` with both tails in log space, so it saturates nowhere. For the CDF itself, onto
    the unit interval, see :class:`LogisticMixtureCDF` and :class:`GaussianMixtureCDF`.

    Parameters per element, ``3 * components + 2`` in this order: the weights' logits, the locations, the log-scales
    (bounded), then :class:`Affine`'s raw log-scale and shift. The inverse is iterative, see ``tolerance``; gradients
    through it are by implicit differentiation.

    Args:
        kind: what is mixed, ``"logistic"`` or ``"gaussian"``.
        components: how many are mixed.

    Raises:
        UsageError: another kind, or no component.

    Example:
        >>> bijection = MixtureCDF("logistic", components=4)
        >>> x = torch.tensor([-1e6, 0.3])
        >>> z, log_dz = bijection.forward(x, torch.randn(2, bijection.num_parameters))
        >>> bool(z.isfinite().all() and log_dz.isfinite().all())
        True
    """

    tolerance = TOLERANCE

    def __init__(self, kind: str = "logistic", components: int = 8) -> None:
        if kind not in _COMPONENTS:
            raise UsageError(f"The kind of a mixture is one of {sorted(_COMPONENTS)}, got {kind!r}.")
        self._mixture = Mixture(_COMPONENTS[kind](), components)
        self._affine = Affine()
        self.kind = kind
        self.components = components
        self.num_parameters = 3 * components + self._affine.num_parameters

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        constrained, affine = self._split(parameters)
        logit, log_slope = self._mixture.logit_cdf(x, constrained)
        z, log_scale = self._affine.forward(logit, affine)
        return z, log_slope + log_scale

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        constrained, affine = self._split(parameters)
        logit, log_scale = self._affine.inverse(z, affine)
        x, log_slope = self._mixture.invert_logit_cdf(logit, constrained)
        return x, log_slope + log_scale

    def _split(self, parameters: Tensor) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
        mixture, affine = parameters.split([3 * self.components, self._affine.num_parameters], -1)
        return self._mixture.constrain(mixture), affine


_COMPONENTS: dict[str, type[Component]] = {"logistic": LogisticComponent, "gaussian": GaussianComponent}


def _logit(z: Tensor) -> Tensor:
    """The logit, at the ends as far out as its derivative, times any that follows, stays finite."""
    info = torch.finfo(z.dtype)
    inside = z.clamp(info.tiny**0.5, 1.0 - 0.5 * info.eps)
    return torch.log(inside) - torch.log1p(-inside)
