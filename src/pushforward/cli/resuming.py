"""Going on with a run: what is asked for must be what the run is."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from pushforward.cli.run_data import going_on_with
from pushforward.cli.runs import Run
from pushforward.cli.settings import model_options, parse_settings
from pushforward.cli.training_options import parse_training, training_options
from pushforward.cli.work import Request, Work, seeded_flow
from pushforward.data import load_data
from pushforward.errors import CheckpointError, UsageError


def resumed(request: Request, accept_changed_data: bool) -> Work:
    """The work of a run that goes on, with the training options that are given in place of the stored ones.

    Raises:
        CheckpointError: there is no run, or one of another version.
        UsageError: another model, other options of it, or other data are asked for than those of the run.
        DataError: its data cannot be read.
    """
    out = request.out
    run = Run.read(out)
    _check(request, run)
    unknown = set(run.training) - set(training_options()) - {"seed"}
    if unknown:
        raise CheckpointError(f"{out}: this version of pushforward has no option {', '.join(sorted(unknown))} of a run")
    training = {**run.training, **request.training}
    parse_training({name: value for name, value in training.items() if name != "seed"})
    run = going_on_with(replace(run, training=training), request.data, out, accept_changed_data)
    return Work(run, seeded_flow(run), load_data(run.data, run.levels), out)


def _check(request: Request, run: Run) -> None:
    """Refuse what would be another run: its model, the model's options, what is modelled of the data, the seed."""
    defaults = {name: option.default for name, option in model_options(run.model).items() if not option.required}
    asked: dict[str, Any] = {
        "MODEL": request.model,
        "--levels": request.levels,
        "--context": list(request.context) or None,
        "--seed": request.training.get("seed"),
    }
    stored: dict[str, Any] = {
        "MODEL": run.model,
        "--levels": run.levels,
        "--context": list(run.context.columns) if run.context else [],
        "--seed": run.training.get("seed", 0),
    }
    for name, value in parse_settings(run.model, request.settings).items():
        asked[f"--set {name}"], stored[f"--set {name}"] = value, run.options.get(name, defaults.get(name))
    for name, value in asked.items():
        if value is not None and _plain(value) != _plain(stored[name]):
            raise UsageError(
                f"{request.out} is a run with {name} {_shown(stored[name])}, not {_shown(value)}; train that in "
                "another folder"
            )


def _plain(value: Any) -> Any:
    """A value as a file keeps it, where a tuple is a list."""
    return json.loads(json.dumps(value, default=str))


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(_plain(value))
