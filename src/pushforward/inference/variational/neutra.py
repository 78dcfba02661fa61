"""NeuTra: a density in the latent coordinates of a flow, where samplers have it easy."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pushforward.accuracy import Accuracy
from pushforward.errors import UsageError
from pushforward.flows.expected import require_flow
from pushforward.flows.flow import Flow
from pushforward.inference.variational.declared import Declared
from pushforward.inference.variational.density import UnconstrainedDensity, coordinates_for


class WarpedDensity:
    r"""The log-density of a flow's latents, ``log f(g(z)) + log |det dg/dz|`` with ``g`` from latent to data.

    Called with latents ``(..., D)`` it returns ``(...)``, in nats up to the constant of ``f``; it is differentiable in
    ``z``, and the flow in it is a copy that stays as it is. Where a diverging sampler goes so far that the parameters
    overflow, it is ``-inf``.

    Args:
        density: the log-density on the flow's events.
        flow: whose latents they are.

    Raises:
        ShapeError: for latents or parameters of other shapes.
        DataError: by ``to_latents``, for parameters that are no numbers.

    Example:
        >>> import pushforward as pf
        >>> flow = pf.Flow([pf.transforms.Elementwise(pf.scalar.Affine(), (2,))], pf.distributions.StandardNormal((2,)))
        >>> warped = neutra(flow.log_prob, flow)
        >>> z = warped.start(3)
        >>> torch.allclose(warped(z), flow.base.log_prob(z))
        True
    """

    def __init__(self, density: UnconstrainedDensity, flow: Flow) -> None:
        self.density = density
        self.flow = copy.deepcopy(flow).requires_grad_(False).eval()

    def __call__(self, z: Tensor) -> Tensor:
        u, log_det = self.flow.transform.inverse(z)
        reached = (self.density.reaches(u.detach()) & log_det.isfinite()).detach()
        u = torch.where(reached.reshape(*reached.shape, *[1] * len(self.flow.event_shape)), u, 0.0)
        return torch.where(reached, self.density(u) + log_det, -torch.inf)

    def start(self, sample_shape: int | tuple[int, ...] = (), generator: torch.Generator | None = None) -> Tensor:
        """Draw latents ``sample_shape + (D,)`` where chains can begin: of the flow's base."""
        return self.flow.base.sample(sample_shape, generator=generator)

    @torch.no_grad()
    def to_parameters(self, z: Tensor) -> Any:
        """Return the parameters of latents: a tensor, or a dictionary of tensors where they have names."""
        return self.density.coordinates.constrain(self.flow.transform.decode(z))[0]

    @torch.no_grad()
    def to_latents(self, parameters: Any) -> Tensor:
        """Return the latents of parameters."""
        return self.flow.transform.encode(self.density.coordinates.unconstrain(parameters))


def neutra(
    log_density: Any, flow: Flow, *, parameters: Mapping[str, Declared] | Declared | None = None
) -> WarpedDensity:
    r"""Warp a density by a flow that was fitted to it, so that a sampler moves in nearly a standard normal.

    Args:
        log_density: as for `fit_posterior`.
        flow: fitted to it, exact and with a base on all of the reals.
        parameters: as for `fit_posterior`.

    Raises:
        UsageError: if the flow is not exact, or its base does not cover the reals.

    Source: Hoffman, Sountsov, Dillon, Langmore, Tran, Vasudevan (2019), arXiv:1903.03704.

    Example:
        >>> import pushforward as pf
        >>> flow = pf.Flow([pf.transforms.Elementwise(pf.scalar.Affine(), (2,))], pf.distributions.StandardNormal((2,)))
        >>> warped = neutra(lambda x: -0.5 * x.square().sum(-1), flow)
        >>> z = warped.start(3)
        >>> warped(z).shape, bool(torch.allclose(warped.to_latents(warped.to_parameters(z)), z))
        (torch.Size([3]), True)
    """
    require_flow("neutra", flow)
    if flow.accuracy is not Accuracy.EXACT or flow.transform.draws:
        raise UsageError("neutra expects a flow that is exact and draws nothing between latent and data")
    if not flow.base.support.everywhere:
        raise UsageError(f"neutra expects a flow whose base covers the reals, got one on {flow.base.support}")
    return WarpedDensity(UnconstrainedDensity(log_density, coordinates_for("neutra", flow, parameters)), flow)
