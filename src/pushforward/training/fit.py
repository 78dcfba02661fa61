"""Training a flow."""

from __future__ import annotations

import logging
import os
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from pushforward.data.dataset import Dataset
from pushforward.errors import DataError, ShapeError, TrainingError, UsageError
from pushforward.extras import requires
from pushforward.files import make_folder
from pushforward.flows.flow import Flow
from pushforward.kernels.memory import kept_memory
from pushforward.models.registry import save
from pushforward.training.batches import Batches
from pushforward.training.checkpoints import LAST, MODEL, read_checkpoint
from pushforward.training.objectives import Objective, negative_log_likelihood
from pushforward.training.plan import Plan, parse_duration
from pushforward.training.progress import ProgressLine
from pushforward.training.result import FitResult

if TYPE_CHECKING:
    from pushforward.training.module import FlowTraining

Data = Tensor | np.ndarray[Any, Any] | tuple[Any, Any]
# One batch is enough to set ActNorm's scales, and a large one sets them better.
_INITIAL_ROWS = 1024


def fit(
    flow: Flow,
    train: Data | Dataset,
    validation: Data | None = None,
    *,
    objective: Objective = negative_log_likelihood,
    max_time: str | float | None = None,
    max_epochs: int | None = None,
    max_steps: int | None = None,
    batch_size: int = 256,
    learning_rate: float = 1e-3,
    optimizer: str = "adam",
    weight_decay: float = 0.0,
    schedule: str = "cosine",
    warmup_steps: int = 0,
    clip: float | None = 1.0,
    ema: float | None = 0.999,
    shift: int = 0,
    patience: int | None = None,
    validate_every: int | None = None,
    log_every: int = 25,
    checkpoint_seconds: float = 30.0,
    precision: str = "32",
    compile: bool = False,
    accelerator: str = "auto",
    devices: int | str | list[int] = 1,
    strategy: Any = "auto",
    num_nodes: int = 1,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    seed: int | None = None,
    progress: bool = True,
) -> FitResult:
    """Train a flow in place, by default to the highest likelihood, on the Lightning Trainer.

    Afterwards the flow holds the moving average of its weights, at the best validation where there is one, and is in
    evaluation mode. Data-dependent parts are set from a first batch.

    Args:
        flow: what is trained.
        train: events ``(N, ...)``, or a pair of events and contexts, or a `Dataset` (its validation part is used).
        validation: the same for validation.
        objective: the loss of a batch, ``objective(flow, x, context)``.
        max_time: stop after this time, ``"HH:MM:SS"`` or seconds.
        max_epochs, max_steps: stop after so many; of no limit at all, 100 epochs are taken.
        batch_size: rows in a batch, over all processes together.
        learning_rate, optimizer, weight_decay: ``"adam"`` or ``"adamw"`` and its settings.
        schedule: ``"constant"``, ``"cosine"`` or ``"exponential"`` over the steps or the time, whichever is nearer to
            its end.
        warmup_steps: steps in which the rate rises linearly.
        clip: the largest gradient norm of the loss per dimension, or None.
        ema: the decay of the weights' moving average, or None for the weights themselves.
        shift: move half of the training images by up to so many pixels; for small sets of images.
        patience: stop when so many validations in a row were no better.
        validate_every, log_every: steps; by default a validation follows each epoch of at least 50 steps.
        checkpoint_seconds: how often ``last.ckpt`` is written.
        precision: ``"32"``, ``"64"`` or ``"bf16-mixed"``.
        compile: compile the parts of the flow (``flow.compile_blocks()``).
        accelerator, devices, strategy, num_nodes: as for Lightning's Trainer.
        out: a folder for ``metrics.csv``, ``last.ckpt``, TensorBoard logs and ``model.safetensors`` (of a flow made by
            name).
        resume: go on from ``out/last.ckpt``.
        seed: of the shuffling and the draws; None leaves the global random state to go on.
        progress: show a live line on a terminal.

    Raises:
        UsageError: an option is wrong.
        ShapeError, DataError: the data do not fit the flow.
        CheckpointError: there is nothing to resume from, or it belongs to something else.
        TrainingError: the loss is no longer finite; the last good weights are kept.
        MissingExtraError: Lightning is not installed.

    Example:
        >>> import pushforward as pf
        >>> flow = pf.Flow([pf.transforms.Elementwise(pf.scalar.Affine(), (2,))], pf.distributions.StandardNormal((2,)))
        >>> pf.fit(flow, 3 + torch.randn(512, 2), max_steps=20, learning_rate=0.1, progress=False).steps
        20
    """
    if isinstance(train, Dataset):
        validation = train.validation if validation is None else validation
        train = train.train
    x, context = _events(flow, train, "training")
    held_out = None if validation is None else _events(flow, validation, "validation")
    plan = Plan(
        batch_size=batch_size,
        learning_rate=learning_rate,
        optimizer=optimizer,
        weight_decay=weight_decay,
        schedule=schedule,
        warmup_steps=warmup_steps,
        clip=clip,
        ema=ema,
        shift=shift,
        patience=patience,
        max_seconds=parse_duration(max_time),
        max_epochs=max_epochs,
        max_steps=max_steps,
        validate_every=validate_every,
        log_every=log_every,
        checkpoint_seconds=checkpoint_seconds,
        precision=str(precision),
        compile=compile,
        out=None if out is None else make_folder(out),
    )
    if patience is not None and held_out is None:
        raise UsageError("patience needs validation data to judge by")
    if resume and plan.out is None:
        raise UsageError("resume needs the folder of the run that goes on, as out")
    with requires("train", purpose="fit"):
        from pushforward.training.module import FlowData, FlowTraining
    resumed = read_checkpoint(plan.out / LAST, flow) if resume and plan.out is not None else None
    seed = _seeded(resumed["seed"] if resumed is not None else seed)
    if resumed is None:
        _initialise(flow, x, context, seed)
    with _quiet_lightning():
        data = FlowData(x, context, batch_size, seed)
        line = ProgressLine(tuple(flow.event_shape), progress)
        module = FlowTraining(flow, objective, plan, data, held_out, line)
        trainer = _trainer(plan, accelerator, devices, strategy, num_nodes)
        return _run(trainer, module, data, None if resumed is None else plan.out / LAST)  # type: ignore[operator]


