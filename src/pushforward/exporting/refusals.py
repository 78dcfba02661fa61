"""Which methods of which flows are no deterministic graph, and how that is said."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.fx import Node

from pushforward.accuracy import Accuracy
from pushforward.distributions.base import Distribution
from pushforward.errors import UsageError
from pushforward.kernels.operations import count_work

MOST_OPERATIONS = 5_000
"""The most operations that a graph is made of: an element after the other, they would take minutes to write."""
STEPS = 20
"""How often the body of a loop is gone through where a root is found, about: a graph lists it once."""


def check_columns(columns: Sequence[str], event_shape: torch.Size) -> None:
    """Raise :class:`UsageError` for names of an event's numbers that are not as many."""
    if columns and (len(columns),) != tuple(event_shape):
        raise UsageError(
            f"export expects columns to name each number of an event of shape {tuple(event_shape)}, got {len(columns)}"
        )


def check_flow(flow: Distribution, method: str) -> None:
    """Raise :class:`UsageError` for a flow whose method is no deterministic graph, before any work."""
    for part in flow.modules():
        if not getattr(part, "capturable", True) and not getattr(part, "composition", list)():
            raise UsageError(
                f"export expects a flow whose steps are the same for all data, and those of {type(part).__name__} are "
                f"chosen as it goes"
            )
    if method == "log_prob" and flow.accuracy is Accuracy.ESTIMATE:
        raise UsageError("export of log_prob expects a flow whose log-density is exact or a bound, not an estimate")


def steps_of(flow: Distribution, method: str) -> int:
    """How often a method goes through what its graph says once: a few times where it repeats steps until they are
    exact."""
    iterates = getattr(getattr(flow, "transform", None), "tolerance", None) is not None
    return STEPS if iterates and method in ("decode", "sample") else 1


def check_operations(method: nn.Module, arguments: list[Tensor], name: str, steps: int) -> None:
    """Raise :class:`UsageError` for a method of so many operations that no graph should list them.

    Args:
        method, arguments: what is called.
        name: of the method.
        steps: how often a call may do what the graph says once.
    """
    operations, most = count_work(lambda: method(*arguments), method).operations, steps * MOST_OPERATIONS
    if operations > most:
        loops = " and the steps of its loops" if steps > 1 else ""
        raise UsageError(
            f"export would write {name} of this flow, which goes one element after the other, as {operations:,} "
            f"operations{loops}, and writes {most:,} at most: choose another method, or a flow that goes the other "
            f"way at once"
        )


def check_graph(program: ExportedProgram, name: str) -> None:
    """Raise :class:`UsageError` for a graph with draws of its own."""
    for node in program.graph.nodes:
        if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()) and not _idle_dropout(node):
            raise UsageError(
                f"export turns normal and uniform numbers that are drawn into inputs, and {name} of this flow draws "
                f"others ({node.target})"
            )


def _idle_dropout(node: Node) -> bool:
    """Whether a node is dropout in evaluation mode, ``dropout(x, rate, train=False)``, which draws nothing."""
    return node.target is torch.ops.aten.dropout.default and node.args[2] is False
