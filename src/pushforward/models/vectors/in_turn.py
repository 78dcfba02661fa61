"""Flows whose parts the data place, one after the other, without gradients."""

from __future__ import annotations

from collections.abc import Callable

from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.models.contexts import conditioning
from pushforward.models.registry import model
from pushforward.models.vectors.standardised import vector_flow
from pushforward.transforms import (
    Chain,
    PlacedHinge,
    PlacedRadial,
    PlacedSpline,
    PrincipalAxes,
    RandomRotation,
    Transform,
)

ELEMENTARY: dict[str, Callable[[int, int], Transform]] = {
    "hinge": lambda features, candidates: Chain([RandomRotation(features), PlacedHinge(features, candidates)]),
    "radial": PlacedRadial,
}
"""Elementary maps by name."""

ROTATIONS: dict[str, Callable[[int], Transform]] = {"random": RandomRotation, "principal": PrincipalAxes}
"""Rotations by name."""


@model("tabak-turner")
def tabak_turner(features: int = 2, layers: int = 300, maps: str = "hinge", candidates: int = 16) -> Flow:
    """Flow of elementary maps that the data place: ascent of the likelihood one step after the other, no gradients.

    ``fit`` places map after map where it raises the likelihood most, and stops when held-out data no longer become more
    likely; the maps that are left stay the identity.

    Args:
        features: the number ``D`` of dimensions; events are ``(D,)``.
        layers: how many maps at most.
        maps: ``"hinge"``, a random rotation and a line with a smooth bend for each coordinate, or ``"radial"``, an
            expansion or contraction about a point.
        candidates: how many places are tried for each map.

    Raises:
        UsageError: if an option does not fit.

    Source: Tabak, Turner (2013), Communications on Pure and Applied Mathematics 66, 145-164; Tabak, Vanden-Eijnden
    (2010), Communications in Mathematical Sciences 8, 217-233.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.tabak_turner(features=1, layers=20)
        >>> result = pf.fit(flow, torch.rand(1000, 1), torch.rand(200, 1), seed=0, progress=False)
        >>> bool(result.best_validation < 0.2)
        True
    """
    parts = [_named("maps", ELEMENTARY, maps)(features, candidates) for _ in range(layers)]
    return vector_flow(features, parts, conditioning(0, None))


@model("rbig")
def rbig(features: int = 2, layers: int = 50, knots: int = 24, rotation: str = "random") -> Flow:
    """Rotation-based iterative Gaussianization: each dimension onto a normal, then a rotation, in turn.

    Nothing is learned by gradients: ``fit`` sets pair after pair from what those before it leave of the data, and stops
    when held-out data no longer become more likely.

    Args:
        features: the number ``D`` of dimensions; events are ``(D,)``.
        layers: how many times at most the dimensions are made normal, with a rotation before each time but the first.
        knots: at how many quantiles of the data the distribution of a dimension is taken up.
        rotation: ``"random"``, or ``"principal"`` for the principal axes.

    Raises:
        UsageError: if an option does not fit.

    Source: Laparra, Camps-Valls, Malo (2011), IEEE Transactions on Neural Networks 22, arXiv:1602.00229.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.rbig(features=2, layers=5)
        >>> x = torch.rand(2000, 2)
        >>> pf.fit(flow, x, progress=False).steps
        6
    """
    turned = _named("rotation", ROTATIONS, rotation)
    turns = [Chain([turned(features), PlacedSpline(features, knots)]) for _ in range(layers - 1)]
    return vector_flow(features, [PlacedSpline(features, knots), *turns], conditioning(0, None))


def _named(option: str, known: dict[str, Callable[..., Transform]], name: str) -> Callable[..., Transform]:
    if name not in known:
        raise UsageError(f"{option} expects one of {', '.join(known)}, got {name!r}")
    return known[name]
