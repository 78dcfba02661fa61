"""Making a flow again from its description, and whether that gives the flow that was described."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.flows.spec import Json, build_from
from pushforward.parts import Part

_REMEDY = (
    "make a new flow of the parts that were changed, such as pushforward.Flow(flow.transform, flow.base), or decorate "
    "the class of a module with pushforward.register, so that its arguments are kept"
)
_PLAIN = (bool, int, float, str, torch.dtype, Part)


def rebuild(description: Json, arguments: dict[str, Tensor], weights: dict[str, Tensor]) -> Any:
    """Return what a description and weights make, each weight in the type that it was saved in."""
    made = build_from(description, arguments)
    if not isinstance(made, nn.Module):
        raise UsageError(f"a description of a flow was expected, got one of {type(made).__name__}")
    kinds = {tensor.dtype for tensor in weights.values() if tensor.is_floating_point()}
    if len(kinds) == 1:
        # What is not saved (constants of a type) follows.
        made.to(kinds.pop())
    made.load_state_dict(weights, assign=True)
    return made


def check_rebuilds(
    flow: nn.Module, description: Json, arguments: dict[str, Tensor], weights: dict[str, Tensor]
) -> None:
    """Check that a description makes the flow that it is of, which may have been changed after it was made.

    Raises:
        UsageError: if it does not, naming the first difference.
    """
    # Parts that start at random must not move the numbers that the caller draws next.
    with torch.random.fork_rng(devices=[]):
        try:
            made = build_from(description, arguments)
        except Exception as error:  # A constructor that gets what it was not made with can raise anything.
            reason = str(error).split("\n")[0]
            raise UsageError(f"the flow cannot be made again from its arguments ({reason}): {_REMEDY}") from error
        _check_equal(dict(_classes(flow)), dict(_classes(made)))
        _check_equal(dict(_shapes(flow)), dict(_shapes(made)))
        twin = rebuild(description, arguments, weights)
    _check_equal(dict(_settings(flow)), dict(_settings(twin)))
    _check_constants(flow, twin)


def _check_equal(found: dict[str, Any], made: dict[str, Any]) -> None:
    for name in {**found, **made}:
        if found.get(name) != made.get(name):
            raise UsageError(
                f"{name} of the flow is {found.get(name, 'missing')}, and would be {made.get(name, 'missing')} in what "
                f"is loaded from the file, since it was changed after it was made or an argument was not kept: "
                f"{_REMEDY}"
            )


def _check_constants(flow: nn.Module, twin: nn.Module) -> None:
    """Buffers that no file holds come from the arguments."""
    made = dict(twin.named_buffers())
    for name, value in flow.named_buffers():
        if not torch.equal(value.detach().cpu().to(made[name].dtype), made[name]):
            raise UsageError(f"{name} of the flow is not what its arguments make it, and no weight: {_REMEDY}")


def _classes(flow: nn.Module) -> Iterator[tuple[str, str]]:
    for name, module in flow.named_modules(remove_duplicate=False):
        # By name: a class that a notebook's cell defines again is the same to files.
        yield name or "all", type(module).__qualname__


def _shapes(flow: nn.Module) -> Iterator[tuple[str, tuple[int, ...]]]:
    for name, value in flow.state_dict().items():
        yield name, tuple(value.shape)


def _settings(flow: nn.Module) -> Iterator[tuple[str, str]]:
    """What modules keep under public names that is neither a module nor a tensor, as text."""
    for place, module in flow.named_modules(remove_duplicate=False):
        for name, value in module.__dict__.items():
            if isinstance(value, _PLAIN) and not name.startswith("_") and name != "training":
                yield f"{place}.{name}".lstrip("."), str(value)
