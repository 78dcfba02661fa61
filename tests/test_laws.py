"""The law suite: every public part obeys every law that applies to it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest
import registry
import torch

import pushforward as pf
from pushforward import testing

SLOW = {
    "Composition/circles",
    "Continuous/circle",
    "Continuous/estimate",
    "Continuous/images",
    "Continuous/plane",
    "Continuous/sphere",
    "Continuous/torus",
    "Contractive/Neumann",
    "Contractive/images",
    "ConvexCombination/all kinds",
    "ConvexPotentialMap/context",
    "ExponentialMap/conformal",
    "Mint/images reversed",
    "MixtureCDF/gaussian",
    "PixelDistribution/pixels",
    "RecursiveSphere/three",
    "StudentCopula",
}
"""Parts whose laws take ten times as long as others', for a solver's steps or a root's. `Continuous` and an estimate of
it stay, so does another part of each class; the copula has closed forms in tests of its own."""


def cases(names: Iterable[str], slow: Collection[str] = SLOW) -> list[Any]:
    return [pytest.param(name, marks=pytest.mark.slow if name in slow else ()) for name in names]


def variants(names: Iterable[str]) -> set[str]:
    """All of the names but the first of each class."""
    first: dict[str, str] = {}
    return {name for name in names if first.setdefault(name.split("/")[0], name) != name}


@pytest.mark.parametrize("name", cases(registry.TRANSFORMS))
def test_transform_obeys_the_laws(name: str) -> None:
    case = registry.TRANSFORMS[name]
    testing.check_transform(case.make(), case.x, case.context, without={*case.without, "graph"})


# The compiler takes as long as all other laws together: one of each class here, the others in the slow part, while what
# they have inside of them, as scalar bijections and networks, is compiled by itself.
CAPTURED = [name for name, case in registry.TRANSFORMS.items() if "graph" not in case.without]


@pytest.mark.parametrize("name", cases(CAPTURED, SLOW | variants(CAPTURED)))
def test_transform_is_captured_as_a_whole(name: str) -> None:
    case = registry.TRANSFORMS[name]
    testing.check_graph(case.make(), case.x, case.context)


@pytest.mark.parametrize("name", cases(registry.SCALARS))
def test_scalar_obeys_the_laws(name: str) -> None:
    make, x = registry.SCALARS[name]
    testing.check_scalar(make(), x, without=registry.SCALARS_WITHOUT.get(name, ()))


@pytest.mark.parametrize("name", cases(registry.DISTRIBUTIONS))
def test_distribution_obeys_the_laws(name: str) -> None:
    make, context = registry.DISTRIBUTIONS[name]
    testing.check_distribution(make(), context)


@pytest.mark.parametrize("batch", [(), (3,), (2, 3), (0,)])
@pytest.mark.parametrize("name", registry.VECTOR_NETWORKS | registry.IMAGE_NETWORKS)
def test_network_starts_at_zero_and_takes_any_batch(name: str, batch: tuple[int, ...]) -> None:
    plane = () if name in registry.VECTOR_NETWORKS else (4, 6)
    network = registry.NETWORKS[name](4, 8, 2)
    x, context = torch.randn(*batch, 4, *plane), torch.randn(*batch, 2)
    outputs = network(x, context)
    assert outputs.shape == (*batch, 8, *plane)
    assert not outputs.any(), "a network's last layer starts at zero"
    assert network.double()(x.double(), context.double()).dtype == torch.float64
    for wrong in (None, context[..., :1]):
        with pytest.raises(pf.errors.ShapeError, match="context"):
            network(x, wrong)


@pytest.mark.parametrize(
    "module, listed",
    [
        (pf.scalar, registry.SCALARS),
        (pf.transforms, registry.TRANSFORMS),
        (pf.distributions, registry.DISTRIBUTIONS),
        (pf.networks, registry.NETWORKS),
    ],
    ids=["scalar", "transforms", "distributions", "networks"],
)
def test_every_public_part_is_registered(module: object, listed: dict[str, object]) -> None:
    covered = {name.split("/")[0] for name in listed} | registry.ABSTRACT | registry.HELPERS
    assert set(module.__all__) - covered == set()  # type: ignore[attr-defined]
