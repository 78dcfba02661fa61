"""What a flow takes from the data before a training and after it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import torch

from pushforward.data.streams import ParquetStream
from pushforward.flows.flow import Flow
from pushforward.training.batches import Batches
from pushforward.training.inputs import Pair
from pushforward.training.streaming import stream_head

# One batch is enough to set ActNorm's scales, and a large one sets them better.
INITIAL_ROWS = 1024

FINAL_ROWS = 5000
"""What a flow is finished on, at most: a vine of ten dimensions takes some seconds of so many."""

INTERIM_ROWS = 500
"""The same of a model that is written while the training goes on, and is not to hold it up."""


def initialise(flow: Flow, data: Pair | ParquetStream, seed: int, dtype: torch.dtype) -> None:
    """Set the data-dependent parts from one large shuffled batch."""
    flow.initialise(*_sample(flow, data, INITIAL_ROWS, seed, dtype))


def finish(flow: Flow, data: Pair | ParquetStream, seed: int, dtype: torch.dtype, rows: int = FINAL_ROWS) -> None:
    """Fit what gradients do not train, where there is any, to a shuffled sample; the global random state is left as it
    was.

    Raises:
        DataError: if the rows are too few.
    """
    if flow.finishes:
        x, context = _sample(flow, data, rows, seed, dtype)
        # A part that was compiled would be compiled for these rows once more.
        with torch.compiler.set_stance("force_eager"):
            flow.finish(x, context, torch.Generator(x.device).manual_seed(seed))


@contextmanager
def finished(flow: Flow, data: Pair | ParquetStream, seed: int, dtype: torch.dtype) -> Iterator[None]:
    """Finish a flow that is in training, in evaluation mode, for the length of a block."""
    if not flow.finishes:
        yield
        return
    state = {name: value.clone() for name, value in flow.state_dict().items()}
    flow.eval()
    try:
        finish(flow, data, seed, dtype, INTERIM_ROWS)
        yield
    finally:
        flow.load_state_dict(state)
        flow.train()


def _sample(flow: Flow, data: Pair | ParquetStream, rows: int, seed: int, dtype: torch.dtype) -> Pair:
    """Rows drawn at random, where the flow is."""
    if isinstance(data, ParquetStream):
        x, context = stream_head(flow, data, rows, seed, "training", dtype)
    else:
        x, context, _ = Batches(*data, rows, seed, dtype).batch(0)
    device = next(chain(flow.parameters(), flow.buffers())).device
    return x.to(device), None if context is None else context.to(device)
