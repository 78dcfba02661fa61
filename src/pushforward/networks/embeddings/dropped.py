"""Contexts that are left out now and then, so that a flow learns what it would say without one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.parts import ModulePart


class DroppedContext(ModulePart):
    r"""Features of a context, in training a share replaced by learned ones, ``none``, that stand for no context.

    A flow with this embedding is at once conditional and not, which guidance
    (:func:`pushforward.flows.guided`) makes use of.

    Args:
        features: how many features the parts of the flow take.
        network: what makes them of a context; by default the identity.
        share: the share of the contexts that training leaves out.

    Shapes: contexts, or what the network makes of them, are ``(..., D)`` with ``D`` the features, and so is the result.

    Raises:
        UsageError: for a share below 0, or of 1 and more.

    Source: Ho, Salimans (2022), Classifier-Free Diffusion Guidance, arXiv:2207.12598.

    Example:
        >>> embedding = DroppedContext(3, share=0.5)
        >>> kept = (embedding(torch.ones(1000, 3)) == 1).all(-1).float().mean()
        >>> 0.4 < kept < 0.6, bool((embedding.eval()(torch.ones(1000, 3)) == 1).all())
        (tensor(True), True)
    """

    def __init__(self, features: int, network: nn.Module | None = None, share: float = 0.1) -> None:
        super().__init__()
        if not 0 <= share < 1:
            raise UsageError(f"DroppedContext expects a share from 0 to below 1, got {share}")
        self.share = share
        self.network = network
        self.none = nn.Parameter(torch.zeros(features))

    def forward(self, context: Tensor) -> Tensor:
        features: Tensor = context if self.network is None else self.network(context)
        if not self.training:
            return features
        dropped = torch.rand(*features.shape[:-1], 1, device=features.device) < self.share
        return torch.where(dropped, self.none.to(features.dtype), features)

    def initialise(self, context: Tensor) -> None:
        """Set what the network takes from one batch of contexts."""
        if hasattr(self.network, "initialise"):
            self.network.initialise(context)  # type: ignore[union-attr, operator]
