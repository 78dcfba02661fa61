"""What a graph computes of its parameters alone, computed beforehand: inverses, masks, determinants."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.fx import GraphModule, Node


@torch.no_grad()
def with_constants_computed(program: ExportedProgram) -> GraphModule:
    """Return the module of a program of functions without effects, what does not depend on its inputs computed.

    Example:
        >>> class Product(torch.nn.Module):
        ...     def forward(self, x):
        ...         return x @ (torch.eye(2) + 1.0).exp()
        >>> program = torch.export.export(Product(), (torch.ones(3, 2),)).run_decompositions({})
        >>> computed = with_constants_computed(program)
        >>> len([node for node in computed.graph.nodes if node.op == "call_function"])
        1
    """
    module = program.module(check_guards=False)
    graph = module.graph
    # Checks of the types of constants would keep what they check.
    for node in list(graph.nodes):
        if str(node.target).startswith("aten._assert_tensor_metadata"):
            graph.erase_node(node)
    known = _known(module)
    for index, (node, value) in enumerate(known.items()):
        if node.op == "get_attr" or not isinstance(value, Tensor) or all(user in known for user in node.users):
            continue
        name = f"constant_{index}"
        module.register_buffer(name, value.clone())
        with graph.inserting_before(node):
            node.replace_all_uses_with(graph.get_attr(name))
    graph.eliminate_dead_code()
    # With what the graph still refers to, and no more.
    return GraphModule(module, graph)


def _known(module: GraphModule) -> dict[Node, Any]:
    """The values of the nodes that depend on no input."""
    known: dict[Node, Any] = {}
    for node in module.graph.nodes:
        if node.op == "get_attr":
            value = attrgetter(str(node.target))(module)
            if isinstance(value, Tensor):
                known[node] = value
        elif node.op == "call_function" and all(each in known for each in node.all_input_nodes):
            args, kwargs = torch.fx.map_arg((node.args, node.kwargs), known.__getitem__)
            function: Any = node.target
            known[node] = function(*args, **kwargs)
    return known
