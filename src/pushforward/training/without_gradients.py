"""A training without gradients, of what the data place, and the files of its run."""

from __future__ import annotations

import torch

from pushforward.data.streams import ParquetStream
from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.training.in_turn import check_in_turn, fit_at_once, fit_in_turn, starts_from_data
from pushforward.training.inputs import Pair
from pushforward.training.objectives import Objective
from pushforward.training.placement import finish
from pushforward.training.plan import Plan
from pushforward.training.progress import ProgressLine
from pushforward.training.recorder import Recorder
from pushforward.training.result import FitResult
from pushforward.training.runs.checkpoints import write_final_model
from pushforward.training.runs.folder import RunFolder
from pushforward.training.runs.replacement import held
from pushforward.training.seeding import seeded
from pushforward.training.units import Unit


def fit_by_data(
    flow: Flow,
    objective: Objective,
    train: Pair | ParquetStream,
    held_out: Pair | ParquetStream | None,
    plan: Plan,
    dtype: torch.dtype,
    folder: RunFolder | None,
    progress: bool,
) -> FitResult:
    """Place the parts of a flow one after the other, or all at once where its transform has none, and leave the run's
    files.

    Raises:
        UsageError: for a stream, another objective than the likelihood, or a flow whose parts are placed.
        KeyboardInterrupt: after Ctrl-C; what was placed is kept, and written.
    """
    if isinstance(train, ParquetStream) or isinstance(held_out, ParquetStream):
        raise UsageError("a flow whose parts the data place needs the data in memory: read a sample of the stream")
    check_in_turn(flow, objective)
    seed = seeded(plan.seed)
    flow.to(dtype).eval()
    unit = Unit.of(flow, objective)
    line = ProgressLine(unit, progress, plan.progress_seconds)
    with held(folder, resume=False, first=True):
        if folder is not None:
            folder = folder.identified()
            folder.write_configuration()
        recorder = Recorder(None if folder is None else folder.path, unit)
        recorder.start([])
        if isinstance(flow, Flow) and starts_from_data(flow.transform):
            result = fit_in_turn(flow, train, held_out, plan, recorder, line)
        else:
            result = fit_at_once(flow, train, held_out, recorder, line)
        recorder.close()
        finish(flow, train, seed, dtype)
        if folder is not None:
            write_final_model(flow, folder)
        if result.stopped == "interrupted":
            raise KeyboardInterrupt
    return result
