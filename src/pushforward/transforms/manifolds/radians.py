"""Angles of any units in radians."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.numerics import batch_shape
from pushforward.spaces import Circle, Space
from pushforward.transforms.base import Bijection


class Radians(Bijection):
    r"""Positions on circles of any units (degrees, hours, months) as angles from ``-pi`` to ``pi``,
    ``z_d = 2 pi (x_d - middle_d) / period_d``, ``log_det = sum_d log(2 pi / period_d)``.

    Densities in front of it are per unit of the data: per square hour, say.

    Args:
        space: of vectors of circles: ``Circle((2,), 0.0, 24.0)``, or a ``Product`` of several kinds.

    Raises:
        UsageError: if an element of the space is not a circle.
        ShapeError: if the input is not of the space's shape.

    Source: Mardia, Jupp (2000), Directional Statistics.

    Example:
        >>> from pushforward.spaces import Product
        >>> radians = Radians(Product(Circle((1,), 0.0, 24.0), Circle((1,), -180.0, 180.0)))
        >>> z, _ = radians(torch.tensor([18.0, -90.0]))
        >>> (z / math.pi).tolist()
        [0.5, -0.5]
    """

    middles: Tensor
    rates: Tensor

    def __init__(self, space: Space) -> None:
        super().__init__()
        circles = space.elements() if isinstance(space, Space) and len(space.shape) == 1 else []
        if not circles or not all(isinstance(each, Circle) for each in circles):
            raise UsageError(
                f"Radians expects a space of vectors of circles such as Circle((2,), 0, 24), got {space!r}"
            )
        self.domain, self.codomain = space, Circle(space.shape)
        ends = torch.tensor([[each.low, each.high] for each in circles], dtype=torch.float64)  # type: ignore[attr-defined]
        rates = 2.0 * math.pi / (ends[:, 1] - ends[:, 0])
        self.log_rate = rates.log().sum().item()
        self.register_buffer("middles", _in_two(ends.mean(1)), persistent=False)
        self.register_buffer("rates", _in_two(rates), persistent=False)

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        return self.encode(x, context), self._log_det(x, self.log_rate)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        return self.decode(z, context), self._log_det(z, -self.log_rate)

    def encode(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        self.check(x, context, self.domain)
        return (x - self.middles.sum(0)) * self.rates.sum(0)

    def decode(self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        self.check(z, context, self.codomain)
        return z / self.rates.sum(0) + self.middles.sum(0)

    def _log_det(self, x: Tensor, value: float) -> Tensor:
        return x.new_full(batch_shape(x, 1), value)


def _in_two(numbers: Tensor) -> Tensor:
    """Numbers in double precision as two of the default type, of which they are the sum: what is rounded off is there
    again when the flow is made one of doubles, whose circles would else not close."""
    most = numbers.to(torch.get_default_dtype())
    return torch.stack([most, (numbers - most).to(most.dtype)])
