"""A transform run backwards."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.accuracy import Accuracy, Draws
from pushforward.errors import UsageError
from pushforward.spaces import Space
from pushforward.transforms.base import Transform


class Inverse(Transform):
    r"""The inverse of a transform as a transform, ``z = f^-1(x)``: ``forward`` runs its ``inverse`` and the other way
    round.

    The inverse of an autoregressive flow is the inverse autoregressive flow (Kingma et al. 2016, arXiv:1606.04934). A
    transform that draws in one direction alone is exact where that direction is the way to the data and a lower bound
    where it is the way to the latent, so turning it round turns that too (Nielsen et al. 2020, SurVAE Flows,
    arXiv:2007.02731).

    Args:
        transform: the transform to turn round.

    Shapes: what they are in the transform's other direction; ``log_det`` is of the batch's shape.

    Raises:
        UsageError: if the transform draws codes that overlap (``reads_back`` is False): backwards it would lose the
            mass of those that are read as something else. At a call of ``forward`` or ``encode`` with gradients, if the
            transform chooses among several there (``reparametrised`` is False): how parameters change what is chosen
            would be missing from the gradient.

    Example:
        >>> from pushforward.scalar import Additive
        >>> from pushforward.transforms import Elementwise
        >>> shift = Elementwise(Additive(), (2,))
        >>> z, log_det = Inverse(shift)(torch.ones(4, 2))
        >>> z.shape, log_det.shape
        (torch.Size([4, 2]), torch.Size([4]))
    """

    def __init__(self, transform: Transform) -> None:
        super().__init__()
        if not transform.reads_back:
            raise UsageError(
                f"Inverse expects a transform whose inverse gives every event back, and {type(transform).__name__} may "
                f"read it as another: it can only stand where data enter a flow"
            )
        self.transform = transform
        self.domain, self.codomain = transform.codomain, transform.domain
        self.context = transform.context
        self.draws = transform.draws.turned()
        self.accuracy = _turned(transform.accuracy, transform.draws)
        self.tolerance = transform.tolerance
        self.capturable = transform.capturable
        self.reparametrised = transform.reparametrised
        self.sequential = transform.sequential

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self._check_gradients()
        return self.transform.inverse(x, context, generator)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        return self.transform(z, context, generator)

    def encode(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        self._check_gradients()
        return self.transform.decode(x, context, generator)

    def decode(self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        return self.transform.encode(z, context, generator)

    @property
    def log_det_bias(self) -> float:
        return self.transform.log_det_bias

    def reconstruct(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        return self.transform.reconstruct_inverse(z, context)

    def reconstruct_inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        return self.transform.reconstruct(x, context)

    def initialise(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.transform.initialise_inverse(x, context)

    def initialise_inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return self.transform.initialise(z, context)

    def forward_shape(self, shape: Sequence[int]) -> torch.Size:
        return self.transform.inverse_shape(shape)

    def inverse_shape(self, shape: Sequence[int]) -> torch.Size:
        return self.transform.forward_shape(shape)

    def forward_space(self, space: Space) -> Space:
        return self.transform.inverse_space(space)

    def inverse_space(self, space: Space) -> Space:
        return self.transform.forward_space(space)

    def _check_gradients(self) -> None:
        chooses = not self.transform.reparametrised and bool(self.draws & Draws.FORWARD)
        if chooses and torch.is_grad_enabled() and any(each.requires_grad for each in self.transform.parameters()):
            raise UsageError(
                f"{type(self.transform).__name__} run backwards chooses a latent at random, through which no gradient "
                f"passes: score events under torch.no_grad(), or turn its parameters' requires_grad off"
            )


def _turned(accuracy: Accuracy, draws: Draws) -> Accuracy:
    turns = {
        (Accuracy.EXACT, Draws.INVERSE): Accuracy.LOWER_BOUND,
        (Accuracy.LOWER_BOUND, Draws.FORWARD): Accuracy.EXACT,
    }
    return turns.get((accuracy, draws), accuracy)
