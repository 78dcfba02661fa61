"""Odd polynomials with positive coefficients."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.numerics import bounded
from pushforward.scalar.arguments import check_counts, check_positive
from pushforward.scalar.base import ScalarBijection
from pushforward.scalar.root import TOLERANCE, Increasing, invert, solve
from pushforward.spaces import Interval

MAX_LOG_COEFFICIENT = 5.0


class OddPolynomial(ScalarBijection):
    r"""An odd polynomial with positive coefficients and a shift, ``z = b + sum_j a_j x^(2 j + 1)``, ``a_j > 0``.

    Every power is increasing, so the sum is (conical combination of monotone functions; Kobyzev, Prince, Brubaker 2021,
    Normalizing Flows: An Introduction and Review of Current Methods, arXiv:1908.09257). Outside ``(-bound, bound)`` the
    map goes on straight, with a continuous derivative: high powers would overflow.

    Parameters per element, ``(degree + 1) / 2 + 1`` in this order: the logarithms of the coefficients from the lowest
    power up (bounded, relative to ``1, 0.01 / bound^2, 0.01 / bound^4, ...``), the shift ``b``. Zeros give nearly the
    identity. The inverse is iterative, see ``tolerance``; gradients through it are by implicit differentiation.

    Args:
        degree: the highest power, odd.
        bound: where the straight lines begin.

    Raises:
        UsageError: a degree that is not odd and positive, or a bound that is not positive.

    Example:
        >>> polynomial = OddPolynomial(degree=3)
        >>> parameters = torch.randn(4, polynomial.num_parameters)
        >>> x = torch.tensor([-100.0, -1.0, 2.0, 1e6])
        >>> z, _ = polynomial.forward(x, parameters)
        >>> bool(torch.allclose(polynomial.inverse(z, parameters)[0], x))
        True
    """

    tolerance = TOLERANCE

    def __init__(self, degree: int = 5, bound: float = 10.0) -> None:
        check_counts("OddPolynomial", degree=degree)
        if degree % 2 == 0:
            raise UsageError(f"OddPolynomial expects a degree of 1, 3, 5, ..., got degree={degree}: choose an odd one")
        check_positive("OddPolynomial", bound=bound)
        self.degree = degree
        self.bound = bound
        self.reach = Interval(-bound, bound)
        self.num_parameters = (degree + 1) // 2 + 1

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        coefficients, shift = self._constrain(parameters)
        scaled, log_slope = _map(x / self.bound, coefficients)
        return scaled * self.bound + shift, log_slope

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        coefficients, shift = self._constrain(parameters)
        x, log_slope = invert(*_equation((z - shift) / self.bound, coefficients))
        return x * self.bound, log_slope

    def decode(self, z: Tensor, parameters: Tensor) -> Tensor:
        coefficients, shift = self._constrain(parameters)
        return solve(*_equation((z - shift) / self.bound, coefficients)) * self.bound

    def _constrain(self, parameters: Tensor) -> tuple[list[Tensor], Tensor]:
        """The coefficients of the polynomial in ``x / bound``, which is where it is well scaled, and the shift."""
        *raw, shift = parameters.unbind(-1)
        sizes = [1.0] + [0.01] * (len(raw) - 1)
        return [size * torch.exp(bounded(value, MAX_LOG_COEFFICIENT)) for size, value in zip(sizes, raw)], shift


def _map(x: Tensor, coefficients: list[Tensor]) -> tuple[Tensor, Tensor]:
    """The polynomial inside (-1, 1) and its tangents outside."""
    inside = x.clamp(-1.0, 1.0)
    square = inside * inside
    value, slope = torch.zeros_like(x), torch.zeros_like(x)
    for power, coefficient in reversed(list(enumerate(coefficients))):
        value = value * square + coefficient
        slope = slope * square + (2 * power + 1) * coefficient
    return value * inside + slope * (x - inside), torch.log(slope)


def _equation(z: Tensor, coefficients: list[Tensor]) -> tuple[Increasing, Tensor, Tensor, Tensor]:
    """The function, what it should reach, and numbers below and above the root."""
    return lambda x: _map(x, coefficients), z, *_bracket(z, coefficients)


@torch.no_grad()
def _bracket(z: Tensor, coefficients: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Numbers below and above the root."""
    edge, log_edge_slope = _map(torch.ones_like(z), coefficients)
    size = z.abs()
    outside = 1.0 + (size - edge) * torch.exp(-log_edge_slope)
    # No term is more than the sum, and one term is at least the sum over their number.
    roots = [(size / a, 1.0 / (2 * power + 1)) for power, a in enumerate(coefficients)]
    most = torch.stack([ratio**exponent for ratio, exponent in roots]).amin(0)
    least = torch.stack([(ratio / len(roots)) ** exponent for ratio, exponent in roots]).amin(0)
    low, high = torch.where(size > edge, outside, least), torch.where(size > edge, outside, most)
    return torch.where(z < 0, -high, low), torch.where(z < 0, -low, high)
