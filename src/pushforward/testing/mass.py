"""The laws of mass: densities integrate to one, bounds stay below, samples follow what log_prob says."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pushforward.accuracy import Accuracy
from pushforward.distributions.base import Distribution
from pushforward.spaces import Reals, Sphere
from pushforward.testing.grids import all_points, axes_of
from pushforward.testing.keeping import as_distribution
from pushforward.testing.parameters import law, seeded
from pushforward.testing.spheres import COUNTS, sphere_masses
from pushforward.transforms.base import Transform

SAMPLES = 2000
DRAWS = 200
"""How often each event's bound is drawn."""
MOST_WEIGHTS = 2_000_000
POINTS_OF_BOUND = 20_000
"""How many points the bound of a density is integrated over."""
REFINEMENTS = {1: (1, 4, 16), 2: (1, 2, 4, 8)}
"""By the number of dimensions, how much finer a grid is made before a density is said not to integrate to 1."""
KOLMOGOROV = 2.2
"""How far, in units of 1 / sqrt(samples), an empirical distribution may be off: one in ten thousand is farther."""


def check_normalised(
    log_prob: Callable[[Tensor], Tensor], low: float, high: float, dims: int, points: int = 400
) -> None:
    """A density over a box of one or two dimensions integrates to 1 within 1e-3, by the midpoint rule.

    Raises:
        AssertionError: if not, with what was seen.

    Example:
        >>> import pushforward as pf
        >>> check_normalised(pf.distributions.StandardNormal((1,)).double().log_prob, -8.0, 8.0, dims=1)
    """
    step = (high - low) / points
    axis = low + step * (torch.arange(points, dtype=torch.float64) + 0.5)
    grid = torch.cartesian_prod(*[axis] * dims).reshape(-1, dims)
    with torch.no_grad():
        total = torch.exp(torch.logsumexp(log_prob(grid).double(), 0)) * step**dims
    assert abs(float(total) - 1) < 1e-3, f"the density integrates to {float(total):.6f} over [{low}, {high}]^{dims}"


@law
def check_mass(part: Transform | Distribution, x: Tensor, context: Tensor | None = None) -> None:
    """The density integrates to 1 within 1e-3, for continuous events of one or two dimensions and on spheres of up to
    three, by quadrature, and for discrete ones of a small space by summing over all points; for a transform that of a
    flow with a simple base.

    Raises:
        AssertionError: if not, with what was seen.

    Example:
        >>> import pushforward as pf
        >>> check_mass(pf.distributions.StandardNormal((1,)), torch.randn(4, 1))
    """
    space = as_distribution(part, x, context).support
    if isinstance(space, Sphere) and part.accuracy is Accuracy.EXACT:
        return _check_mass_on_sphere(part, x, context)
    if part.accuracy is not Accuracy.EXACT or not (space.discrete or space.shape in ((1,), (2,))):
        return
    distribution, given, samples = _distribution_and_samples(part, x, context)
    total = 1.0
    for refinement in REFINEMENTS.get(len(samples[0]), (1,)):
        masses = _masses(distribution, given, samples, refinement)
        if masses is None:
            return
        total = masses[0].sum().item()
        if abs(total - 1) < 1e-3:
            return
    raise AssertionError(f"the density integrates to {total:.6f}, expected 1")


def _check_mass_on_sphere(part: Transform | Distribution, x: Tensor, context: Tensor | None) -> None:
    distribution, given, _ = _distribution_and_samples(part, x, context)
    total = 1.0
    for count in COUNTS.get(distribution.support.dimensions, ()):
        total = sphere_masses(distribution, given, count)[1].sum().item()
        if abs(total - 1) < 1e-3:
            return
    assert abs(total - 1) < 1e-3, f"the density integrates to {total:.6f} over the sphere, expected 1"


@law
def check_bound(part: Transform | Distribution, x: Tensor, context: Tensor | None = None) -> None:
    """A lower bound is one: the weights ``exp(bound)`` are an unbiased estimate of the likelihood, so that summed over
    all points of a small discrete space, or integrated over one or two real dimensions, they are 1 in the mean, within
    the standard error. Where both directions draw on the reals, weights along the paths of samples are right too:
    ``E f(x) / q`` of a density ``f`` is 1, with the ``log q`` that is drawn with ``x``.

    Raises:
        AssertionError: if not, with what was seen.

    Example:
        >>> import pushforward as pf
        >>> check_bound(pf.transforms.Dequantization(3, event_dims=1), torch.randint(3, (8, 1)))
    """
    if part.accuracy is not Accuracy.LOWER_BOUND:
        return
    space = as_distribution(part, x, context).support
    if space.discrete:
        _check_bound_of_masses(part, x, context)
    elif isinstance(space, Reals) and space.shape in ((1,), (2,)):
        _check_bound_of_densities(part, x, context)


def _check_bound_of_masses(part: Transform | Distribution, x: Tensor, context: Tensor | None) -> None:
    distribution, given, samples = _distribution_and_samples(part, x, context)
    points = all_points(distribution.support, samples)
    if points is None or DRAWS * len(points) > MOST_WEIGHTS:
        return
    with torch.no_grad():
        many = points.expand(DRAWS, *points.shape)
        weights = distribution.log_prob(many, given, seeded()).exp()
    effective = (weights.sum(0).square() / weights.square().sum(0).clamp_min(1e-300)).min().item()
    _assert_one(weights.sum(1), effective > 0.2 * DRAWS, f"the bound's weights, summed over all {len(points)} points,")


