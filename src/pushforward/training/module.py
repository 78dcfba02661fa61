"""The training of a flow as a Lightning module: one step, and what follows a step."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor

from pushforward.errors import TrainingError
from pushforward.files import unwritable
from pushforward.flows.flow import Flow
from pushforward.models.registry import save
from pushforward.training.augmentation import shifted
from pushforward.training.batches import Batch, Batches, take
from pushforward.training.checkpoints import KEY, LAST, MODEL, VERSION
from pushforward.training.diagnosis import first_nonfinite_part
from pushforward.training.ema import MovingAverage
from pushforward.training.objectives import Objective
from pushforward.training.plan import Plan
from pushforward.training.progress import ProgressLine
from pushforward.training.recorder import Recorder
from pushforward.training.schedules import SCHEDULES

# How many rows of a failed batch the error names.
_NAMED_ROWS = 8


class FlowData(L.LightningDataModule):
    """Tensors in memory, served as whole batches, each process its share."""

    def __init__(self, x: Tensor, context: Tensor | None, batch_size: int, seed: int) -> None:
        super().__init__()
        self.x, self.context, self.batch_size, self.seed = x, context, batch_size, seed
        self.first_step = 0

    def batches(self) -> Batches:
        """The stream of this process."""
        rank, world_size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        return Batches(self.x, self.context, self.batch_size, self.seed, rank, world_size)

    def train_dataloader(self) -> Any:
        """An endless iterable: a step counter, not Lightning's epochs, says where the stream is."""
        return _Stream(self)


