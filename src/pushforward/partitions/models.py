"""Models that score and draw rows, as workers anywhere take them: as bytes, opened once in each process."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import tempfile
from collections.abc import Callable, Iterable
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype

from pushforward.data.tables import numeric
from pushforward.errors import CheckpointError, UsageError
from pushforward.flows.flow import Flow
from pushforward.flows.saving import MODEL, load, read_tensors, save
from pushforward.tables.density import FlowDensity
from pushforward.tables.saving import FORMAT
from pushforward.training.evaluate import default_batch_size

Array = NDArray[np.float64]


Opened = TypeVar("Opened")


class ScoresRows(Protocol):
    """What scores the rows of a data frame.

    Example:
        >>> class Ages:
        ...     columns = ("age",)
        ...     def log_density(self, rows):
        ...         return np.log(0.02 * np.exp(-0.02 * rows["age"].to_numpy()))
        >>> model: ScoresRows = Ages()
        >>> model.log_density(pd.DataFrame({"age": [0.0, 50.0]})).round(2)
        array([-3.91, -4.91])
    """

    @property
    def columns(self) -> tuple[str, ...] | None:
        """The columns that it reads; None for every column that there is, in order."""

    def log_density(self, rows: pd.DataFrame) -> Array:
        """The log-density of each row, ``(n,)``, in nats and in the units of the table; the same for the same frame."""


class DrawsRows(Protocol):
    """What draws the rows of a data frame.

    Example:
        >>> class Coins:
        ...     def draw(self, rows, seed, first=0):
        ...         sides = np.random.default_rng(seed).integers(2, size=rows)
        ...         return pd.DataFrame({"number": np.arange(first, first + rows), "side": sides})
        >>> model: DrawsRows = Coins()
        >>> model.draw(3, seed=0, first=10)["number"].tolist()
        [10, 11, 12]
    """

    def draw(self, rows: int, seed: int, first: int = 0) -> pd.DataFrame:
        """So many new rows; the same for the same seed. The ``first`` of them has that place among all that are drawn,
        so that identifiers go on where those of the rows before it end."""


class SavedModel(Generic[Opened]):
    """A model as the bytes of its files, so that workers need no folder in common; opened once in each process.

    Args:
        files: the content of each file by its name.
        opener: makes of a folder with these files what scores or draws; a function at the top level of a module.

    Raises:
        UsageError: by ``of``, for what is no flow, no fitted `FlowDensity` and no path of one.
        CheckpointError: by ``of``, ``read`` and ``open``, if a file is missing or damaged.

    Example:
        >>> import pushforward as pf
        >>> model = SavedModel.of(pf.build("realnvp", features=2))
        >>> model.open().draw(3, seed=0).shape
        (3, 2)
    """

    def __init__(self, files: dict[str, bytes], opener: Callable[[Path], Opened]) -> None:
        self.files, self.opener = files, opener

    @classmethod
    def read(cls, paths: Iterable[Path], opener: Callable[[Path], Opened]) -> SavedModel[Opened]:
        """Read the files of a model.

        Raises:
            CheckpointError: one of them cannot be read.
        """
        try:
            return cls({path.name: path.read_bytes() for path in paths}, opener)
        except OSError as error:
            raise CheckpointError(f"{error.filename}: no readable model there ({error.strerror})") from error

    @classmethod
    def of(cls, model: Any) -> SavedModel[Any]:
        """The model as it is, or of a path that `pushforward.save` or an estimator's ``save`` wrote, of a flow or of a
        fitted `FlowDensity`.

        Raises:
            UsageError: it is none of these.
            CheckpointError: there is no readable model at the path.
        """
        if isinstance(model, SavedModel):
            return model
        if isinstance(model, (str, os.PathLike)):
            path = Path(model)
            content = SavedModel.read([path / MODEL if path.is_dir() else path], open_saved)
            return SavedModel({MODEL: next(iter(content.files.values()))}, open_saved)
        if not isinstance(model, (Flow, FlowDensity)):
            raise UsageError(f"expected a flow, a fitted FlowDensity or the path of one, got {type(model).__name__}")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / MODEL
            save(model, path) if isinstance(model, Flow) else model.save(path)
            return SavedModel.read([path], open_saved)

    @cached_property
    def fingerprint(self) -> str:
        """What tells this model from any other."""
        digest = hashlib.sha256(pickle.dumps(self.opener))
        for name, content in sorted(self.files.items()):
            digest.update(hashlib.sha256(name.encode()).digest() + hashlib.sha256(_in_order(name, content)).digest())
        return digest.hexdigest()

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SavedModel) and self.fingerprint == other.fingerprint

    def open(self) -> Opened:
        """The model, read at the first call in a process."""
        return _opened(self)


def _in_order(name: str, content: bytes) -> bytes:
    """The content with the head of a safetensors file in order: its writer shuffles that from one time to the next."""
    if not name.endswith(".safetensors"):
        return content
    start = 8 + int.from_bytes(content[:8], "little")
    try:
        head = json.loads(content[8:start])
    except ValueError:
        # What is damaged is told where it is opened.
        return content
    return json.dumps(head, sort_keys=True).encode() + content[start:]


@lru_cache(maxsize=4)
def _opened(model: SavedModel[Any]) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in model.files.items():
            (Path(folder) / name).write_bytes(content)
        return model.opener(Path(folder))


def open_saved(folder: Path) -> EstimatorRows | FlowRows:
    """The flow or the estimator in a folder's model file."""
    path = folder / MODEL
    if read_tensors(path)[0].get("format") == FORMAT:
        return EstimatorRows(FlowDensity.load(path))
    return FlowRows(load(path))