def _check_bound_of_densities(part: Transform | Distribution, x: Tensor, context: Tensor | None) -> None:
    distribution, given, samples = _distribution_and_samples(part, x, context)
    center, spread = samples.median(0).values, samples.std(0)
    # Tails that are wider than the density's where points are drawn, and narrower where they are what is weighed.
    wide, narrow = torch.distributions.StudentT(3.0, center, spread), torch.distributions.Normal(center, 0.5 * spread)
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(5)
        points = wide.sample((POINTS_OF_BOUND,))
        bounds = distribution.log_prob(points, given, seeded()) - wide.log_prob(points).sum(-1)
        taken = distribution.take_context(given)
        many = None if taken is None else taken.expand(POINTS_OF_BOUND, *taken.shape)
        drawn, log_q = distribution.draw_and_score(torch.Size((POINTS_OF_BOUND,)), many, seeded(1))
        paths = narrow.log_prob(drawn).sum(-1) - log_q
    for weights, what in ((bounds.exp(), "the bound's weights"), (paths.exp(), "the weights of paths")):
        effective = weights.sum().square() / weights.square().sum().clamp_min(1e-300)
        _assert_one(weights, bool(effective > 0.2 * POINTS_OF_BOUND), what)


def _assert_one(weights: Tensor, well_covered: bool, what: str) -> None:
    """The mean of weights is 1 within five standard errors; where few are heavy, not above it."""
    mean, error = weights.mean().item(), weights.std().item() / len(weights) ** 0.5
    # Few heavy weights are missed more often than not: then the mean is short, and its error unknown.
    short = 1 - mean if well_covered else 0.0
    assert max(mean - 1, short) < 5 * error + 1e-6, f"{what} are {mean:.5f} +- {error:.5f} in the mean, expected 1"


@law
def check_samples_follow(distribution: Distribution, x: Tensor, context: Tensor | None = None) -> None:
    """Samples come as often as ``log_prob`` says, in one and two dimensions, on small spheres and in small discrete
    spaces.

    Raises:
        AssertionError: if not, with what was seen.

    Example:
        >>> import pushforward as pf
        >>> check_samples_follow(pf.distributions.StandardNormal((1,)), torch.randn(4, 1))
    """
    distribution, given, samples = _distribution_and_samples(distribution, x, context)
    if distribution.accuracy is not Accuracy.EXACT:
        return
    if isinstance(distribution.support, Sphere):
        return _check_samples_on_sphere(distribution, given, samples)
    masses = _masses(distribution, given, samples)
    if masses is None:
        return
    mass, axes = masses
    if axes is None:
        points = all_points(distribution.support, samples)
        assert points is not None
        _, index = torch.unique(torch.cat([points, samples]), dim=0, return_inverse=True)
        counts = torch.bincount(index[len(points) :], minlength=len(points))[index[: len(points)]]
        error = (counts / len(samples) - mass).abs() / (mass / len(samples)).sqrt().clamp_min(1 / len(samples))
        assert bool((error < 6).all()), (
            f"the sample {points[error.argmax()].flatten().tolist()} came {int(counts[error.argmax()])} times in "
            f"{len(samples)}, expected {mass[error.argmax()] * len(samples):.1f}"
        )
        return
    for index, axis in enumerate(axes):
        marginal = mass.sum(tuple(i for i in range(mass.dim()) if i != index)) if mass.dim() > 1 else mass
        _assert_follows(samples[:, index], axis, marginal, index)


def _check_samples_on_sphere(distribution: Distribution, context: Tensor | None, samples: Tensor) -> None:
    counts = COUNTS.get(distribution.support.dimensions)
    if counts is None:
        return
    points, mass = sphere_masses(distribution, context, counts[2])
    for index in range(points.shape[-1]):
        # To the digits that points of one height have in common.
        heights, place = torch.unique(points[:, index].round(decimals=9), return_inverse=True)
        _assert_follows(samples[:, index], heights, torch.zeros_like(heights).index_add(0, place, mass), index)


def _assert_follows(samples: Tensor, axis: Tensor, mass: Tensor, index: int) -> None:
    """Samples of one element are distributed as the masses around the points of its axis say."""
    below = torch.searchsorted(samples.contiguous().sort().values, axis) / len(samples)
    distance = (below - (mass.cumsum(0) - 0.5 * mass)).abs().max().item()
    assert distance < KOLMOGOROV / len(samples) ** 0.5 + 1e-3, (
        f"element {index} of {len(samples)} samples is {distance:.3f} off the distribution that log_prob has"
    )


def _distribution_and_samples(
    part: Transform | Distribution, x: Tensor, context: Tensor | None
) -> tuple[Distribution, Tensor | None, Tensor]:
    """A distribution in float64, one context, and samples at it."""
    distribution = as_distribution(part, x, context).double().eval()
    given = None if context is None else context[0].double()
    return distribution, given, distribution.sample(SAMPLES, given, generator=seeded()).double()


def _masses(
    distribution: Distribution, context: Tensor | None, samples: Tensor, refinement: int = 1
) -> tuple[Tensor, list[Tensor] | None] | None:
    """The masses of all points or of a grid's cells, with the grid's axes; None where neither can be had."""
    with torch.no_grad():
        points = all_points(distribution.support, samples)
        if points is not None:
            return distribution.log_prob(points, context).exp(), None
        axes = axes_of(distribution.support, samples, refinement)
        if axes is None:
            return None
        grid = torch.cartesian_prod(*[points for points, _ in axes]).reshape(-1, len(axes))
        widths = torch.cartesian_prod(*[width for _, width in axes]).reshape(-1, len(axes)).log().sum(-1)
        masses = (distribution.log_prob(grid, context) + widths).exp()
        return masses.reshape([len(points) for points, _ in axes]), [points for points, _ in axes]
