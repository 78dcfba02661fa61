"""The laws of batches: shapes, types, one event beside another, events and contexts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from pushforward.accuracy import Draws
from pushforward.distributions.base import Distribution
from pushforward.errors import ShapeError
from pushforward.spaces import ANY, Space
from pushforward.testing.compare import FLOATS, assert_close, tolerance_of
from pushforward.testing.parameters import SCALES, at_random, cast, law, outputs, seeded, told
from pushforward.transforms.base import Transform

BATCHES: list[tuple[int, ...]] = [(), (1,), (2,), (2, 1), (0,), (2, 0)]
# What a part may ask of a tensor before it has checked it.
HARMLESS = {
    "__get__",
    "dim",
    "size",
    "numel",
    "is_floating_point",
    "to",
    "long",
    "double",
    "__bool__",
    "_set_grad_enabled",
}

# Whose values a computation gives alone.
VALUES_OF = {"encode": "forward", "decode": "inverse"}

Map = Callable[[Tensor, Tensor | None], tuple[Tensor, ...]]


@law
def check_shapes(transform: Transform, x: Tensor, context: Tensor | None = None) -> None:
    """No, one, several and empty batch dimensions give the same numbers and ``log_det`` of the batch's shape; events of
    another shape are a clear error.

    Raises:
        AssertionError: if not, with what was seen.

    Example:
        >>> import pushforward as pf
        >>> check_shapes(pf.transforms.Planar(2), torch.randn(4, 2))
    """
    latents = transform(x, context, seeded())[0].detach()
    event, latent = x.shape[1:], latents.shape[1:]
    assert latent == transform.forward_shape(event), (
        f"forward gave events of shape {tuple(latent)}, forward_shape says {tuple(transform.forward_shape(event))}"
    )
    for name, run, inputs, space, after, draws in [
        ("forward", transform.forward, x, transform.domain, latent, Draws.FORWARD),
        ("inverse", transform.inverse, latents, transform.codomain, event, Draws.INVERSE),
    ]:
        together = run(inputs, context, seeded())
        alone = together[1].shape
        assert alone == inputs.shape[:1], f"{name}: expected log_det of {tuple(inputs.shape[:1])}, got {tuple(alone)}"
        for batch in BATCHES:
            rows = torch.Size(batch).numel()
            values, log_det = run(_take(inputs, batch), _take(context, batch), seeded())  # type: ignore[arg-type]
            what = f"{name} of a batch of shape {batch}"
            assert values.shape == (*batch, *after), f"{what}: expected {(*batch, *after)}, got {tuple(values.shape)}"
            assert log_det.shape == batch, f"{what}: expected log_det of its shape, got {tuple(log_det.shape)}"
            if not transform.draws & draws:
                tolerance = tolerance_of(transform, torch.float32)
                assert_close(values.reshape(rows, *after), together[0][:rows], tolerance, f"the values of {what}")
                assert_close(log_det.reshape(rows), together[1][:rows], 10 * tolerance, f"log_det of {what}")
        _assert_refused(run, inputs, context, space, name)


@law
def check_dtypes(part: Transform | Distribution, x: Tensor, context: Tensor | None = None) -> None:
    """Outputs follow the floating-point type of the events, and float64 is computed in float64.

    Raises:
        AssertionError: if not, with what was seen.

    Example:
        >>> import pushforward as pf
        >>> check_dtypes(pf.transforms.Planar(2), torch.randn(4, 2))
    """
    for dtype in FLOATS:
        typed, events, given = cast(part, x, context, dtype)
        for name, value in outputs(typed, events, given).items():
            assert value.dtype == dtype or not value.is_floating_point(), f"{dtype} in, {name} in {value.dtype}"
            assert value.is_floating_point() or name == "sample", f"{dtype} in, {name} in {value.dtype}"
    if not isinstance(part, Transform) or part.domain.discrete or part.codomain.discrete:
        return
    typed, events, given = cast(part, x, context, torch.float64)
    # Digits that float32 does not have.
    events = part.domain.nearest(
        events * (1 + 1e-9 * torch.rand(events.shape, generator=seeded(), dtype=torch.float64))
    )
    found = outputs(typed, events, given)
    for name in ("forward", "inverse"):
        cut = (found[name] == found[name].float().double()).all(0)
        assert not cut.any(), f"{name} in float64 has the precision of float32 in {int(cut.sum())} of its elements"


@law
def check_independence(part: Transform | Distribution, x: Tensor, context: Tensor | None = None) -> None:
    """Events of a batch do not see each other, nor each other's contexts: with another one in the first place, the
    outputs of the rest stay what they are.

    Raises:
        AssertionError: if not, with what was seen.

    Example:
        >>> import pushforward as pf
        >>> check_independence(pf.transforms.Planar(2), torch.randn(4, 2))
    """
    part, events, given = cast(part, x, context, torch.float64)
    others = torch.cat([events[-1:], events[1:]])
    contexts = None if given is None else torch.cat([given[-1:], given[1:]])
    for name, run, inputs, changed in _directions(part, events, others, given, contexts):
        for condition, what in ((given, "another event"), (contexts, "another event and context")):
            pairs = zip(run(inputs, given), run(changed, condition), strict=True)
            for value, found in pairs:
                tolerance = tolerance_of(part, torch.float64)
                assert_close(
                    found[1:], value[1:], tolerance, f"{name} of the rest of a batch with {what} in the first place"
                )


@law
def check_context(part: Transform | Distribution, x: Tensor, context: Tensor | None = None) -> None:
    """A missing, superfluous or misshapen context is a :class:`ShapeError` before any arithmetic; one event with many
    contexts and many events with one context broadcast.

    Raises:
        AssertionError: if not, with what was seen.

    Example:
        >>> import pushforward as pf
        >>> check_context(pf.transforms.Planar(2, context=3), torch.randn(4, 2), torch.randn(4, 3))
    """
    part, events, given = cast(part, x, context, torch.float64)
    for name, run, inputs, _ in _directions(part, events, events, given, given):
        for what, wrong in _wrong_contexts(part, given, len(x)).items():
            with _Watch() as watch:
                try:
                    run(inputs, wrong)
                except ShapeError as error:
                    assert "context" in str(error), f"{name} with {what} context: the error does not say so ({error})"
                else:
                    raise AssertionError(f"{name} took {what} context: begin with self.check(x, context, space)")
            assert not watch.seen, f"{name} with {what} context computed {watch.seen[0]} before it raised"
        if given is not None:
            _assert_broadcast(run, inputs, given, name, tolerance_of(part, torch.float64))


@told
def check_context_matters(part: Transform | Distribution, x: Tensor, context: Tensor | None = None) -> None:
    """Outputs change with the context, where a part declares one: at random parameters, since a new network may emit
    zeros whatever it sees. Values may stay where the context decides about the log-determinant alone, as it does where
    it chooses among the origins of one latent.

    Raises:
        AssertionError: if not, with what was seen.

    Example:
        >>> import pushforward as pf
        >>> check_context_matters(pf.transforms.Planar(2, context=3), torch.randn(4, 2), torch.randn(4, 3))
    """
    if part.context is None or context is None:
        return
    differs: dict[str, bool] = {}
    moved: dict[str, bool] = {}
    for seed, scale in enumerate(SCALES):
        typed, events, given = cast(at_random(part, seed, scale), x, context, torch.float64)
        assert given is not None
        for name, run, inputs, _ in _directions(typed, events, events, given, given):
            pairs = zip(run(inputs, given), run(inputs, given.roll(1, 0)), strict=True)
            changed = [not torch.equal(*pair) for pair in pairs]
            # What takes the largest of several numbers may well be the same at one draw of the parameters.
            differs[name] = differs.get(name, False) or any(changed)
            moved[name] = moved.get(name, False) or changed[0]
    for name, found in differs.items():
        still = not moved.get(VALUES_OF.get(name, name), True)
        assert found or (name in VALUES_OF and still), f"{name} is the same at other contexts"


class _Watch(TorchFunctionMode):
    """Notes what is done to tensors beyond asking for their shapes and types."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", str(func))
        if name not in HARMLESS:
            self.seen.append(name)
        return func(*args, **(kwargs or {}))


