"""Running a simulator: in batches, on several processors, with what is done kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from pushforward.errors import SimulationError, UsageError
from pushforward.extras import requires
from pushforward.files import atomic_path, make_folder
from pushforward.inference.simulation.prior import Prior
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
        proposal: the prior, as `NPE` takes it, or what else has ``sample((count,))``.
        count: how many simulations.
        batch_size: parameters in one call; by default all in 20 calls of each worker.
        workers: processes that simulate at the same time, by joblib; -1 for all processors.
        seed: of the parameters and, from it, of every call; None draws one.
        out: a folder that keeps the simulations done so far. The same call goes on from there.
        progress: print a line on the error stream now and then.

    Raises:
        SimulationError: the simulator raises, or returns what is no tensor of one shape with a row for each of the
            parameters. Its ``theta`` and ``x`` hold the simulations that were done before.
        UsageError: an option does not fit, or the folder's simulations are of another seed, proposal or number.
        FileError: the folder cannot be written.

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
    same = None if seed is None else _drawn(proposal, count, check_seed("seed", seed))
    seed = int(torch.randint(2**31, ())) if seed is None else seed
    kept = _Kept(None if out is None else make_folder(out))
    theta = kept.parameters(lambda: _drawn(proposal, count, seed) if same is None else same, count)
    if same is not None and not torch.equal(theta, same):
        raise UsageError(
            f"{out} holds simulations of another seed or another proposal: call as before, or use another folder"
        )
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


class _Kept:
    """The simulations in a folder, one file for each batch; nothing without a folder."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def parameters(self, draw: Callable[[], Tensor], count: int) -> Tensor:
        """The parameters that were drawn before, or new ones."""
        if self._folder is None:
            return draw()
        path = self._folder / "parameters.safetensors"
        if not path.exists():
            self._save(path, draw())
        theta = load_file(path)["values"]
        if len(theta) != count:
            raise UsageError(
                f"{self._folder} holds {len(theta)} parameters, and {count} are wanted: use another folder"
            )
        return theta

    def read(self, batch: int, rows: int) -> Tensor | None:
        """The observations of a batch, None where they are not there."""
        path = self._path(batch)
        if path is None or not path.exists():
            return None
        x = load_file(path)["values"]
        if len(x) != rows:
            raise UsageError(
                f"{path} holds {len(x)} simulations and not {rows}: keep batch_size and workers as they were"
            )
        return x

    def write(self, batch: int, x: Tensor) -> None:
        path = self._path(batch)
        if path is not None and not path.exists():
            self._save(path, x)

    def _path(self, batch: int) -> Path | None:
        return None if self._folder is None else self._folder / f"observations-{batch:06d}.safetensors"

    def _save(self, path: Path, values: Tensor) -> None:
        with atomic_path(path) as temporary:
            save_file({"values": values.contiguous()}, temporary)


def _drawn(proposal: Any, count: int, seed: int) -> Tensor:
    if isinstance(proposal, (list, tuple)):
        proposal = Prior(proposal)
    if isinstance(proposal, type) or not callable(getattr(proposal, "sample", None)):
        raise UsageError(f"simulate expects a prior with sample((count,)), got {proposal!r}: Prior(...) makes one")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        theta: Tensor = proposal.sample((count,))
    return theta.reshape(count, -1)


def _simulated(
    simulator: Simulator, batches: tuple[Tensor, ...], kept: _Kept, seed: int, workers: int
) -> Iterator[Tensor | str]:
    """The observations of each batch in turn, or a sentence of what went wrong."""
    known = [kept.read(index, len(theta)) for index, theta in enumerate(batches)]
    missing = [index for index, x in enumerate(known) if x is None]
    calls = ((simulator, batches[index], (seed + 1 + index) % 2**32) for index in missing)
    if workers == 1:
        results: Iterator[Tensor | str] = (_call(*call) for call in calls)
    else:
        with requires("inference", purpose="simulating on several processors"):
            from joblib import Parallel, delayed
        results = Parallel(n_jobs=workers, return_as="generator")(delayed(_call)(*call) for call in calls)
    for x in known:
        yield next(results) if x is None else x


def _call(simulator: Simulator, theta: Tensor, seed: int) -> Tensor | str:
    """One call of the simulator, with random numbers of its own."""
    before = np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        np.random.seed(seed)
        try:
            x = torch.as_tensor(simulator(theta.clone()))
        except Exception as error:
            return f"it raised {type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"
        finally:
            np.random.set_state(before)
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
