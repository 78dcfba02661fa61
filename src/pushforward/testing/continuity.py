"""The law of continuity: what is one point has one density, from whichever side it is reached."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from pushforward.accuracy import Accuracy
from pushforward.distributions.base import Distribution
from pushforward.spaces import Circle, Product, Space, Sphere
from pushforward.testing.compare import FLOATS, assert_close
from pushforward.testing.keeping import as_distribution
from pushforward.testing.parameters import cast, law, seeded
from pushforward.transforms.base import Transform

APART = 1e-7
"""How far points lie from a seam or a pole, on its two sides."""

JUMP = 1e-3
"""How far log-densities beside each other may be apart."""


@law
def check_continuity(part: Transform | Distribution, x: Tensor, context: Tensor | None = None) -> None:
    """The log-density is finite and has no jump above 1e-3 across any seam of a circle or a torus, any end of an axis
    or any plane of coordinates of a sphere, where a map's own poles and seams are; for a transform that of a flow with
    a uniform base.

    Raises:
        AssertionError: if not, with what was seen.

    Example:
        >>> import pushforward as pf
        >>> check_continuity(pf.distributions.VonMises((1,), 1.0, 3.0), torch.rand(4, 1))
    """
    distribution = as_distribution(part, x, context)
    if part.accuracy is not Accuracy.EXACT or distribution.support.discrete:
        return
    for dtype in FLOATS:
        scorer, events, given = cast(distribution, x.to(torch.float64), None if context is None else context[0], dtype)
        for what, one, other in _pairs(scorer.support, events.double()):
            values = [scorer.log_prob(each.to(dtype), given) for each in (one, other)]
            assert_close(values[0], values[1], JUMP, f"log_prob at both sides of {what} in {dtype}")


def _pairs(space: Space, x: Tensor) -> list[tuple[str, Tensor, Tensor]]:
    """Events beside each other, with what they are the two sides of."""
    if isinstance(space, Sphere):
        return _around_poles(space) + _across_planes(x)
    if isinstance(space, Circle) and len(space.shape) == 1:
        return [
            (f"the seam of element {i}", _with(x, i, space.low), _with(x, i, space.high)) for i in range(x.shape[-1])
        ]
    if isinstance(space, Product):
        pieces = x.split([each.shape[0] for each in space.spaces], -1)
        return [
            (
                what,
                torch.cat([*pieces[:index], one, *pieces[index + 1 :]], -1),
                torch.cat([*pieces[:index], other, *pieces[index + 1 :]], -1),
            )
            for index, each in enumerate(space.spaces)
            for what, one, other in _pairs(each, pieces[index])
            if len(one) == len(x)
        ]
    return []


def _around_poles(space: Sphere) -> list[tuple[str, Tensor, Tensor]]:
    axes = torch.eye(space.n + 1, dtype=torch.float64)
    poles = torch.cat([axes, -axes])
    aside = APART * torch.randn(poles.shape, dtype=torch.float64, generator=seeded())
    near = [F.normalize(poles + sign * aside, dim=-1) for sign in (1, -1)]
    return [("a pole", near[0], near[1]), ("a pole and at it", near[0], poles)]


def _across_planes(x: Tensor) -> list[tuple[str, Tensor, Tensor]]:
    found = []
    for i in range(x.shape[-1]):
        one, other = (F.normalize(_with(x, i, sign * APART), dim=-1) for sign in (1, -1))
        found.append((f"the plane in which coordinate {i} is 0", one, other))
    return found


def _with(x: Tensor, index: int, value: float) -> Tensor:
    moved = x.clone()
    moved[..., index] = value
    return moved
