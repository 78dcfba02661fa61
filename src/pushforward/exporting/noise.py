"""Random numbers as inputs: what a method would draw is handed to it, so that what it computes is deterministic."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from pushforward.errors import UsageError

NORMAL, UNIFORM = "normal", "uniform"
_KINDS = {torch.randn: NORMAL, torch.randn_like: NORMAL, torch.rand: UNIFORM, torch.rand_like: UNIFORM}


@dataclass(frozen=True)
class Draw:
    """Random numbers that a method takes: ``batch + shape`` standard normal or uniform ones.

    Attributes:
        kind: "normal", of mean 0 and variance 1, or "uniform", from 0 to 1.
        shape: of the numbers for one event.
    """

    kind: str
    shape: tuple[int, ...]

    def example(self, batch: int, like: Tensor) -> Tensor:
        """Such numbers, for a batch."""
        make = torch.randn if self.kind == NORMAL else torch.rand
        return make(batch, *self.shape, dtype=like.dtype, device=like.device)


def draws_of(function: Callable[[], Any], batch: int) -> list[Draw]:
    """Call a function of a batch and return what it draws, in turn.

    Raises:
        UsageError: if it draws numbers that belong to no event.

    Example:
        >>> draws_of(lambda: torch.randn(5, 2) + torch.rand(5, 1), batch=5)
        [Draw(kind='normal', shape=(2,)), Draw(kind='uniform', shape=(1,))]
    """
    recorder = _Recorder()
    with torch.random.fork_rng(), recorder:
        function()
    for _, shape in recorder.drawn:
        if shape[:1] != (batch,):
            raise UsageError(f"export expects random numbers for each event, got draws of shape {shape}")
    return [Draw(kind, shape[1:]) for kind, shape in recorder.drawn]


class _Recorder(TorchFunctionMode):
    """Notes what is drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn: list[tuple[str, tuple[int, ...]]] = []

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if function in _KINDS:
            self.drawn.append((_KINDS[function], tuple(result.shape)))
        return result


class Given(TorchFunctionMode):
    """Hands out numbers, in turn, in the place of those that are drawn.

    Example:
        >>> with Given([torch.ones(3)]):
        ...     torch.randn(3)
        tensor([1., 1., 1.])
    """

    def __init__(self, numbers: Sequence[Tensor]) -> None:
        super().__init__()
        self._numbers: Iterator[Tensor] = iter(numbers)

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return next(self._numbers) if function in _KINDS else function(*args, **(kwargs or {}))
