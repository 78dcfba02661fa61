"""The training of a flow as a Lightning module: one step, and what follows a step."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning as L
import torch
from torch import Tensor

from pushforward.errors import TrainingError
from pushforward.flows.flow import Flow
from pushforward.kernels.random_state import random_state, set_random_state
from pushforward.training.augmentation import shifted
from pushforward.training.batches import Batch
from pushforward.training.best import Best
from pushforward.training.compiling import Compiled, compiles
from pushforward.training.datamodule import FlowData
from pushforward.training.ema import MovingAverage
from pushforward.training.failure import step_failure
from pushforward.training.gradients import clip_, largest_limit, scaled_norm
from pushforward.training.memory import ReconstructionWatch
from pushforward.training.objectives import Objective, objective_at
from pushforward.training.outcome import Handover, Outcome
from pushforward.training.placement import finished
from pushforward.training.plan import Plan
from pushforward.training.processes import from_first_process, mean_over_processes
from pushforward.training.progress import ProgressLine
from pushforward.training.recorder import Recorder
from pushforward.training.result import FitResult
from pushforward.training.runs.checkpoints import KEY, VERSION
from pushforward.training.runs.folder import IDENTITY, RunFolder
from pushforward.training.saver import Saver
from pushforward.training.schedules import SCHEDULES
from pushforward.training.stopping import Limits
from pushforward.training.units import Unit
from pushforward.training.validation import summed_loss
from pushforward.version import __version__


class FlowTraining(L.LightningModule):
    """Trains ``flow`` by ``objective`` as ``plan`` says.

    Lightning sees one endless epoch; after every step this module decides whether to validate, record, save or stop.
    """

    def __init__(
        self,
        flow: Flow,
        objective: Objective,
        plan: Plan,
        data: FlowData,
        folder: RunFolder | None,
        progress: ProgressLine,
        handover: Handover,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.flow, self.objective, self.plan = flow, objective, plan
        self._data, self._folder, self._progress, self._handover = data, folder, progress, handover
        self._unit = Unit.of(flow, objective)
        self._recorder = Recorder(None, self._unit)
        self._best = Best()
        self._step = 0
        self._stopped = "steps"
        self._interrupted = False
        self._window: list[float] = []
        self._validation_seconds = 0.0
        self._saver = Saver(folder, plan.checkpoint_seconds)
        self._earlier_seconds = 0.0
        self._earlier_steps = 0
        self._restored: dict[str, Any] | None = None
        self._judged_by: str | None = None
        self._compiled: Compiled | None = None
        self._reconstruction: ReconstructionWatch | None = None

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam or AdamW, in its fused form where every weight allows that."""
        weights = [weight for weight in self.flow.parameters() if weight.requires_grad]
        kind = torch.optim.AdamW if self.plan.optimizer == "adamw" else torch.optim.Adam
        fused = all(weight.is_floating_point() and weight.device.type in ("cpu", "cuda") for weight in weights)
        return kind(weights, lr=self.plan.learning_rate, weight_decay=self.plan.weight_decay, fused=fused)

    # Starting and ending

    def on_train_start(self) -> None:
        """Set up what needs the weights on their device, or take it from the checkpoint."""
        batches = self._data.batches()
        if self.plan.memory == "constant":
            self._reconstruction = ReconstructionWatch(self.flow, self.plan.precision)
        self._steps_per_epoch = batches.steps_per_epoch
        self._limits = Limits(self.plan.last_step(self._steps_per_epoch), self.plan.max_seconds, self.plan.patience)
        if compiles(self.plan.compile, self.flow, batches.batch_size, self._limits, self.device):
            with self.trainer.precision_plugin.forward_context():
                self._compiled = Compiled(self.flow, self.objective, next(batches.stream(0)), self.device)
        self._interval = self.plan.validation_interval(self._steps_per_epoch)
        self._weights = [weight for weight in self.flow.parameters() if weight.requires_grad]
        clip = math.inf if self.plan.clip is None else self.plan.clip * self.flow.support.dimensions
        self._longest = min(clip, *(largest_limit(weight.dtype) for weight in self._weights))
        self._optimizer: Any = self.optimizers(use_pl_optimizer=True)
        self._ema = MovingAverage(self.flow, self.plan.ema or 0.0)
        folder = self._folder if self.trainer.is_global_zero else None
        self._recorder = Recorder(None if folder is None else folder.path, self._unit)
        rows: list[dict[str, float | None]] = []
        if self._restored is not None:
            rows = self._restored["history"]
            self._ema.restore(self._restored["ema"])
            if self.trainer.is_global_zero:
                set_random_state(self._restored["random_state"])
            self._restored = None
        self._began = time.monotonic()
        self._saver.begin(self._earlier_seconds)
        self._recorder.start(rows)
        if self.trainer.is_global_zero:
            self._progress.start(self._limits.share_done(self._step, self._earlier_seconds))
        if self._step == 0:
            self._save(0.0)
        elif self._should_stop(self._elapsed()):
            self.trainer.should_stop = True
        elif self._judged_by not in (None, self._data.validation_digest):
            # The loss on other rows is nothing to beat on these.
            self._best = Best()

    def on_train_end(self) -> None:
        """Hand the outcome over, where the training ran in a process of its own."""
        if self._reconstruction is not None:
            self._reconstruction.check()
        if self._handover.in_worker and self.trainer.local_rank == 0:
            self._handover.leave(self.outcome())

    def outcome(self, failure: TrainingError | None = None) -> Outcome:
        """How the training went, and the weights of its best validation or its last average."""
        weights = self._ema.average if self._best.weights is None else self._best.weights
        result = FitResult(
            self._recorder.rows,
            self._best.loss,
            self._step,
            self._seconds(),
            self._stopped,
            self._earlier_steps,
            None if self._reconstruction is None else self._reconstruction.worst,
        )
        return Outcome(result, weights, failure)

    def interrupt(self) -> bool:
        """Ask the training to end after the step; False where it had been asked before."""
        before, self._interrupted = self._interrupted, True
        return not before

    def close(self) -> None:
        """Let go of the terminal, the files and the compiled form."""
        if self._compiled is not None:
            self._compiled.release()
        self._progress.stop()
        self._recorder.close()

    # One step

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Events and contexts go to the device, the row numbers stay."""
        x, context, rows = batch
        return x.to(device), None if context is None else context.to(device), rows

    def training_step(self, batch: Batch, batch_index: int) -> None:
        """Forward, backward, check, update."""
        x, context = shifted(batch[0], batch[1], self.plan.shift)
        state = random_state(self.device)
        self._set_rate()
        loss = objective_at(self.objective, self._step)(self.flow, x, context)
        self._optimizer.zero_grad()
        self.manual_backward(loss)
        gradients = [weight.grad for weight in self._weights if weight.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        # The one synchronisation with the device in a step: no update before the numbers are known to be finite.
        value, length = torch.stack([loss.detach().to(norm.dtype), norm]).tolist()
        if not math.isfinite(length):
            length = scaled_norm(gradients)
        if not math.isfinite(value + length):
            raise self._failure((x, context, batch[2]), state)
        clip_(gradients, length, self._longest)
        self._optimizer.step()
        self._window.append(value)

    def _set_rate(self) -> None:
        done = self._limits.share_done(self._step, self._elapsed())
        rate = self.plan.learning_rate * SCHEDULES[self.plan.schedule](done)
        if self._step < self.plan.warmup_steps:
            rate *= (self._step + 1) / self.plan.warmup_steps
        for group in self._optimizer.param_groups:
            # A checkpoint brings back the decay that it was made with.
            group["lr"], group["weight_decay"] = rate, self.plan.weight_decay
        self._rate = rate

    def _elapsed(self) -> float:
        """Seconds so far; those of the first process where they decide when all of them stop."""
        return self._seconds() if self.plan.max_seconds is None else from_first_process(self._seconds(), self.device)

    def _seconds(self) -> float:
        return self._earlier_seconds + time.monotonic() - self._began

    def _failure(self, batch: Batch, state: list[Tensor]) -> TrainingError:
        error = step_failure(self.flow, objective_at(self.objective, self._step), batch, self._step + 1, state)
        if self._handover.in_worker:
            # Whichever process fails first: the others are ended, and their averages are the same.
            self._handover.leave(self.outcome(error))
        return error

    # After a step

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_index: int) -> None:
        """Average, validate, record, save, stop."""
        self._step += 1
        self._ema.update(self._step)
        if self._reconstruction is not None and self._step == self._earlier_steps + 1:
            self._reconstruction.check()
        seconds = self._elapsed()
        stop = self._should_stop(seconds)
        loss = None
        if self._data.validation is not None and (stop or self._step % self._interval == 0):
            loss = self._validate()
            self._best.judge(loss, self._ema.average)
            stop = self._should_stop(seconds)
        if stop or loss is not None or self._step % self.plan.log_every == 0:
            self._record(loss, seconds)
        if stop or self._saver.is_due(seconds):
            self._save(seconds)
        done = self._limits.share_done(self._step, seconds)
        self._progress.update(done, self._step, self._shown_loss(), self._best.loss)
        if stop:
            self.trainer.should_stop = True

    def _should_stop(self, seconds: float) -> bool:
        # The validation at the end takes time too.
        reason = self._limits.reason(self._step, seconds + self._validation_seconds, self._best.stale)
        if self._interrupted:
            reason = "interrupted"
        self._stopped = reason or self._stopped
        return reason is not None

    def _validate(self) -> float:
        began = time.monotonic()
        batches, seed = self._data.validation_batches(), self.trainer.global_rank
        with self._ema.applied(), self.trainer.precision_plugin.forward_context():
            total, count = summed_loss(self.flow, self.objective, batches, self.device, seed)
        self._validation_seconds = from_first_process(time.monotonic() - began, self.device)
        return mean_over_processes(total, count, self.device)

    def _record(self, validation: float | None, seconds: float) -> None:
        self._last_mean = mean_over_processes(sum(self._window), len(self._window), self.device)
        self._window.clear()
        self._recorder.add(
            {
                "step": self._step,
                "epoch": self._step / self._steps_per_epoch,
                "train_loss": self._last_mean,
                "val_loss": validation,
                "lr": self._rate,
                "seconds": seconds,
            }
        )

    def _shown_loss(self) -> float:
        return sum(self._window) / len(self._window) if self._window else self._last_mean

    # Checkpoints

    def _save(self, seconds: float) -> None:
        self._saver.save(self.trainer, self.flow, self._as_saved, self._step, seconds)

    @contextmanager
    def _as_saved(self) -> Iterator[None]:
        """The flow as a model of it is to be, for the length of a block."""
        data = self._data
        with self._ema.applied(self._best.weights), finished(self.flow, data.train, data.seed, data.dtype):
            yield

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what Lightning does not know."""
        checkpoint[KEY] = {
            "version": VERSION,
            "written_by": __version__,
            IDENTITY: self._saver.identity,
            "step": self._step,
            "seconds": self._seconds(),
            "validation_seconds": self._validation_seconds,
            "seed": self._data.seed,
            "ema": self._ema.average,
            **self._best.state(),
            "judged_by": self._data.validation_digest,
            "window": list(self._window),
            "history": self._recorder.rows,
            "random_state": random_state(self.device),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take back what `on_save_checkpoint` added."""
        state = checkpoint[KEY]
        self._restored = state
        self._step = self._earlier_steps = self._data.first_step = state["step"]
        self._earlier_seconds = state["seconds"]
        self._validation_seconds = state["validation_seconds"]
        self._best.restore(state)
        self._judged_by = state.get("judged_by")
        if self._judged_by not in (None, self._data.validation_digest):
            self._best.stale = 0
        self._window = state["window"]
