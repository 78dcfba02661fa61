"""Coupling: one part of the event decides how the other part changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.networks.context import Context
from pushforward.networks.factory import NetworkFactory, make_network
from pushforward.numerics import batch_shape, sum_event
from pushforward.scalar.base import ScalarBijection
from pushforward.spaces import Space, product_of
from pushforward.transforms.base import Bijection
from pushforward.transforms.conditioning import check_scalar, conditioner_context, warn_of_reach
from pushforward.transforms.coupling.split import partition


class Coupling(Bijection):
    r"""A coupling layer: ``z_a = x_a``, ``z_b = h(x_b; theta(x_a, context))``.

    The Jacobian is triangular, so ``log_det = sum log h'(x_b)``. The scalar bijection ``h`` makes it NICE
    (``Additive``), RealNVP (``Affine``), Flow++ (``MixtureCDF``), a spline flow or an integer flow. The event is
    really split wherever the mask allows it: nothing is computed for what does not change. The network sees the kept
    part as its space shows it (an angle by its cosine and sine).

    Args:
        mask: boolean, of the event's shape ``(D,)`` or ``(C, H, W)``; ``True`` where the event is kept.
        scalar: the scalar bijection of the changed part.
        network: a network factory, called as ``network(inputs, outputs, context)`` in features or channels, or a
            ready-made module.
        context: a number of features, a shape or a space; 0 for none.
        space: the space of the events, where the kept part is of another kind than the changed one; by default all of
            it is of the scalar bijection's domain.

    Raises:
        UsageError: if the mask is not a usable mask, or something is not what its place is for.
        ShapeError: if the input does not end in the mask's shape, or the context is missing or misshapen.

    Source: Dinh, Krueger, Bengio (2014), arXiv:1410.8516; Dinh, Sohl-Dickstein, Bengio (2016), arXiv:1605.08803.

    Example:
        >>> from pushforward.networks import MLP
        >>> from pushforward.scalar import Affine
        >>> from pushforward.transforms import masks
        >>> layer = Coupling(masks.halves(4), Affine(), MLP)
        >>> z, log_det = layer(torch.randn(8, 4))
        >>> z.shape, log_det.shape
        (torch.Size([8, 4]), torch.Size([8]))
    """

    mask: Tensor

    def __init__(
        self,
        mask: Tensor | Sequence[bool],
        scalar: ScalarBijection,
        network: NetworkFactory | nn.Module,
        context: Context = 0,
        space: Space | None = None,
    ) -> None:
        super().__init__()
        mask = torch.as_tensor(mask)
        self.partition = partition(mask)
        self.scalar = check_scalar(scalar, "Coupling")
        self.tolerance = scalar.tolerance
        self.context = conditioner_context(context, mask.dim(), "Coupling")
        self.domain = scalar.domain.with_shape(mask.shape) if space is None else space
        if tuple(self.domain.shape) != tuple(mask.shape):
            raise UsageError(f"Coupling expects a space of events {tuple(mask.shape)}, got {self.domain}")
        self._check_changed(mask)
        self.codomain = self._codomain(mask)
        # Persistent: which part is kept decides what the weights mean.
        self.register_buffer("mask", mask.clone())
        self.seen = self.partition.condition_space(self.domain)
        self.emitted = scalar.num_parameters - scalar.num_shared
        inputs, outputs = self.seen.features_shape[0], self.emitted * self.partition.outputs
        self.network = make_network(network, inputs, outputs, self.context, "Coupling")
        # One value for each channel (or feature): what a structure learns instead of the network.
        self.shared = nn.Parameter(torch.zeros(scalar.num_shared, mask.shape[0])) if scalar.num_shared else None

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        x, context = self.check(x, context, self.domain)
        changed, log_dz = self.scalar.forward(self.partition.changed(x), self.scalar_parameters(x, context))
        return self.partition.merge(x, changed), self._log_det(log_dz, x)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        z, context = self.check(z, context, self.codomain)
        changed, log_dx = self.scalar.inverse(self.partition.changed(z), self.scalar_parameters(z, context))
        return self.partition.merge(z, changed), self._log_det(log_dx, z)

    def encode(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        x, context = self.check(x, context, self.domain)
        changed = self.scalar.encode(self.partition.changed(x), self.scalar_parameters(x, context))
        return self.partition.merge(x, changed)

    def decode(self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        z, context = self.check(z, context, self.codomain)
        changed = self.scalar.decode(self.partition.changed(z), self.scalar_parameters(z, context))
        return self.partition.merge(z, changed)

    def reconstruct(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        z, context = self.check(z, context, self.codomain)
        return self._reconstructed(z, context, self.scalar.decode, self.scalar.forward)

    def reconstruct_inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        x, context = self.check(x, context, self.domain)
        return self._reconstructed(x, context, self.scalar.encode, self.scalar.inverse)

    def initialise(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        warn_of_reach(self.scalar, self.partition.changed(x), "Coupling")
        return super().initialise(x, context)

    def scalar_parameters(self, x: Tensor, context: Tensor | None) -> Tensor:
        """Return the scalar bijection's parameters for the changed elements of ``x``, whose kept part decides them."""
        outputs = self.network(self.partition.condition(x, self.seen), context)
        emitted = self.partition.parameters_of(outputs, self.emitted)
        if self.shared is None:
            return emitted
        return torch.cat([emitted, self._shared_parameters().expand(*emitted.shape[:-1], -1)], dim=-1)

    def _reconstructed(
        self,
        image: Tensor,
        context: Tensor | None,
        back: Callable[[Tensor, Tensor], Tensor],
        there: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What :meth:`reconstruct` returns, with one run of the network: the part that it sees is kept."""
        origin = image.detach().clone().requires_grad_()
        parameters = self.scalar_parameters(origin, context)
        with torch.no_grad():
            changed = back(self.partition.changed(origin), parameters)
            # Through .data, since autograd watches what the network has seen, and that stays as it is.
            origin.data.copy_(self.partition.merge(origin, changed))
        changed, log_d = there(self.partition.changed(origin), parameters)
        return origin, self.partition.merge(origin, changed), self._log_det(log_d, origin)

    def _shared_parameters(self) -> Tensor:
        """Spread the learned values over the event and take those of the changed elements."""
        assert self.shared is not None
        spread = self.shared.unflatten(-1, (-1, *[1] * (self.event_dims - 1))).expand(-1, *self.mask.shape)
        return self.partition.changed(spread).movedim(0, -1)

    def _log_det(self, log_d: Tensor, x: Tensor) -> Tensor:
        return sum_event(log_d, log_d.dim() - len(batch_shape(x, self.event_dims)))

    def _check_changed(self, mask: Tensor) -> None:
        scalar, domain = self.scalar.domain, self.domain
        if domain.same_kind(scalar):
            return
        kinds = [domain]
        if mask.dim() == 1:
            kinds = [each for keeps, each in zip(mask.tolist(), domain.elements(), strict=True) if not keeps]
        for kind in kinds:
            if not kind.same_kind(scalar):
                raise UsageError(
                    f"Coupling expects changed elements of the scalar bijection's {scalar}, onto which it leads back, "
                    f"got {kind}"
                )

    def _codomain(self, mask: Tensor) -> Space:
        scalar = self.scalar
        if scalar.domain == scalar.codomain:
            return self.domain
        if mask.dim() != 1:
            raise UsageError(f"Coupling of images expects a scalar bijection onto its own domain, got {scalar}")
        kept = zip(mask.tolist(), self.domain.elements(), strict=True)
        return product_of([element if keeps else scalar.codomain for keeps, element in kept])

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: object) -> None:
        stored = state_dict.get(f"{prefix}mask")
        if stored is not None and stored.shape == self.mask.shape and not torch.equal(stored, self.mask.to(stored)):
            self.partition = partition(stored).to(self.mask.device)
        super()._load_from_state_dict(state_dict, prefix, *rest)  # type: ignore[arg-type]
