"""Training a flow."""

from __future__ import annotations

import os
import pickle
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.multiprocessing.spawn import ProcessRaisedException

from pushforward.data.dataset import Dataset
from pushforward.data.streams import ParquetStream
from pushforward.errors import TrainingError, UsageError
from pushforward.extras import requires
from pushforward.flows.expected import require_flow
from pushforward.flows.flow import Flow
from pushforward.kernels.memory import kept_memory
from pushforward.training.checks import check_support
from pushforward.training.compiling import Compile
from pushforward.training.ema import assign, floating_state
from pushforward.training.in_turn import placed_by_data
from pushforward.training.inputs import Pair, own_batch_size, read_pair
from pushforward.training.interruption import interruptible
from pushforward.training.memory import check_memory, recomputing
from pushforward.training.objectives import Objective, ObjectiveName, objective_for
from pushforward.training.outcome import Handover, Outcome
from pushforward.training.placement import INITIAL_ROWS, finish, initialise
from pushforward.training.plan import Plan
from pushforward.training.progress import ProgressLine
from pushforward.training.result import FitResult
from pushforward.training.runs.checkpoints import read_checkpoint, write_final_model
from pushforward.training.runs.folder import IDENTITY, LAST, RunFolder
from pushforward.training.runs.replacement import held
from pushforward.training.seeding import apart, seeded
from pushforward.training.streaming import stream_head
from pushforward.training.trainer import make_trainer, quiet_lightning
from pushforward.training.units import Unit
from pushforward.training.without_gradients import fit_by_data

if TYPE_CHECKING:
    from pushforward.training.module import FlowTraining


