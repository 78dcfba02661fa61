"""How a structure comes by its network: from a factory, or ready made."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from pushforward.errors import ShapeError, UsageError
from pushforward.networks.context import for_network
from pushforward.parts import ModulePart
from pushforward.spaces import Space


class NetworkFactory(Protocol):
    """A callable that makes a conditioner: ``network(inputs, outputs, context)``, for instance a network class or
    ``functools.partial(MLP, hidden=(64, 64))``. ``context`` is a number of features, or the shape of an image.

    Source: Papamakarios, Nalisnick, Rezende, Mohamed, Lakshminarayanan (2021), arXiv:1912.02762, section 3.1, for
    conditioners.

    Example:
        >>> from functools import partial
        >>> import torch, pushforward as pf
        >>> factory: NetworkFactory = partial(pf.networks.MLP, hidden=(8,))
        >>> factory(2, 5, 0)(torch.zeros(4, 2)).shape
        torch.Size([4, 5])
    """

    def __call__(self, inputs: int, outputs: int, context: Any, /) -> nn.Module: ...


class Joined(ModulePart):
    r"""A plain module of one input as a conditioner: the context's features are appended to the input's.

    Args:
        module: any module that maps ``(..., inputs + context)`` to ``(..., outputs)``.

    Raises:
        RuntimeError: from the module, if the features of the two do not add up to what it takes.

    Source: Mirza, Osindero (2014), Conditional Generative Adversarial Nets, arXiv:1411.1784, where a condition enters
    so.

    Example:
        >>> network = Joined(nn.Linear(5, 4))
        >>> network(torch.ones(6, 3), torch.ones(6, 2)).shape
        torch.Size([6, 4])
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        if context is None:
            return self.module(x)
        batch = torch.broadcast_shapes(x.shape[:-1], context.shape[:-1])
        return self.module(torch.cat([x.expand(*batch, -1), context.to(x.dtype).expand(*batch, -1)], dim=-1))


def make_network(
    network: NetworkFactory | nn.Module,
    inputs: int,
    outputs: int,
    context: Space | None,
    owner: str,
    *,
    numbers: int = 1,
) -> nn.Module:
    """Return the network of a structure: a ready-made module as it is, or what the factory makes. ``numbers`` tells a
    factory of causal networks how many numbers each input is, where that is more than one.

    Raises:
        UsageError: if it is neither, or the factory does not take ``(inputs, outputs, context)``.
    """
    if isinstance(network, nn.Module):
        return network if _takes_context(network) else Joined(network)
    if not callable(network):
        raise UsageError(
            f"{owner} expects a network factory such as MLP or partial(MLP, hidden=(64, 64)), or a ready-made module, "
            f"got {network!r}"
        )
    try:
        inspect.signature(network).bind(inputs, outputs, 0)
    except TypeError as error:
        raise UsageError(
            f"{owner} expects a network factory that is called as network(inputs, outputs, context), got {network!r}: "
            f"{error}"
        ) from None
    except ValueError:
        pass
    options = {} if numbers == 1 else {"numbers": numbers}
    made = network(inputs, outputs, for_network(context), **options)
    if not isinstance(made, nn.Module):
        raise UsageError(f"{owner} expects its network factory to make a module, got {type(made).__name__}")
    return made if _takes_context(made) else Joined(made)


def check_outputs(outputs: Tensor, dim: int, expected: int, owner: str) -> None:
    """Raise :class:`ShapeError` unless a network gave as many outputs as its structure needs."""
    if outputs.shape[dim] != expected:
        raise ShapeError(
            f"{owner} expects {expected} outputs of its network at dimension {dim}, got a tensor of shape "
            f"{tuple(outputs.shape)}: make the network for that many"
        )


def _takes_context(network: nn.Module) -> bool:
    parameters: Sequence[inspect.Parameter] = list(inspect.signature(network.forward).parameters.values())
    positional = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    return len(positional) >= 2 or any(each.kind is each.VAR_POSITIONAL for each in parameters)
