"""Known distributions on any space: where the laws take points from, and what a flow of a part ends in."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pushforward.distributions.base import Distribution
from pushforward.numerics import sum_event, uniform_noise
from pushforward.spaces import Circle, Integers, Interval, OneHot, Product, Reals, Space, Sphere


class Reference(Distribution):
    """A simple distribution on any space: normal on the reals, uniform where the space is bounded, exponential on half
    lines, discretized logistic on the integers.

    Args:
        support: the space; reals where it is one that takes anything.

    Raises:
        AttributeError: if the support is no space.
        ShapeError: by ``log_prob``, for events of another shape than the space's.

    Example:
        >>> Reference(Interval(0.0, 2.0, (1,))).log_prob(torch.tensor([1.0])).exp().item()
        0.5
    """

    reparametrised = False

    def __init__(self, support: Space) -> None:
        super().__init__()
        known = isinstance(support, Interval | Circle | Sphere | Integers | OneHot | Product)
        self.support = support if known else Reals(support.shape)
        # What follows .double(), since there are no parameters.
        self.register_buffer("like", torch.zeros(()), persistent=False)

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        return _log_prob(self.support, x.to(self.like))  # type: ignore[arg-type]

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        return _draw(self.support, batch, self.like, generator)  # type: ignore[arg-type]


def points_of(space: Space, count: int, seed: int = 5) -> Tensor:
    """Return points of a space ``(count, ...)`` in float64, spread wider than most data are.

    Example:
        >>> points_of(Integers(0, 3, (2,)), 5).shape
        torch.Size([5, 2])
    """
    points = _draw(
        space, torch.Size([count]), torch.zeros((), dtype=torch.float64), torch.Generator().manual_seed(seed)
    )
    return points


def outside_of(space: Space, x: Tensor) -> dict[str, Tensor]:
    """Return events that are outside of a space, made of events ``x`` inside, by what is wrong with them."""
    first: tuple[Any, ...] = (..., *[0] * len(space.shape))

    def moved(value: float) -> Tensor:
        events = x.clone()
        events[first] = value
        return events

    if isinstance(space, Integers):
        found = {"a fraction": moved((space.low or 0) + 0.5)} if x.is_floating_point() else {}
        found |= {} if space.low is None else {"a number below": moved(space.low - 1)}
        return found | ({} if space.high is None else {"a number above": moved(space.high + 1)})
    if isinstance(space, Interval | Circle):
        width = space.high - space.low if math.isfinite(space.high - space.low) else 1.0
        found = {"a number below": moved(space.low - 0.1 * width)} if math.isfinite(space.low) else {}
        return found | ({"a number above": moved(space.high + 0.1 * width)} if math.isfinite(space.high) else {})
    if isinstance(space, OneHot):
        return {"no category": torch.zeros_like(x), "all categories": torch.ones_like(x)}
    if isinstance(space, Sphere):
        return {"a vector of length 2": 2 * x}
    if isinstance(space, Product):
        sizes = [part.shape[0] for part in space.spaces]
        pieces = x.split(sizes, -1)
        return {
            f"{what} in part {index}": torch.cat([*pieces[:index], wrong, *pieces[index + 1 :]], -1)
            for index, part in enumerate(space.spaces)
            for what, wrong in outside_of(part, pieces[index]).items()
        }
    return {}


def _draw(space: Space, batch: torch.Size, like: Tensor, generator: torch.Generator | None) -> Tensor:
    shape = torch.Size([*batch, *space.shape])
    if isinstance(space, Product):
        return torch.cat([_draw(part, batch, like, generator) for part in space.spaces], -1)
    if isinstance(space, OneHot):
        classes = torch.randint(space.classes, shape[:-1], generator=generator)
        return F.one_hot(classes, space.classes).to(like)
    if isinstance(space, Integers) and space.count is not None and space.low is not None:
        return torch.randint(space.low, space.low + space.count, shape, generator=generator).to(like)
    noise = uniform_noise(like, shape, generator)
    if isinstance(space, Integers):
        return _within(space, torch.round(5 * torch.logit(noise)))
    if isinstance(space, Interval | Circle):
        if math.isfinite(space.high - space.low):
            return space.low + (space.high - space.low) * noise
        return space.low - torch.log(noise) if math.isfinite(space.low) else space.high + torch.log(noise)
    normal = torch.randn(shape, dtype=like.dtype, generator=generator)
    return F.normalize(normal, dim=-1) if isinstance(space, Sphere) else 2 * normal


def _within(space: Integers, x: Tensor) -> Tensor:
    """Fold integers at the one bound that there is."""
    if space.low is not None:
        return space.low + (x - space.low).abs()
    return x if space.high is None else space.high - (space.high - x).abs()


def _log_mass(space: Integers, x: Tensor) -> Tensor:
    bound = space.low if space.low is not None else space.high
    distance = (x - (bound or 0)).abs()
    mass = torch.sigmoid((0.5 - distance) / 5) - torch.sigmoid((-0.5 - distance) / 5)
    return torch.log(mass if bound is None else torch.where(distance > 0, 2 * mass, mass))


def _log_prob(space: Space, x: Tensor) -> Tensor:
    dims = len(space.shape)
    batch = x.shape[: x.dim() - dims]
    if isinstance(space, Product):
        pieces = x.split([part.shape[0] for part in space.spaces], -1)
        return torch.stack([_log_prob(part, piece) for part, piece in zip(space.spaces, pieces, strict=True)]).sum(0)
    if isinstance(space, OneHot):
        return x.new_full(batch, -space.variables * math.log(space.classes))
    if isinstance(space, Integers):
        if space.count is not None:
            return x.new_full(batch, -space.shape.numel() * math.log(space.count))
        return sum_event(_log_mass(space, x), dims)
    if isinstance(space, Interval | Circle):
        if math.isfinite(space.high - space.low):
            return x.new_full(batch, -space.shape.numel() * math.log(space.high - space.low))
        return sum_event(space.low - x if math.isfinite(space.low) else x - space.high, dims)
    if isinstance(space, Sphere):
        half = 0.5 * (space.n + 1)
        return x.new_full(batch, math.lgamma(half) - math.log(2.0) - half * math.log(math.pi))
    return sum_event(-0.125 * x.square() - math.log(2 * math.sqrt(2 * math.pi)), dims)
