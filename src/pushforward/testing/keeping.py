"""The laws of keeping: state, copies, arguments, files; and of being compiled."""

from __future__ import annotations

import copy
import io
import pickle
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.distributions.base import Distribution
from pushforward.flows.flow import Flow
from pushforward.flows.saving import load, save
from pushforward.parts import PartMeta, arguments_of, make
from pushforward.testing.compare import assert_close, assert_same_outputs
from pushforward.testing.parameters import at_random, outputs, seeded, told
from pushforward.testing.reference import Reference
from pushforward.transforms.base import Transform


@told
def check_state(part: Transform | Distribution, x: Tensor, context: Tensor | None = None) -> None:
    """The state dict holds everything: loaded into a copy whose parameters and buffers were all changed, and into a
    part made anew under another global seed, it restores the outputs.

    Raises:
        AssertionError: if not, with what was seen.

    Example:
        >>> import pushforward as pf
        >>> check_state(pf.transforms.Planar(2), torch.randn(4, 2))
    """
    part = at_random(part)
    expected = outputs(part, x, context)
    changed = copy.deepcopy(part)
    _change(changed)
    changed.load_state_dict(part.state_dict())
    assert_same_outputs(outputs(changed, x, context), expected, "after the state dict was loaded into a changed copy")
    again = _made_anew(part)
    again.load_state_dict(part.state_dict())
    found = outputs(again.eval(), x, context)
    assert_same_outputs(found, expected, "after the state dict was loaded into a part made anew")


@told
def check_pickle(part: Transform | Distribution, x: Tensor, context: Tensor | None = None) -> None:
    """A part can be pickled and deep-copied, and gives the same then.

    Raises:
        AssertionError: if not, with what was seen.

    Example:
        >>> import pushforward as pf
        >>> check_pickle(pf.transforms.Planar(2), torch.randn(4, 2))
    """
    part = at_random(part)
    expected = outputs(part, x, context)
    assert_same_outputs(outputs(copy.deepcopy(part), x, context), expected, "of a deep copy")
    buffer, classes = io.BytesIO(), list[type]()
    _Pickler(buffer, classes).dump(part)
    buffer.seek(0)
    assert_same_outputs(outputs(_Unpickler(buffer, classes).load(), x, context), expected, "of what was pickled")


@told
def check_memory(part: Transform | Distribution, x: Tensor, context: Tensor | None = None) -> None:
    """A part remembers the arguments that it was made with: made again from them, it takes the same state and gives the
    same.

    Raises:
        AssertionError: if not, with what was seen.

    Example:
        >>> import pushforward as pf
        >>> check_memory(pf.transforms.Planar(2), torch.randn(4, 2))
    """
    part = at_random(part)
    again = _made_anew(part)
    assert type(again) is type(part), f"made again it is a {type(again).__name__}"
    shapes = [{name: tensor.shape for name, tensor in each.state_dict().items()} for each in (part, again)]
    assert shapes[0] == shapes[1], "made again from its arguments it has other parameters or buffers"
    again.load_state_dict(part.state_dict())
    assert_same_outputs(outputs(again.eval(), x, context), outputs(part, x, context), "made again from its arguments")


@told
def check_saving(part: Transform | Distribution, x: Tensor, context: Tensor | None = None) -> None:
    """A flow of the part comes back from ``save`` and ``load`` with all that defines it. Classes of one's own must be
    registered (:func:`pushforward.register`), so that a file can name them.

    Raises:
        AssertionError: if not, with what was seen.

    Example:
        >>> import pushforward as pf
        >>> check_saving(pf.transforms.Planar(2), torch.randn(4, 2))
    """
    flow = as_distribution(at_random(part), x, context).eval()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "part.safetensors"
        save(flow, path)
        torch.manual_seed(99)
        loaded = load(path)
    found = outputs(loaded, x, context)
    for name, expected in outputs(flow, x, context).items():
        # Numbers that lie elsewhere in memory may be rounded otherwise.
        assert_close(found[name], expected, 1e-5, f"{name} of the flow that was saved and loaded")


@told
def check_graph(transform: Transform, x: Tensor, context: Tensor | None = None) -> None:
    """``torch.compile(fullgraph=True)`` captures the transform without a graph break, gradients included, where it does
    not draw, as random numbers are drawn outside of compiled code, and does not say that it cannot be captured.

    Raises:
        AssertionError: if not, with what was seen.

    Example:
        >>> import pushforward as pf
        >>> transform = pf.transforms.Dequantization(256, event_dims=1)
        >>> transform.draws is not None, check_graph(transform, torch.zeros(4, 2))
        (True, None)
    """
    if transform.draws or not transform.capturable:
        return
    part = at_random(transform)
    torch.compiler.reset()
    compiled = torch.compile(part, fullgraph=True, backend="aot_eager")
    for name, value, expected in zip(("z", "log_det"), compiled(x, context), part(x, context), strict=True):
        if value.requires_grad:
            value.sum().backward(retain_graph=True)
        assert_close(value, expected, 1e-4, f"{name} of the compiled transform")


def as_distribution(part: Transform | Distribution, x: Tensor, context: Tensor | None = None) -> Distribution:
    """Return a distribution as it is, and the flow of a transform with a simple base."""
    if isinstance(part, Distribution):
        return part
    latent = part(x[:1], None if context is None else context[:1], seeded())[0].shape[1:]
    return Flow(part, Reference(part.codomain.with_shape(latent)))


def _made_anew(part: Any) -> Any:
    # What modules were given stays theirs.
    arguments = copy.deepcopy(arguments_of(part))
    torch.manual_seed(12345)
    return make(type(part), arguments)


def _change(part: nn.Module) -> None:
    """Change all parameters and all buffers that a state dict holds."""
    with torch.no_grad():
        for tensor in part.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(1 + torch.randn(tensor.shape).to(tensor))
            elif tensor.dtype == torch.bool:
                tensor.logical_not_()
            else:
                tensor.copy_(tensor.roll(1, 0) if tensor.dim() else tensor + 1)


class _Pickler(pickle.Pickler):
    """Takes the classes of parts as they are: where a class can be found again is the business of who wrote it."""

    def __init__(self, buffer: io.BytesIO, classes: list[type]) -> None:
        super().__init__(buffer)
        self.classes = classes

    def persistent_id(self, value: Any) -> Any:
        if not isinstance(value, PartMeta):
            return None
        self.classes.append(value)
        return len(self.classes) - 1


class _Unpickler(pickle.Unpickler):
    def __init__(self, buffer: io.BytesIO, classes: list[type]) -> None:
        super().__init__(buffer)
        self.classes = classes

    def persistent_load(self, number: Any) -> Any:
        return self.classes[number]
