"""What every transform is: a map from data to latent with its log-determinant, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from pushforward.accuracy import Accuracy, Draws
from pushforward.errors import UsageError
from pushforward.networks.context import broadcast, check_context
from pushforward.numerics import check_event
from pushforward.parts import ModulePart
from pushforward.spaces import Anything, Integers, Space, fits_shape


class Transform(ModulePart):
    r"""A map between data and latent that knows its log-determinant.

    ``z, log_det = transform(x, context, generator)`` goes from data to latent and ``x, log_det = transform.inverse(z,
    context, generator)`` back; whoever wants the values alone calls :meth:`encode` and :meth:`decode`. ``x`` is
    ``batch_shape + event_shape`` with any number of batch dimensions; ``log_det`` is ``batch_shape``.

    To write one, derive from this class (or :class:`Bijection`), set ``domain`` and ``codomain`` and write
    :meth:`forward` and :meth:`inverse`, which begin with ``x, context = self.check(x, context, self.domain)``; where a
    log-determinant costs something, write :meth:`encode` and :meth:`decode` too. Then
    ``pushforward.testing.check_transform`` checks the laws.

    Attributes:
        domain, codomain: the spaces of the data's and of the latent's events.
        context: the space of the context, None where the transform takes none.
        accuracy: what ``log_det`` is: exact, a lower bound or an estimate.
        draws: which directions draw random numbers, from the generator or, without one, by the global seed.
        reads_back: whether ``inverse`` gives back every ``x``, where it does not draw: False where what ``forward``
            draws may be read back as another ``x``, so that only ``decode(encode(x))`` is ``x``.
        reparametrised: whether gradients pass through what it draws: False where it chooses among several.
        tolerance: ``None`` for an analytic inverse, else the error at which an iterative inverse stops.
        sequential: whether one direction takes a step for each dimension.
        uses_batch: whether, in training mode, an event's image depends on the others of its batch.
        capturable: whether ``torch.compile(fullgraph=True)`` can capture it: False where how often something is done
            depends on the data, as in an adaptive solver.

    Raises:
        UsageError: if a class that derives from it sets no spaces.
        ShapeError: if events or contexts do not fit the spaces.

    Source: Nielsen, Jaini, Hoogeboom, Winther, Welling (2020), SurVAE Flows, arXiv:2007.02731, of which bijections are
    a case.

    Example:
        >>> import pushforward as pf
        >>> layer = pf.transforms.Dequantization(4, event_dims=1)
        >>> z, log_det = layer(torch.tensor([[0.0, 3.0]]))
        >>> layer.decode(z)
        tensor([[0., 3.]])
    """

    domain: Space
    codomain: Space
    context: Space | None = None
    accuracy: Accuracy = Accuracy.EXACT
    draws: Draws = Draws.NEVER
    reads_back: bool = True
    reparametrised: bool = True
    tolerance: float | None = None
    sequential: bool = False
    uses_batch: bool = False
    capturable: bool = True

    def check_made(self) -> None:
        """Raise :class:`UsageError` if a constructor left out what every transform has."""
        for name in ("domain", "codomain"):
            if not isinstance(getattr(self, name, None), Space):
                raise UsageError(f"{type(self).__name__} expects its constructor to set {name}, a space, got none")

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the latent of ``x`` and ``log |det dz/dx|``."""
        raise NotImplementedError(f"{type(self).__name__} has no forward: a Transform is abstract")

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the data of ``z`` and ``log |det dx/dz|``."""
        raise NotImplementedError(f"{type(self).__name__} has no inverse: a Transform is abstract")

    def encode(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Return the latent of ``x`` alone, such that :meth:`decode` gives ``x`` back."""
        return self(x, context, generator)[0]

    def decode(self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Return the data of ``z`` alone."""
        return self.inverse(z, context, generator)[0]

    def reconstruct(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Return the data of ``z``, as a leaf, and what :meth:`forward` gives of them, differentiable by them.

        It is what a backward pass needs that has kept ``z`` alone; see :class:`Chain`.
        """
        return _reconstructed(z, context, self.decode, self)

    def reconstruct_inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Return the latent of ``x``, as a leaf, and what :meth:`inverse` gives of it, differentiable by it."""
        return _reconstructed(x, context, self.encode, self.inverse)

    def initialise(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Set what depends on the data (ActNorm) from one batch and return the batch's image."""
        return self.encode(x, context)

    def initialise_inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """The same where the transform is run backwards, and what reaches it are its latents."""
        return self.decode(z, context)

    @property
    def log_det_bias(self) -> float:
        """How far the mean of an estimated ``log_det`` may be off, in this mode; 0 where it is right in the mean."""
        return 0.0

    @property
    def event_shape(self) -> torch.Size:
        """The shape of the data's events."""
        return self.domain.shape

    @property
    def event_dims(self) -> int:
        """How many trailing dimensions make one event: 1 for vectors ``(..., D)``, 3 for images ``(..., C, H, W)``."""
        return len(self.domain.shape)

    @property
    def context_shape(self) -> torch.Size | None:
        """The shape of the context, None where the transform takes none."""
        return None if self.context is None else self.context.shape

    def composition(self) -> list[tuple[str, Transform]]:
        """Return the transforms that this one is made of in turn, by their names in it; none for a part of its own."""
        return []

    def blocks(self) -> Iterator[Transform]:
        """Yield the parts that are worth compiling, each by itself."""
        # Random numbers are drawn outside of compiled code, so that a seed gives the same ones with and without.
        if self.capturable and not self.draws:
            yield self

    def forward_shape(self, shape: Sequence[int]) -> torch.Size:
        """Return the latent event's shape for data events of ``shape``."""
        return torch.Size(shape)

    def inverse_shape(self, shape: Sequence[int]) -> torch.Size:
        """Return the data event's shape for latent events of ``shape``."""
        return torch.Size(shape)

    def forward_space(self, space: Space) -> Space:
        """Return the space of the latents of data that fill ``space``.

        Raises:
            UsageError: if the transform is not one of such data.
        """
        self._check_space(space, self.domain, space.within(self.domain), "takes data from")
        image = space if isinstance(self.codomain, Anything) else self.codomain
        return image.with_shape(self.forward_shape(space.shape))

    def inverse_space(self, space: Space) -> Space:
        """Return the space of the data whose latents fill ``space``.

        Raises:
            UsageError: if the transform does not lead onto it.
        """
        # Equal, that is: where it led to a part of the space alone, the density would be short of the rest's mass. Only
        # of integers a part may do, since a shift of bounded integers leads to unbounded ones.
        whole = isinstance(space, Integers) and (space.within(self.codomain) or self.codomain.within(space))
        self._check_space(space, self.codomain, whole or space.same_kind(self.codomain), "leads onto")
        origin = space if isinstance(self.domain, Anything) else self.domain
        return origin.with_shape(self.inverse_shape(space.shape))

    def check(self, x: Tensor, context: Tensor | None, space: Space) -> tuple[Tensor, Tensor | None]:
        """Check events and contexts and return them with one batch, the context as networks see it.

        Raises:
            ShapeError: if the events do not have the space's shape, or the context is missing, superfluous, misshapen.
        """
        owner = type(self).__name__
        check_event(x, space.shape, owner)
        check_context(context, self.context, owner)
        if context is None or self.context is None:
            return x, None
        context = self.context.features(context)
        return broadcast(x, len(space.shape), context, len(self.context.features_shape), owner), context

    def _check_space(self, space: Space, own: Space, fits: bool, verb: str) -> None:
        owner = type(self).__name__
        if not fits or len(space.shape) != len(own.shape):
            raise UsageError(
                f"{owner} {verb} {own}, which does not fit its neighbour's {space}: put a transform between them that "
                f"leads from one to the other, or choose another base"
            )
        if not fits_shape(space.shape, own.shape):
            raise UsageError(
                f"{owner} {verb} events of shape {tuple(own.shape)}, which does not fit {tuple(space.shape)}"
            )


def _reconstructed(
    image: Tensor, context: Tensor | None, back: Callable[..., Tensor], there: Callable[..., tuple[Tensor, Tensor]]
) -> tuple[Tensor, Tensor, Tensor]:
    with torch.no_grad():
        origin = back(image, context)
    origin = origin.detach().requires_grad_(origin.is_floating_point())
    return origin, *there(origin, context)


class Bijection(Transform):
    """A transform whose values are deterministic and whose inverse gives every ``x`` back: ``f^-1(f(x)) = x``,
    ``log p(x) = log p(f(x)) + log |det df/dx|``.

    Shapes: ``x`` is ``batch_shape + event_shape``, ``log_det`` is ``batch_shape``.

    Raises:
        UsageError: if a class that derives from it sets no spaces.

    Source: Papamakarios, Nalisnick, Rezende, Mohamed, Lakshminarayanan (2021), Normalizing Flows for Probabilistic
    Modeling and Inference, arXiv:1912.02762, section 2.1.

    Example:
        >>> import pushforward as pf
        >>> layer = pf.transforms.Planar(2)
        >>> x = torch.randn(4, 2)
        >>> torch.allclose(layer.decode(layer.encode(x)), x, atol=1e-5)
        True
    """
