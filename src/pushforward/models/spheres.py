"""Flows on spheres, with respect to the surface measure: by recursion, along gradients, and continuous."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from torch import nn

from pushforward.distributions import Antipodal, UniformSphere
from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.models.contexts import conditioning
from pushforward.models.registry import model
from pushforward.models.vectors.standardised import widths
from pushforward.networks import MLP, ResidualVelocity, WaveVelocity
from pushforward.networks.context import Context
from pushforward.spaces import Sphere
from pushforward.transforms import (
    ConformalField,
    Continuous,
    DormandPrince,
    EvenField,
    ExponentialField,
    ExponentialMap,
    GeographicCoordinates,
    RecursiveSphere,
    Rotation,
    ScalarField,
    Transform,
)

COORDINATES: dict[str, list[Callable[[], Transform]]] = {
    "vectors": [],
    "degrees": [GeographicCoordinates],
    "degrees-east": [partial(GeographicCoordinates, 0.0)],
}
"""What is put in front of a flow of unit vectors, by the coordinates of its events."""

FIELDS: dict[str, type[ScalarField]] = {"exponential": ExponentialField, "conformal": ConformalField}


@model("sphere-recursive", features=2)
def sphere_recursive(
    features: int | None = None,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 2,
    hidden: int | Sequence[int] = (64, 64),
    bins: int = 16,
    antipodal: bool = False,
    coordinates: str = "vectors",
) -> Flow:
    """Flow on a sphere by recursion: heights change by splines, then the angles on their circles of latitude.

    Events are vectors of length 1, the base is uniform. Between the layers lie learned rotations, so that each has its
    poles at another place.

    Args:
        features: the numbers of a vector: 3, the default, on the sphere of ordinary space, 4 for unit quaternions; 2
            of a place in degrees.
        context: the context: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        layers: how many recursive maps.
        hidden: widths of the networks' hidden layers; one number stands for two layers.
        bins: the pieces of each spline.
        antipodal: whether a vector and its negative are one, as of axes and of rotations as unit quaternions: the
            density is then the mean of the flow's at both.
        coordinates: what events are: ``"vectors"`` of length 1, or ``"degrees"``, latitudes from -90 to 90 and
            longitudes from -180 to 180, whose density is then per square degree of latitude by longitude (take
            :meth:`pushforward.transforms.GeographicCoordinates.log_area` from it to have it per steradian).
            ``"degrees-east"`` are the same with longitudes from 0 to 360.

    Raises:
        UsageError: if an option does not fit.

    Source: Rezende, Papamakarios, Racaniere, Albergo, Kanwar, Shanahan, Cranmer (2020), arXiv:2002.02428.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.sphere_recursive(features=3, layers=1)
        >>> flow.log_prob(torch.eye(3)).shape
        torch.Size([3])
        >>> flow = pf.models.sphere_recursive(coordinates="degrees")
        >>> flow.log_prob(torch.tensor([51.5, -0.1])).shape
        torch.Size([])
    """
    given, network = conditioning(context, embedding), partial(MLP, hidden=widths(hidden))
    front, n = _sphere_of("sphere-recursive", features, coordinates)
    first, *rest = [
        part
        for _ in range(layers)
        for part in (Rotation(n, network, given.taken), RecursiveSphere(n, None, bins, network, given.taken))
    ]
    if antipodal:
        return given.flow([*front, first], Antipodal(Flow(rest, UniformSphere(n))))
    return given.flow([*front, first, *rest], UniformSphere(n))


@model("sphere-exponential", features=2)
def sphere_exponential(
    features: int | None = None,
    context: Context = 0,
    embedding: nn.Module | None = None,
    layers: int = 8,
    hidden: int | Sequence[int] = (64, 64),
    centers: int = 16,
    field: str = "exponential",
    antipodal: bool = False,
    coordinates: str = "vectors",
) -> Flow:
    """Flow on a sphere along gradients: all points follow great circles to or from learned centers.

    Events are vectors of length 1, the base is uniform. No point of the sphere is special to it: rotated data have a
    rotated density, up to where the training starts. The log-density is a closed form, samples are found by Newton's
    method.

    Args:
        features: the numbers of a vector: 3, the default, on the sphere of ordinary space, 4 for unit quaternions; 2
            of a place in degrees.
        context: the context: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        layers: how many maps.
        hidden: widths of the networks that make the maps of a context; one number stands for two layers.
        centers: of each map.
        field: ``"exponential"``, whose centers draw what is near, or ``"conformal"``, whose centers each make a Moebius
            map.
        antipodal: whether a vector and its negative are one, as of axes and of rotations as unit quaternions: every
            center has another at its antipode.
        coordinates: what events are: ``"vectors"`` of length 1, or ``"degrees"``, latitudes from -90 to 90 and
            longitudes from -180 to 180, whose density is then per square degree of latitude by longitude (take
            :meth:`pushforward.transforms.GeographicCoordinates.log_area` from it to have it per steradian).
            ``"degrees-east"`` are the same with longitudes from 0 to 360.

    Raises:
        UsageError: if an option does not fit.

    Source: Sei (2013); Rezende et al. (2020), arXiv:2002.02428.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.sphere_exponential(features=4, layers=2, antipodal=True)
        >>> quaternions = flow.sample(5)
        >>> torch.allclose(flow.log_prob(quaternions), flow.log_prob(-quaternions), atol=1e-4)
        True
    """
    if field not in FIELDS:
        raise UsageError(f"sphere-exponential expects field={' or '.join(map(repr, FIELDS))}, got {field!r}")
    given, network = conditioning(context, embedding), partial(MLP, hidden=widths(hidden))
    front, n = _sphere_of("sphere-exponential", features, coordinates)
    kind = EvenField(FIELDS[field]()) if antipodal else FIELDS[field]()
    parts = [ExponentialMap(n, kind, centers, network, given.taken) for _ in range(layers)]
    return given.flow([*front, *parts], UniformSphere(n))


@model("sphere-cnf", features=2, waves=1)
def sphere_cnf(
    features: int | None = None,
    context: Context = 0,
    embedding: nn.Module | None = None,
    hidden: int | Sequence[int] = 128,
    waves: int = 64,
    tolerance: float = 1e-5,
    coordinates: str = "vectors",
) -> Flow:
    """Continuous flow on a sphere trained by Riemannian flow matching: free-form, with exact likelihood.

    Events are vectors of length 1, the base is uniform. A velocity field, tangent to the sphere, carries it to the
    data. `fit` trains it on great circles from latents to data, which solves no equation; likelihoods and samples come
    from solving it.

    Args:
        features: the numbers of a vector: 3, the default, on the sphere of ordinary space, 4 for unit quaternions; 2
            of a place in degrees.
        context: the context: a number of features, a shape or a space; 0 for none.
        embedding: a network of the context that is trained with the flow.
        hidden: widths of the velocity's residual blocks; one number stands for three.
        waves: in how many plane waves, down to a length of about six degrees, the velocity sees where it is: what is
            much narrower than a radian needs them.
        tolerance: of the solver, for each step.
        coordinates: what events are: ``"vectors"`` of length 1, or ``"degrees"``, latitudes from -90 to 90 and
            longitudes from -180 to 180, whose density is then per square degree of latitude by longitude (take
            :meth:`pushforward.transforms.GeographicCoordinates.log_area` from it to have it per steradian).
            ``"degrees-east"`` are the same with longitudes from 0 to 360.

    Raises:
        UsageError: if an option does not fit.

    Source: Chen, Lipman (2023), arXiv:2302.03660.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.sphere_cnf(features=3)
        >>> torch.allclose(flow.log_prob(torch.eye(3)).exp(), torch.tensor(1 / (4 * torch.pi)))
        True
    """
    given, (front, n) = conditioning(context, embedding), _sphere_of("sphere-cnf", features, coordinates)
    velocity = partial(WaveVelocity, velocity=partial(ResidualVelocity, hidden=hidden), waves=waves)
    layer = Continuous(velocity, Sphere(n), DormandPrince(tolerance), context=given.taken)
    return given.flow([*front, layer], UniformSphere(n))


def _sphere_of(owner: str, features: int | None, coordinates: str) -> tuple[list[Transform], int]:
    """What leads from a model's coordinates to its sphere, and the dimension of that."""
    if coordinates not in COORDINATES:
        raise UsageError(f"{owner} expects coordinates={' or '.join(map(repr, COORDINATES))}, got {coordinates!r}")
    front = [make() for make in COORDINATES[coordinates]]
    if front and features not in (None, 2):
        raise UsageError(
            f"{owner} expects features=2, a latitude and a longitude, with coordinates={coordinates!r}, got "
            f"features={features}"
        )
    return front, 2 if front or features is None else features - 1
