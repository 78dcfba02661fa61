"""Training in constant memory: every chain of a flow computes activations anew in the backward pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pushforward.flows.flow import Flow
from pushforward.kernels.replay import check_precision
from pushforward.training.warning import warn
from pushforward.transforms.chain import Chain

MEMORIES = ("ordinary", "constant")

# As far off as a law lets an analytic inverse be; what is rounded to bfloat16 in between is coarser by itself.
TOLERANCES = {torch.float32: 1e-4, torch.float64: 1e-9}
BF16_TOLERANCE = 0.05


def chains(flow: Flow) -> list[Chain]:
    """The chains of a flow: those of each of its scales too."""
    return [part for part in flow.modules() if isinstance(part, Chain)]


@contextmanager
def recomputing(flow: Flow, memory: str) -> Iterator[None]:
    """Let a flow's chains recompute, where the memory is to be constant."""
    before = [(chain, chain.recompute) for chain in chains(flow)]
    for chain, own in before:
        chain.recompute = own or memory == "constant"
    try:
        yield
    finally:
        for chain, own in before:
            chain.recompute = own


def check_memory(memory: str, dtype: torch.dtype) -> None:
    """Raise :class:`UsageError` where numbers of this type are too coarse for constant memory."""
    if memory == "constant":
        check_precision([torch.empty((), dtype=dtype)], "cpu")


class ReconstructionWatch:
    """How well the activations of a training were found again; it warns when they are further off than a law allows."""

    def __init__(self, flow: Flow, precision: str) -> None:
        weight = next(flow.parameters())
        self._chains = [chain for chain in chains(flow) if chain.recompute]
        self._tolerance = BF16_TOLERANCE if precision == "bf16-mixed" else TOLERANCES.get(weight.dtype, 1e-4)
        for chain in self._chains:
            chain.forget_reconstruction_error()

    @property
    def worst(self) -> float | None:
        """The worst error so far."""
        return max((e for chain in self._chains if (e := chain.reconstruction_error) is not None), default=None)

    def check(self) -> None:
        """Warn where the error is too large."""
        worst = self.worst
        # Written so that NaN warns too.
        if worst is not None and not worst <= self._tolerance:
            warn(
                f"memory='constant' found activations again with an error of {worst:.1e}, more than "
                f"{self._tolerance:.0e}, so gradients are off: take memory='ordinary', or precision='64'"
            )
