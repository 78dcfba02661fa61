"""The Lightning Trainer that trainings run on."""

from __future__ import annotations

import logging
import os
from contextlib import AbstractContextManager
from typing import Any

from pushforward.errors import UsageError, first_line
from pushforward.kernels.notices import without_notices

# What the names of Lightning's strategies that shard weights begin with.
_SHARDING = ("fsdp", "deepspeed", "modelparallel")
# Each device of a CPU is a process; more than a few for a core stop the machine.
_PROCESSES_PER_CORE = 4


def make_trainer(precision: str, accelerator: str, devices: Any, strategy: Any, num_nodes: int) -> Any:
    """A Trainer that does nothing but run the steps of a training: one endless epoch without logs or files.

    Raises:
        UsageError: Lightning refuses the settings, the strategy shards the weights, or they are of more processes than
            the CPU can run.
    """
    import lightning as L
    from lightning.fabric.utilities.exceptions import MisconfigurationException
    from lightning.pytorch.accelerators import CPUAccelerator

    # The norm of the gradient, the weights' average and the files of a run are of whole weights.
    name = strategy if isinstance(strategy, str) else type(strategy).__name__
    if name.lower().startswith(_SHARDING):
        raise UsageError(
            f"fit keeps every weight in each process, and the strategy {name} shards them: take 'ddp', or torch's "
            "fully_shard in a loop of your own (docs/scale.md)"
        )
    try:
        trainer = L.Trainer(
            accelerator=accelerator,
            devices=devices,
            strategy=strategy,
            num_nodes=num_nodes,
            precision={"32": "32-true", "64": "64-true"}.get(precision, precision),  # type: ignore[arg-type]
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
    except (MisconfigurationException, ValueError, RuntimeError, ImportError) as error:
        raise UsageError(f"Lightning refuses these settings: {first_line(error)}") from error
    cores = os.cpu_count() or 1
    if isinstance(trainer.accelerator, CPUAccelerator) and trainer.num_devices > _PROCESSES_PER_CORE * cores:
        raise UsageError(
            f"devices={trainer.num_devices} would start as many processes, and there are {cores} cores: give at most "
            f"{_PROCESSES_PER_CORE * cores}"
        )
    return trainer


def quiet_lightning() -> AbstractContextManager[None]:
    """Without Lightning's notices, which are about defaults that were chosen on purpose."""
    # Imported first: the import sets these levels itself.
    import lightning  # noqa: F401

    return without_notices(("lightning.pytorch", "lightning.fabric", "lightning"), logging.ERROR)
