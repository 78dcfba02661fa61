"""What a call does on tensors, counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from pushforward.kernels.modes import evaluating

_PRODUCTS = ("mm", "addmm", "bmm", "baddbmm", "convolution", "convolution_overrideable", "mkldnn_convolution")


@dataclass(frozen=True)
class Work:
    """Operations of a call, and elements that they write."""

    operations: int
    elements: int


def count_work(function: Callable[[], Any], module: nn.Module) -> Work:
    """Count what a call does on tensors, with the module in evaluation mode and the random state left alone.

    Example:
        >>> count_work(lambda: torch.ones(3) + 1, nn.Identity())
        Work(operations=2, elements=6)
    """
    counter = Counter()
    with torch.no_grad(), torch.random.fork_rng(), evaluating(module), counter:
        function()
    return Work(counter.operations, counter.elements)


class Counter(TorchDispatchMode):
    """Counts the operations of what is called within it, and the elements that they write."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = self.elements = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        self.operations += 1
        # Views write nothing.
        if not function.is_view and function.overloadpacket.__name__ not in _PRODUCTS:
            results = result if isinstance(result, (tuple, list)) else (result,)
            self.elements += sum(each.numel() for each in results if isinstance(each, Tensor))
        return result
