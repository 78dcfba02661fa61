"""Piecewise invertible maps: several regions of the data share one latent, and a discrete one says which it was."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pushforward.accuracy import Draws
from pushforward.distributions.discrete.mass import gumbel_argmax
from pushforward.errors import UsageError
from pushforward.networks.context import Context, vector_context
from pushforward.networks.factory import NetworkFactory, make_network
from pushforward.networks.mlp import MLP
from pushforward.numerics import bounded, check_event
from pushforward.scalar.arguments import check_counts
from pushforward.spaces import Reals
from pushforward.transforms.base import Transform
from pushforward.transforms.chain import parts_in_turn
from pushforward.transforms.surjections.zigzag import Zigzag

FARTHEST = 6.0
"""The farthest number that gates tell from those beyond: 1 in 400 of a standard logistic's are."""
STRONGEST = 20.0
"""How far the logarithms of gates are from each other's middle at most."""


class Piecewise(Transform):
    r"""A zigzag of one dimension: disjoint regions of the data, each mapped onto all of the latents.

    The data are parted by ``K - 1`` edges in one dimension, and each region ``k`` is mapped onto the whole space,
    neighbours as mirror images of each other, the other dimensions as they are. So ``z = f(x)`` has ``K`` origins
    ``x_1, ..., x_K``, one in each region, and a discrete latent says which it was. Its probability is

    ``p(k | z) = exp(g(x_k)) / sum_j exp(g(x_j))``,

    with a network ``g`` of the data that is called at all origins. Then ``log_det = log |dz/dx| + log p(k | z)``,
    exactly, since only one ``k`` has an ``x``; the inverse draws ``k``. As two origins move towards the edge between
    them, ``g`` tends to the same number at both, and so does ``|dz/dx|``: the density has no jump there, whatever the
    parameters and whatever follows.

    At an edge ``z`` is at an end of the line. That the density has a limit there, rather than the same course on either
    side, is up to what follows: a logistic base and parameters of ``z`` that have limits themselves
    (:class:`pushforward.networks.Clipped`) give one, a normal base makes it 0.

    The edges are where ``sigmoid(x)`` is ``1/K, ..., (K - 1)/K``. What comes before the part, elementwise splines or
    couplings, decides which data lie there.

    Args:
        features: the number of dimensions ``D``.
        pieces: the number of regions ``K``.
        dimension: which dimension is parted.
        network: a network factory, called as ``network(D, 1, context)``, or a ready-made network of as many outputs.
        context: a number of features or a space of vectors; 0 for none.

    Raises:
        UsageError: if there is no such dimension, or fewer than two pieces.
        ShapeError: if the input does not end in ``D``, or the context is missing or misshapen.

    Source: Dinh, Sohl-Dickstein, Larochelle, Pascanu (2019), A RAD approach to deep mixture models, arXiv:1903.07714;
    there the gate is a network of ``z`` that is told its values at the edges.

    Example:
        >>> layer = Piecewise(2, pieces=2)
        >>> z, log_det = layer(torch.tensor([[-1.0, 5.0], [1.0, 5.0]]))
        >>> bool((z[0] - z[1]).abs().max() < 1e-6), layer.region(torch.tensor([[-1.0, 5.0], [1.0, 5.0]]))
        (True, tensor([0, 1]))
    """

    draws = Draws.INVERSE
    reparametrised = False

    def __init__(
        self,
        features: int,
        pieces: int = 2,
        dimension: int = 0,
        network: NetworkFactory | nn.Module = MLP,
        context: Context = 0,
    ) -> None:
        super().__init__()
        check_counts("Piecewise", features=features)
        check_counts("Piecewise", least=2, pieces=pieces)
        if not 0 <= dimension < features:
            raise UsageError(f"Piecewise expects a dimension from 0 to {features - 1}, got {dimension}")
        self.dimension, self.zigzag = dimension, Zigzag(pieces)
        self.domain = self.codomain = Reals((features,))
        self.context = vector_context(context, "Piecewise")
        self.network = make_network(network, features, 1, self.context, "Piecewise")

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        x, context = self.check(x, context, self.domain)
        number = x[..., self.dimension]
        z, region = self.zigzag.fold(number)
        log_gate = self._log_gate(x, self.zigzag.unfold(z), context)
        return self._with(x, z), self.zigzag.log_slope(number, region) + _of(log_gate, region)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        z, context = self.check(z, context, self.codomain)
        number, region, log_gate = self._drawn(z, context, generator)
        return self._with(z, number), -self.zigzag.log_slope(number, region) - log_gate

    def encode(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        x, _ = self.check(x, context, self.domain)
        return self._with(x, self.zigzag.fold(x[..., self.dimension])[0])

    def decode(self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        z, context = self.check(z, context, self.codomain)
        return self._with(z, self._drawn(z, context, generator)[0])

    def region(self, x: Tensor) -> Tensor:
        """Return the index of the region that each event lies in, of ``batch_shape``."""
        check_event(x, self.domain.shape, "Piecewise")
        return self.zigzag.fold(x[..., self.dimension])[1]

    def origins(self, z: Tensor) -> Tensor:
        """Return the data of each region that have the latent ``z``, ``batch_shape + (K, D)``."""
        check_event(z, self.codomain.shape, "Piecewise")
        numbers = self.zigzag.unfold(z[..., self.dimension])
        return self._with(z.unsqueeze(-2).expand(*numbers.shape, -1), numbers)

    def log_gate(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """Return ``log p(k | z)`` of each region, ``batch_shape + (K,)``."""
        z, context = self.check(z, context, self.codomain)
        return self._log_gate(z, self.zigzag.unfold(z[..., self.dimension]), context)

    def _log_gate(self, others: Tensor, numbers: Tensor, context: Tensor | None) -> Tensor:
        origins = self._with(others.unsqueeze(-2).expand(*numbers.shape, -1), numbers)
        # The outermost regions have no end, and what a part before this one parted runs to an end of the line at its
        # edges: there the gate has a limit.
        seen = origins.clamp(-FARTHEST, FARTHEST)
        gate = self.network(seen, None if context is None else context.unsqueeze(-2)).squeeze(-1)
        return torch.log_softmax(bounded(gate, STRONGEST), -1)

    def _drawn(
        self, z: Tensor, context: Tensor | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The number of a region that is drawn, the region, and the logarithm of its probability."""
        numbers = self.zigzag.unfold(z[..., self.dimension])
        log_gate = self._log_gate(z, numbers, context)
        region = gumbel_argmax(log_gate, 1.0, generator)
        return _of(numbers, region), region, _of(log_gate, region)

    def _with(self, x: Tensor, number: Tensor) -> Tensor:
        """The vectors with another number in the dimension that is parted."""
        before, after = x[..., : self.dimension], x[..., self.dimension + 1 :]
        return torch.cat([before, number.unsqueeze(-1), after], -1)


def regions(transform: Transform, x: Tensor, context: Tensor | None = None) -> Tensor:
    """Return which region of the data each event lies in, an index of ``batch_shape`` that counts all combinations of
    the regions of a chain's piecewise parts, those of the last part fastest: ``index = r_1 K_2 + r_2`` for two parts of
    ``K_1`` and ``K_2`` regions.

    Raises:
        UsageError: if there is no piecewise part.

    Source: Dinh, Sohl-Dickstein, Larochelle, Pascanu (2019), A RAD approach to deep mixture models, arXiv:1903.07714.

    Example:
        >>> from pushforward.transforms import Chain
        >>> quadrants = Chain([Piecewise(2, 2, 0), Piecewise(2, 2, 1)])
        >>> regions(quadrants, torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]]))
        tensor([0, 1, 2, 3])
    """
    parts = list(parts_in_turn(transform))
    if not any(isinstance(part, Piecewise) for part in parts):
        raise UsageError(f"regions expects a transform with a Piecewise part, got {type(transform).__name__}")
    index = torch.zeros(x.shape[:-1], dtype=torch.long, device=x.device)
    for part in parts:
        if isinstance(part, Piecewise):
            index = index * part.zigzag.pieces + part.region(x)
        x = part.encode(x, context if part.context is not None else None)
    return index


def _of(values: Tensor, region: Tensor) -> Tensor:
    """The value of one region of each event."""
    return values.gather(-1, region.unsqueeze(-1)).squeeze(-1)
