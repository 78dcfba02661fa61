"""Going on with a run: what is asked for must be what the run is."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pushforward.cli.configuration import is_table_run
from pushforward.cli.run_data import columns_of, going_on_with
from pushforward.cli.runs import Run
from pushforward.cli.settings import model_options, parse_settings
from pushforward.cli.training_options import parse_training, training_options
from pushforward.cli.work import Request, Work, seeded_flow
from pushforward.errors import CheckpointError, UsageError
from pushforward.flows.saving import MODEL

if TYPE_CHECKING:
    from pushforward.cli.table_runs import TableRun
    from pushforward.cli.table_work import MovedTable, TableWork


def resumed(request: Request, accept_changed_data: bool) -> Work | TableWork | MovedTable:
    """The work of a run that goes on, with the training options that are given in place of the stored ones.

    The fit of a table begins again; of one that has ended, where its data are now is stored.

    Raises:
        CheckpointError: there is no run, or one of another version.
        UsageError: another model, other options of it, or other data are asked for than those of the run.
        DataError: its data cannot be read.
    """
    out = request.out
    if request.table.given():
        raise UsageError(f"a run keeps what it was told of its columns; {request.table.given()[0]} makes another run")
    if is_table_run(out):
        return _resumed_table(request, accept_changed_data)
    run = Run.read(out)
    _check(request, run)
    unknown = set(run.training) - set(training_options()) - {"seed"}
    if unknown:
        raise CheckpointError(f"{out}: this version of pushforward has no option {', '.join(sorted(unknown))} of a run")
    training = {**run.training, **request.training}
    parse_training({name: value for name, value in training.items() if name != "seed"})
    run = going_on_with(replace(run, training=training), request.data, out, accept_changed_data)
    return Work(run, seeded_flow(run), columns_of(run, run.data), out)


def _resumed_table(request: Request, accept_changed_data: bool) -> TableWork | MovedTable:
    from pushforward.cli.table_runs import TableRun
    from pushforward.cli.table_work import MovedTable, check_training, resumed_table

    run = TableRun.read(request.out)
    _check(request, run)
    check_training(request.training)
    stored, run = run, replace(run, training={**run.training, **request.training})
    run = going_on_with(run, request.data, request.out, accept_changed_data)
    ended = (request.out / MODEL).is_file() and run.training == stored.training
    if ended and run.data != stored.data and run.fingerprint == stored.fingerprint is not None:
        return MovedTable(run, request.out)
    return resumed_table(run, request.out)


def _check(request: Request, run: Run | TableRun) -> None:
    """Refuse what would be another run: its model, the model's options, what is modelled of the data, the seed."""
    recipe = run.recipe
    defaults = {name: option.default for name, option in model_options(recipe).items() if not option.required}
    asked: dict[str, Any] = {
        "MODEL": request.model,
        "--levels": request.levels,
        "--seed": request.training.get("seed"),
    }
    stored: dict[str, Any] = {
        "MODEL": run.model,
        "--levels": run.levels,
        "--seed": run.training.get("seed", 0),
    }
    for name, value in parse_settings(recipe, request.settings).items():
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
