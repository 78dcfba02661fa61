"""A training that a command line asks for: what was asked, and the run with all that its training takes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pushforward.cli.given_labels import LABEL, scored_parts
from pushforward.cli.run_data import keep_place
from pushforward.cli.runs import Run
from pushforward.cli.table_options import TableOptions
from pushforward.data.dataset import Dataset
from pushforward.diagnostics.summary import count_parameters
from pushforward.flows.flow import Flow
from pushforward.training import FitResult, fit
from pushforward.training.objectives import objective_for
from pushforward.training.runs import RunFolder
from pushforward.training.units import Unit


@dataclass(frozen=True)
class Request:
    """What is trained on what and how, as far as the command line says."""

    out: Path
    model: str | None
    data: str | None
    settings: list[str]
    table: TableOptions
    levels: int | None
    training: dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What came of a training.

    Attributes:
        facts: for programs.
        summary: a line for people.
    """

    facts: dict[str, Any]
    summary: str


@dataclass(frozen=True)
class Work:
    """A run, its flow, its data, and its folder."""

    run: Run
    flow: Flow
    data: Dataset
    out: Path

    def fit(self, resume: bool, progress: bool) -> Outcome:
        """Train; the configuration is written with the first checkpoint, when everything has been checked."""
        parts = scored_parts(self.run, self.flow, self.data, self.run.data)
        result = fit(
            self.flow,
            parts["train"],
            parts["validation"],
            out=RunFolder(self.out, self.run.to_json()),
            resume=resume,
            progress=progress,
            **self.run.training,
        )
        if resume and first_process() and result.steps == result.earlier_steps:
            keep_place(self.out, self.run)
        return Outcome(self._facts(result), self._summary(result))

    def describe(self) -> str:
        """What is trained on what, in a line, behind what was found in the data."""
        run, rows, shape = self.run, len(self.data.train), tuple(self.flow.event_shape)
        given = "" if run.labels is None else f", given their {LABEL}, of {run.labels}"
        size = f"{run.model}, {count_parameters(self.flow):,} parameters"
        told = f"{size}, on {run.data}: {rows:,} events of shape {shape}{given}"
        return "\n".join([*self.data.notes, told])

    def _facts(self, result: FitResult) -> dict[str, Any]:
        """What came out, for programs; the best validation is named by its unit."""
        best, unit = result.best_validation, self._unit
        return {
            "run": str(self.out),
            "steps": result.steps,
            "seconds": round(result.seconds, 2),
            "stopped": result.stopped,
            f"best_validation_{unit.name}": None if best is None else unit.value(best),
        }

    def _summary(self, result: FitResult) -> str:
        """What came out, in a line."""
        if 0 < result.steps == result.earlier_steps:
            return (
                f"nothing was left to do: {self.out} ended by {result.stopped} after {result.steps:,} steps in "
                f"{result.seconds:.0f} s. Limits count from the beginning of a run: {self._way_on(result)}"
            )
        loss = result.best_validation
        best = "" if loss is None else f", best validation {self._unit.format(loss)}"
        told = (
            f"{result.steps:,} steps in {result.seconds:.0f} s (stopped by {result.stopped}){best}; saved in {self.out}"
        )
        # A loss says nothing by itself; the likelihood takes a while, and is measured where it is asked for.
        return f"{told}; its likelihood: pushforward evaluate {self.out}" if self._unit.name == "loss" else told

    def _way_on(self, result: FitResult) -> str:
        if result.stopped == "time":
            return f"for a minute more, give --max-time {result.seconds + 60:.0f}s"
        if result.stopped == "steps":
            return f"for a hundred steps more, give --max-steps {result.steps + 100}"
        return "for more validations, give a larger --patience"

    @property
    def _unit(self) -> Unit:
        return Unit.of(self.flow, objective_for(self.flow, self.run.training.get("objective")))


def seeded_flow(run: Run) -> Flow:
    """The run's flow, untrained, the same for the same seed."""
    torch.manual_seed(run.training.get("seed", 0))
    return run.flow()


def first_process() -> bool:
    """Whether this is the process that speaks and writes; others are started by the distributed strategies."""
    return int(os.environ.get("LOCAL_RANK", "0")) == 0 and int(os.environ.get("NODE_RANK", "0")) == 0
