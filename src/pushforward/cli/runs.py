"""A run: the folder of one training, with what is needed to use the flow later."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pushforward.cli.terminal import say
from pushforward.data.dataset import Dataset
from pushforward.data.fingerprint import from_anywhere, present_fingerprint
from pushforward.data.standardise import Standardiser
from pushforward.data.toys import TOYS
from pushforward.errors import CheckpointError, UsageError
from pushforward.flows.flow import Flow
from pushforward.flows.saving import MODEL, load
from pushforward.models.registry import build, recipe_options
from pushforward.training.objectives import NegativeLogLikelihood
from pushforward.training.runs import RunFolder, leftover, repair
from pushforward.training.runs.folder import CONFIGURATION

FORMAT = "pushforward run"
VERSION = 1

Pair = tuple[Tensor, Tensor | None]


@dataclass(frozen=True)
class Run:
    """What ``config.json`` holds.

    Attributes:
        model, options: the recipe and its configuration.
        data: the data's name, as `load_data` takes it, with an absolute path.
        fingerprint: of the file or folder that was read; None for data of the library's own.
        levels: how many values an element of discrete data takes.
        columns: the names of a vector's dimensions, where the data had names.
        events, context: how tables are standardised: the columns that are modelled, and those that they depend on.
        training: the options of `fit` that were given.
    """

    model: str
    options: dict[str, Any]
    data: str
    fingerprint: str | None = None
    levels: int | None = None
    columns: tuple[str, ...] = ()
    events: Standardiser | None = None
    context: Standardiser | None = None
    training: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """What ``config.json`` holds beside the run's identity."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "model": self.model,
            "options": self.options,
            "data": self.data,
            "fingerprint": self.fingerprint,
            "levels": self.levels,
            "columns": list(self.columns),
            "events": self.events.to_json() if self.events else None,
            "context": self.context.to_json() if self.context else None,
            "training": self.training,
        }

    @property
    def objective(self) -> NegativeLogLikelihood:
        """The loss of standardised rows, in the units of the table."""
        return NegativeLogLikelihood(self.log_volume)

    @classmethod
    def read(cls, folder: Path) -> Run:
        """Read ``config.json`` from the folder.

        Raises:
            CheckpointError: there is none, or it is not one of ours.
        """
        path = folder / CONFIGURATION
        if not path.is_file():
            raise CheckpointError(
                f"{folder}: no run there (expected the folder of a training, with {CONFIGURATION} in it)"
            )
        try:
            stored = json.loads(path.read_text())
            if stored.get("format") != FORMAT or stored.get("version") != VERSION:
                raise CheckpointError(f"{path}: not the configuration of a run of this version of pushforward")
            return cls._from_json(stored)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{path}: damaged or foreign configuration ({error})") from error

    @classmethod
    def _from_json(cls, stored: Mapping[str, Any]) -> Run:
        events, context = stored["events"], stored["context"]
        return cls(
            str(stored["model"]),
            dict(stored["options"]),
            str(stored["data"]),
            stored.get("fingerprint"),
            stored["levels"],
            tuple(stored["columns"]),
            Standardiser.from_json(events) if events else None,
            Standardiser.from_json(context) if context else None,
            dict(stored["training"]),
        )

    def flow(self) -> Flow:
        """The flow as its recipe makes it, untrained.

        Raises:
            UsageError: the model is unknown or does not take these options.
        """
        return build(self.model, **self.options)

    def parts(self, data: Dataset) -> dict[str, Pair]:
        """The three parts of the data as the flow takes them: events and contexts, standardised."""
        return {part: self.pair(x, data.columns) for part, x in data.parts().items()}

    def pair(self, x: Tensor, columns: tuple[str, ...]) -> Pair:
        """Rows with the named columns as events and contexts, standardised; anything else as it is.

        Raises:
            UsageError: a column is missing.
        """
        if self.events is None:
            return x, None
        columns = column_names(x.shape[1], columns)
        events = self.events.apply(x[:, _positions(self.events.columns, columns)])
        if self.context is None:
            return events, None
        return events, self.context.apply(x[:, _positions(self.context.columns, columns)])

    def inputs(self) -> tuple[str, ...]:
        """The columns that a table must have to be scored."""
        if self.events is None:
            return self.columns
        return self.events.columns + (self.context.columns if self.context else ())

    @property
    def log_volume(self) -> float:
        """What a log-density of standardised rows has more than one in the data's units."""
        return self.events.log_volume if self.events else 0.0


