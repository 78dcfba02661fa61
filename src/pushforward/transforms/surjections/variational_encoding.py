"""A variational autoencoder as a layer: events to latents by a posterior, and back by a likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pushforward.accuracy import Accuracy, Draws, worst
from pushforward.distributions.base import Distribution
from pushforward.errors import ShapeError, UsageError, first_line
from pushforward.kernels.example import example_of
from pushforward.kernels.modes import evaluating
from pushforward.networks.context import Context
from pushforward.spaces import Space
from pushforward.spaces import as_context as context_space
from pushforward.transforms.base import Transform


@dataclass(frozen=True)
class Encoded:
    """What a :class:`VariationalEncoding` makes of events.

    Attributes:
        z: latents drawn from the posterior.
        log_likelihood: ``log p(x | z, c)``.
        log_posterior: ``log q(z | x, c)``.
    """

    z: Tensor
    log_likelihood: Tensor
    log_posterior: Tensor


class VariationalEncoding(Transform):
    r"""A variational autoencoder as a layer of a flow, whose base is the prior: ``z ~ q(z | x)`` one way and
    ``x ~ p(x | z)`` back.

    .. math:: \log p(x) \ge E_{q(z \mid x)} \bigl[\log p(z) + \underbrace{\log p(x \mid z) - \log q(z \mid x)}_{
        \mathrm{log\_det}}\bigr],

    so a flow of it onto a prior has the evidence lower bound as its ``log_prob``, importance weighting tightens that,
    and several in a chain are a hierarchy. Both networks emit what their distributions take as a context: the encoder's
    outputs are the context of the posterior, the decoder's that of the likelihood.

    Args:
        encoder: called as ``encoder(x)``, with a context ``encoder(x, c)``, on events ``(N, ...)`` as their space shows
            them.
        posterior: a distribution of latents ``(L,)`` with the encoder's outputs as its context, whose draws carry
            gradients: a ``ConditionalNormal``, or a flow that samples in one pass.
        decoder: called as ``decoder(z)``, with a context ``decoder(z, c)``, on latents ``(N, L)``.
        likelihood: a distribution of events with the decoder's outputs as its context; see ``GivenParameters``.
        context: what both networks see too, a number of features, a shape or a space; 0 for none.

    Raises:
        UsageError: if the parts do not fit each other, the posterior is not exact or its draws carry no gradients.

    Source: Kingma, Welling (2014), arXiv:1312.6114; Rezende, Mohamed, Wierstra (2014), arXiv:1401.4082; as a layer,
    Nielsen, Jaini, Hoogeboom, Winther, Welling (2020), SurVAE Flows, arXiv:2007.02731.

    Example:
        >>> from functools import partial
        >>> from pushforward.distributions import BernoulliMass, ConditionalNormal, GivenParameters
        >>> from pushforward.networks import MLP, DenseDecoder, DenseEncoder
        >>> posterior = ConditionalNormal((2,), partial(MLP, hidden=()), context=8)
        >>> likelihood = GivenParameters(BernoulliMass(), (5,))
        >>> layer = VariationalEncoding(DenseEncoder((5,), 8), posterior, DenseDecoder(2, (5,)), likelihood)
        >>> z, log_det = layer(torch.ones(4, 5))
        >>> z.shape, log_det.shape, layer.decode(z).shape
        (torch.Size([4, 2]), torch.Size([4]), torch.Size([4, 5]))
    """

    draws = Draws.BOTH
    reads_back = False
    like: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        posterior: Distribution,
        decoder: nn.Module,
        likelihood: Distribution,
        context: Context = 0,
    ) -> None:
        super().__init__()
        _check_distributions(posterior, likelihood)
        self.encoder, self.posterior, self.decoder, self.likelihood = encoder, posterior, decoder, likelihood
        self.domain, self.codomain = likelihood.support, posterior.support
        self.context = context_space(context)
        self.accuracy = worst([Accuracy.LOWER_BOUND, likelihood.accuracy])
        # Integers carry no floating-point type of their own: this follows .double(), .half() and .to(device).
        self.register_buffer("like", torch.zeros(()), persistent=False)
        _check_network("encoder", encoder, self.domain, self.context, posterior)
        _check_network("decoder", decoder, self.codomain, self.context, likelihood)

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        encoded = self.encoded(x, context, generator)
        return encoded.z, encoded.log_likelihood - encoded.log_posterior

    def encoded(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Encoded:
        """Return latents with the two terms of :meth:`forward`'s log-determinant, which objectives weigh apart."""
        x, context = self._checked(x, context)
        z, log_posterior = self.posterior.draw_and_score(*self._for_posterior(x, context), generator)
        log_likelihood = self.likelihood(x, self._for_likelihood(z, context), generator)
        return Encoded(z, log_likelihood, log_posterior)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        z, context = self.check(z, context, self.codomain)
        given = self._for_likelihood(z, context)
        x, log_likelihood = self.likelihood.draw_and_score(z.shape[:-1], given, generator)
        _, seen = self._for_posterior(x, context)
        log_posterior = self.posterior(z, seen, generator)
        return x, log_posterior - log_likelihood

    def encode(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        x, context = self._checked(x, context)
        batch, given = self._for_posterior(x, context)
        return self.posterior.draw(batch, given, 1.0, generator)

    def decode(self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        z, context = self.check(z, context, self.codomain)
        return self.likelihood.draw(z.shape[:-1], self._for_likelihood(z, context), 1.0, generator)

    def forward_shape(self, shape: Sequence[int]) -> torch.Size:
        return self.codomain.shape

    def inverse_shape(self, shape: Sequence[int]) -> torch.Size:
        return self.domain.shape

    def _checked(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor | None]:
        return self.check(x if x.is_floating_point() else x.to(self.like.dtype), context, self.domain)

    def _for_posterior(self, x: Tensor, context: Tensor | None) -> tuple[torch.Size, Tensor | None]:
        """The batch of events, and what the encoder makes of them as the posterior's parts take it."""
        emitted = self._emitted(self.encoder, self.domain, x, context)
        return x.shape[: x.dim() - len(self.domain.shape)], self.posterior.take_context(emitted)

    def _for_likelihood(self, z: Tensor, context: Tensor | None) -> Tensor | None:
        """What the decoder makes of latents, as the likelihood's parts take it."""
        return self.likelihood.take_context(self._emitted(self.decoder, self.codomain, z, context))

    def _emitted(self, network: nn.Module, space: Space, values: Tensor, context: Tensor | None) -> Tensor:
        """What a network of ``(N, ...)`` emits, for events of ``space`` and contexts with any batch."""
        dims = len(space.shape)
        batch = values.shape[: values.dim() - dims]
        seen = [space.features(values).reshape(-1, *space.features_shape)]
        if context is not None and self.context is not None:
            own = self.context.features_shape
            seen.append(context.to(values.dtype).expand(*batch, *own).reshape(-1, *own))
        emitted: Tensor = network(*seen)
        return emitted.reshape(*batch, *emitted.shape[1:])


def emitted_shape(network: nn.Module, space: Space, context: Space | None) -> torch.Size:
    """Return the shape of what a network emits for one event of ``space``, by running it once, on zeros.

    Raises:
        UsageError: if it does not take such events, or emits no tensor.
    """
    found = example_of(network)
    like = torch.zeros(()) if found is None else found
    inputs = [like.new_zeros(2, *each.features_shape) for each in (space, context) if each is not None]
    try:
        with torch.no_grad(), evaluating(network):
            emitted = network(*inputs)
    except (RuntimeError, TypeError, ValueError, IndexError, ShapeError) as error:
        shown = " and ".join(str(tuple(each.shape)) for each in inputs)
        raise UsageError(f"{type(network).__name__} cannot take {shown}: {first_line(error)}") from error
    if not isinstance(emitted, Tensor) or emitted.dim() < 2 or len(emitted) != 2:
        raise UsageError(f"{type(network).__name__} is expected to emit a tensor (2, ...) for a batch of 2")
    return emitted.shape[1:]


def _check_network(name: str, network: nn.Module, space: Space, context: Space | None, reader: Distribution) -> None:
    emitted, expected = emitted_shape(network, space, context), reader.context_shape
    if emitted != expected:
        raise UsageError(
            f"VariationalEncoding expects of its {name} what {type(reader).__name__} takes as its context, of shape "
            f"{tuple(expected or ())}, got {tuple(emitted)}"
        )


def _check_distributions(posterior: Distribution, likelihood: Distribution) -> None:
    for name, part in (("posterior", posterior), ("likelihood", likelihood)):
        got = type(part).__name__
        if not isinstance(part, Distribution) or part.context is None:
            raise UsageError(f"VariationalEncoding expects as its {name} a distribution with a context, got {got}")
        if not part.support.discrete and not part.reparametrised:
            raise UsageError(f"VariationalEncoding expects a {name} whose draws carry gradients, got {got}")
    if posterior.accuracy is not Accuracy.EXACT or posterior.support.discrete or len(posterior.event_shape) != 1:
        got = type(posterior).__name__
        raise UsageError(f"VariationalEncoding expects an exact posterior of vectors of reals, got {got}")