class EstimatorRows:
    """Rows by a fitted estimator."""

    def __init__(self, estimator: FlowDensity) -> None:
        self._estimator = estimator
        names = getattr(estimator, "feature_names_in_", None)
        self.columns = None if names is None else tuple(names)

    def log_density(self, rows: pd.DataFrame) -> Array:
        return self._estimator.score_samples(rows.to_numpy() if self.columns is None else rows[list(self.columns)])

    def draw(self, rows: int, seed: int, first: int = 0) -> pd.DataFrame:
        frame = _as_frame(self._estimator.sample(rows, random_state=seed))
        return numbered_on(frame, self._estimator, first)


class FlowRows:
    """Rows by a flow of vectors without a context; of an inexact one, by the same draws for every frame."""

    columns = None

    def __init__(self, flow: Flow) -> None:
        if len(flow.event_shape) != 1 or flow.context_shape is not None:
            raise UsageError(
                f"rows are scored and drawn by flows of vectors without a context, this one has events of shape "
                f"{tuple(flow.event_shape)} and {'no' if flow.context_shape is None else 'a'} context"
            )
        self._flow = flow
        self._dtype = next((weight.dtype for weight in flow.parameters()), torch.get_default_dtype())

    @torch.no_grad()
    def log_density(self, rows: pd.DataFrame) -> Array:
        kind = np.float64 if self._dtype == torch.float64 else np.float32
        x = torch.from_numpy(numeric("the rows", rows, dtype=kind)).to(self._dtype)
        generator = torch.Generator().manual_seed(0)
        parts = x.split(default_batch_size(x.shape[1]))
        return torch.cat([self._flow.log_prob(part, generator=generator) for part in parts]).double().numpy()

    def draw(self, rows: int, seed: int, first: int = 0) -> pd.DataFrame:
        generator = torch.Generator().manual_seed(seed)
        parts = torch.empty(rows).split(default_batch_size(self._flow.event_shape[0]))
        return _as_frame(torch.cat([self._flow.sample(len(part), generator=generator) for part in parts]).numpy())


def numbered_on(frame: pd.DataFrame, estimator: FlowDensity, first: int) -> pd.DataFrame:
    """Drawn rows whose numbers of rows go on after the ``first`` that were drawn before them."""
    reports = zip(frame.columns, estimator.columns_)
    numbered = [name for name, report in reports if report.kind == "id" and is_numeric_dtype(frame[name].dtype)]
    return frame.assign(**{name: frame[name] + first for name in numbered})


def _as_frame(rows: Any) -> pd.DataFrame:
    if isinstance(rows, pd.DataFrame):
        return rows
    return pd.DataFrame(rows, columns=[f"column_{index}" for index in range(rows.shape[1])])