def plan_run(
    model: str, options: Mapping[str, Any], data: Dataset, spec: str, context: tuple[str, ...], training: dict[str, Any]
) -> Run:
    """Decide how a model is trained on data: its shape from the data's, tables standardised.

    Options that are given win over the data's.

    Raises:
        UsageError: the model is unknown, a context column is unknown or is all there is.
    """
    events, given = _standardisers(data, spec, context)
    columns = events.columns if events else data.columns
    shape = (len(events.columns),) if events else data.event_shape
    derived: dict[str, Any] = {"levels": data.levels} if data.levels is not None else {}
    derived |= {"features": shape[0]} if len(shape) == 1 else {"shape": list(shape)}
    if given is not None:
        derived["context"] = len(given.columns)
    known = recipe_options(model)
    missing = {"features", "shape"} & set(derived) - set(known)
    if missing:
        kind = "vectors" if "features" in missing else "images"
        raise UsageError(f"{model} is no model of {kind}, and {data.name} holds {kind} of shape {shape}")
    if "shape" in derived and "levels" in known and data.levels is None and "levels" not in options:
        raise UsageError(f"{model} models discrete images, and {data.name} holds fractions; give their --levels")
    if data.levels is not None and "levels" not in known:
        raise UsageError(f"{model} models continuous data, and {data.name} is discrete (stored as integers)")
    filled = {name: value for name, value in derived.items() if name in known}
    options = {**filled, **options}
    return Run(
        model, options, from_anywhere(spec), present_fingerprint(spec), data.levels, columns, events, given, training
    )


def open_run(folder: Path, device: str | None = "cpu") -> tuple[Run, Flow]:
    """The run and its trained flow, on a device; None for a GPU where there is one.

    Raises:
        CheckpointError: there is no run, or its training has not come to a model yet, or the model is damaged, or not
            of this run.
        UsageError: the device cannot be used here.
    """
    repair(folder)
    kept = leftover(folder)
    if kept is not None:
        say(kept)
    run = Run.read(folder)
    if not (folder / MODEL).is_file():
        raise CheckpointError(
            f"{folder}: no {MODEL} there yet; finish the training with: pushforward train --resume --out {folder}"
        )
    RunFolder(folder).check_identity()
    flow = load(folder / MODEL)
    try:
        return run, flow.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"device {device} cannot be used here: {str(error).splitlines()[0]}") from error


def _standardisers(
    data: Dataset, spec: str, context: tuple[str, ...]
) -> tuple[Standardiser | None, Standardiser | None]:
    table = data.levels is None and len(data.event_shape) == 1 and spec not in TOYS
    if not table:
        if context:
            raise UsageError(f"context columns are for tables, and {data.name} is none")
        return None, None
    columns = column_names(data.event_shape[0], data.columns)
    events = tuple(name for name in columns if name not in context)
    if not events:
        raise UsageError("every column is a context, and nothing is left to model")
    x = data.train
    given = Standardiser.fit(x[:, _positions(context, columns)], context) if context else None
    return Standardiser.fit(x[:, _positions(events, columns)], events), given


def _positions(names: tuple[str, ...], columns: tuple[str, ...]) -> list[int]:
    missing = [name for name in names if name not in columns]
    if missing:
        raise UsageError(f"no column {missing[0]!r}; there are {', '.join(columns)}")
    return [columns.index(name) for name in names]


def column_names(count: int, columns: tuple[str, ...]) -> tuple[str, ...]:
    """The columns' names, or numbers in their place."""
    return columns or tuple(f"column_{index}" for index in range(count))
