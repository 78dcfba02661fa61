"""Whether a network is causal: what it says of a variable depends on the variables before it alone."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.networks.causal import CausalNetwork, check_sizes
from pushforward.networks.masked.made import by_variable
from pushforward.spaces import Space

Network = TypeVar("Network", bound=nn.Module)


def check_network(
    network: nn.Module, variables: int, outputs: int, numbers: int, context: Space | None, owner: str
) -> None:
    """Raise :class:`UsageError` unless a network is causal: by its make and of these sizes, or as :func:`check_causal`
    finds."""
    if isinstance(network, CausalNetwork):
        check_sizes(network, variables, outputs, owner, numbers=numbers)
    else:
        check_causal(network, variables, numbers, context, owner)


@torch.no_grad()
def check_causal(network: nn.Module, variables: int, numbers: int, context: Space | None, owner: str) -> None:
    """Raise :class:`UsageError` if the outputs for a variable change with that variable or one behind it.

    A copy with its weights moved is asked, since networks start at outputs of zero, which depend on nothing.
    """
    network = moved(network)
    like = next(iter(network.parameters()), torch.zeros(()))
    x = torch.linspace(-1, 1, variables * numbers, dtype=like.dtype, device=like.device)
    # A row with each variable changed, and one with none.
    changed = torch.eye(variables, dtype=like.dtype, device=like.device).repeat_interleave(numbers, 1)
    rows = torch.cat([x[None], x + changed])
    given: Tensor | None = None if context is None else like.new_zeros(len(rows), *context.features_shape)
    outputs = by_variable(network(rows, given), variables)
    differs = ((outputs[1:] - outputs[:1]).abs() > 1e-5).any(-1)
    # differs[j, i]: the outputs for i change with j, which only j < i may do.
    seen_too_early = differs.tril(0)
    if bool(seen_too_early.any()):
        changed_variable, output = torch.nonzero(seen_too_early)[0].tolist()
        raise UsageError(
            f"{owner} expects a causal network, whose outputs for a variable depend on those before it alone, got "
            f"{type(network).__name__}, whose outputs for variable {output} depend on variable {changed_variable}"
        )


def moved(network: Network) -> Network:
    """A copy in evaluation mode, no weight of which is zero by its start; the global random state is left alone."""
    copied = copy.deepcopy(network).eval()
    generator = torch.Generator().manual_seed(0)
    for weight in copied.parameters():
        if weight.is_floating_point():
            noise = torch.rand(weight.shape, generator=generator).to(weight)
            # Zeros that stay zeros are a mask's, multiplied in the network itself; those of a start are moved.
            weight.add_(0.1 + 0.4 * noise)
    return copied
