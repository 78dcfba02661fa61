"""Continuous flows that are trained to be easy to solve."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.transforms import Continuous
from pushforward.transforms.chain import parts_in_turn


@dataclass(frozen=True)
class RegularisedLikelihood:
    r"""The mean of ``-log p(x | context)`` and of the energies of the flow's continuous parts, in nats per event:

    .. math:: -\log p(x) + \lambda_K \int |v|^2 dt + \lambda_J \int |\partial v / \partial x|_F^2 dt

    (Finlay et al. 2020, RNODE, arXiv:2002.02798). The energies favour straight ways at an even pace, which a solver
    covers in a few long steps. The Jacobian's norm is estimated, right in the mean, by one product with noise.

    Attributes:
        kinetic, jacobian: the weights of the two energies.

    Raises:
        UsageError: if the flow has no continuous part among the parts of its chain.

    Example:
        >>> import pushforward as pf
        >>> flow = pf.models.ffjord(features=2, hidden=8)
        >>> loss = RegularisedLikelihood()(flow, torch.randn(16, 2))
        >>> result = pf.fit(flow, torch.randn(64, 2), objective=RegularisedLikelihood(), max_steps=2, progress=False)
    """

    kinetic: float = 0.01
    jacobian: float = 0.01

    def check(self, flow: Flow) -> None:
        """Raise :class:`UsageError` if the flow cannot be trained so."""
        if not any(isinstance(part, Continuous) for part in parts_in_turn(flow.transform)):
            raise UsageError("RegularisedLikelihood expects a flow with a Continuous part in its chain, got none")

    def __call__(self, flow: Flow, x: Tensor, context: Tensor | None = None) -> Tensor:
        self.check(flow)
        z, given = flow.check(x, context)
        total = torch.zeros((), dtype=x.dtype, device=x.device)
        for part in parts_in_turn(flow.transform):
            told = given if part.context is not None else None
            if isinstance(part, Continuous):
                z, log_det, kinetic, jacobian = part.forward_with_energy(z, told)
                total = total + (self.kinetic * kinetic + self.jacobian * jacobian).mean()
            else:
                z, log_det = part(z, told)
            total = total - log_det.mean()
        return total - flow.base.score(z, given if flow.base.context is not None else None).mean()
