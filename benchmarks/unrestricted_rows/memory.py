"""Training in constant memory beside ordinary training: memory, gradients and time of one step, of 8 and of 64 layers.

``glow`` and ``multiscale`` on images of 16 x 16: batches of 16 for memory and gradients, of 64 for times. The peak of
the activations is the most bytes that are saved for a backward pass at any moment, each storage once and weights not
among them; in the column of the other library stands ordinary training. Times are of the processor, the least of
several steps that take turns, of the flow of 8 layers.
"""

from __future__ import annotations

import time
import weakref
from collections import Counter
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

import pushforward as pf
from pushforward.training.memory import chains, recomputing

BATCH, BATCH_OF_TIMES, LEVELS = 16, 64, 32
MODELS = {
    "glow": {"shape": (3, 16, 16), "scales": 2, "hidden": 128},
    "multiscale": {"shape": (1, 16, 16), "hidden": 48},
}
FEW, MANY = 8, 64


class Peak:
    """The most bytes saved for backward passes at once, while :meth:`watching`."""

    def __init__(self, flow: pf.Flow) -> None:
        self.bytes = self._now = 0
        self._weights = {weight.untyped_storage().data_ptr() for weight in flow.parameters()}
        self._uses: Counter[int] = Counter()

    def watching(self) -> AbstractContextManager[None]:
        return saved_tensors_hooks(self._pack, lambda held: held.tensor)

    def _pack(self, tensor: Tensor) -> Any:
        storage = tensor.untyped_storage()
        place, size = storage.data_ptr(), storage.nbytes()
        held = Held(tensor)
        if place not in self._weights:
            self._now += 0 if self._uses[place] else size
            self._uses[place] += 1
            self.bytes = max(self.bytes, self._now)
            weakref.finalize(held, self._let_go, place, size)
        return held

    def _let_go(self, place: int, size: int) -> None:
        self._uses[place] -= 1
        self._now -= 0 if self._uses[place] else size


@dataclass(eq=False)
class Held:
    """A saved tensor, whose end can be seen."""

    tensor: Tensor


def run(seconds: float | None, data: Path) -> list[dict[str, object]]:
    """Measure both models; ``seconds`` bounds the time that goes into timing each."""
    rows: list[dict[str, object]] = []
    for name, options in MODELS.items():
        few, many = (started(name, layers, options) for layers in (FEW, MANY))
        constant, ordinary = ([peak(flow, memory) for flow in (few, many)] for memory in ("constant", "ordinary"))
        rows.append(row(f"{name}: peak of 64 layers over that of 8", constant, ordinary, "1.1"))
        rows.append(
            {"what": f"{name}: gradients of 64 layers, relative difference", "ours": difference(many), "asked": "1e-4"}
        )
        found = [chain.reconstruction_error for chain in chains(many)]
        worst = max(error for error in found if error is not None)
        rows.append({"what": f"{name}: worst error of an input of 64 layers", "ours": worst, "asked": "1e-4"})
        ours, theirs = times(few, 10.0 if seconds is None else seconds)
        rows.append({"what": f"{name}: step over an ordinary one", "ours": ours / theirs, "asked": "1.4"})
    return rows


def row(what: str, constant: list[int], ordinary: list[int], asked: str) -> dict[str, object]:
    """The growth of both."""
    return {"what": what, "ours": constant[1] / constant[0], "other": ordinary[1] / ordinary[0], "asked": asked}


def started(name: str, layers: int, options: dict[str, Any]) -> pf.Flow:
    """A flow as it is after a few steps: ActNorm set, and no network that emits zeros."""
    torch.manual_seed(0)
    flow: pf.Flow = pf.build(name, levels=LEVELS, layers=layers, **options)
    flow.initialise(batch(flow))
    with torch.no_grad():
        for weight in flow.parameters():
            weight += 0.01 * torch.randn_like(weight)
    return flow.train()


def batch(flow: pf.Flow, rows: int = BATCH) -> Tensor:
    """Images of noise."""
    return torch.randint(LEVELS, (rows, *flow.event_shape), generator=torch.Generator().manual_seed(1)).float()


def step(flow: pf.Flow, memory: str, rows: int = BATCH) -> list[Tensor]:
    """The gradients of a step, with the same noise each time."""
    torch.manual_seed(2)
    with recomputing(flow, memory):
        loss = -flow.log_prob(batch(flow, rows)).mean()
        return list(torch.autograd.grad(loss, list(flow.parameters())))


def peak(flow: pf.Flow, memory: str) -> int:
    """The bytes saved for a step's backward pass."""
    found = Peak(flow)
    with found.watching():
        step(flow, memory)
    return found.bytes


def difference(flow: pf.Flow) -> float:
    """The norm of the difference of the gradients over their norm."""
    ours, theirs = step(flow, "constant"), step(flow, "ordinary")
    norm = torch.nn.utils.get_total_norm
    return float(norm([a - b for a, b in zip(ours, theirs, strict=True)]) / norm(theirs))


def times(flow: pf.Flow, seconds: float) -> tuple[float, float]:
    """Seconds of the processor for a step in constant memory, and for an ordinary one."""
    found: dict[str, list[float]] = {"constant": [], "ordinary": []}
    end = time.monotonic() + seconds
    while len(found["ordinary"]) < 3 or time.monotonic() < end:
        for memory, measured in found.items():
            began = time.process_time()
            step(flow, memory, BATCH_OF_TIMES)
            measured.append(time.process_time() - began)
    return min(found["constant"]), min(found["ordinary"])
