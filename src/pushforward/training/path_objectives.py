"""Objectives on the flow's own samples and the paths that led to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.training.objectives import Objective


@dataclass(frozen=True)
class PathKL:
    r"""The divergence from a density known up to a constant, ``E_q [log q(x) - log f(x)]``, on the flow's own paths.

    It is ``KL(q || f / Z) - log Z`` of an exact flow; along paths through stochastic layers it bounds that from above.
    Each step draws as many paths as the batch has rows, or one for each of its contexts; the rows themselves are not
    looked at, so that ``fit(flow, flow.sample(4096), objective=PathKL(f))`` trains without data.

    Attributes:
        log_density: ``log f`` up to a constant, called as ``log_density(x)``, of a flow with a context as
            ``log_density(x, context)``; or a distribution.

    Raises:
        UsageError: if the flow's samples carry no gradients, as those of integers.

    Source: Rezende, Mohamed (2015), arXiv:1505.05770; Wu, Koehler, Noe (2020), arXiv:2002.06707, equation 10.

    Example:
        >>> import pushforward as pf
        >>> flow = pf.Flow([pf.transforms.Planar(2)], pf.distributions.StandardNormal((2,)))
        >>> PathKL(pf.data.ManyWell(2))(flow, torch.zeros(8, 2)).shape
        torch.Size([])
    """

    log_density: Any

    def __call__(self, flow: Flow, x: Tensor, context: Tensor | None = None) -> Tensor:
        if not flow.reparametrised:
            raise UsageError(
                "PathKL expects a flow whose samples carry gradients to its parameters, not one of integers"
            )
        _, log_weight = flow.log_weight(self.log_density, len(x) if context is None else (), context)
        return -log_weight.mean()


@dataclass(frozen=True)
class Mixed:
    r"""A weighted sum of objectives, such as the likelihood of data with the divergence from a density.

    Attributes:
        terms: pairs of a weight and an objective.

    Raises:
        UsageError: if there are none.

    Example:
        >>> import pushforward as pf
        >>> flow = pf.Flow([pf.transforms.Planar(2)], pf.distributions.StandardNormal((2,)))
        >>> both = Mixed([(0.5, pf.training.negative_log_likelihood), (0.5, PathKL(pf.data.ManyWell(2)))])
        >>> both(flow, torch.zeros(8, 2)).shape
        torch.Size([])
    """

    terms: Sequence[tuple[float, Objective]]

    def __post_init__(self) -> None:
        if not self.terms:
            raise UsageError("Mixed expects at least one pair of a weight and an objective, got none")

    def __call__(self, flow: Flow, x: Tensor, context: Tensor | None = None) -> Tensor:
        values = [weight * objective(flow, x, context) for weight, objective in self.terms]
        return torch.stack(values).sum()
