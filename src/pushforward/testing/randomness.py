"""The laws of randomness: what draws, from where, and whether a log-determinant is what it is called."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pushforward.accuracy import Accuracy, Draws
from pushforward.distributions.base import Distribution
from pushforward.testing.compare import assert_equal
from pushforward.testing.parameters import at_parameters, law, seeded, told
from pushforward.transforms.base import Transform

SAME = "says that it draws and gave the same with generators of other seeds"
Drawn = Callable[[torch.Generator | None], tuple[Tensor, ...]]


@told
def check_draws(part: Transform | Distribution, x: Tensor, context: Tensor | None = None) -> None:
    """What says that it never draws gives equal results twice; what draws gives the same numbers with the same seed and
    others with another, follows the global seed without a generator, and leaves it alone with one. An estimate may be
    certain where there is nothing to estimate, as of a residual that starts at zero, but not at all parameters.

    Raises:
        AssertionError: if not, with what was seen.

    Example:
        >>> import pushforward as pf
        >>> check_draws(pf.transforms.Planar(2), torch.randn(4, 2))
    """
    certain: dict[str, bool] = {}
    for place, variant in at_parameters(part):
        for name, run, draws, varies in _directions(variant, x, context):
            what = f"{place}: {name}"
            if not draws:
                _assert_never_draws(run, what)
                continue
            same = _draws_alike(run, what)
            assert not (same and varies) or variant.accuracy is Accuracy.ESTIMATE, f"{what} {SAME}"
            certain[name] = certain.get(name, varies) and same
    for name, always in certain.items():
        assert not always, f"{name} {SAME}"


@law
def check_accuracy(part: Transform | Distribution, x: Tensor, context: Tensor | None = None) -> None:
    """What is called exact comes out the same, whatever is drawn on the way: values and log-determinants that a flow
    adds up to one log-density.

    Raises:
        AssertionError: if not, with what was seen.

    Example:
        >>> import pushforward as pf
        >>> check_accuracy(pf.transforms.Planar(2), torch.randn(4, 2))
    """
    if part.accuracy is not Accuracy.EXACT:
        return
    _, run, *_ = _directions(part, x, context)[0]
    for generators in ((seeded(1), seeded(2)), (None, None)):
        first, second = (run(generator) for generator in generators)
        _assert_equal(second, first, "it is called exact and gave two results")


def _assert_never_draws(run: Drawn, what: str) -> None:
    state = torch.get_rng_state()
    _assert_equal(run(seeded(1)), run(seeded(2)), f"{what} says that it never draws and gave two results")
    _assert_equal(run(None), run(None), f"{what} says that it never draws and gave two results")
    assert torch.equal(torch.get_rng_state(), state), f"{what} says that it never draws and moved the global seed"


def _draws_alike(run: Drawn, what: str) -> bool:
    """Whether generators of different seeds gave the same; those of the same seed must, and the global seed."""
    state = torch.get_rng_state()
    first = run(seeded(1))
    _assert_equal(run(seeded(1)), first, f"{what} with generators of the same seed")
    assert torch.equal(torch.get_rng_state(), state), f"{what} was given a generator and drew from the global one"
    found = []
    for _ in range(2):
        torch.manual_seed(11)
        found.append(run(None))
    _assert_equal(found[1], found[0], f"{what} with the same global seed")
    others = [run(seeded(seed)) for seed in (2, 3, 4)]
    return all(torch.equal(a, b) for other in others for a, b in zip(first, other, strict=True))


def _directions(
    part: Transform | Distribution, x: Tensor, context: Tensor | None
) -> list[tuple[str, Drawn, bool, bool]]:
    """Each computation by name, whether it may draw, and whether what it gives must vary then."""
    if isinstance(part, Distribution):
        inexact = part.accuracy is not Accuracy.EXACT
        return [
            ("log_prob", lambda generator: (part.log_prob(x, context, generator),), inexact, inexact),
            ("sample", lambda generator: (part.sample(8, context, generator=generator),), True, True),
        ]
    z = part(x, context, seeded())[0].detach()
    forward, inverse = bool(part.draws & Draws.FORWARD), bool(part.draws & Draws.INVERSE)
    return [
        ("forward", lambda generator: part(x, context, generator), forward, forward),
        ("inverse", lambda generator: part.inverse(z, context, generator), inverse, inverse),
        # Where the log-determinant alone is drawn, the values are not.
        ("encode", lambda generator: (part.encode(x, context, generator),), forward, False),
        ("decode", lambda generator: (part.decode(z, context, generator),), inverse, False),
    ]


def _assert_equal(found: tuple[Tensor, ...], expected: tuple[Tensor, ...], what: str) -> None:
    for value, right, name in zip(found, expected, ("values", "log_det"), strict=False):
        assert_equal(value, right, f"{what} ({name})")
