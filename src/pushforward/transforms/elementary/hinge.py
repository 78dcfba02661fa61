"""Each dimension by itself through a line with a smooth bend, placed by the data."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.transforms.elementary.placed import Placed, drawn

MOST_BEND = 0.9
"""The bend in units of the slope: the flatter side keeps a tenth of it, the steeper one takes at most 1.9 of it."""

WIDTHS = (0.05, 1.0)
"""Between these the widths of bends are drawn, in standard deviations."""

STEPS = 12
"""Newton's method has converged by then."""


class PlacedHinge(Placed):
    r"""Tabak and Turner's elementary map of coordinates, ``z_i = a_i x_i + b_i + c_i sqrt(e_i^2 + (x_i - m_i)^2)``,
    placed by the data: of slope ``a - c`` far below ``m``, ``a + c`` far above it.

    :meth:`initialise` takes points that should be standard normal, draws ``candidates`` bends of each dimension, at
    points ``m`` of the data and of widths ``e``, and finds the ``a``, ``b`` and ``c`` of the largest likelihood,

    .. math:: L(a, b, c) = \langle \log \partial z_i / \partial x_i - z_i^2 / 2 \rangle,

    which is concave, by Newton's method within ``|c| <= 0.9 a``. The candidate of the largest likelihood stays.

    Args:
        features: the number of dimensions ``D``.
        candidates: how many bends are tried.

    Shapes: ``x`` and ``z`` are ``(..., D)``, ``log_det`` is ``(...)``.

    Raises:
        UsageError: for no candidate.

    Source: Tabak, Turner (2013), Communications on Pure and Applied Mathematics 66, 145-164, who take one random bend
    and a small step, after a random rotation.

    Example:
        >>> layer = PlacedHinge(1)
        >>> z = layer.initialise(torch.rand(1000, 1).exp())
        >>> abs(z.mean().item()) < 1e-3, abs(z.square().mean().item() - 1) < 0.1
        (True, True)
    """

    slope: Tensor
    shift: Tensor
    bend: Tensor
    knot: Tensor
    width: Tensor

    def __init__(self, features: int, candidates: int = 16) -> None:
        super().__init__(features)
        if candidates < 1:
            raise UsageError(f"PlacedHinge expects at least one candidate, got {candidates}")
        self.candidates = candidates
        for name, start in (("slope", 1.0), ("shift", 0.0), ("bend", 0.0), ("knot", 0.0), ("width", 1.0)):
            self.register_buffer(name, torch.full((features,), start))

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(x, context, self.domain)
        root, tilt = _root(x, self.knot, self.width)
        z = self.slope * x + self.shift + self.bend * root
        return z, torch.log(self.slope + self.bend * tilt).sum(-1)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(z, context, self.codomain)
        # With u = x - m and t = z - b - a m, the root of (t - a u)^2 = c^2 (e^2 + u^2) on the side where t - a u has
        # the sign of c.
        t = z - self.shift - self.slope * self.knot
        square = (self.slope - self.bend) * (self.slope + self.bend)
        reach = torch.hypot(t, self.width * torch.sqrt(square))
        x = self.knot + (self.slope * t - self.bend * reach) / square
        _, tilt = _root(x, self.knot, self.width)
        return x, -torch.log(self.slope + self.bend * tilt).sum(-1)

    def _place(self, rows: Tensor) -> None:
        # In standard deviations, Newton's method starts near the best line. A constant has none, and stays as it is.
        constant = rows.amax(0) == rows.amin(0)
        unit = torch.where(constant, 1.0, rows.double().std(0, correction=0)).to(rows.dtype)
        knots = drawn(rows / unit, self.candidates)
        widths = torch.exp(torch.empty_like(knots).uniform_(*map(math.log, WIDTHS)))
        slopes, bends, shifts, gains = _best(rows / unit, knots, widths)
        chosen = gains.argmax(0, keepdim=True)
        values = {
            "slope": slopes / unit,
            "shift": shifts,
            "bend": bends / unit,
            "knot": knots * unit,
            "width": widths * unit,
        }
        for name, each in values.items():
            own = getattr(self, name)
            own.copy_(torch.where(constant, own, each.gather(0, chosen)[0]))


def _root(x: Tensor, knot: Tensor, width: Tensor) -> tuple[Tensor, Tensor]:
    """``sqrt(e^2 + (x - m)^2)`` and its derivative."""
    root = torch.hypot(x - knot, width)
    return root, (x - knot) / root


def _best(rows: Tensor, knots: Tensor, widths: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The best slopes, bends and shifts of each candidate and dimension ``(C, D)``, and the log-likelihood, up to a
    constant."""
    root, tilt = _root(rows, knots[:, None], widths[:, None])
    # The best shift centres z, and leaves a variance that is a quadratic form of slope and bend.
    mean, mean_root = rows.mean(0), root.mean(1)
    centred, centred_root = rows - mean, root - mean_root[:, None]
    xx = centred.square().mean(0).expand_as(knots)
    xs, ss = (centred * centred_root).mean(1), centred_root.square().mean(1)
    a, c = torch.ones_like(knots), torch.zeros_like(knots)
    for _ in range(STEPS):
        w = 1.0 / (a[:, None] + c[:, None] * tilt)
        slope_a, slope_c = w.mean(1) - a * xx - c * xs, (tilt * w).mean(1) - a * xs - c * ss
        aa, ac, cc = w.square().mean(1) + xx, (tilt * w.square()).mean(1) + xs, (tilt * w).square().mean(1) + ss
        determinant = aa * cc - ac.square()
        step_a, step_c = (cc * slope_a - ac * slope_c) / determinant, (aa * slope_c - ac * slope_a) / determinant
        share = _share_inside(a, c, step_a, step_c)
        a, c = a + share * step_a, c + share * step_c
    shift = -(a * mean + c * mean_root)
    gains = torch.log(a[:, None] + c[:, None] * tilt).mean(1) - 0.5 * (a * a * xx + 2.0 * a * c * xs + c * c * ss)
    return a, c, shift, gains


def _share_inside(a: Tensor, c: Tensor, step_a: Tensor, step_c: Tensor) -> Tensor:
    """The largest part of a step, up to all of it, that keeps ``|c| <= MOST_BEND a``."""
    above = _room(MOST_BEND * a - c, MOST_BEND * step_a - step_c)
    below = _room(MOST_BEND * a + c, MOST_BEND * step_a + step_c)
    return torch.minimum(above, below).clamp(0.0, 1.0)


def _room(value: Tensor, change: Tensor) -> Tensor:
    """How much of a change keeps a value positive."""
    return torch.where(change < 0, value / change.clamp_max(-torch.finfo(value.dtype).tiny).neg(), torch.inf)
