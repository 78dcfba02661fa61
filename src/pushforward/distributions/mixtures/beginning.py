"""Where one component of a mixture begins."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.distributions.base import Distribution

STEPS, LEARNING_RATE, MOST_ROWS = 60, 0.05, 1000


def begin_with(component: Distribution, x: Tensor, context: Tensor | None = None) -> None:
    """Begin a component with its own events ``(N, ...)``: by what of it depends on data or, where nothing does (a von
    Mises-Fisher distribution, a flow without a standardisation), by a few steps up their likelihood.

    Example:
        >>> from pushforward.distributions import DiagonalNormal
        >>> component = DiagonalNormal((1,))
        >>> begin_with(component, torch.full((10, 1), 2.0))
        >>> bool(component.mean > 1.0)
        True
    """
    before = [each.clone() for each in component.state_dict().values()]
    component.initialise(x, context)
    after = component.state_dict().values()
    if all(torch.equal(old, new) for old, new in zip(before, after, strict=True)):
        _ascend(component, x[:MOST_ROWS], None if context is None else context[:MOST_ROWS])


@torch.enable_grad()
def _ascend(component: Distribution, x: Tensor, context: Tensor | None) -> None:
    parameters = [each for each in component.parameters() if each.requires_grad]
    if not parameters:
        return
    optimiser = torch.optim.Adam(parameters, lr=LEARNING_RATE)
    generator = torch.Generator(x.device).manual_seed(0)
    for _ in range(STEPS):
        optimiser.zero_grad()
        loss = -component.score(x, context, generator).mean()
        if not bool(loss.isfinite()):
            break
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    optimiser.zero_grad()
