"""A run: the folder of one training, with what is needed to use the flow later."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from pushforward.cli.configuration import TABLE_FORMAT
from pushforward.cli.terminal import say
from pushforward.data.dataset import Dataset
from pushforward.data.fingerprint import from_anywhere, present_fingerprint
from pushforward.errors import CheckpointError, UsageError, first_line
from pushforward.flows.flow import Flow
from pushforward.flows.saving import MODEL, load
from pushforward.models.graphs import nodes_of
from pushforward.models.registry import build, recipe_options
from pushforward.spaces import Categories
from pushforward.training.runs import RunFolder, leftover, repair
from pushforward.training.runs.folder import CONFIGURATION

FORMAT = "pushforward run"
VERSION = 2
_KINDS = {"features": "vectors", "shape": "images", "clip": "clips"}


@dataclass(frozen=True)
class Run:
    """What ``config.json`` holds.

    Attributes:
        model, options: the recipe and its configuration.
        data: the data's name, as `load_data` takes it, with an absolute path.
        fingerprint: of the file or folder that was read; None for data of the library's own.
        levels: how many values an element of discrete data takes.
        columns: the names of a vector's dimensions, where the data had names.
        training: the options of `fit` that were given.
        labels: how many labels events have that the model is given; None where it is given none.
    """

    model: str
    options: dict[str, Any]
    data: str
    fingerprint: str | None = None
    levels: int | None = None
    columns: tuple[str, ...] = ()
    training: dict[str, Any] = field(default_factory=dict)
    labels: int | None = None

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
            "training": self.training,
            "labels": self.labels,
        }

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
            if stored.get("format") == TABLE_FORMAT:
                raise CheckpointError(f"{folder} is a run of a table, and this takes runs of images and arrays")
            if stored.get("format") != FORMAT or stored.get("version") != VERSION:
                raise CheckpointError(f"{path}: not the configuration of a run of this version of pushforward")
            return cls._from_json(stored)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{path}: damaged or foreign configuration ({error})") from error

    @classmethod
    def _from_json(cls, stored: Mapping[str, Any]) -> Run:
        return cls(
            str(stored["model"]),
            dict(stored["options"]),
            str(stored["data"]),
            stored.get("fingerprint"),
            stored["levels"],
            tuple(stored["columns"]),
            dict(stored["training"]),
            None if stored.get("labels") is None else int(stored["labels"]),
        )

    @property
    def recipe(self) -> str:
        """The name of the recipe that makes the flow."""
        return self.model

    def flow(self) -> Flow:
        """The flow as its recipe makes it, untrained.

        Raises:
            UsageError: the model is unknown or does not take these options.
        """
        given = {} if self.labels is None else {"context": Categories(self.labels)}
        return build(self.model, **self.options, **given)


def plan_run(
    model: str,
    options: Mapping[str, Any],
    data: Dataset,
    spec: str,
    training: dict[str, Any],
    labels: int | None = None,
) -> Run:
    """Decide how a model is trained on data: its shape and levels from the data's, and so many labels as contexts.

    Options that are given win over the data's.

    Raises:
        UsageError: the model is unknown, or is none of such data.
    """
    known = recipe_options(model)
    shape = data.event_shape
    derived: dict[str, Any] = _graph_options(data) if "nodes" in known else _shape_options(shape)
    if data.levels is not None:
        derived |= {"levels": data.levels, "classes": data.levels}
    missing = set(_KINDS) & set(derived) - set(known)
    if missing:
        kind = _KINDS[missing.pop()]
        raise UsageError(f"{model} is no model of {kind}, and {data.name} holds {kind} of shape {shape}")
    _check_kind(model, known, data, len(shape) > 1, set(options))
    filled = {name: value for name, value in derived.items() if name in known}
    options = {**filled, **options}
    _check_context(model, known, options, labels)
    place, fingerprint = from_anywhere(spec), present_fingerprint(spec)
    return Run(model, options, place, fingerprint, data.levels, data.columns, training, labels)


def _shape_options(shape: tuple[int, ...]) -> dict[str, Any]:
    """The option that tells a model the shape of its events."""
    if len(shape) == 1:
        return {"features": shape[0]}
    return {"clip" if len(shape) == 4 else "shape": list(shape)}


def _check_context(model: str, known: Mapping[str, Any], options: Mapping[str, Any], labels: int | None) -> None:
    """Check that what a model is given are the labels of the data, or nothing."""
    if labels is not None and "context" not in known:
        raise UsageError(f"{model} takes no context, and --context asks for one")
    if options.get("context"):
        raise UsageError("--set context= tells a model of contexts that no data bring: give --context in its place")


def _graph_options(data: Dataset) -> dict[str, Any]:
    """The options that tell a model of graphs what graphs they are, of vectors of ``N`` nodes and then their edges."""
    nodes = nodes_of(data.event_shape)
    if nodes is None:
        raise UsageError(
            f"a model of graphs takes vectors of N nodes and N (N - 1) / 2 edges, such as 3, 6, 10, and {data.name} "
            f"holds events of shape {data.event_shape}"
        )
    largest = torch.stack([x.amax(0) for x in data.parts().values()]).amax(0)
    of_nodes, of_edges = (max(2, 1 + int(part.max())) for part in largest.tensor_split([nodes]))
    return {"nodes": nodes, "node_types": of_nodes, "edge_types": of_edges}


def _check_kind(model: str, known: Mapping[str, Any], data: Dataset, images: bool, given: set[str]) -> None:
    """Check that data are discrete where the model is."""
    counts = {"levels", "classes", "node_types"} & set(known)
    discrete = bool(counts) and (images or not {"shape", "clip"} & set(known))
    if discrete and data.levels is None and not counts & given:
        low, high = (value.item() for value in torch.aminmax(data.train))
        fractions = images and low >= 0 and high <= 1
        way = "give --levels to have fractions 0..1 read as so many" if fractions else "give whole numbers from 0 on"
        raise UsageError(f"{model} models whole numbers, and {data.name} holds fractions {low:g}..{high:g}; {way}")
    if data.levels is not None and not counts:
        raise UsageError(
            f"{model} models continuous data, and {data.name} holds whole numbers; pushforward train table takes them "
            f"as counts, and nade, discrete-flow, categorical-flow and idf-vector as levels"
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
        raise UsageError(f"device {device} cannot be used here: {first_line(error)}") from error


def column_names(count: int, columns: tuple[str, ...]) -> tuple[str, ...]:
    """The columns' names, or numbers in their place."""
    return columns or tuple(f"column_{index}" for index in range(count))