def _run(trainer: Any, module: FlowTraining, data: Any, checkpoint: Path | None) -> FitResult:
    flow, device = module.flow, next(module.flow.parameters()).device
    if module.plan.compile:
        flow.compile_blocks()
    flow.train()
    try:
        with kept_memory(), _interruptible(module, trainer):
            trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    except TrainingError:
        # Nothing was updated in the failed step, so a checkpoint of this moment can go on at a lower rate.
        _finish(trainer, module, device)
        raise
    finally:
        module._progress.stop()
        module.recorder.close()
    _finish(trainer, module, device)
    if module.interrupted:
        raise KeyboardInterrupt
    return FitResult(module.recorder.rows, module.best, module.step_count, module.seconds(), module.stopped)


def _finish(trainer: Any, module: FlowTraining, device: torch.device) -> None:
    """Leave the flow with its best weights, in evaluation mode, where it was, and on disk."""
    module.ema.assign(module.ema.average if module.best_weights is None else module.best_weights)
    flow = module.flow.to(device).eval()
    if module.plan.out is not None and flow.config is not None and trainer.is_global_zero:
        save(flow, module.plan.out / MODEL)


def _trainer(plan: Plan, accelerator: str, devices: Any, strategy: Any, num_nodes: int) -> Any:
    import lightning as L
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    try:
        return L.Trainer(
            accelerator=accelerator,
            devices=devices,
            strategy=strategy,
            num_nodes=num_nodes,
            precision={"32": "32-true", "64": "64-true"}.get(plan.precision, plan.precision),  # type: ignore[arg-type]
            max_epochs=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            limit_val_batches=0,
            use_distributed_sampler=False,
            log_every_n_steps=10**9,
        )
    except (MisconfigurationException, ValueError, RuntimeError) as error:
        raise UsageError(f"Lightning refuses these settings: {str(error).splitlines()[0]}") from error


def _events(flow: Flow, data: Any, name: str) -> tuple[Tensor, Tensor | None]:
    pair = data if isinstance(data, (tuple, list)) else (data, None)
    if len(pair) != 2:
        raise UsageError(f"{name} data must be events, or a pair of events and contexts, got {len(pair)} things")
    x = torch.as_tensor(pair[0])
    if tuple(x.shape[1:]) != tuple(flow.event_shape):
        expected = ", ".join(map(str, flow.event_shape))
        raise ShapeError(f"the {name} events must be (N, {expected}) for this flow, got {tuple(x.shape)}")
    if len(x) == 0:
        raise DataError(f"the {name} data hold no rows")
    context = None if pair[1] is None else torch.as_tensor(pair[1])
    if context is not None and len(context) != len(x):
        raise DataError(f"expected a context for each of the {len(x)} {name} events, got {len(context)}")
    # A table in double precision trains a flow in single precision, the usual case with numpy and pandas.
    like = next((weight for weight in flow.parameters()), torch.zeros(()))
    return _like(x, like), None if context is None else _like(context, like)


def _like(x: Tensor, like: Tensor) -> Tensor:
    return x.to(like.dtype) if x.is_floating_point() else x


def _seeded(seed: int | None) -> int:
    if seed is None:
        return int(torch.randint(2**31, ()))
    torch.manual_seed(seed)
    return seed


def _initialise(flow: Flow, x: Tensor, context: Tensor | None, seed: int) -> None:
    first, given, _ = Batches(x, context, _INITIAL_ROWS, seed).batch(0)
    like = next((weight for weight in flow.parameters()), None)
    if like is None:
        raise UsageError("the flow has no parameters to train")
    flow.initialise(first.to(like), None if given is None else given.to(like))


@contextmanager
def _interruptible(module: FlowTraining, trainer: Any) -> Iterator[None]:
    """The first Ctrl-C ends the training after the step with everything saved; a second one ends it at once."""
    if threading.current_thread() is not threading.main_thread() or trainer.world_size > 1:
        yield
        return

    def interrupt(number: int, frame: Any) -> None:
        if module.interrupted:
            raise KeyboardInterrupt
        module.interrupted = True

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    except SystemExit as error:
        # Lightning's answer to KeyboardInterrupt.
        raise KeyboardInterrupt from error
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Without Lightning's notices, which are about defaults that were chosen on purpose."""
    # Imported first: the import sets these levels itself.
    import lightning  # noqa: F401

    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric", "lightning")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels):
                logger.setLevel(level)
