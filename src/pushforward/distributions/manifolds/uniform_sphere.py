"""The uniform distribution on a sphere."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.distributions.base import Distribution
from pushforward.distributions.manifolds.axial import log_surface
from pushforward.numerics import randn
from pushforward.spaces import Sphere


class UniformSphere(Distribution):
    r"""The uniform distribution on ``S^n``, ``log p(x) = -log(surface of S^n)``, with respect to the surface measure.

    It has no mode, so a temperature changes nothing.

    Args:
        n: the dimension of the sphere.

    Shapes: ``x`` is ``(..., n + 1)``, its log-density ``(...)``.

    Raises:
        UsageError: for a sphere of no dimension.
        ShapeError: if the input does not end in ``n + 1``.

    Source: Muller (1959), A note on a method for generating points uniformly on n-dimensional spheres, Communications
    of the ACM 2.

    Example:
        >>> base = UniformSphere(2)
        >>> round(base.log_prob(torch.tensor([0.0, 0.6, 0.8])).exp().item() * 4 * torch.pi, 4)
        1.0
    """

    def __init__(self, n: int = 2) -> None:
        super().__init__()
        self.support = Sphere(n)
        self.log_density = -log_surface(n)
        self.register_buffer("like", torch.zeros(()), persistent=False)

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        # 0 * x keeps the result attached to x, so that a chain in front of it still gets its (zero) gradient.
        return (0.0 * x).sum(-1) + self.log_density

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        like: Tensor = self.like  # type: ignore[assignment]
        return random_directions(like, batch + self.event_shape, generator)


def random_directions(like: Tensor, shape: torch.Size, generator: torch.Generator | None) -> Tensor:
    """Draw vectors of length 1, in all directions alike.

    Example:
        >>> x = random_directions(torch.zeros(()), torch.Size([5, 3]), None)
        >>> torch.allclose(torch.linalg.vector_norm(x, dim=-1), torch.ones(5))
        True
    """
    normal = randn(like, shape, generator)
    return normal / torch.linalg.vector_norm(normal, dim=-1, keepdim=True).clamp_min(torch.finfo(normal.dtype).tiny)
