"""How laws compare and what they say where one is broken."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.spaces import Space

FLOATS = (torch.float32, torch.float64)
ANALYTIC_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-9}


def tolerance_of(part: object, dtype: torch.dtype) -> float:
    """How far off a value may be: what rounding explains, or the tolerance that an iterative part states."""
    stated = getattr(part, "tolerance", None)
    return ANALYTIC_TOLERANCE[dtype] if stated is None else max(stated, ANALYTIC_TOLERANCE[dtype])


def assert_close(value: Tensor, expected: Tensor, tolerance: float, what: str, slack: Tensor | float = 0.0) -> None:
    """Raise unless two tensors agree within a tolerance, relative where values are above 1; ``slack`` comes on top."""
    assert value.shape == expected.shape, f"{what}: expected shape {tuple(expected.shape)}, got {tuple(value.shape)}"
    if not value.numel():
        return
    value, expected = value.detach().double(), expected.detach().double()
    # Equal infinities are no distance apart.
    error = torch.where(value == expected, 0.0, (value - expected).abs())
    excess = error / (tolerance * expected.abs().clamp(min=1) + slack)
    worst = int(excess.nan_to_num(nan=torch.inf).argmax())
    found, right = value.flatten()[worst].item(), expected.flatten()[worst].item()
    assert bool((excess <= 1).all()), (
        f"{what}: expected {right:.8g}, got {found:.8g}, which is off by {abs(found - right):.3g} and more than "
        f"{tolerance:.0e} allows"
    )


def assert_equal(value: Tensor, expected: Tensor, what: str) -> None:
    """Raise unless two tensors are equal, bit for bit."""
    assert value.shape == expected.shape, f"{what}: expected shape {tuple(expected.shape)}, got {tuple(value.shape)}"
    assert torch.equal(value, expected), f"{what}: {int((value != expected).sum())} of {value.numel()} numbers differ"


def assert_same_outputs(found: dict[str, Tensor], expected: dict[str, Tensor], what: str) -> None:
    """Raise unless two parts gave the same outputs, bit for bit."""
    for name, value in expected.items():
        assert_equal(found[name], value, f"{name}, {what}")


def assert_same_points(space: Space, value: Tensor, expected: Tensor, tolerance: float, what: str) -> None:
    """Raise unless points of a space agree: exactly where it is discrete, round its circles where it has some."""
    assert value.shape == expected.shape, f"{what}: expected shape {tuple(expected.shape)}, got {tuple(value.shape)}"
    if space.discrete:
        assert_equal(value.double(), expected.double(), what)
    else:
        assert_close(space.features(value), space.features(expected), tolerance, what)


def assert_finite(value: Tensor, what: str) -> None:
    """Raise unless all numbers are finite."""
    bad = int((~torch.isfinite(value)).sum())
    assert not bad, f"{what}: {bad} of {value.numel()} numbers are not finite"
