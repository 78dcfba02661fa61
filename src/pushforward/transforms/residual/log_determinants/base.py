"""What every log-determinant of ``x + g(x)`` is: a rule that evaluates ``g`` and ``log |det(I + J)|`` together."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import vjp, vmap

from pushforward.accuracy import Accuracy, Draws
from pushforward.networks.lipschitz.spectral import normalised_once
from pushforward.parts import ModulePart


class Perturbation:
    """The map ``g`` of a residual transform at its context: a network of rows ``(rows, ...)``.

    Attributes:
        sources: what gradients of ``g(x)`` may be wanted in, besides ``x``.
    """

    def __init__(self, network: nn.Module, context: Tensor | None = None) -> None:
        self.network, self.context = network, context

    def __call__(self, x: Tensor) -> Tensor:
        return self.network(x) if self.context is None else self.network(x, self.context)

    def with_jacobian(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``g(x)`` and the Jacobian at each row, ``(rows, D, D)``: by a network's own derivatives along axes, where it
        has a method ``along``, else by a gradient for each element of ``g(x)``."""
        size = x.shape[1:].numel()
        axes = torch.eye(size, dtype=x.dtype, device=x.device).reshape(size, *x.shape[1:])
        if hasattr(self.network, "along"):
            value, columns = self.network.along(x, axes, self.context)  # type: ignore[operator]
            return value, columns.flatten(2).permute(1, 2, 0)
        # Weights are normalised outside of the derivative, which need not follow how.
        with normalised_once(self.network):
            value, pull_back = vjp(self, x)  # type: ignore[misc]
        rows = vmap(lambda axis: pull_back(axis.expand_as(x))[0])(axes)
        return value, rows.flatten(2).transpose(0, 1)

    @property
    def sources(self) -> list[Tensor]:
        given = [] if self.context is None else [self.context]
        return [each for each in (*self.network.parameters(), *given) if each.requires_grad]

    @property
    def lipschitz(self) -> float:
        return float(self.network.lipschitz)  # type: ignore[arg-type]


class LogDeterminant(ModulePart):
    """A rule for ``log |det(I + J)|`` where ``J`` is the Jacobian of a map ``g`` whose Lipschitz constant is below 1.

    ``shift, log_det = rule(g, x, generator)`` evaluates ``g(x)`` once for both.

    Attributes:
        accuracy: whether ``log_det`` is exact or an estimate.
        draws: whether it is drawn.

    Raises:
        nothing of its own: what ``g`` raises.

    Source: Behrmann, Grathwohl, Chen, Duvenaud, Jacobsen (2019), Invertible Residual Networks, arXiv:1811.00995.

    Example:
        >>> import pushforward as pf
        >>> rule = pf.transforms.ExactLogDeterminant()
        >>> isinstance(rule, LogDeterminant), rule.accuracy.describe()
        (True, 'exact')
    """

    accuracy: Accuracy = Accuracy.EXACT
    draws: Draws = Draws.NEVER

    def forward(self, g: Perturbation, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Return ``g(x)`` and the log-determinant of each row of ``x``."""
        raise NotImplementedError(f"{type(self).__name__} has no forward: a LogDeterminant is abstract")

    def bias(self, dimensions: int, lipschitz: float) -> float:
        """How far the mean of an estimate may be off: 0 for what is exact or unbiased."""
        return 0.0


def differentiable(x: Tensor) -> Tensor:
    """The same points, as ones in which derivatives can be taken, whether or not anybody else wants gradients."""
    return x if x.requires_grad and torch.is_grad_enabled() else x.detach().requires_grad_()
