"""Fitting what the data place, the parts of a flow one after the other, without gradients."""

from __future__ import annotations

import math
import time
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pushforward.distributions import Distribution
from pushforward.errors import TrainingError, UsageError
from pushforward.flows.flow import Flow
from pushforward.training.inputs import Pair
from pushforward.training.interruption import interruptible
from pushforward.training.objectives import NegativeLogLikelihood, Objective
from pushforward.training.plan import Plan
from pushforward.training.progress import ProgressLine
from pushforward.training.recorder import Recorder
from pushforward.training.result import FitResult
from pushforward.transforms.base import Transform
from pushforward.transforms.chain import Chain

PATIENCE = 20
"""After so many parts that were no better for the held-out data the fit stops, unless it is told another number."""

ROWS_AT_ONCE = 65_536
"""So many events pass a part together: what it needs in between does not grow with the data."""

SPREAD = 1e-3
"""How far rows that are repeated are spread, in standard deviations of each dimension."""


def placed_by_data(flow: Distribution) -> bool:
    """Whether nothing of a flow is learned by gradients, and its parts start from data.

    Example:
        >>> import pushforward as pf
        >>> placed_by_data(pf.models.rbig(features=2)), placed_by_data(pf.models.maf(features=2))
        (True, False)
    """
    return starts_from_data(flow) and next(flow.parameters(), None) is None


def starts_from_data(part: nn.Module) -> bool:
    """Whether something of a part is set by data."""
    return any(name.endswith("initialised") for name, _ in part.named_buffers())


def check_in_turn(flow: Flow, objective: Objective) -> None:
    """Raise :class:`UsageError` for what a fit of one part after the other does not do."""
    if not isinstance(objective, NegativeLogLikelihood):
        raise UsageError("a flow whose parts the data place is fitted to the likelihood: leave objective out")
    if any(bool(buffer) for name, buffer in flow.named_buffers() if name.endswith("initialised")):
        raise UsageError("a flow whose parts the data have placed stays as it is: build another one to fit it anew")


@dataclass(frozen=True)
class Reached:
    """Events that have passed the first parts of a flow, and the log-determinants of these."""

    x: Tensor
    log_det: Tensor

    def through(self, part: Transform) -> Reached:
        """The same behind one part more."""
        pieces = [part(x) for x in self.x.split(ROWS_AT_ONCE)]
        z, log_det = (torch.cat(each) for each in zip(*pieces, strict=True))
        return Reached(z, self.log_det + log_det)

    def spread(self) -> Reached:
        """The same, with rows that are repeated a little apart: parts in turn would stretch what stays together without
        end."""
        # Rows that are the same have the same sum, however it is weighted.
        weights = torch.randn(self.x.shape[-1], dtype=torch.float64, device=self.x.device)
        _, which, counts = torch.unique(self.x.double() @ weights, return_inverse=True, return_counts=True)
        noise = SPREAD * self.x.std(0, correction=0) * torch.randn_like(self.x)
        return Reached(torch.where(counts[which][:, None] > 1, self.x + noise, self.x), self.log_det)

    def loss(self, flow: Flow) -> float:
        """The negative log-likelihood, in nats, of a flow that ends here.

        Raises:
            TrainingError: if that is no number.
        """
        loss = -(flow.base.score(self.x) + self.log_det).mean().item()
        if math.isnan(loss):
            raise TrainingError("the likelihood is no number: look for extreme values in the data")
        return loss


class Interruption:
    """Whether Ctrl-C has asked a fit to end."""

    def __init__(self) -> None:
        self.asked = False

    def ask(self) -> bool:
        """Ask it to; False where it had been asked before."""
        before, self.asked = self.asked, True
        return not before


