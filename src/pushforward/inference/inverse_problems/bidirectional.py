"""The loss of an invertible network in both of its directions."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from pushforward.flows.flow import Flow
from pushforward.inference.inverse_problems.latent import ObservationAndLatent
from pushforward.scalar.arguments import check_weights
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
        UsageError: if a weight is negative or no number, or the flow's base not an `ObservationAndLatent`.

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

    def __post_init__(self) -> None:
        check_weights(
            "Bidirectional",
            observation=self.observation,
            latent=self.latent,
            parameters=self.parameters,
            reconstruction=self.reconstruction,
        )

    def check(self, flow: Flow) -> None:
        """Raise :class:`UsageError` if the flow cannot be trained so."""
        ObservationAndLatent.of(flow, "Bidirectional")

    def __call__(self, flow: Flow, x: Tensor, context: Tensor | None = None) -> Tensor:
        base, observed = ObservationAndLatent.of(flow, "Bidirectional"), flow.take_context(context)
        assert observed is not None
        found, padding, latent = base.split(flow.transform.encode(x))
        around = base.draw(observed.shape[:-1], observed, 1.0, None)
        known = torch.cat([around[..., : -latent.shape[-1]], latent], -1)
        # Both ways back in one pass of the networks.
        inferred, again = flow.transform.decode(torch.stack([around, known])).unbind()
        independent = torch.cat([observed, torch.randn_like(latent)], -1)
        scale = _deviations(x)
        return (
            self.observation * (_squares(found - observed) + _squares(padding))
            + self.latent * self._differ(torch.cat([found.detach(), latent], -1), independent)
            + self.parameters * self._differ(inferred / scale, x / scale)
            + self.reconstruction * _squares((again - x) / scale)
        )

    def _differ(self, first: Tensor, second: Tensor) -> Tensor:
        return maximum_mean_discrepancy(first, second, self.kernel)


def _squares(values: Tensor) -> Tensor:
    """The mean over the batch of ``|value|^2``."""
    return values.square().sum(-1).mean()


def _deviations(x: Tensor) -> Tensor:
    """The standard deviation of each parameter in the batch; 1 of one that does not vary."""
    deviations = x.std(0, correction=0)
    return torch.where(deviations > 0, deviations, torch.ones_like(deviations))
