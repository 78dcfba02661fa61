"""The path from a latent to an event, and the velocity along it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Protocol

from torch import Tensor

from pushforward.errors import UsageError
from pushforward.spaces import Circle, Reals, Space, Sphere
from pushforward.transforms.manifolds.geodesics import logarithm, turn


class ProbabilityPath(Protocol):
    """A path ``x_t`` with ``x_0 = z`` and ``x_1 = x``, or nearly so.

    Attributes:
        space: what its points lie in: reals, circles, or a sphere.
    """

    space: ClassVar[type[Space]]

    def __call__(self, time: Tensor, z: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``x_t`` and its velocity ``dx_t/dt``; ``time`` broadcasts to the events."""


@dataclass(frozen=True)
class Linear:
    r"""The straight path ``x_t = (1 - (1 - s) t) z + t x`` of velocity ``x - (1 - s) z``.

    With ``s = 0`` it ends at the data: the rectified flow. A positive ``s`` leaves noise of that width about each event
    of the data, which keeps the field smooth near the end: the conditional optimal-transport path.

    Attributes:
        sigma_min: ``s``, in [0, 1).

    Raises:
        UsageError: if it is not.

    Source: Liu, Gong, Liu (2023), arXiv:2209.03003; Lipman et al. (2023), arXiv:2210.02747.

    Example:
        >>> import torch
        >>> Linear()(torch.tensor(0.25), torch.tensor([4.0]), torch.tensor([0.0]))
        (tensor([3.]), tensor([-4.]))
    """

    sigma_min: float = 0.0
    space: ClassVar[type[Space]] = Reals

    def __post_init__(self) -> None:
        if not 0 <= self.sigma_min < 1:
            raise UsageError(f"Linear expects sigma_min in [0, 1), got {self.sigma_min!r}")

    def __call__(self, time: Tensor, z: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        velocity = x - (1.0 - self.sigma_min) * z
        return z + time * velocity, velocity


@dataclass(frozen=True)
class Geodesic:
    r"""The shortest path on a sphere, along a great circle at constant speed: ``x_t = exp_z(t log_z(x))``.

    It turns with its ends: rotated, they have a rotated path.

    Source: Chen, Lipman (2023), arXiv:2302.03660.

    Example:
        >>> import torch
        >>> at, velocity = Geodesic()(torch.tensor(0.5), torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]))
        >>> at.round(decimals=4), velocity.round(decimals=4)
        (tensor([0.7071, 0.7071]), tensor([-1.1107,  1.1107]))
    """

    space: ClassVar[type[Space]] = Sphere

    def __call__(self, time: Tensor, z: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        direction = logarithm(z, x)
        angle_squared = direction.square().sum(-1, keepdim=True)
        turned = turn(time.square() * angle_squared)
        along = turned.cosine * direction - time * angle_squared * turned.sine * z
        return turned.cosine * z + time * turned.sine * direction, along


@dataclass(frozen=True)
class WrappedLine:
    r"""The shortest path on circles, at constant speed the short way round: ``x_t = z + t d``, where ``d`` is ``x - z``
    without whole turns, at most half of one.

    Attributes:
        circles: those of the field.

    Source: Chen, Lipman (2023), arXiv:2302.03660.

    Example:
        >>> import torch
        >>> late = WrappedLine(Circle((1,), 0.0, 24.0))
        >>> late(torch.tensor(0.75), torch.tensor([22.0]), torch.tensor([2.0]))
        (tensor([1.]), tensor([4.]))
    """

    circles: Circle
    space: ClassVar[type[Space]] = Circle

    def __call__(self, time: Tensor, z: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        way, period = x - z, self.circles.period
        velocity = way - period * (way / period).round()
        return self.circles.wrap(z + time * velocity), velocity


@dataclass(frozen=True)
class Trigonometric:
    r"""The path ``x_t = cos(pi t / 2) z + sin(pi t / 2) x``, of the same variance at all times where the data have that
    of the latents.

    Source: Albergo, Vanden-Eijnden (2023), arXiv:2209.15571.

    Example:
        >>> import torch
        >>> Trigonometric()(torch.tensor(1.0), torch.tensor([4.0]), torch.tensor([2.0]))[0]
        tensor([2.0000])
    """

    space: ClassVar[type[Space]] = Reals

    def __call__(self, time: Tensor, z: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        angle = (0.5 * math.pi) * time
        cos, sin = angle.cos(), angle.sin()
        return cos * z + sin * x, (0.5 * math.pi) * (cos * x - sin * z)


def shortest_path(space: Space) -> ProbabilityPath:
    """Return the path that moves at constant speed along the shortest line of a space.

    Example:
        >>> shortest_path(Sphere(2)), shortest_path(Reals((3,)))
        (Geodesic(), Linear(sigma_min=0.0))
    """
    if isinstance(space, Circle):
        return WrappedLine(space)
    return Geodesic() if isinstance(space, Sphere) else Linear()
