"""Computing once more what was computed before: what is needed for it, under which conditions, and how exact it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.kernels.random_state import random_state, set_random_state
from pushforward.numerics import HALF

Image = tuple[Tensor, Tensor | None]
"""What a step returns: the values, and what is summed over the steps, None where values alone are wanted."""


@dataclass(frozen=True)
class Step:
    """One map of a composition.

    Attributes:
        module: whose parameters take part.
        run: the map of ``(x, context, generator)``.
        rebuild: of ``(z, context)``, the input ``x`` as a leaf that requires gradients, and the image of it anew; None
            where the input cannot be found again from ``z``.
        at_once: whether ``rebuild`` draws the same random numbers as ``run``, dropout in a network say.
        full_precision: whether the map is made without autocast, so that ``rebuild`` finds what was rounded nowhere.
        by_itself: whether ``run`` recomputes what it is made of itself.
    """

    module: nn.Module
    run: Callable[[Tensor, Tensor | None, torch.Generator | None], Image]
    rebuild: Callable[[Tensor, Tensor | None], tuple[Tensor, Tensor, Tensor | None]] | None
    at_once: bool
    full_precision: bool
    by_itself: bool


class ReconstructionError:
    """The worst difference between an activation and what was found again of it, relative where it is above 1."""

    def __init__(self) -> None:
        self._worst: Tensor | None = None

    def note(self, found: Tensor, exact: Tensor) -> None:
        """Compare what was found with what it should be, without waiting for the device."""
        if exact.numel():
            error = ((found - exact).abs() / exact.abs().clamp(min=1)).amax().detach().float()
            self._worst = error if self._worst is None else torch.maximum(self._worst, error)

    @property
    def is_new(self) -> bool:
        """Whether nothing has been compared yet."""
        return self._worst is None

    @property
    def worst(self) -> float | None:
        """The worst of all backward passes so far, None before the first."""
        return None if self._worst is None else self._worst.item()


def recomputation_helps() -> bool:
    """Whether a backward pass may follow that can compute anew: not within ``torch.func`` or forward derivatives, which
    differentiate as they go."""
    if not torch.is_grad_enabled():
        return False
    inside = torch._C._functorch.peek_interpreter_stack() is not None
    return not inside and torch.autograd.forward_ad._current_level < 0


@contextmanager
def replayed(state: list[Tensor], device: torch.device, generator: torch.Generator | None = None) -> Iterator[None]:
    """Draw from a state that `random_state` gave, and afterwards go on from where the numbers were.

    Example:
        >>> cpu = torch.device("cpu")
        >>> state, first = random_state(cpu), torch.rand(3)
        >>> with replayed(state, cpu):
        ...     print(torch.equal(torch.rand(3), first))
        True
    """
    now = random_state(device, generator)
    set_random_state(state, generator)
    try:
        yield
    finally:
        set_random_state(now, generator)


@dataclass(frozen=True)
class Setting:
    """What a run of a module depends on besides its input and parameters.

    Attributes:
        modes: each module in it, and whether it was in training.
        buffers: the module, the name and a copy of each buffer that training may change, such as running statistics.
            Masks do not, nor what is in no state dict.
    """

    modes: list[tuple[nn.Module, bool]]
    buffers: list[tuple[nn.Module, str, Tensor]]


def setting_of(module: nn.Module) -> Setting:
    """The present setting of a module.

    Example:
        >>> [(name, kept) for _, name, kept in setting_of(nn.BatchNorm1d(1)).buffers]
        [('running_mean', tensor([0.])), ('running_var', tensor([1.])), ('num_batches_tracked', tensor(0))]
    """
    modes = [(each, each.training) for each in module.modules()]
    buffers = [
        (each, name, buffer.clone())
        for each, training in modes
        if training
        for name, buffer in each._buffers.items()
        if buffer is not None and buffer.dtype != torch.bool and name not in each._non_persistent_buffers_set
    ]
    return Setting(modes, buffers)


@contextmanager
def restored(setting: Setting) -> Iterator[None]:
    """Run a module in a setting, with copies of its buffers, and afterwards leave it as it is now: running statistics
    count a batch once."""
    modes = [(module, module.training) for module, _ in setting.modes]
    buffers = [(module, name, module._buffers[name]) for module, name, _ in setting.buffers]
    _put(setting.modes, [(module, name, value.clone()) for module, name, value in setting.buffers])
    try:
        yield
    finally:
        _put(modes, buffers)


def _put(modes: list[tuple[nn.Module, bool]], buffers: Sequence[tuple[nn.Module, str, Tensor | None]]) -> None:
    for module, training in modes:
        module.training = training
    for module, name, buffer in buffers:
        module._buffers[name] = buffer


def autocast_state(kind: str) -> dict[str, Any]:
    """The state of autocast as its constructor takes it, without the cache: what it keeps of weights that were cast
    without gradients would be taken for those with gradients."""
    return {
        "device_type": kind,
        "dtype": torch.get_autocast_dtype(kind),
        "enabled": torch.is_autocast_enabled(kind),
        "cache_enabled": False,
    }


def check_precision(tensors: Sequence[Tensor], kind: str) -> None:
    """Raise :class:`UsageError` where numbers are too coarse to find activations again."""
    coarse = next((each.dtype for each in tensors if each.dtype in HALF), None)
    if coarse is None and torch.is_autocast_enabled(kind) and torch.get_autocast_dtype(kind) == torch.float16:
        coarse = torch.float16
    if coarse is not None:
        name = str(coarse).removeprefix("torch.")
        raise UsageError(
            f"recomputation in constant memory expects float32, float64 or autocast to bfloat16, got {name}, in which "
            f"activations are found again too coarsely: take float32, or ordinary memory"
        )