class _Stream:
    def __init__(self, data: FlowData) -> None:
        self._data = data

    def __iter__(self) -> Iterator[Batch]:
        return self._data.batches().stream(self._data.first_step)


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
        validation: tuple[Tensor, Tensor | None] | None,
        progress: ProgressLine,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.flow, self.objective, self.plan = flow, objective, plan
        self._data, self._validation, self._progress = data, validation, progress
        self.recorder = Recorder(None)
        self.step_count = 0
        self.best: float | None = None
        self.best_weights: list[Tensor] | None = None
        self.stopped = "steps"
        self.interrupted = False
        self._stale = 0
        self._window: list[float] = []
        self._earlier_seconds = 0.0
        self._restored: dict[str, Any] | None = None

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam or AdamW, in its fused form where every weight allows that."""
        weights = [weight for weight in self.flow.parameters() if weight.requires_grad]
        kind = torch.optim.AdamW if self.plan.optimizer == "adamw" else torch.optim.Adam
        fused = all(weight.is_floating_point() and weight.device.type in ("cpu", "cuda") for weight in weights)
        return kind(weights, lr=self.plan.learning_rate, weight_decay=self.plan.weight_decay, fused=fused)

    # Starting

    def on_train_start(self) -> None:
        """Set up what needs the weights on their device, or take it from the checkpoint."""
        self._steps_per_epoch = self._data.batches().steps_per_epoch
        self._last_step = self.plan.last_step(self._steps_per_epoch)
        self._interval = self.plan.validation_interval(self._steps_per_epoch)
        self._dimensions = math.prod(self.flow.event_shape)
        self._weights = [weight for weight in self.flow.parameters() if weight.requires_grad]
        self._optimizer: Any = self.optimizers(use_pl_optimizer=True)
        self.ema = MovingAverage(self.flow, self.plan.ema or 0.0)
        self.recorder = Recorder(self.plan.out if self.trainer.is_global_zero else None)
        rows: list[dict[str, float | None]] = []
        if self._restored is not None:
            rows = self._restored["history"]
            self.ema.restore(self._restored["ema"])
            if self.trainer.is_global_zero:
                _set_random_state(self._restored["random_state"])
            self._restored = None
        self._began = time.monotonic()
        self._saved = self._earlier_seconds
        self.recorder.start(rows)
        self._progress.start()
        if self.step_count == 0:
            self._save(0.0)
        elif self._should_stop(self._elapsed()):
            self.trainer.should_stop = True

    # One step

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Events and contexts go to the device, the row numbers stay."""
        x, context, rows = batch
        return x.to(device), None if context is None else context.to(device), rows

    def training_step(self, batch: Batch, batch_index: int) -> None:
        """Forward, backward, check, update."""
        x, context, rows = batch
        x = shifted(x, self.plan.shift)
        random_state = _random_state(self.device)
        self._set_rate()
        loss = self.objective(self.flow, x, context)
        self._optimizer.zero_grad()
        self.manual_backward(loss)
        gradients = [weight.grad for weight in self._weights if weight.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        # The one synchronisation with the device in a step: no update before the numbers are known to be finite.
        value, length = torch.stack([loss.detach().float(), norm.float()]).tolist()
        if not math.isfinite(value + length):
            raise self._failure((x, context, rows), random_state)
        limit = math.inf if self.plan.clip is None else self.plan.clip * self._dimensions
        if length > limit:
            torch._foreach_mul_(gradients, limit / length)
        self._optimizer.step()
        self._window.append(value)

    def _set_rate(self) -> None:
        rate = self.plan.learning_rate * SCHEDULES[self.plan.schedule](self._share_done(self._elapsed()))
        if self.step_count < self.plan.warmup_steps:
            rate *= (self.step_count + 1) / self.plan.warmup_steps
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._rate = rate

    def _share_done(self, seconds: float) -> float:
        by_time = 0.0 if self.plan.max_seconds is None else seconds / self.plan.max_seconds
        by_step = 0.0 if self._last_step is None else self.step_count / self._last_step
        return min(1.0, max(by_time, by_step))

    def _elapsed(self) -> float:
        seconds = self._earlier_seconds + time.monotonic() - self._began
        if self.trainer.world_size == 1 or self.plan.max_seconds is None:
            return seconds
        # All processes must take the same rate and stop at the same step.
        shared = torch.tensor(seconds, dtype=torch.float64, device=self.device)
        torch.distributed.broadcast(shared, 0)
        return shared.item()

    def _failure(self, batch: Batch, random_state: list[Tensor]) -> TrainingError:
        x, context, rows = batch
        _set_random_state(random_state)
        part = first_nonfinite_part(self.flow, lambda: self.objective(self.flow, x, context), x)
        names = ", ".join(map(str, rows[:_NAMED_ROWS].tolist())) + (", ..." if len(rows) > _NAMED_ROWS else "")
        error = TrainingError(
            f"the loss or its gradient is not finite at step {self.step_count + 1}, batch of {len(rows)} rows {names}; "
            f"the first part to fail is {part}; the last good weights are kept, try a lower learning rate"
        )
        error.step, error.rows, error.part = self.step_count + 1, rows, part  # type: ignore[attr-defined]
        return error

    # After a step

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_index: int) -> None:
        """Average, validate, record, save, stop."""
        self.step_count += 1
        self.ema.update(self.step_count)
        seconds = self._elapsed()
        stop = self._should_stop(seconds)
        loss = None
        if self._validation is not None and (stop or self.step_count % self._interval == 0):
            loss = self._validate()
            self._judge(loss)
            stop = self._should_stop(seconds)
        if stop or loss is not None or self.step_count % self.plan.log_every == 0:
            self._record(loss, seconds)
        if self.plan.out is not None and (stop or seconds - self._saved >= self.plan.checkpoint_seconds):
            self._save(seconds)
        self._progress.update(self._share_done(seconds), self.step_count, self._shown_loss(), self.best)
        if stop:
            self.trainer.should_stop = True

    def _should_stop(self, seconds: float) -> bool:
        if self.interrupted:
            self.stopped = "interrupted"
        elif self._last_step is not None and self.step_count >= self._last_step:
            self.stopped = "steps"
        elif self.plan.max_seconds is not None and seconds >= self.plan.max_seconds:
            self.stopped = "time"
        elif self.plan.patience is not None and self._stale >= self.plan.patience:
            self.stopped = "patience"
        else:
            return False
        return True

    @torch.no_grad()
    def _validate(self) -> float:
        assert self._validation is not None
        x, context = self._validation
        # Each process takes its share of the rows; the draws are the same every time and leave the training's alone.
        rows = torch.arange(self.trainer.global_rank, len(x), self.trainer.world_size)
        devices = [self.device] if self.device.type == "cuda" else []
        total = torch.zeros(2, dtype=torch.float64)
        self.flow.eval()
        # The last batch is smaller, which a compiled part would be compiled for once more.
        eager = torch.compiler.set_stance("force_eager") if self.plan.compile else nullcontext()
        with self.ema.applied(), torch.random.fork_rng(devices), eager:
            torch.manual_seed(self.trainer.global_rank)
            for part in rows.split(self._data.batch_size):
                batch = self.transfer_batch_to_device((take(x, part), _take(context, part), part), self.device, 0)
                with self.trainer.precision_plugin.forward_context():
                    loss = self.objective(self.flow, self.trainer.precision_plugin.convert_input(batch[0]), batch[1])
                total += torch.tensor([loss.item() * len(part), len(part)], dtype=torch.float64)
        self.flow.train()
        return self._sum_over_processes(total)

    def _judge(self, loss: float) -> None:
        """Keep the weights of the best validation, count the others."""
        if math.isfinite(loss) and (self.best is None or loss < self.best):
            self.best, self._stale = loss, 0
            self.best_weights = [value.detach().clone() for value in self.ema.average]
        else:
            self._stale += 1

    def _record(self, validation: float | None, seconds: float) -> None:
        mean = self._sum_over_processes(torch.tensor([sum(self._window), len(self._window)], dtype=torch.float64))
        self._window.clear()
        self._last_mean = mean
        row = {
            "step": self.step_count,
            "epoch": self.step_count / self._steps_per_epoch,
            "train_loss": mean,
            "val_loss": validation,
            "lr": self._rate,
            "seconds": seconds,
        }
        self.recorder.add(row)

    def _shown_loss(self) -> float:
        return sum(self._window) / len(self._window) if self._window else self._last_mean

    def _sum_over_processes(self, total_and_count: Tensor) -> float:
        """The mean from a sum and a count, over all processes."""
        if self.trainer.world_size > 1:
            total_and_count = total_and_count.to(self.device)
            torch.distributed.all_reduce(total_and_count)
        total, count = total_and_count.tolist()
        return total / count if count else math.nan

    # Checkpoints

    def _save(self, seconds: float) -> None:
        self._saved = seconds
        if self.plan.out is None:
            return
        save_checkpoint(self.trainer, self.plan.out / LAST)
        if self.step_count and self.flow.config is not None and self.trainer.is_global_zero:
            # The model so far, for whoever looks at the run while it goes on, or finds it killed.
            with self.ema.applied(self.best_weights):
                save(self.flow, self.plan.out / MODEL)

    def seconds(self) -> float:
        """How long the training has run, the time before a resume included."""
        return self._earlier_seconds + time.monotonic() - self._began

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what Lightning does not know."""
        checkpoint[KEY] = {
            "version": VERSION,
            "step": self.step_count,
            "seconds": self.seconds(),
            "seed": self._data.seed,
            "ema": self.ema.average,
            "best": self.best,
            "best_weights": self.best_weights,
            "stale": self._stale,
            "window": list(self._window),
            "history": self.recorder.rows,
            "random_state": _random_state(self.device),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take back what `on_save_checkpoint` added."""
        state = checkpoint[KEY]
        self._restored = state
        self.step_count = self._data.first_step = state["step"]
        self._earlier_seconds = state["seconds"]
        self.best, self.best_weights = state["best"], state["best_weights"]
        self._stale, self._window = state["stale"], state["window"]


def save_checkpoint(trainer: L.Trainer, path: Path) -> None:
    """Write a Lightning checkpoint to a temporary name and rename it; every process must call this."""
    temporary = path.with_name(f".{path.name}.writing")
    try:
        trainer.save_checkpoint(temporary)
        if trainer.is_global_zero:
            os.replace(temporary, path)
    except OSError as error:
        raise unwritable(path, error) from error


def _take(x: Tensor | None, rows: Tensor) -> Tensor | None:
    return None if x is None else take(x, rows)


def _random_state(device: torch.device) -> list[Tensor]:
    state = [torch.get_rng_state()]
    return [*state, torch.cuda.get_rng_state(device)] if device.type == "cuda" else state


def _set_random_state(state: list[Tensor]) -> None:
    torch.set_rng_state(state[0].cpu())
    if len(state) > 1:
        torch.cuda.set_rng_state(state[1].cpu())
