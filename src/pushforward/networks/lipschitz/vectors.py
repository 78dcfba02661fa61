"""Networks of a bounded Lipschitz constant for vectors."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from pushforward.errors import ShapeError, UsageError
from pushforward.networks.context import join_vector
from pushforward.networks.lipschitz.activations import CLipSwish, LipSwish
from pushforward.networks.lipschitz.bodies import Activation, DenselyConnected, Layered, start_at_zero
from pushforward.networks.lipschitz.linear import LipschitzLinear
from pushforward.networks.lipschitz.spectral import check_bound
from pushforward.parts import ModulePart

LIPSCHITZ = 0.97
"""The Lipschitz constant of the networks of residual flows, by default: one layer can shrink to 0.03 of a length."""


class _VectorNetwork(ModulePart):
    """A body of vectors, with a context's shift of what its first layer gives."""

    body: nn.Module

    def __init__(self, inputs: int, context: int, body: Layered | DenselyConnected, lipschitz: float) -> None:
        super().__init__()
        self.inputs, self.context, self.lipschitz, self.body = inputs, context, lipschitz, body
        self.shift = nn.Linear(context, body.width, bias=False) if context else None

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.body(*self._shifted(x, context))

    def along(self, x: Tensor, axes: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        r"""Return ``g(x)``, and its derivatives along axes ``(axes, inputs)`` as ``(axes, ..., outputs)``.

        One pass, written out: several times faster than forward-mode differentiation of small networks.
        """
        x, shift = self._shifted(x, context)
        tangents = axes.reshape(len(axes), *[1] * (x.dim() - 1), self.inputs)
        value, columns = self.body.along(x, tangents, shift)  # type: ignore[operator]
        return value, columns

    def _shifted(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor | float]:
        """The events with the context's batch, and what is added to the first layer."""
        owner = type(self).__name__
        if x.dim() < 1 or x.shape[-1] != self.inputs:
            raise ShapeError(f"{owner} expects vectors (..., {self.inputs}), got shape {tuple(x.shape)}")
        joined = join_vector(x, context, self.context, owner)
        if self.shift is None:
            return joined, 0.0
        x, context = joined.split([self.inputs, self.context], -1)
        return x, self.shift(context)


class LipschitzMLP(_VectorNetwork):
    r"""A multilayer perceptron ``g`` with ``|g(x) - g(y)| <= c |x - y|``, the residual of an invertible residual
    network.

    ``g(x) = W_n phi(W_{n-1} ... phi(W_1 x + b_1 + V context))``, each weight shrunk to a spectral norm of 1, the last
    one to ``c``. How it depends on the context is not bounded. The last layer starts at zero.

    Args:
        inputs, outputs: features in and out.
        context: features of the context, 0 for none.
        hidden: widths of the hidden layers; one number stands for two.
        activation: ``LipSwish``, ``CLipSwish``, ``LipschitzSine`` or ``LipschitzELU``, or one of those with options.
        lipschitz: the bound ``c``, above 0 and at most 1; below 1 for a residual flow.

    Shapes: ``x`` is ``(..., inputs)``, the result ``(..., outputs)``.

    Raises:
        UsageError: if the bound is none.
        ShapeError: if the input or the context does not have the features stated.

    Source: Behrmann, Grathwohl, Chen, Duvenaud, Jacobsen (2019), arXiv:1811.00995; Chen et al. (2019),
        arXiv:1906.02735.

    Example:
        >>> import torch
        >>> network = LipschitzMLP(3, 3, hidden=16)
        >>> network(torch.ones(5, 3)).shape, network.lipschitz
        (torch.Size([5, 3]), 0.97)
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        context: int = 0,
        *,
        hidden: int | Sequence[int] = (64, 64),
        activation: Activation = LipSwish,
        lipschitz: float = LIPSCHITZ,
    ) -> None:
        check_bound(lipschitz, "LipschitzMLP")
        widths = [inputs, *_widths(hidden, 2), outputs]
        body = Layered([_linear] * (len(widths) - 1), widths, activation, 1, lipschitz)
        start_at_zero(body)
        super().__init__(inputs, context, body, lipschitz)


class LipschitzDenseMLP(_VectorNetwork):
    r"""A densely connected network ``g`` with ``|g(x) - g(y)| <= c |x - y|``, the residual of a DenseNet flow.

    ``g = W_n h_{n-1} ... h_1`` with dense layers ``h(x) = [a x, b phi(W x)]``, ``a^2 + b^2 = 1`` learned, and a last
    layer of norm ``c``, which starts at zero. The context shifts ``W_1 x``.

    Args:
        inputs, outputs: features in and out.
        context: features of the context, 0 for none.
        hidden: the units that each layer adds; one number stands for three layers.
        activation: ``CLipSwish``, ``LipSwish``, ``LipschitzSine`` or ``LipschitzELU``, or one of those with options.
        lipschitz: the bound ``c``, above 0 and at most 1; below 1 for a residual flow.

    Shapes: ``x`` is ``(..., inputs)``, the result ``(..., outputs)``.

    Raises:
        UsageError: if the bound is none.
        ShapeError: if the input or the context does not have the features stated.

    Source: Perugachi-Diaz, Tomczak, Bhulai (2021), Invertible DenseNets with Concatenated LipSwish, arXiv:2102.02694.

    Example:
        >>> import torch
        >>> LipschitzDenseMLP(3, 3, hidden=16)(torch.ones(5, 3)).shape
        torch.Size([5, 3])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        context: int = 0,
        *,
        hidden: int | Sequence[int] = (32, 32, 32),
        activation: Activation = CLipSwish,
        lipschitz: float = LIPSCHITZ,
    ) -> None:
        check_bound(lipschitz, "LipschitzDenseMLP")
        widths = [inputs, *_widths(hidden, 3), outputs]
        body = DenselyConnected([_linear] * (len(widths) - 1), widths, activation, 1, lipschitz)
        start_at_zero(body)
        super().__init__(inputs, context, body, lipschitz)


def _linear(inputs: int, outputs: int, lipschitz: float) -> LipschitzLinear:
    return LipschitzLinear(inputs, outputs, lipschitz=lipschitz)


def _widths(hidden: int | Sequence[int], count: int) -> Sequence[int]:
    widths = [hidden] * count if isinstance(hidden, int) else list(hidden)
    if not widths or min(widths) < 1:
        raise UsageError(f"a Lipschitz network expects at least one hidden layer of at least one unit, got {widths}")
    return widths
