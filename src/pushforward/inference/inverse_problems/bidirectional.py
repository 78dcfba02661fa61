"""The loss of an invertible network in both of its directions."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.inference.inverse_problems.latent import ObservationAndLatent
from pushforward.training.discrepancy import InverseMultiquadric, Kernel, maximum_mean_discrepancy


@dataclass(frozen=True)
class Bidirectional:
    r"""Losses of ``f(x) = [f_y(x), f_p(x), f_z(x)]`` and of its inverse ``g``, added up before one step,

    .. math:: L = w_y L_y + w_z L_z + w_x L_x + w_r L_r.

    - ``L_y``, the mean of ``|f_y(x) - y|^2 + |f_p(x)|^2``: the network predicts the observation.
    - ``L_z``, the discrepancy of ``[f_y(x), f_z(x)]`` and ``[y, z]`` with ``z ~ N(0, I)``: the latent is normal and
      tells nothing of the observation. No gradient passes through ``f_y``, which has its own loss.
    - ``L_x``, the discrepancy of ``g(y, z)`` and ``x``: what is inferred is distributed as the parameters are.
    - ``L_r``, the mean of ``|g(y, f_z(x)) - x|^2`` with noise at the observation: the inverse is no steeper than it
      must be.

    Parameters are compared in the batch's standard deviations, observations as the flow's embedding standardises them.

    Attributes:
        observation, latent, parameters, reconstruction: the weights ``w_y``, ``w_z``, ``w_x`` and ``w_r``.
        kernel: of the discrepancies.

    Raises:
        UsageError: if the flow's base is not an `ObservationAndLatent`.

    Source: Ardizzone et al. (2019), arXiv:1808.04730, section 3.3.

    Example:
        >>> import pushforward as pf
        >>> from pushforward.inference import invertible_flow
        >>> x = torch.randn(256, 3)
        >>> flow = invertible_flow(3, 1, hidden=8, layers=2)
        >>> pf.fit(flow, (x, x[:, :1]), objective=Bidirectional(), max_steps=3, progress=False).steps
        3
    """

    observation: float = 10.0
    latent: float = 10.0
    parameters: float = 10.0
    reconstruction: float = 1.0
    kernel: Kernel = field(default_factory=InverseMultiquadric)

    def check(self, flow: Flow) -> None:
        """Raise :class:`UsageError` if the flow cannot be trained so."""
        _base(flow)

    def __call__(self, flow: Flow, x: Tensor, context: Tensor | None = None) -> Tensor:
        base, observed = _base(flow), flow.take_context(context)
        assert observed is not None
        found, padding, latent = base.split(flow.transform.encode(x))
        return (
            self.observation * (_squares(found - observed) + _squares(padding))
            + self.latent * self._latents_differ(found, latent, observed)
            + self.parameters * self._parameters_differ(flow, x, observed)
            + self.reconstruction * self._reconstruction(flow, x, observed, latent)
        )

    def _latents_differ(self, found: Tensor, latent: Tensor, observed: Tensor) -> Tensor:
        """``L_z``."""
        independent = torch.cat([observed, torch.randn_like(latent)], -1)
        return maximum_mean_discrepancy(torch.cat([found.detach(), latent], -1), independent, self.kernel)

    def _parameters_differ(self, flow: Flow, x: Tensor, observed: Tensor) -> Tensor:
        """``L_x``."""
        drawn = flow.transform.decode(_base(flow).draw(observed.shape[:-1], observed, 1.0, None))
        scale = _deviations(x)
        return maximum_mean_discrepancy(drawn / scale, x / scale, self.kernel)

    def _reconstruction(self, flow: Flow, x: Tensor, observed: Tensor, latent: Tensor) -> Tensor:
        """``L_r``."""
        drawn = _base(flow).draw(observed.shape[:-1], observed, 1.0, None)
        behind = drawn.shape[-1] - latent.shape[-1]
        back = flow.transform.decode(torch.cat([drawn[..., :behind], latent], -1))
        return _squares((back - x) / _deviations(x))


def _base(flow: Flow) -> ObservationAndLatent:
    if not isinstance(flow.base, ObservationAndLatent):
        raise UsageError(
            f"Bidirectional trains flows onto an observation and a latent, as invertible_flow makes them; this one's "
            f"base is {type(flow.base).__name__}"
        )
    return flow.base


def _squares(values: Tensor) -> Tensor:
    """The mean over the batch of ``|value|^2``."""
    return values.square().sum(-1).mean()


def _deviations(x: Tensor) -> Tensor:
    """The standard deviation of each parameter in the batch; 1 of one that does not vary."""
    deviations = x.std(0, correction=0)
    return torch.where(deviations > 0, deviations, torch.ones_like(deviations))
