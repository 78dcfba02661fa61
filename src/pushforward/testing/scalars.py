"""The laws of a scalar bijection by itself, at many parameters at once."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from pushforward.scalar.base import ScalarBijection
from pushforward.spaces import Circle
from pushforward.testing.compare import FLOATS, assert_close
from pushforward.testing.parameters import seeded, told

SPREADS = (0.0, 0.5, 1.0, 3.0)
"""Deviations of the raw parameters; 0 is where every network starts."""
ROWS = 20


@told
def check_increasing(scalar: ScalarBijection, x: Tensor) -> None:
    """A scalar bijection increases, whatever its parameters, but for what rounding makes equal; round a circle it goes
    round once.

    Raises:
        AssertionError: if not, with what was seen.

    Example:
        >>> import pushforward as pf
        >>> check_increasing(pf.scalar.RationalQuadraticSpline(), torch.linspace(-2, 2, 8))
    """
    ordered = x.double().sort().values.unique()
    for spread, parameters in _rows(scalar, len(ordered)):
        z = scalar.encode(ordered.expand(ROWS, -1), parameters.unsqueeze(1).expand(-1, len(ordered), -1))
        rises = z.diff(dim=-1)
        what = f"at parameters of deviation {spread:g}"
        if isinstance(scalar.codomain, Circle):
            turns = rises.remainder(scalar.codomain.period).sum(-1).max().item() / scalar.codomain.period
            assert turns <= 1, f"{scalar} goes round {turns:.3g} times, {what}"
            continue
        worst = rises.min().item() if rises.numel() else 0.0
        assert worst >= 0, f"{scalar} decreases by {-worst:.3g}, {what}"


@told
def check_derivative(scalar: ScalarBijection, x: Tensor) -> None:
    """The log-derivative is the logarithm of the derivative that autograd sees, the inverse's is minus it, and the
    inverse gives the number back, in float64 at many parameters.

    Raises:
        AssertionError: if not, with what was seen.

    Example:
        >>> import pushforward as pf
        >>> check_derivative(pf.scalar.RationalQuadraticSpline(), torch.linspace(-2, 2, 8))
    """
    if scalar.domain.discrete:
        return
    for spread, parameters in _rows(scalar, len(x)):
        numbers = x.double().expand(ROWS, -1).clone().requires_grad_()
        given = parameters.unsqueeze(1).expand(-1, len(x), -1)
        z, log_dz = scalar.forward(numbers, given)
        (slope,) = torch.autograd.grad(z.sum(), numbers)
        what = f"at parameters of deviation {spread:g}"
        assert_close(log_dz, slope.log(), 1e-6, f"the log-derivative against autograd's, {what}")
        back, log_dx = scalar.inverse(z.detach(), given)
        # A slope of 1e-6 and less loses as many digits of x in z.
        spacing = 16 * torch.finfo(torch.float64).eps * z.detach().abs().clamp(min=1) / slope.clamp_min(1e-300)
        tolerance = max(scalar.tolerance or 0.0, 1e-8)
        features, expected = scalar.domain.features(back), scalar.domain.features(numbers)
        slack = spacing if features.shape == spacing.shape else spacing.max()
        assert_close(features, expected, tolerance, f"inverse(forward(x)) {what}", slack)
        assert_close(log_dx, -log_dz, 1e-3, f"the inverse's log-derivative {what}")


@told
def check_parameter_shapes(scalar: ScalarBijection, x: Tensor) -> None:
    """Parameters are ``x.shape + (num_parameters,)``, for ``x`` of any shape; both results have ``x``'s shape and
    type.

    Raises:
        AssertionError: if not, with what was seen.

    Example:
        >>> import pushforward as pf
        >>> check_parameter_shapes(pf.scalar.RationalQuadraticSpline(), torch.linspace(-2, 2, 8))
    """
    for dtype in FLOATS:
        for shape in [(), (1,), (2, 3), (0,)]:
            values = x[:1].to(dtype).expand(shape if shape else (1,)).reshape(shape)
            for name, run in (("forward", scalar.forward), ("inverse", scalar.inverse)):
                result, slope = run(values, torch.zeros(*shape, scalar.num_parameters, dtype=dtype))
                if name == "forward":
                    values = result.detach()
                assert result.shape == slope.shape == shape, (
                    f"{name} of shape {shape} gave {tuple(result.shape)} and {tuple(slope.shape)}"
                )
                assert result.dtype == slope.dtype == dtype, f"{name} of {dtype} gave {result.dtype} and {slope.dtype}"


def _rows(scalar: ScalarBijection, count: int) -> Iterator[tuple[float, Tensor]]:
    """Rows of parameters ``(ROWS, P)`` in float64, by their deviation."""
    for index, spread in enumerate(SPREADS):
        yield spread, spread * torch.randn(ROWS, scalar.num_parameters, generator=seeded(index), dtype=torch.float64)
