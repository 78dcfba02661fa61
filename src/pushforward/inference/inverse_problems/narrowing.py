"""The likelihood of an invertible network whose noise around the observation narrows as the training goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from pushforward.flows.flow import Flow
from pushforward.inference.inverse_problems.latent import ObservationAndLatent
from pushforward.scalar.arguments import check_counts, check_positive


@dataclass(frozen=True)
class NarrowingLikelihood:
    r"""The negative log-likelihood of ``f(x) = [f_y(x), f_p(x), f_z(x)]``, but for a constant,

    .. math:: \frac{|f_y(x) - y|^2 + |f_p(x)|^2}{2 s^2} + \tfrac12 |f_z(x)|^2 - \log |\det f'(x)|,

    with a noise ``s`` that falls, evenly in ``log s``, from ``start`` to the noise of the flow's base. It needs no
    draws and no backward pass of the network, so that a step takes a third of one of `Bidirectional`'s. With the
    small noise from the beginning the first term is all that is learned.

    Attributes:
        start: the noise of the first step, in standard deviations of the observations.
        steps: training steps in which the noise falls. Held-out data are judged with the base's.

    Raises:
        UsageError: if ``start`` is not positive, ``steps`` negative, or the flow's base no `ObservationAndLatent`.

    Source: Kruse et al. (2021), arXiv:2101.10763, section 2 ("L2 + ML"), there with one noise.

    Example:
        >>> import torch
        >>> import pushforward as pf
        >>> from pushforward.inference import invertible_flow
        >>> x = torch.randn(256, 3)
        >>> flow = invertible_flow(3, 1, hidden=8, layers=2)
        >>> pf.fit(flow, (x, x[:, :1]), objective=NarrowingLikelihood(steps=2), max_steps=3, progress=False).steps
        3
    """

    start: float = 0.3
    steps: int = 1000

    def __post_init__(self) -> None:
        check_positive("NarrowingLikelihood", start=self.start)
        check_counts("NarrowingLikelihood", least=0, steps=self.steps)

    def check(self, flow: Flow) -> None:
        """Raise :class:`UsageError` if the flow cannot be trained so."""
        ObservationAndLatent.of(flow, "NarrowingLikelihood")

    def at(self, step: int) -> Callable[[Flow, Tensor, Tensor | None], Tensor]:
        """Return the objective of a training step, counted from 0."""
        return partial(_loss, start=self.start, share=min(step / self.steps, 1.0) if self.steps else 1.0)

    def __call__(self, flow: Flow, x: Tensor, context: Tensor | None = None) -> Tensor:
        return _loss(flow, x, context, self.start, 1.0)


def _loss(flow: Flow, x: Tensor, context: Tensor | None, start: float, share: float) -> Tensor:
    """The loss when a share of the steps of narrowing has been taken."""
    base = ObservationAndLatent.of(flow, "NarrowingLikelihood")
    outputs, log_det = flow.transform(x)
    noise = start ** (1 - share) * base.noise**share
    return -(base.log_density(outputs, flow.take_context(context), noise) + log_det).mean()
