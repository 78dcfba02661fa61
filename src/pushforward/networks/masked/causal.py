"""Whether a network is causal: what it says of a variable depends on the variables before it alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.networks.masked.made import MaskedNetwork, by_variable
from pushforward.spaces import Space


@torch.no_grad()
def check_causal(network: nn.Module, variables: int, numbers: int, context: Space | None, owner: str) -> None:
    """Raise :class:`UsageError` if the outputs for a variable change with that variable or one behind it.

    A network that starts at zero cannot be told by its outputs; the laws (``pushforward.testing``) move its weights.
    """
    if isinstance(network, MaskedNetwork):
        return
    like = next(iter(network.parameters()), torch.zeros(()))
    x = torch.linspace(-1, 1, variables * numbers, dtype=like.dtype, device=like.device)
    # A row with each variable changed, and one with none.
    changed = torch.eye(variables, dtype=like.dtype, device=like.device).repeat_interleave(numbers, 1)
    rows = torch.cat([x[None], x + changed])
    given: Tensor | None = None if context is None else like.new_zeros(len(rows), *context.features_shape)
    training = network.training
    outputs = by_variable(network.eval()(rows, given), variables)
    network.train(training)
    differs = ((outputs[1:] - outputs[:1]).abs() > 1e-5).any(-1)
    # differs[j, i]: the outputs for i change with j, which only j < i may do.
    seen_too_early = differs.tril(0)
    if bool(seen_too_early.any()):
        changed_variable, output = torch.nonzero(seen_too_early)[0].tolist()
        raise UsageError(
            f"{owner} expects a causal network, whose outputs for a variable depend on those before it alone, got "
            f"{type(network).__name__}, whose outputs for variable {output} depend on variable {changed_variable}"
        )
