"""Training of several variational autoencoders at once, step by step, on the same data.

On a GPU a step of each is one CUDA graph on a stream of its own: the small kernels of one fill the gaps of the others,
and nothing waits for Python. On a processor they take turns. Either way a step is Adam on the bound of a batch, with a
cosine schedule, a moving average of the weights and a linear warm-up of the divergence's weight, as `pf.fit` has them.
"""

from __future__ import annotations

import copy
import math
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

import pushforward as pf
from pushforward.training.objectives.evidence import terms
from pushforward.training.schedules import FINAL_SHARE

TRIED_STEPS = 20
"""Before a step is captured, and before it is timed."""
JUDGED = 50
"""How many times held-out data judge the averaged weights, the best of which stay."""
DECAY = 0.999
"""Of the moving average."""


class Training:
    """One autoencoder on its way.

    Args:
        flow: what is trained, on the device of the data; afterwards ``best`` holds the result.
        data: all events.
        batch_size: rows of a step, drawn with replacement.
        learning_rate: the full rate.
        warmup: the share of the steps in which the divergence's weight rises.
    """

    def __init__(self, flow: pf.Flow, data: Tensor, batch_size: int, learning_rate: float, warmup: float) -> None:
        self.flow, self.data, self.batch_size = flow.train(), data, batch_size
        self.learning_rate, self.warmup = learning_rate, warmup
        self.weights = list(flow.parameters())
        self.average, self.best = copy.deepcopy(flow).eval(), copy.deepcopy(flow).eval()
        self.curve: list[tuple[float, float]] = []
        self.step, self.steps, self.rate = (torch.full((), value, device=data.device) for value in (0.0, 1.0, 0.0))
        on_gpu = data.is_cuda
        self.optimizer = torch.optim.Adam(self.weights, lr=self.rate, capturable=on_gpu, fused=True)
        self.stream = torch.cuda.Stream() if on_gpu else None
        self.advance: Callable[[], object] = self.update

    def on_stream(self) -> AbstractContextManager[object]:
        """Where its work is queued."""
        return nullcontext() if self.stream is None else torch.cuda.stream(self.stream)

    def update(self) -> None:
        """One step; the device alone counts, so that the step can be repeated without Python."""
        share = (self.step / self.steps).clamp(max=1.0)
        cosine = 0.5 * (1.0 + torch.cos(math.pi * share))
        self.rate.copy_(self.learning_rate * (FINAL_SHARE + (1.0 - FINAL_SHARE) * cosine))
        rows = torch.randint(len(self.data), (self.batch_size,), device=self.data.device)
        log_likelihood, (divergence,) = terms(self.flow, self.data.index_select(0, rows), None)
        weight = (share / self.warmup).clamp(max=1.0)
        self.optimizer.zero_grad()
        (weight * divergence.mean() - log_likelihood.mean()).backward()
        torch.nn.utils.clip_grad_norm_(self.weights, float(self.flow.support.dimensions))
        self.optimizer.step()
        decay = ((1.0 + self.step) / (10.0 + self.step)).clamp(max=DECAY)
        with torch.no_grad():
            averages = list(self.average.parameters())
            steps = torch._foreach_sub(self.weights, averages)
            torch._foreach_mul_(steps, 1.0 - decay)
            torch._foreach_add_(averages, steps)
            self.step += 1.0

    def capture(self) -> None:
        """Make one CUDA graph of a step, after some that ran one by one; where a posterior cannot be captured, its
        steps go on one by one."""
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        try:
            with torch.cuda.graph(graph, stream=self.stream):
                self.update()
        except RuntimeError as error:
            print(f"no CUDA graph: {str(error).splitlines()[0]}", flush=True)
            return
        self.advance = graph.replay

    @torch.no_grad()
    def judge(self, held_out: Tensor) -> None:
        """Note the bound of held-out events, and keep the weights if they are the best so far."""
        bound = -self.average.log_prob(held_out).mean().item()
        if bound < min((before for _, before in self.curve), default=math.inf):
            self.best.load_state_dict(self.average.state_dict())
        self.curve.append((self.step.item(), bound))


def train(trainings: Sequence[Training], held_out: Tensor, seconds: float) -> int:
    """Take as many steps with each as there is time for, and return how many."""
    ends = time.monotonic() + seconds
    _rounds(trainings, TRIED_STEPS)
    for training in trainings:
        if training.stream is not None:
            training.capture()
    began = time.monotonic()
    _rounds(trainings, TRIED_STEPS)
    round_seconds = (time.monotonic() - began) / TRIED_STEPS
    # Judging takes its part, as do the moments in which all wait for the slowest.
    left = int(0.9 * (ends - time.monotonic()) / round_seconds)
    done, steps = 2 * TRIED_STEPS, max(3 * TRIED_STEPS, 2 * TRIED_STEPS + left)
    for training in trainings:
        training.steps.fill_(steps)
    while done < steps and (time.monotonic() < ends or not trainings[0].curve):
        more = min(max(1, steps // JUDGED), steps - done)
        _rounds(trainings, more)
        done += more
        for training in trainings:
            training.judge(held_out)
        shown = " ".join(f"{training.curve[-1][1]:.2f}" for training in trainings)
        print(f"{done:,} of {steps:,} steps: {shown}", file=sys.stderr, flush=True)
    return done


def _rounds(trainings: Sequence[Training], rounds: int) -> None:
    """Steps of each, in turn, until all are done."""
    for _ in range(rounds):
        for training in trainings:
            with training.on_stream():
                training.advance()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
