"""Running a simulator: in batches, on several processors, with what is done kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward.errors import SimulationError, UsageError, first_line
from pushforward.extras import requires
from pushforward.inference.simulation.kept import Kept
from pushforward.inference.simulation.prior import Prior
from pushforward.inference.simulation.streams import drawing
from pushforward.scalar.arguments import check_counts
from pushforward.seeds import check_seed
from pushforward.training.progress import Lines

Simulator = Callable[[Tensor], Any]
"""From parameters ``(n, D)`` to as many observations ``(n, ...)``, a tensor or an array."""


def simulate(
    simulator: Simulator,
    proposal: Any,
    count: int,
    *,
    batch_size: int | None = None,
    workers: int = 1,
    seed: int | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> tuple[Tensor, Tensor]:
    """Draw parameters and simulate them: ``theta`` of shape ``(count, D)`` and ``x`` of shape ``(count, ...)``.

    Args:
        simulator: called as ``simulator(theta)`` with parameters ``(n, D)``; gives ``(n, ...)``, NaN for what is
            missing. See `OneByOne` for one that takes a single vector.
        proposal: the prior, a list of its parts, or what else has ``sample((count,))``.
        count: how many simulations.
        batch_size: parameters in one call; by default all in 20 calls of each worker.
        workers: processes that simulate at the same time, by joblib; -1 for all processors.
        seed: of the parameters and of every call, each of which has a stream of random numbers of its own (of
            PyTorch, NumPy's global generator and ``random``); None draws one, or takes the folder's.
        out: a folder that keeps the simulations done so far. The same call goes on from there.
        progress: print a line on the error stream now and then.

    Raises:
        SimulationError: the simulator raises, or returns what is no tensor of one shape with a row for each of the
            parameters. Its ``theta`` and ``x`` hold the simulations that were done before.
        UsageError: an option does not fit, or the folder's simulations are of another seed, proposal, number or batch
            size.
        FileError: the folder cannot be written.
        DataError: a file in it is damaged.

    Example:
        >>> from torch.distributions import Uniform
        >>> prior = Uniform(torch.zeros(2), torch.ones(2))
        >>> theta, x = simulate(lambda theta: theta + torch.randn_like(theta), prior, 100, seed=0, progress=False)
        >>> theta.shape, x.shape
        (torch.Size([100, 2]), torch.Size([100, 2]))
    """
    check_counts("simulate", count=count)
    if batch_size is not None:
        check_counts("simulate", batch_size=batch_size)
    if workers != -1:
        check_counts("simulate", workers=workers)
    if not callable(simulator):
        raise UsageError(f"simulate expects a simulator that is called with parameters, got {simulator!r}")
    kept = Kept(out)
    seed = kept.seed(None if seed is None else check_seed("seed", seed))
    theta = kept.parameters(lambda: _drawn(proposal, count, seed), count)
    size = batch_size or max(1, -(-count // (20 * max(1, workers))))
    batches = theta.split(size)
    lines = Lines(30.0) if progress else None
    done: list[Tensor] = []
    for x in _simulated(simulator, batches, kept, seed, workers):
        if isinstance(x, Tensor) and done and x.shape[1:] != done[0].shape[1:]:
            x = f"it returned observations of shape {tuple(x.shape[1:])} after some of {tuple(done[0].shape[1:])}"
        if isinstance(x, str):
            raise _failed(x, theta, done)
        kept.write(len(done), x)
        done.append(x)
        rows = min(len(done) * size, count)
        if lines is not None:
            lines.show(rows / count, lambda rows=rows: f"{rows:,} of {count:,} simulations")  # type: ignore[misc]
    return theta, torch.cat(done)


@dataclass(frozen=True)
class OneByOne:
    """A simulator of batches, from one that takes a single vector of parameters.

    Example:
        >>> OneByOne(lambda theta: theta.sum())(torch.ones(3, 2))
        tensor([2., 2., 2.])
    """

    simulator: Simulator

    def __call__(self, theta: Tensor) -> Tensor:
        return torch.stack([torch.as_tensor(self.simulator(row)) for row in theta])


def _drawn(proposal: Any, count: int, seed: int) -> Tensor:
    own = Prior(proposal) if isinstance(proposal, Sequence) else proposal
    if isinstance(own, type) or not callable(getattr(own, "sample", None)):
        raise UsageError(f"simulate expects a prior with sample((count,)), got {proposal!r}: Prior(...) makes one")
    with drawing(seed, "parameters"):
        theta: Tensor = own.sample((count,))
    return theta.reshape(count, -1)


def _simulated(
    simulator: Simulator, batches: tuple[Tensor, ...], kept: Kept, seed: int, workers: int
) -> Iterator[Tensor | str]:
    """The observations of each batch in turn, or a sentence of what went wrong."""
    known = [kept.read(index, len(theta)) for index, theta in enumerate(batches)]
    missing = [index for index, x in enumerate(known) if x is None]
    calls = ((simulator, batches[index], seed, index) for index in missing)
    if workers == 1:
        results: Iterator[Tensor | str] = (_call(*call) for call in calls)
    else:
        with requires("inference", purpose="simulating on several processors"):
            from joblib import Parallel, delayed
        results = Parallel(n_jobs=workers, return_as="generator")(delayed(_call)(*call) for call in calls)
    for x in known:
        yield next(results) if x is None else x


def _call(simulator: Simulator, theta: Tensor, seed: int, index: int) -> Tensor | str:
    """One call of the simulator, with random numbers of its own."""
    try:
        with drawing(seed, "batch", index):
            x = torch.as_tensor(simulator(theta.clone()))
    except Exception as error:
        return f"it raised {type(error).__name__}: {first_line(error)}"
    if x.dim() == 0 or len(x) != len(theta):
        return (
            f"it returned the shape {tuple(x.shape)} for {len(theta)} vectors of parameters, one row for each expected"
        )
    # A number for each simulation is a vector of one.
    x = x.detach().to(torch.get_default_dtype())
    return x[:, None] if x.dim() == 1 else x


def _failed(sentence: str, theta: Tensor, done: list[Tensor]) -> SimulationError:
    rows = sum(map(len, done))
    x = torch.cat(done) if done else None
    return SimulationError(
        f"the simulator failed after {rows} of {len(theta)} simulations, which the error holds as theta and x: "
        f"{sentence}",
        theta[:rows],
        x,
    )
