"""Whether data fit a flow: every fault of theirs is told before any work, in one sentence."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pushforward.errors import DataError, ShapeError, UsageError
from pushforward.flows.flow import Flow
from pushforward.spaces import Circle, Integers, Interval, Product, Space, Sphere, fits_shape
from pushforward.training.batches import as_floating
from pushforward.transforms import GeographicCoordinates

# How many elements are looked at together, which bounds the memory that a check takes.
_CHUNK = 2**22
_NAMED_ROWS = 5


def check_pair(flow: Flow, x: Tensor, context: Tensor | None, name: str) -> None:
    """Check that events and contexts have the flow's shapes, as many rows, and finite values.

    Args:
        flow: what the data are for.
        x: events ``(N, ...)``.
        context: contexts ``(N, ...)`` or None.
        name: of the data: ``training``, ``validation`` or ``test``.

    Raises:
        ShapeError: the shape of an event or a context is not the flow's.
        UsageError: a context for a flow that takes none, or none for one that does.
        DataError: no rows, not as many contexts as events, values that are NaN or infinite.
    """
    if x.dim() == 0 or (len(x) > 0 and tuple(x.shape[1:]) != tuple(flow.event_shape)):
        expected = "".join(f", {size}" for size in flow.event_shape)
        raise ShapeError(f"the {name} events must be (N{expected}) for this flow, got {tuple(x.shape)}")
    if len(x) == 0:
        raise DataError(f"the {name} data hold no rows")
    if context is not None and (context.dim() == 0 or len(context) != len(x)):
        got = len(context) if context.dim() else "a single number"
        raise DataError(f"expected a context for each of the {len(x)} {name} events, got {got}")
    _check_context_shape(flow, context, name)
    check_finite(x, f"{name} events")
    if context is not None:
        check_finite(context, f"{name} contexts")


def _check_context_shape(flow: Flow, context: Tensor | None, name: str) -> None:
    shape = flow.context_shape
    if shape is None and context is not None:
        raise UsageError(
            f"this flow takes no context, but the {name} data come with contexts of shape {tuple(context.shape[1:])}: "
            "build the flow with context=, or give the events alone"
        )
    if shape is not None and context is None:
        raise UsageError(
            f"this flow expects a context of shape {tuple(shape)} for each event: give the {name} data as a pair "
            "(events, contexts)"
        )
    if shape is not None and context is not None and not fits_shape(shape, context.shape[1:]):
        expected = "".join(f", {size}" for size in shape)
        raise ShapeError(f"the {name} contexts must be (N{expected}) for this flow, got {tuple(context.shape)}")


def check_finite(x: Tensor, name: str) -> None:
    """Raise `DataError` that tells which rows of ``x`` hold values that are NaN or infinite.

    Example:
        >>> check_finite(torch.tensor([[0.0], [torch.inf], [torch.nan]]), "training events")
        Traceback (most recent call last):
        ...
        pushforward.errors.DataError: the training events are NaN or infinite (in float32) in 2 of 3 rows (rows 1, 2): \
fill them in or leave them out
    """
    if not x.is_floating_point():
        return
    wrong = _rows_where(x, lambda rows: ~torch.isfinite(rows).flatten(1).all(1))
    if len(wrong):
        raise DataError(
            f"the {name} are NaN or infinite (in {str(x.dtype).removeprefix('torch.')}) in {len(wrong)} of {len(x)} "
            f"rows ({named_rows(wrong)}): fill them in or leave them out"
        )


def check_support(flow: Flow, x: Tensor, name: str) -> None:
    """Raise `DataError` that names the range and what was found where an event lies outside of the flow's support.

    Such an event has a density of zero, so no training can raise its likelihood.

    Args:
        flow: with its ``support``, the space of its events.
        x: events ``(N, ...)``, finite and of the flow's shape.
        name: of the data: ``training``, ``validation`` or ``test``.
    """
    support = flow.support
    if support.everywhere:
        return
    wrong = _rows_where(x, lambda rows: ~support.contains(as_floating(rows)))
    if len(wrong):
        raise DataError(
            f"the flow expects {_described(support)}, got {_found(support, as_floating(x[wrong[:1]]))} in {len(wrong)} "
            f"of {len(x)} {name} events ({named_rows(wrong)}): {_way(support)}"
        )


def named_rows(rows: Tensor) -> str:
    """The first of some row numbers, to be read by people.

    Example:
        >>> named_rows(torch.tensor([7])), named_rows(torch.arange(100))
        ('row 7', 'rows 0, 1, 2, 3, 4, ...')
    """
    listed = ", ".join(map(str, rows[:_NAMED_ROWS].tolist()))
    return f"row{'s' * (len(rows) > 1)} {listed}{', ...' if len(rows) > _NAMED_ROWS else ''}"


def _rows_where(x: Tensor, wrong: Callable[[Tensor], Tensor]) -> Tensor:
    """The numbers of the rows for which ``wrong`` is true, looked at in chunks."""
    rows = max(1, _CHUNK // max(1, x[0].numel()))
    return torch.cat([wrong(chunk).nonzero()[:, 0].cpu() + rows * i for i, chunk in enumerate(x.split(rows))])


def _way(space: Space) -> str:
    """What to do about events outside."""
    if isinstance(space, Sphere):
        places = "; latitudes and longitudes are taken by coordinates='degrees'" if space.n <= 2 else ""
        return f"divide each vector by its length first{places}"
    if GeographicCoordinates.of(space) is not None:
        return (
            "the latitude comes first, and the longitudes that a flow takes are chosen by its coordinates=, 'degrees' "
            "for those from -180 to 180, 'degrees-east' for those from 0 to 360"
        )
    if _is_circles(space):
        return "wrap the angles (space.wrap), or build the flow for circles of their ends (low= and high=)"
    return "bring the data there, or build the flow for their range"


def _is_circles(space: Space) -> bool:
    return all(isinstance(each, Circle) for each in (space.spaces if isinstance(space, Product) else [space]))


def _described(space: Space) -> str:
    """The space in plain words."""
    if isinstance(space, (Integers, Interval)):
        kind = "whole numbers" if isinstance(space, Integers) else "numbers"
        low = None if space.low in (None, -torch.inf) else f"{space.low:g}"
        high = None if space.high in (None, torch.inf) else f"{space.high:g}"
        if low is not None and high is not None:
            return f"{kind} from {low} to {high}"
        if low is not None:
            return f"{kind} of at least {low}"
        return kind if high is None else f"{kind} of at most {high}"
    if isinstance(space, Sphere):
        return f"vectors of {space.n + 1} numbers and length 1"
    if isinstance(space, Circle):
        return f"angles {_ends(space)}"
    if (places := GeographicCoordinates.of(space)) is not None:
        return f"degrees, latitudes from -90 to 90 and longitudes {_ends(places.longitudes)}"
    if isinstance(space, Product):
        return ", ".join(f"{each.shape[0]} {_described(each)}" for each in space.spaces)
    return f"points of {space}"


def _ends(circle: Circle) -> str:
    return f"from {circle.low:g} to {circle.high:g}"


def _found(space: Space, event: Tensor) -> str:
    """What of the event is not in the space."""
    if isinstance(space, Sphere):
        return f"a vector of length {torch.linalg.vector_norm(event).item():.6g}"
    moved = event[space.nearest(event) != event]
    value = (moved if len(moved) else event.flatten())[0].item()
    kind = "fractions" if isinstance(space, Integers) and value != round(value) else "numbers"
    return f"{kind} such as {value:g}"