def _take(values: Tensor | None, batch: tuple[int, ...]) -> Tensor | None:
    if values is None:
        return None
    return values[: torch.Size(batch).numel()].reshape(*batch, *values.shape[1:])


def _assert_refused(run: Map, x: Tensor, context: Tensor | None, space: Space, name: str) -> None:
    """Events with one element less, along the first dimension of known size, or without their dimensions at all."""
    known = [index for index, size in enumerate(space.shape) if size != ANY]
    wrong = [x.narrow(known[0] - len(space.shape), 0, space.shape[known[0]] - 1)] if known else []
    for events in [*wrong, x.new_zeros(())]:
        try:
            run(events, context)
        except ShapeError:
            continue
        raise AssertionError(
            f"{name} took events of shape {tuple(events.shape)}, expected a ShapeError: begin with "
            f"self.check(x, context, space)"
        )


def _directions(
    part: Transform | Distribution, x: Tensor, changed: Tensor, context: Tensor | None, contexts: Tensor | None
) -> Iterator[tuple[str, Map, Tensor, Tensor]]:
    """Yield what a part computes, by name, with inputs for it: of the events, and of changed ones."""
    if isinstance(part, Distribution):
        yield "log_prob", lambda events, given: (part.log_prob(events, given, seeded()),), x, changed
        return
    latents, others = (part(*pair, seeded())[0].detach() for pair in ((x, context), (changed, contexts)))
    yield "forward", lambda events, given: part(events, given, seeded()), x, changed
    yield "encode", lambda events, given: (part.encode(events, given, seeded()),), x, changed
    mixed = torch.cat([others[:1], latents[1:]])
    yield "inverse", lambda events, given: part.inverse(events, given, seeded()), latents, mixed
    yield "decode", lambda events, given: (part.decode(events, given, seeded()),), latents, mixed


def _wrong_contexts(part: Transform | Distribution, context: Tensor | None, count: int) -> dict[str, Tensor | None]:
    if part.context is None or context is None:
        return {"a superfluous": torch.zeros(count, 3, dtype=torch.float64)}
    if context.dim() == 1:
        # Numbers by themselves: whatever stands before them is a batch.
        return {"no": None}
    return {"no": None, "a wider": torch.cat([context, context[:, :1]], 1), "a narrower": context[:, 1:]}


def _assert_broadcast(run: Map, x: Tensor, context: Tensor, name: str, tolerance: float) -> None:
    count = len(context)
    for events, given, what in [
        (x[0], context, "one event with many contexts"),
        (x, context[0], "many events with one context"),
    ]:
        found = run(events, given)
        expected = run(
            x[:1].expand_as(x) if events is not x else x,
            context if given is context else context[:1].expand_as(context),
        )
        for value, right in zip(found, expected, strict=True):
            assert value.shape[:1] == (count,), f"{name} of {what}: expected {count} of them, got {tuple(value.shape)}"
            assert_close(value, right, tolerance, f"{name} of {what}")
