"""The evidence lower bound of variational autoencoders, with warm-up and free bits."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.scalar.arguments import check_counts, check_weights
from pushforward.transforms.chain import parts_in_turn
from pushforward.transforms.retracing import given_to
from pushforward.transforms.surjections.variational_encoding import VariationalEncoding


@dataclass(frozen=True)
class ELBO:
    r"""The negative evidence lower bound with a weight on the divergence of the posterior from the prior,

    .. math:: -E_q \log p(x \mid z) + \beta \sum_k \max\bigl(\lambda, E\, \mathrm{KL}_k\bigr), \quad
        \mathrm{KL}_k = E_q \bigl[\log q(z_k \mid z_{k-1}) - \log p(z_k \mid z_{k+1})\bigr],

    for each variational layer ``k`` of the flow, as a rule one, ``z_0 = x``; the outer mean is over the batch. With
    ``beta = 1`` and ``lambda = 0`` it is what ``negative_log_likelihood`` of such a flow is too. What stands before the
    first layer (a standardisation) counts with the likelihood, what stands behind a layer with its prior.

    Attributes:
        beta: the weight of the divergence; other than 1 it is no bound on the likelihood (Higgins et al. 2017).
        warmup_steps: training steps in which the weight rises linearly from 0 to ``beta`` (Sonderby et al. 2016,
            arXiv:1602.02282). Held-out data are judged with ``beta``.
        free_bits: ``lambda``, the nats of divergence for each layer that cost nothing, in the mean over the batch
            (Kingma et al. 2016, arXiv:1606.04934, appendix C.8; there in groups of dimensions, whose divergences a
            flow posterior does not have). With 0 there is no floor: estimates below zero count as they are.

    Raises:
        UsageError: for what is no number of 0 or more, or a flow without a variational layer.

    Example:
        >>> import pushforward as pf
        >>> flow = pf.models.vae(shape=(1, 4, 4), levels=2, latents=2, hidden=8)
        >>> x = torch.randint(2, (64, 1, 4, 4))
        >>> pf.fit(flow, x, objective=ELBO(warmup_steps=10, free_bits=0.5), max_steps=5, progress=False).steps
        5
    """

    beta: float = 1.0
    warmup_steps: int = 0
    free_bits: float = 0.0

    def __post_init__(self) -> None:
        check_weights("ELBO", beta=self.beta, free_bits=self.free_bits)
        check_counts("ELBO", least=0, warmup_steps=self.warmup_steps)

    def check(self, flow: Flow) -> None:
        """Raise :class:`UsageError` if the flow cannot be trained so."""
        if not any(isinstance(part, VariationalEncoding) for part in parts_in_turn(flow.transform)):
            raise UsageError("ELBO expects a flow with a VariationalEncoding, such as pf.models.vae makes")

    def at(self, step: int) -> ELBO:
        """Return the objective of a training step, counted from 0."""
        if step >= self.warmup_steps:
            return self
        return replace(self, beta=self.beta * step / self.warmup_steps)

    def __call__(self, flow: Flow, x: Tensor, context: Tensor | None = None) -> Tensor:
        log_likelihood, divergences = terms(flow, *flow.check(x, context))
        # Without free bits there is no floor: the estimate from one draw of each event falls below zero at times, and
        # what one layer of a hierarchy is charged even in the mean.
        floor = self.free_bits or -math.inf
        paid = torch.stack([divergence.mean().clamp_min(floor) for divergence in divergences])
        return self.beta * paid.sum() - log_likelihood.mean()


def terms(flow: Flow, x: Tensor, context: Tensor | None) -> tuple[Tensor, list[Tensor]]:
    """Return ``log p(x | z)`` and the divergence of each variational layer, one draw of each for every event, ``(N,)``.

    What each layer is charged is ``log q`` of its latents less all that explains them, up to the next layer.
    """
    explained: list[Tensor | float] = [0.0]
    posteriors: list[Tensor] = []
    for part in parts_in_turn(flow.transform):
        given, _ = given_to(part, context, None)
        if isinstance(part, VariationalEncoding):
            encoded = part.encoded(x, given)
            x = encoded.z
            explained[-1] = explained[-1] + encoded.log_likelihood
            posteriors.append(encoded.log_posterior)
            explained.append(0.0)
        else:
            x, log_det = part(x, given)
            explained[-1] = explained[-1] + log_det
    given = None if flow.base.context is None else context
    explained[-1] = explained[-1] + flow.base.score(x, given)
    log_likelihood, *priors = (torch.as_tensor(each) for each in explained)
    return log_likelihood, [posterior - prior for posterior, prior in zip(posteriors, priors, strict=True)]
