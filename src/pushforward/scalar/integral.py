"""Integrals of positive networks."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.kernels.iteration import separate
from pushforward.numerics import bounded
from pushforward.scalar.arguments import check_counts, check_positive
from pushforward.scalar.base import ScalarBijection
from pushforward.scalar.root import TOLERANCE, Increasing, invert, solve
from pushforward.spaces import Interval

MAX_LOG_INTEGRAND = 2.0
MAX_WEIGHT = 2.0
"""Bound on a hidden unit's output weight, and on what parameters add to its input weight: it limits how fast the
integrand can turn, and so the error of the quadrature."""

Network = tuple[Tensor, Tensor, Tensor, Tensor]


class IntegralNetwork(ScalarBijection):
    r"""The integral of a positive network, ``z = b + integral_0^x f(t) dt`` (Wehenkel, Louppe 2019, Unconstrained
    Monotonic Neural Networks, arXiv:1908.05164), by Clenshaw-Curtis quadrature.

    ``log f(t) = 2 tanh(g(t) / 2)`` with ``g(t) = c + sum_k v_k tanh(w_k t + u_k)``, whose weights are the parameters.
    The log-derivative is ``log f(x)`` exactly, as is the derivative of ``z`` that autograd sees; ``z`` has the
    quadrature's error. Outside ``(-bound, bound)`` the integrand stays what it is at the edge, so the map goes on
    straight.

    Parameters per element, ``3 * hidden + 2`` in this order: ``w``, ``u`` (added to units that differ), ``v``, ``c``,
    ``b``. Zeros give the identity. The inverse is iterative, see ``tolerance``; gradients through it are by implicit
    differentiation.

    Args:
        hidden: the hidden units of the network.
        nodes: the intervals of the quadrature; it has ``nodes + 1`` points.
        bound: the integrand is a network inside ``(-bound, bound)``.

    Shapes: element by element, ``x`` and ``z`` are ``(...)``, parameters ``(..., P)`` with ``P = 3 hidden + 2``.

    Raises:
        UsageError: a size below 1 or a bound that is not positive.

    Example:
        >>> integral = IntegralNetwork(hidden=4)
        >>> z, log_dz = integral.forward(torch.tensor([2.0]), torch.zeros(1, integral.num_parameters))
        >>> round(z.item(), 4), log_dz.item()
        (2.0, 0.0)
    """

    tolerance = TOLERANCE

    def __init__(self, hidden: int = 8, nodes: int = 48, bound: float = 5.0) -> None:
        check_counts("IntegralNetwork", hidden=hidden, nodes=nodes)
        check_positive("IntegralNetwork", bound=bound)
        self.hidden = hidden
        self.nodes = nodes
        self.bound = bound
        self.reach = Interval(-bound, bound)
        self.num_parameters = 3 * hidden + 2
        self._points, self._weights = clenshaw_curtis(nodes)
        self._centres = [bound * 0.8 * (2.0 * k / (hidden - 1) - 1.0) for k in range(hidden)] if hidden > 1 else [0.0]

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        network, shift = self._constrain(parameters)
        z, log_derivative = self._integral(x, network)
        return z + shift, log_derivative

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return invert(*self._equation(z, parameters))

    def decode(self, z: Tensor, parameters: Tensor) -> Tensor:
        return solve(*self._equation(z, parameters))

    def _equation(self, z: Tensor, parameters: Tensor) -> tuple[Increasing, Tensor, Tensor, Tensor]:
        """The function, what it should reach, and numbers below and above the root."""
        network, shift = separate(self._constrain(parameters))
        height = z - shift
        # The integrand lies between exp(-2) and exp(2).
        far, near = math.exp(MAX_LOG_INTEGRAND) * height, math.exp(-MAX_LOG_INTEGRAND) * height
        return lambda x: self._integral(x, network), height, torch.minimum(far, near), torch.maximum(far, near)

    def _constrain(self, parameters: Tensor) -> tuple[Network, Tensor]:
        w, u, v, c, shift = parameters.split([self.hidden, self.hidden, self.hidden, 1, 1], -1)
        centres = torch.tensor(self._centres, dtype=parameters.dtype, device=parameters.device)
        return (1.0 + bounded(w, MAX_WEIGHT), u - centres, bounded(v, MAX_WEIGHT), c), shift.squeeze(-1)

    def _integral(self, x: Tensor, network: Network) -> tuple[Tensor, Tensor]:
        points = torch.tensor(self._points, dtype=x.dtype, device=x.device)
        weights = torch.tensor(self._weights, dtype=x.dtype, device=x.device)
        inside = x.clamp(-self.bound, self.bound)
        # The quadrature's own derivative with respect to its end is not quite the integrand. The end is held fixed in
        # it, and the integral from there to the end, which is zero, has the derivatives: by Gauss's rule of two points,
        # which gives the first four of them exactly.
        end = inside.detach()
        step = inside - end
        at = torch.cat([end.unsqueeze(-1) * points, end.unsqueeze(-1) + step.unsqueeze(-1) * _gauss(x)], -1)
        log_edge = _log_integrand(inside.unsqueeze(-1), network).squeeze(-1)
        fixed, moving = torch.exp(_log_integrand(at, network)).split([len(self._points), 2], -1)
        area = end * (weights * fixed).sum(-1) + step * moving.mean(-1)
        return area + torch.exp(log_edge) * (x - inside), log_edge


def _gauss(like: Tensor) -> Tensor:
    """The points of Gauss's quadrature of two points on ``(0, 1)``, which have equal weights."""
    half = math.sqrt(1.0 / 12.0)
    return torch.tensor([0.5 - half, 0.5 + half], dtype=like.dtype, device=like.device)


def _log_integrand(t: Tensor, network: Network) -> Tensor:
    """The log-integrand at the points ``t`` of shape ``(..., points)``."""
    w, u, v, c = network
    units = torch.tanh(t.unsqueeze(-1) * w.unsqueeze(-2) + u.unsqueeze(-2))
    g = c + (v.unsqueeze(-2) * units).sum(-1)
    return MAX_LOG_INTEGRAND * torch.tanh(g / MAX_LOG_INTEGRAND)


def clenshaw_curtis(intervals: int) -> tuple[list[float], list[float]]:
    """Points and weights of the quadrature of this many intervals on ``(0, 1)``.

    Example:
        >>> points, weights = clenshaw_curtis(8)
        >>> round(sum(weight * point**5 for point, weight in zip(points, weights)), 12) == round(1 / 6, 12)
        True
    """
    points, weights = [], []
    for k in range(intervals + 1):
        angle = math.pi * k / intervals
        total = 1.0
        for j in range(1, intervals // 2 + 1):
            total -= (1.0 if 2 * j == intervals else 2.0) / (4.0 * j * j - 1.0) * math.cos(2.0 * j * angle)
        points.append(0.5 + 0.5 * math.cos(angle))
        weights.append((1.0 if k in (0, intervals) else 2.0) * total / intervals / 2.0)
    return points, weights
