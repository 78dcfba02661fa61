"""Cumulative distribution functions of mixtures: onto a uniform base, and Flow++'s composition onto the reals."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.scalar.affine import Affine
from pushforward.scalar.base import ScalarBijection
from pushforward.scalar.elementary import into_unit_interval
from pushforward.scalar.mixture import Mixture
from pushforward.scalar.mixture_components import Component, GaussianComponent, LogisticComponent
from pushforward.scalar.root import TOLERANCE, invert, solve
from pushforward.spaces import Interval


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
        return self._cdf(x, constrained), self._mixture.log_density(x, constrained)

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        constrained = self._mixture.constrain(parameters)
        x = solve(*self._mixture.logit_equation(_logit(z), constrained))
        return x, -self._mixture.log_density(x, constrained)

    def encode(self, x: Tensor, parameters: Tensor) -> Tensor:
        return self._cdf(x, self._mixture.constrain(parameters))

    def decode(self, z: Tensor, parameters: Tensor) -> Tensor:
        return solve(*self._mixture.logit_equation(_logit(z), self._mixture.constrain(parameters)))

    def _cdf(self, x: Tensor, constrained: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        return into_unit_interval(torch.exp(self._mixture.log_cdf(x, constrained)))


class LogisticMixtureCDF(_CDF):
    r"""The CDF of a mixture of logistics, ``z = sum_k pi_k sigmoid((x - mu_k) / s_k)``, onto ``(0, 1)``: with a uniform
    base the flow's density is the mixture's.

    Parameters per element, ``3 * components`` in this order: the weights' logits, the locations ``mu``, the log-scales
    (bounded). Zeros give nearly ``sigmoid(x)``. The log-derivative is exact however far in the tails; ``z`` itself is
    kept inside the open interval. The inverse is iterative, see ``tolerance``; gradients through it are by implicit
    differentiation.

    Args:
        components: how many logistics are mixed.

    Shapes: element by element, ``x`` and ``z`` are ``(...)``, parameters ``(..., P)`` with ``P = 3 components``.

    Raises:
        UsageError: no component.

    Source: Ho, Chen, Srinivas, Duan, Abbeel (2019), Flow++, arXiv:1902.00275.

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

    Parameters and inverse as :class:`LogisticMixtureCDF`; zeros too give nearly ``sigmoid(x)``.

    Args:
        components: how many Gaussians are mixed.

    Shapes: element by element, ``x`` and ``z`` are ``(...)``, parameters ``(..., P)`` with ``P = 3 components``.

    Raises:
        UsageError: no component.

    Source: Ho, Chen, Srinivas, Duan, Abbeel (2019), Flow++, arXiv:1902.00275, with Gaussians in the place of its
    logistics.

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
            raise UsageError(
                f"MixtureCDF expects a kind of {sorted(_COMPONENTS)}, got kind={kind!r}: choose one of them"
            )
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
        x, log_slope = invert(*self._mixture.logit_equation(logit, constrained))
        return x, log_slope + log_scale

    def encode(self, x: Tensor, parameters: Tensor) -> Tensor:
        constrained, affine = self._split(parameters)
        return self._affine.encode(self._mixture.logit_cdf_value(x, constrained), affine)

    def decode(self, z: Tensor, parameters: Tensor) -> Tensor:
        constrained, affine = self._split(parameters)
        return solve(*self._mixture.logit_equation(self._affine.decode(z, affine), constrained))

    def _split(self, parameters: Tensor) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
        mixture, affine = parameters.split([3 * self.components, self._affine.num_parameters], -1)
        return self._mixture.constrain(mixture), affine


_COMPONENTS: dict[str, type[Component]] = {"logistic": LogisticComponent, "gaussian": GaussianComponent}


def _logit(z: Tensor) -> Tensor:
    """The logit, at the ends as far out as its derivative, times any that follows, stays finite."""
    info = torch.finfo(z.dtype)
    inside = z.clamp(info.tiny**0.5, 1.0 - 0.5 * info.eps)
    return torch.log(inside) - torch.log1p(-inside)
