"""Likelihood in a random order of the variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from torch import Tensor

from pushforward.distributions.autoregressive.order_agnostic import OrderAgnosticDistribution
from pushforward.errors import UsageError
from pushforward.flows.flow import Flow


@dataclass(frozen=True)
class OrderAgnosticLikelihood:
    r"""The negative log-likelihood in an order drawn anew for each event, estimated without bias by one pass of the
    network: :meth:`pushforward.distributions.OrderAgnosticDistribution.random_order_log_prob`. It trains one network
    for all orders.

    Raises:
        UsageError: if the flow's base is no such distribution.

    Source: Uria, Murray, Larochelle (2014), arXiv:1310.1757, section 3.

    Example:
        >>> import torch, pushforward as pf
        >>> base = OrderAgnosticDistribution(4, pf.distributions.BernoulliMass())
        >>> flow, bits = pf.Flow([pf.transforms.Integers(2)], base), torch.randint(2, (100, 4))
        >>> pf.fit(flow, bits, objective=OrderAgnosticLikelihood(), max_steps=5, progress=False).steps
        5
    """

    def check(self, flow: Flow) -> None:
        """Raise :class:`UsageError` if the flow cannot be trained so."""
        if not isinstance(flow.base, OrderAgnosticDistribution):
            raise UsageError(
                f"OrderAgnosticLikelihood trains flows onto an OrderAgnosticDistribution, got one onto a "
                f"{type(flow.base).__name__}: leave objective out"
            )

    def __call__(self, flow: Flow, x: Tensor, context: Tensor | None = None) -> Tensor:
        base = cast(OrderAgnosticDistribution, flow.base)
        x, given = flow.check(x, context)
        z, log_det = flow.transform(x, given if flow.transform.context is not None else None)
        return -(base.random_order_log_prob(z, given if base.context is not None else None) + log_det).mean()
