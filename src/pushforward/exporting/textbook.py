"""Functions that interchange formats lack, in forms made of those that they have.

Solving with a matrix becomes a product with its inverse, which is computed beforehand where the matrix is a parameter;
a search becomes a count; the error function's relatives become their series; logarithms of sums, which ONNX would
compute as they stand, are written so that neither end overflows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus
from torch.overrides import TorchFunctionMode

aten = torch.ops.aten

# Press et al. (2007), Numerical Recipes, section 6.2.2: to 1.2e-7 of the value.
_ERFCX = (
    *(-1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806),
    *(0.27886807, -1.13520398, 1.48851587, -0.82215223, 0.17087277),
)
# Giles (2010), Approximating the erfinv function: the middle and the tails, by falling powers.
_ERFINV_MIDDLE = (
    *(2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087),
    *(-0.00125372503, -0.00417768164, 0.246640727, 1.50140941),
)
_ERFINV_TAIL = (
    *(-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773),
    *(-0.0076224613, 0.00943887047, 1.00167406, 2.83297682),
)
# Below it, Giles's tail is no longer that of the error function, and 2 p - 1 soon rounds to -1.
_FAR = 1e-7


class TextbookForms(TorchFunctionMode):
    """Calls these forms in the place of the functions.

    Example:
        >>> with TextbookForms():
        ...     torch.searchsorted(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 1.5, 9.0]))
        tensor([0, 1, 2])
    """

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return FORMS.get(function, function)(*args, **(kwargs or {}))


def solve(matrix: Tensor, right: Tensor, *, left: bool = True) -> Tensor:
    """``A^-1 B``, or ``B A^-1``."""
    vector = right.dim() == 1 or (right.dim() == matrix.dim() - 1 and right.shape == matrix.shape[:-1])
    columns = right.unsqueeze(-1) if vector else right
    solved = _product(torch.linalg.inv(matrix), columns, left)
    return solved.squeeze(-1) if vector else solved


def solve_triangular(
    matrix: Tensor, right: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Tensor:
    """``A^-1 B``, or ``B A^-1``, of a triangular matrix."""
    identity = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device).expand_as(matrix)
    inverse = torch.linalg.solve_triangular(matrix, identity, upper=upper, unitriangular=unitriangular)
    return _product(inverse, right, left)


def searchsorted(sorted_sequence: Tensor, input: Tensor, *, right: bool = False) -> Tensor:
    """How many elements of a sorted sequence lie below each value."""
    value = input.unsqueeze(-1)
    knots = sorted_sequence if sorted_sequence.dim() == 1 else sorted_sequence.unsqueeze(-2)
    return (knots <= value if right else knots < value).sum(-1)


def logsigmoid(x: Tensor) -> Tensor:
    """``log sigmoid(x)``, with the digits of both ends."""
    return -softplus(-x)


def logaddexp(a: Tensor, b: Tensor) -> Tensor:
    """``log(exp(a) + exp(b))``."""
    larger, distance = torch.maximum(a, b), (a - b).abs()
    # Of two equal infinities the distance is not a number.
    return torch.where(larger.isinf(), larger, larger + softplus(-distance))


def hypot(x: Tensor, y: Tensor) -> Tensor:
    """``sqrt(x^2 + y^2)`` without overflow."""
    larger, smaller = torch.maximum(x.abs(), y.abs()), torch.minimum(x.abs(), y.abs())
    scaled = larger * torch.sqrt(1.0 + (smaller / torch.where(larger > 0, larger, 1.0)).square())
    return torch.where(larger.isinf(), larger, scaled)


def erfcx(x: Tensor) -> Tensor:
    """``exp(x^2) erfc(x)``."""
    positive = torch.exp(_log_erfcx(x.abs()))
    return torch.where(x < 0, 2.0 * torch.exp(x.square()) - positive, positive)


def erfc(x: Tensor) -> Tensor:
    """``1 - erf(x)``, with the digits of small values."""
    tail = torch.exp(_log_erfcx(x.abs()) - x.square())
    return torch.where(x < 0, 2.0 - tail, tail)


def ndtr(x: Tensor) -> Tensor:
    """The standard normal's distribution function."""
    return 0.5 * erfc(-math.sqrt(0.5) * x)


def log_ndtr(x: Tensor) -> Tensor:
    """The logarithm of the standard normal's distribution function."""
    log_tail = _log_erfcx(math.sqrt(0.5) * x.abs()) - 0.5 * x.square() - math.log(2.0)
    return torch.where(x < 0, log_tail, torch.log1p(-torch.exp(log_tail)))


def erfinv(x: Tensor) -> Tensor:
    """The inverse of the error function."""
    return _erfinv(x, -torch.log((1.0 - x) * (1.0 + x)))


def ndtri(p: Tensor) -> Tensor:
    """The standard normal's quantiles."""
    near = math.sqrt(2.0) * _erfinv(2.0 * p - 1.0, -torch.log(4.0 * p * (1.0 - p)))
    return torch.where((p > 0) & (p < _FAR), _far_quantile(torch.log(p.clamp(torch.finfo(p.dtype).tiny, _FAR))), near)


def _far_quantile(log_p: Tensor) -> Tensor:
    """The quantile of a small probability by its logarithm: Newton's steps, from where the tail begins to bend."""
    quantile = -torch.sqrt(-2.0 * log_p)
    for _ in range(3):
        reached = log_ndtr(quantile)
        log_density = -0.5 * (quantile.square() + math.log(2.0 * math.pi))
        quantile = quantile - (reached - log_p) * torch.exp(reached - log_density)
    return quantile


def _product(inverse: Tensor, other: Tensor, left: bool) -> Tensor:
    return inverse @ other if left else other @ inverse


def _log_erfcx(x: Tensor) -> Tensor:
    t = 1.0 / (1.0 + 0.5 * x)
    return torch.log(t) + _polynomial(_ERFCX[::-1], t)


def _erfinv(x: Tensor, w: Tensor) -> Tensor:
    """The inverse at ``x``, whose ``-log(1 - x^2)`` is ``w``."""
    middle = _polynomial(_ERFINV_MIDDLE, w.clamp_max(5.0) - 2.5)
    # At the ends, where w is infinite, so is the inverse.
    tail = _polynomial(_ERFINV_TAIL, torch.sqrt(w.clamp(5.0, 100.0)) - 3.0)
    return torch.where(x.abs() == 1.0, torch.inf, torch.where(w < 5.0, middle, tail)) * x


def _polynomial(coefficients: Sequence[float], x: Tensor) -> Tensor:
    """A polynomial by its coefficients, of the highest power first."""
    result = torch.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        result = result * x + coefficient
    return result


FORMS: dict[Any, Callable[..., Tensor]] = {
    torch.linalg.solve: solve,
    torch.linalg.solve_triangular: solve_triangular,
    torch.searchsorted: searchsorted,
}
"""In the place of calls, while a method is traced."""

SERIES: dict[Any, Callable[..., Tensor]] = {
    aten.log_sigmoid.default: logsigmoid,
    aten.logaddexp.default: logaddexp,
    aten.hypot.default: hypot,
    aten.special_erfcx.default: erfcx,
    aten.erfc.default: erfc,
    aten.special_erfc.default: erfc,
    aten.special_ndtr.default: ndtr,
    aten.special_log_ndtr.default: log_ndtr,
    aten.erfinv.default: erfinv,
    aten.special_erfinv.default: erfinv,
    aten.special_ndtri.default: ndtri,
}
"""In the place of functions of single numbers in a traced graph, also in the bodies of its loops, where a mode does not
see the calls."""
