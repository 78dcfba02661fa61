"""A method of a flow, traced: one graph of functions for batches of any size, its constants computed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from pushforward.distributions.base import Distribution
from pushforward.errors import PushforwardError, UsageError, first_line
from pushforward.exporting.constants import with_constants_computed
from pushforward.exporting.methods import METHODS, Encode, LogProb, Method, Sample
from pushforward.exporting.noise import draws_of
from pushforward.exporting.refusals import check_graph, check_operations, steps_of
from pushforward.exporting.signature import Port, Signature, ports
from pushforward.exporting.textbook import SERIES
from pushforward.kernels.example import example_of

BATCH = 3
"""How many events a method is traced with; neither 0 nor 1, which stand for any number in no graph."""


@dataclass(frozen=True)
class Traced:
    """A traced method.

    Attributes:
        program: its graph.
        signature: what it takes and gives.
    """

    program: ExportedProgram
    signature: Signature


@torch.no_grad()
def traced(flow: Distribution, name: str, columns: tuple[str, ...] = ()) -> Traced:
    """Trace a method of a flow in evaluation mode; the columns are the names of an event's numbers, where it has some.

    Raises:
        UsageError: if what it does depends on the values, so that no one graph says it.
    """
    x, context = _examples(flow)
    made = METHODS[name]
    given = _given(flow, made, x, context)
    method = made(flow, len(given))
    inputs = _inputs(flow, made, given)
    arguments = [*given] if context is None else [*given, context]
    draws = draws_of(lambda: method.applied(x.shape[:1], tuple(given), context), BATCH)
    arguments += [draw.example(BATCH, x) for draw in draws]
    inputs += tuple(Port(f"{draw.kind}_{index}", draw.shape, draw.kind) for index, draw in enumerate(draws))
    if not inputs:
        raise UsageError(f"export of {name} expects a method of random numbers or of data, and this one takes none")
    check_operations(method, arguments, name, steps_of(flow, name))
    outputs = method(*arguments)
    shapes = [tuple(each.shape[1:]) for each in ([outputs] if isinstance(outputs, Tensor) else outputs)]
    signature = Signature(name, inputs, ports(made.gives, shapes, made.output), columns)
    return Traced(_program(method, arguments, name), signature)


def _examples(flow: Distribution) -> tuple[Tensor, Tensor | None]:
    """Events and contexts, of which the shapes count alone."""
    like = example_of(flow)
    like = torch.zeros(()) if like is None else like
    generator = torch.Generator(like.device).manual_seed(0)

    def example(shape: torch.Size) -> Tensor:
        return torch.randn(BATCH, *shape, generator=generator, dtype=like.dtype, device=like.device)

    x = flow.support.nearest(example(flow.event_shape)).to(like.dtype)
    return x, None if flow.context is None else flow.context.nearest(example(flow.context.shape)).to(like.dtype)


def _given(flow: Distribution, method: type[Method], x: Tensor, context: Tensor | None) -> list[Tensor]:
    if method is Sample:
        return []
    if method in (LogProb, Encode):
        return [x]
    return list(flow.latents(*flow.check(x, context)))


def _inputs(flow: Distribution, method: type[Method], given: list[Tensor]) -> tuple[Port, ...]:
    """What is given, and a context."""
    kind, name = ("events", "x") if method in (LogProb, Encode) else ("latents", "latent")
    context = () if flow.context is None else (Port("context", tuple(flow.context.shape), "context"),)
    return ports(kind, [tuple(each.shape[1:]) for each in given], name) + context


def _program(method: nn.Module, arguments: list[Tensor], name: str) -> ExportedProgram:
    program = _exported(method, arguments, name)
    check_graph(program, name)
    # Without effects, so that what is computed beforehand is not changed afterwards.
    return _exported(_Called(with_constants_computed(program.run_decompositions(SERIES))), arguments, name)


def _exported(module: nn.Module, arguments: list[Tensor], name: str) -> ExportedProgram:
    dimensions = tuple({0: Dim("batch", min=1)} for _ in arguments)
    try:
        return torch.export.export(module, tuple(arguments), dynamic_shapes=(dimensions,), strict=False)
    except PushforwardError:
        raise
    # Whatever the tracer meets: of its errors there is no one family.
    except Exception as error:
        raise UsageError(
            f"export cannot write {name} of this flow as one graph for batches of any size: {first_line(error)}"
        ) from error


class _Called(nn.Module):
    """A module called with any number of tensors."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *tensors: Tensor) -> Tensor | tuple[Tensor, ...]:
        return self.module(*tensors)
