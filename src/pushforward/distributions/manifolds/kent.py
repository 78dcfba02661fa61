"""The Kent distribution: a normal distribution of directions whose contours are ellipses."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pushforward.distributions.base import Distribution
from pushforward.distributions.manifolds.axial import log_integral
from pushforward.distributions.manifolds.rejection import accepted
from pushforward.distributions.manifolds.von_mises_fisher import (
    MAX_LOG_CONCENTRATION,
    truncated_exponential,
    unbounded_log,
)
from pushforward.errors import UsageError
from pushforward.kernels.reflections import Reflections
from pushforward.numerics import bounded, rand
from pushforward.spaces import Sphere


class Kent(Distribution):
    r"""The Kent distribution on ``S^2`` with a learned frame, concentration and ovalness,

    .. math:: \log p(x) = \kappa (\gamma_1 \cdot x - 1) + \beta \left((\gamma_2 \cdot x)^2 - (\gamma_3 \cdot x)^2\right)
        - \log c(\kappa, \beta), \qquad 2 \beta = \text{ovalness} \cdot \kappa,

    with respect to the surface measure. The ``gamma`` are orthonormal: the mean and the long and the short axis of the
    ellipses; it starts with the mean at the last axis and the long axis along the first. The normaliser is found by
    quadrature, scaled by its largest value. A temperature divides ``kappa`` and ``beta`` by its square, as it
    multiplies the spread.

    Args:
        concentration: where ``kappa`` starts, between 1e-6 and 1e6.
        ovalness: where ``2 beta / kappa`` starts, between 0, a von Mises-Fisher distribution, and 1.

    Shapes: ``x`` is ``(..., 3)``, its log-density ``(...)``.

    Raises:
        UsageError: for a concentration or an ovalness outside of its bounds.

    Source: Kent (1982), The Fisher-Bingham distribution on the sphere; the envelope of the rejection sampler is ours.

    Example:
        >>> base = Kent(50.0, 0.9)
        >>> x = base.sample(1000)
        >>> bool(x[:, 0].std() > 2 * x[:, 1].std())
        True
    """

    reparametrised = False

    def __init__(self, concentration: float = 1.0, ovalness: float = 0.5) -> None:
        super().__init__()
        if not 0 < ovalness < 1:
            raise UsageError(f"Kent expects an ovalness between 0 and 1, got {ovalness}")
        self.support = Sphere(2)
        self.raw_log_concentration = nn.Parameter(torch.tensor(unbounded_log(concentration, "Kent")))
        self.raw_ovalness = nn.Parameter(torch.logit(torch.tensor(ovalness)))
        # Each reflection twice: no rotation yet, and every one near.
        self.reflections = nn.Parameter(torch.eye(3)[[0, 0, 1, 1]])

    def concentration(self) -> Tensor:
        """Return ``kappa``."""
        return torch.exp(bounded(self.raw_log_concentration, MAX_LOG_CONCENTRATION))

    def ovalness(self) -> Tensor:
        """Return ``2 beta / kappa``."""
        return torch.sigmoid(self.raw_ovalness)

    def frame(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return the mean and the long and the short axis."""
        axes = torch.eye(3, dtype=self.reflections.dtype, device=self.reflections.device)
        long, short, mean = Reflections.along(self.reflections).apply(axes).unbind(0)
        return mean, long, short

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        concentration, beta = self._strengths(1.0)
        mean, long, short = self.frame()

        def log_averaged(below: Tensor, above: Tensor) -> Tensor:
            """The mean over a circle of latitude."""
            oval = beta * below * above
            return -concentration * below + oval + torch.log(torch.special.i0e(oval))

        # 1 - mean . x, to all digits near the mode.
        below = 0.5 * (x - mean).square().sum(-1)
        oval = (x @ long).square() - (x @ short).square()
        return -concentration * below + beta * oval - log_integral(2, log_averaged, self.reflections)

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        concentration, beta = self._strengths(temperature)
        # The tangent of what bends down, where it is longest above it.
        rest = concentration - 2.0 * beta
        touching = 2.0 / (rest + torch.sqrt(rest.square() + 8.0 * beta))

        def propose() -> tuple[Tensor, Tensor]:
            depth = truncated_exponential(1.0 / touching, batch, generator)
            turn = 2.0 * torch.pi * rand(depth, batch, generator)
            oval = beta * depth * (2.0 - depth) * (torch.cos(2.0 * turn) - 1.0)
            log_share = oval - beta * (depth - touching).square()
            return torch.stack([depth, turn], -1), torch.log(rand(depth, batch, generator)) <= log_share

        with torch.no_grad():
            depth, turn = accepted(propose).unsqueeze(-1).unbind(-2)
        mean, long, short = self.frame()
        across = torch.cos(turn) * long + torch.sin(turn) * short
        return (1.0 - depth) * mean + torch.sqrt(depth * (2.0 - depth)) * across

    def _strengths(self, temperature: float) -> tuple[Tensor, Tensor]:
        concentration = self.concentration() / temperature**2
        return concentration, 0.5 * self.ovalness() * concentration