@torch.no_grad()
def fit_in_turn(
    flow: Flow, train: Pair, held_out: Pair | None, plan: Plan, recorder: Recorder, line: ProgressLine
) -> FitResult:
    """Let each part of the flow start from what the parts before it leave of the data, and go no further than held-out
    data, where there are any, become more likely: the parts behind stay as they were made.

    Rows that are repeated are spread a little first, as no density has a finite likelihood of them.

    Source: Tabak, Turner (2013), Communications on Pure and Applied Mathematics 66, 145-164: one elementary map after
    the other raises the likelihood; the early stop is ours.
    """
    ascent = Ascent(flow, _begin(flow, train), None if held_out is None else _begin(flow, held_out))
    parts = list(flow.transform) if isinstance(flow.transform, Chain) else [flow.transform]
    steps = parts if plan.max_steps is None else parts[: plan.max_steps]
    made = [deepcopy(part.state_dict()) for part in steps]
    interruption = Interruption()
    began = time.monotonic()
    line.start(0.0)
    stopped = "steps"
    try:
        with interruptible(interruption.ask):
            for part in steps:
                ascent.place(part)
                seconds = time.monotonic() - began
                ascent.tell(recorder, line, seconds, len(steps))
                reason = _reason(plan, seconds, ascent.stale, interruption)
                if reason is not None:
                    stopped = reason
                    break
    finally:
        line.stop()
        for part, state in list(zip(steps, made, strict=True))[ascent.best_step :]:
            part.load_state_dict(state)
    return FitResult(recorder.rows, ascent.best_held_out, ascent.step, time.monotonic() - began, stopped)


class Ascent:
    """Where the placing of one part after the other stands: what the data have become, and how likely they are."""

    def __init__(self, flow: Flow, train: Reached, held_out: Reached | None) -> None:
        self.flow, self.held_out = flow, held_out
        self.train = train.spread()
        self.step = self.best_step = 0
        self.train_loss = self.loss = self.best = float("inf")

    def place(self, part: Transform) -> None:
        """Place one part more by the training data."""
        part.initialise(self.train.x)
        self.step += 1
        self.train = self.train.through(part)
        self.train_loss = self.loss = self.train.loss(self.flow)
        if self.held_out is not None:
            self.held_out = self.held_out.through(part)
            self.loss = self.held_out.loss(self.flow)
        if self.loss < self.best or self.held_out is None:
            self.best, self.best_step = self.loss, self.step

    def tell(self, recorder: Recorder, line: ProgressLine, seconds: float, steps: int) -> None:
        """Write down how likely the data are by now."""
        recorder.add(_row(self.step, self.train_loss, None if self.held_out is None else self.loss, seconds))
        line.update(self.step / steps, self.step, self.train_loss, self.best_held_out)

    @property
    def best_held_out(self) -> float | None:
        """The least loss of held-out data, None without these."""
        return None if self.held_out is None else self.best

    @property
    def stale(self) -> int:
        """How many parts were no better since the best."""
        return self.step - self.best_step


@torch.no_grad()
def fit_at_once(
    distribution: Distribution, train: Pair, held_out: Pair | None, recorder: Recorder, line: ProgressLine
) -> FitResult:
    """Let a distribution start from all the data: one that is no flow, or a flow whose base alone starts from them."""
    began = time.monotonic()
    line.start(0.0)
    device = next(distribution.buffers()).device
    x = train[0].to(device)
    distribution.initialise(x)
    loss = None if held_out is None else -distribution.score(held_out[0].to(device)).mean().item()
    seconds = time.monotonic() - began
    recorder.add(_row(1, -distribution.score(x).mean().item(), loss, seconds))
    line.stop()
    return FitResult(recorder.rows, loss, 1, seconds, "steps")


def _begin(flow: Flow, pair: Pair) -> Reached:
    x = pair[0].to(next(flow.buffers()).device)
    return Reached(x, torch.zeros(len(x), dtype=x.dtype, device=x.device))


def _reason(plan: Plan, seconds: float, stale: int, interruption: Interruption) -> str | None:
    """Why a fit ends, None if it goes on."""
    if interruption.asked:
        return "interrupted"
    if stale >= (plan.patience or PATIENCE):
        return "patience"
    return "time" if plan.max_seconds is not None and seconds > plan.max_seconds else None


def _row(step: int, train_loss: float, held_out_loss: float | None, seconds: float) -> dict[str, float | None]:
    return {
        "step": step,
        "epoch": step,
        "train_loss": train_loss,
        "val_loss": held_out_loss,
        "lr": None,
        "seconds": seconds,
    }
