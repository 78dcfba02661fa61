"""How the parts of a chain are gone through again by a backward pass that has kept no activations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.accuracy import Accuracy
from pushforward.kernels.replay import Image, Step
from pushforward.transforms.base import Transform
from pushforward.transforms.inverse import Inverse

Given = tuple[Tensor | None, torch.Generator | None]


@dataclass(frozen=True)
class Way:
    """A direction through a chain: what is called of a part, and the name of what goes through it again."""

    run: Callable[[Transform, Tensor, Tensor | None, torch.Generator | None], Image]
    again: str
    backwards: bool


FORWARD = Way(lambda part, x, *given: part(x, *given), "reconstruct", backwards=False)
ENCODE = Way(lambda part, x, *given: (part.encode(x, *given), None), "reconstruct", backwards=False)
INVERSE = Way(lambda part, z, *given: part.inverse(z, *given), "reconstruct_inverse", backwards=True)
DECODE = Way(lambda part, z, *given: (part.decode(z, *given), None), "reconstruct_inverse", backwards=True)

OPPOSITE = {"reconstruct": "reconstruct_inverse", "reconstruct_inverse": "reconstruct"}


def steps(parts: Iterable[Transform], way: Way) -> list[Step]:
    """The steps of a chain in the order in which they are taken."""
    found = list(leaves(parts))
    return [_step(part, way) for part in (reversed(found) if way.backwards else found)]


def leaves(parts: Iterable[Transform]) -> Iterator[Transform]:
    """The parts, and in place of those that are made of others in turn, these."""
    for part in parts:
        inner = [each for _, each in part.composition()]
        yield from leaves(inner) if inner else [part]


def given_to(part: Transform, context: Tensor | None, generator: torch.Generator | None) -> Given:
    """The context and the generator, where the part has a use for them."""
    return context if part.context is not None else None, generator if part.draws else None


def comes_back(part: Transform) -> bool:
    """Whether each end of a part is found again from the other to the last digits, in one go.

    An inverse that is iterative or takes the dimensions in turn would make a training several times slower, for the
    sake of little: what goes into a part is small beside what its network keeps.
    """
    mixes = part.training and any(getattr(module, "uses_batch", False) for module in part.modules())
    exact = part.tolerance is None and part.accuracy is Accuracy.EXACT and part.reads_back
    return exact and not part.draws and not part.sequential and not mixes


def _step(part: Transform, way: Way) -> Step:
    def run(x: Tensor, context: Tensor | None, generator: torch.Generator | None) -> Image:
        return way.run(part, x, *given_to(part, context, generator))

    def rebuild(z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        found: tuple[Tensor, Tensor, Tensor] = getattr(part, way.again)(z, given_to(part, context, None)[0])
        return found

    return Step(
        module=part,
        run=run,
        rebuild=rebuild if comes_back(part) else None,
        at_once=_goes_once(part, way.again),
        full_precision=not _has_network(part),
        by_itself=any(getattr(module, "recompute", False) for module in part.modules()),
    )


def _goes_once(part: Transform, again: str) -> bool:
    """Whether what goes through a part again runs it once, and so draws what the part drew."""
    while isinstance(part, Inverse):
        part, again = part.transform, OPPOSITE[again]
    return getattr(type(part), again) is not getattr(Transform, again)


def _has_network(part: Transform) -> bool:
    """Whether there are weights that are not the part's own, or those of a transform in it."""
    others = (module for module in part.modules() if not isinstance(module, Transform))
    return any(True for module in others for _ in module.parameters(recurse=False))
