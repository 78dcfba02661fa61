"""Which methods of which flows are no fixed graph of standard functions, and how that is said."""

from __future__ import annotations

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

_LOOPS = ("while_loop", "scan", "cond", "map_impl")


def check_flow(flow: Distribution, method: str) -> None:
    """Raise :class:`UsageError` for a flow whose method is no deterministic graph, before any work."""
    for part in flow.modules():
        if not getattr(part, "capturable", True) and not getattr(part, "composition", list)():
            raise UsageError(
                f"export expects a flow whose number of steps does not depend on the data, and that of "
                f"{type(part).__name__} does"
            )
    tolerance = getattr(getattr(flow, "transform", None), "tolerance", None)
    if method in ("decode", "sample") and tolerance is not None:
        raise UsageError(
            f"export expects a method of a fixed number of steps, and {method} of this flow iterates until it is exact "
            f"to {tolerance:g}"
        )
    if method == "log_prob" and flow.accuracy is Accuracy.ESTIMATE:
        raise UsageError("export of log_prob expects a flow whose log-density is exact or a bound, not an estimate")


def check_operations(method: nn.Module, arguments: list[Tensor], name: str) -> None:
    """Raise :class:`UsageError` for a method of so many operations that no graph should list them."""
    operations = count_work(lambda: method(*arguments), method).operations
    if operations > MOST_OPERATIONS:
        raise UsageError(
            f"export would write {name} of this flow, which goes one element after the other, as {operations:,} "
            f"operations, and writes {MOST_OPERATIONS:,} at most: choose another method, or a flow that goes the other "
            f"way at once"
        )


def check_graph(program: ExportedProgram, name: str) -> None:
    """Raise :class:`UsageError` for a graph with a loop that ends when it has converged, or with draws of its own."""
    for node in program.graph.nodes:
        target = str(node.target)
        if node.op == "call_function" and target in _LOOPS:
            raise UsageError(
                f"export expects a method of a fixed number of steps, and {name} of this flow iterates until it is "
                f"exact enough"
            )
        if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()) and not _idle_dropout(node):
            raise UsageError(
                f"export turns normal and uniform numbers that are drawn into inputs, and {name} of this flow draws "
                f"others ({target})"
            )


def _idle_dropout(node: Node) -> bool:
    """Whether a node is dropout in evaluation mode, ``dropout(x, rate, train=False)``, which draws nothing."""
    return node.target is torch.ops.aten.dropout.default and node.args[2] is False