@apart
def fit(
    flow: Flow,
    train: Any,
    validation: Any = None,
    *,
    objective: Objective | ObjectiveName | None = None,
    max_time: str | float | None = None,
    max_epochs: int | None = None,
    max_steps: int | None = None,
    batch_size: int | None = None,
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
    progress_seconds: float = 30.0,
    precision: str = "32",
    memory: str = "ordinary",
    compile: Compile = "auto",
    accelerator: str = "auto",
    devices: int | str | list[int] = 1,
    strategy: Any = "auto",
    num_nodes: int = 1,
    out: str | os.PathLike[str] | RunFolder | None = None,
    resume: bool = False,
    seed: int | None = None,
    progress: bool = True,
) -> FitResult:
    """Train a flow in place, to the highest likelihood or by another objective, on the Lightning Trainer.

    Afterwards the flow holds the moving average of its weights, at the best validation where there is one, and is in
    evaluation mode. Data-dependent parts are set from a first batch; what gradients do not train (a `VineCopula`) is
    fitted at the end, to 5,000 events at most, however the training ended.

    A flow without parameters whose parts start from data (``tabak_turner``, ``rbig``) is fitted without gradients: each
    part starts from what the parts before it leave of all the data, until held-out data no longer become more likely.
    A distribution that starts from data (``SphereKernelDensity``) starts from all of it. Of the options ``max_steps``,
    ``max_time``, ``patience`` (20), ``precision``, ``seed``, ``out`` and ``progress`` count then; it cannot be
    resumed, nor fitted twice.

    Args:
        flow: what is trained; a distribution that is no flow, such as a mixture, is taken too.
        train: events ``(N, ...)`` or a pair ``(events, contexts)``: tensors, arrays, lists of rows or pandas frames
            (all columns, in order). Or a `Dataset` of Pushforward, whose validation part is used too; or a
            ``torch.utils.data.Dataset`` or ``DataLoader`` with items ``x`` or ``(x, context)``. All of it is read into
            memory; batches are drawn from it without replacement, whatever order a loader has. A loader that samples,
            collates or streams in its own way is gone through once. Only a `ParquetStream` is never in memory as a
            whole; the row groups that it holds out validate.
        validation: the same for validation.
        objective: ``"likelihood"`` or ``"flow-matching"``, by default what the model is made for, the likelihood for
            all but ``cnf`` and ``sphere-cnf``; in Python also the loss of a batch, ``objective(flow, x, context)``.
        max_time: stop after this time, ``"HH:MM:SS"`` or seconds, counted from the beginning of the run, not of a
            resume.
        max_epochs: stop after so many passes over the data; where nothing limits the training, after 100.
        max_steps: stop after so many steps.
        batch_size: rows in a batch, over all processes together; by default 256, or that of a ``DataLoader``.
        learning_rate: the optimizer's full rate.
        optimizer: ``"adam"`` or ``"adamw"``.
        weight_decay: the optimizer's weight decay.
        schedule: ``"constant"``, ``"cosine"`` or ``"exponential"`` over the steps or the time, whichever is nearer to
            its end.
        warmup_steps: steps in which the rate rises linearly.
        clip: the largest gradient norm of the loss per dimension, or None for no limit.
        ema: the decay of the weights' moving average, or None for the weights themselves.
        shift: move half of the training images by up to so many pixels, and contexts that are images of the same plane
            with them; for small sets of images.
        patience: stop when so many validations in a row were no better.
        validate_every: steps between validations; by default whole epochs, as many as have at least 50 steps.
        log_every: steps between rows of ``metrics.csv``.
        checkpoint_seconds: how often ``last.ckpt`` is written. Where it cannot be, the training goes on with a warning.
        progress_seconds: the longest time between two lines about the progress where there is no terminal.
        precision: ``"32"`` (as the flow is), ``"64"`` (the flow stays in double precision) or ``"bf16-mixed"``.
        memory: ``"constant"`` computes activations anew in the backward pass, so that memory does not grow with the
            layers: of those that have an analytic inverse not at all, of others by their inputs. A step takes about
            1.4 times as long; gradients are those of ``"ordinary"`` up to rounding.
        compile: compile the parts of the flow (``flow.compile_blocks()``) while it is trained; by default where the
            steps ahead surely pay for it and there is a compiler.
        accelerator: ``"auto"``, ``"cpu"``, ``"gpu"``, ...; it and the next three are those of Lightning's Trainer.
        devices: how many devices, or which.
        strategy: ``"auto"``, ``"ddp"``, ...: how several devices work together.
        num_nodes: how many machines.
        out: a folder for ``metrics.csv``, ``last.ckpt``, TensorBoard logs and ``model.safetensors``, which `load` reads
            (of a flow whose parts files can name: all but one's own that are not registered). One training at a time
            works there. A run that stands there already is kept in ``out/.previous`` until the new one has ended.
        resume: go on from ``out/last.ckpt``. Where the validation data are others than before, the best weights are
            chosen anew, on these alone.
        seed: of the shuffling and the draws, apart from the global random state; None lets that one go on.
        progress: show a live line on a terminal, a plain line now and then elsewhere.

    Raises:
        UsageError: an option is wrong, a context is missing or there is one too many, no parameter can be trained, or a
            flow in half precision is to be trained in constant memory.
        ShapeError, DataError: the data do not fit the flow, hold NaN or infinite values, or lie outside of its support.
        CheckpointError: there is nothing to resume from, or it belongs to something else.
        FileError: the folder cannot be written, or another training works there.
        TrainingError: the loss is no longer finite; the last good weights are kept.
        MissingExtraError: Lightning is not installed.

    Example:
        >>> import pushforward as pf
        >>> flow = pf.Flow([pf.transforms.Elementwise(pf.scalar.Affine(), (2,))], pf.distributions.StandardNormal((2,)))
        >>> pf.fit(flow, 3 + torch.randn(512, 2), max_steps=20, learning_rate=0.1, progress=False).steps
        20
    """
    require_flow("fit", flow)
    objective = objective_for(flow, objective)
    plan = Plan.of(
        batch_size=own_batch_size(train) if batch_size is None else batch_size,
        learning_rate=learning_rate,
        optimizer=optimizer,
        weight_decay=weight_decay,
        schedule=schedule,
        warmup_steps=warmup_steps,
        clip=clip,
        ema=ema,
        shift=shift,
        patience=patience,
        max_time=max_time,
        max_epochs=max_epochs,
        max_steps=max_steps,
        validate_every=validate_every,
        log_every=log_every,
        checkpoint_seconds=checkpoint_seconds,
        progress_seconds=progress_seconds,
        precision=precision,
        memory=memory,
        compile=compile,
        seed=seed,
    )
    folder = None if out is None else RunFolder.of(out)
    if validation is None and isinstance(train, Dataset):
        validation = train
    if validation is None and isinstance(train, ParquetStream):
        validation = train.held_out
    if patience is not None and validation is None:
        raise UsageError("patience needs validation data to judge by")
    if resume and folder is None:
        raise UsageError("resume needs the folder of the run that goes on, as out")
    dtype = _dtype(flow, plan)
    check_memory(plan.memory, dtype)
    rows = _rows(flow, train, "train", dtype)
    held_out = None if validation is None else _rows(flow, validation, "validation", dtype)
    if placed_by_data(flow):
        if resume:
            raise UsageError("a flow whose parts the data place is fitted anew, and cannot be resumed")
        return fit_by_data(flow, objective, rows, held_out, plan, dtype, folder, progress)
    with requires("train", purpose="fit"):
        from pushforward.training.datamodule import FlowData
        from pushforward.training.module import FlowTraining
    with quiet_lightning():
        trainer = make_trainer(plan.precision, accelerator, devices, strategy, num_nodes)
    with held(folder, resume, trainer.is_global_zero):
        checkpoint = folder.path / LAST if resume and folder is not None else None
        resumed = None if checkpoint is None else read_checkpoint(checkpoint, flow)
        if folder is not None:
            folder = folder.identified(None if resumed is None else resumed.get(IDENTITY))
        seed = seeded(seed if resumed is None else resumed["seed"])
        if plan.double:
            flow.double()
        if resumed is None:
            initialise(flow, rows, seed, dtype)
        device = _device(flow)
        with quiet_lightning(), tempfile.TemporaryDirectory() as scratch:
            data = FlowData(rows, held_out, plan.batch_size, seed, dtype)
            handover = Handover(Path(scratch))
            line = ProgressLine(Unit.of(flow, objective), progress, plan.progress_seconds)
            module = FlowTraining(flow, objective, plan, data, folder, line, handover)
            outcome = _run(trainer, module, data, checkpoint, handover)
        # Nothing was updated in a failed step, so its weights are good ones too.
        assign(floating_state(flow), outcome.weights)
        flow.to(device).eval()
        try:
            finish(flow, rows, seed, dtype)
        finally:
            # What was trained is kept, also where nothing can be fitted to what came out.
            if folder is not None and trainer.is_global_zero:
                write_final_model(flow, folder)
        if outcome.failure is not None:
            raise outcome.failure
        if outcome.result.stopped == "interrupted":
            raise KeyboardInterrupt
    return outcome.result


