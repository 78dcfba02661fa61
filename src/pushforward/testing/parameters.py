"""Where laws are checked: at a part's initial parameters, where many parts are the identity, and at random ones."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from pushforward.distributions.base import Distribution
from pushforward.spaces import Sphere
from pushforward.transforms.base import Transform

SCALES = (0.3, 0.5, 0.8)
"""How far each of the random draws lies from the initial parameters."""

Law = Callable[..., None]
Module = TypeVar("Module", bound=nn.Module)


def randomise(module: Module, scale: float = 0.5, generator: torch.Generator | None = None) -> Module:
    """Move all parameters off their start, so that layers that begin at zero take part in a check.

    Raises:
        AttributeError: if this is no module.

    Example:
        >>> bool(randomise(nn.Linear(2, 2, bias=False)).weight.any())
        True
    """
    with torch.no_grad():
        for parameter in module.parameters():
            fan_in = parameter.shape[1:].numel() if parameter.dim() > 1 else 1
            noise = torch.randn(parameter.shape, dtype=parameter.dtype, generator=generator).to(parameter.device)
            parameter.add_(noise * max(fan_in, 1) ** -0.5 * scale)
    return module


def at_random(part: Module, seed: int = 1, scale: float = SCALES[1]) -> Module:
    """Return a copy in evaluation mode at random parameters."""
    return randomise(copy.deepcopy(part).eval(), scale, torch.Generator().manual_seed(seed))


def at_parameters(part: Module) -> Iterator[tuple[str, Module]]:
    """Yield copies in evaluation mode: at the initial parameters, and at a random draw of each scale."""
    yield "at its initial parameters", copy.deepcopy(part).eval()
    if any(parameter.numel() for parameter in part.parameters()):
        for seed, scale in enumerate(SCALES):
            yield f"at random parameters (seed {seed}, scale {scale:g})", at_random(part, seed, scale)


def told(check: Law) -> Law:
    """Let a law say in one sentence of which part it is broken, whatever the part raised, and draw nothing from the
    global seed."""

    @functools.wraps(check)
    def checked(part: Any, *arguments: Any, **options: Any) -> None:
        with torch.random.fork_rng():
            try:
                check(part, *arguments, **options)
            except AssertionError as broken:
                raise AssertionError(f"{check.__name__}: {type(part).__name__}, {broken}") from broken
            except Exception as error:
                raise AssertionError(
                    f"{check.__name__}: {type(part).__name__} ended in {type(error).__name__}: {error}"
                ) from error

    return checked


def law(check: Law) -> Law:
    """Let a law hold at several parameters: at the initial ones, where much is the identity, and at random ones."""

    @functools.wraps(check)
    def everywhere(part: Any, *arguments: Any, **options: Any) -> None:
        for place, variant in at_parameters(part):
            try:
                check(variant, *arguments, **options)
            except AssertionError as broken:
                raise AssertionError(f"{place}: {broken}") from broken

    return told(everywhere)


def cast(part: Module, x: Tensor, context: Tensor | None, dtype: torch.dtype) -> tuple[Module, Tensor, Tensor | None]:
    """Return a copy of a part, events and contexts in a floating-point type; integers stay integers."""
    events = x.to(dtype) if x.is_floating_point() else x
    space = part.domain if isinstance(part, Transform) else getattr(part, "support", None)
    if isinstance(space, Sphere):
        # A vector of length 1 in single precision is none in double precision.
        events = space.nearest(events)
    return copy.deepcopy(part).to(dtype), events, None if context is None else context.to(dtype)


def seeded(seed: int = 0) -> torch.Generator:
    """Return a generator of its own."""
    return torch.Generator().manual_seed(seed)


def outputs(part: Transform | Distribution, x: Tensor, context: Tensor | None = None) -> dict[str, Tensor]:
    """Return all that a part makes of events, with generators of fixed seeds."""
    if isinstance(part, Distribution):
        samples = part.sample((), context, generator=seeded(1))
        return {"log_prob": part.log_prob(x, context, seeded()), "sample": samples}
    z, log_det = part(x, context, seeded())
    back, inverse_log_det = part.inverse(z.detach(), context, seeded(1))
    return {"forward": z, "log_det": log_det, "inverse": back, "the inverse's log_det": inverse_log_det}