def _run(trainer: Any, module: FlowTraining, data: Any, checkpoint: Path | None, handover: Handover) -> Outcome:
    """Train, in this process or in others that hand their outcome over."""
    module.flow.train()
    failure = None
    try:
        with (
            recomputing(module.flow, module.plan.memory),
            kept_memory(),
            interruptible(module.interrupt) if trainer.world_size == 1 else nullcontext(),
        ):
            trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    except TrainingError as error:
        failure = error
    except ProcessRaisedException:
        outcome = handover.take()
        if outcome is None:
            raise
        return outcome
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        if "pickle" not in str(error):
            raise
        raise UsageError(
            f"this strategy sends the flow and the objective to other processes, which fails ({error}): define them at "
            "the top level of a module, or take strategy='ddp'"
        ) from error
    finally:
        module.close()
    return handover.take() or module.outcome(failure)


def _rows(flow: Flow, data: Any, name: str, dtype: torch.dtype) -> Pair | ParquetStream:
    """The data, checked: in memory, or of a stream a sample."""
    called = "training" if name == "train" else name
    if isinstance(data, ParquetStream):
        stream_head(flow, data, INITIAL_ROWS, 0, called, dtype)
        return data
    x, context = read_pair(flow, data, name, dtype)
    check_support(flow, x, called)
    return x, context


def _dtype(flow: Flow, plan: Plan) -> torch.dtype:
    """The floating-point type that the flow is trained in."""
    if placed_by_data(flow):
        numbers = next(buffer for buffer in flow.buffers() if buffer.is_floating_point())
        return torch.float64 if plan.double else numbers.dtype
    weight = next(flow.parameters(), None)
    if weight is None:
        raise UsageError("the flow has no parameters to train")
    if not any(parameter.requires_grad for parameter in flow.parameters()):
        raise UsageError("every parameter of the flow is frozen: set requires_grad of those that are to be trained")
    return torch.float64 if plan.double else weight.dtype


def _device(flow: Flow) -> torch.device:
    return next(flow.parameters()).device
