"""Showing what there is: the models and their options, and what a trained flow is made of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pushforward.cli.configuration import TABLE_MODEL, is_table_run
from pushforward.cli.options import Json, given_path
from pushforward.cli.terminal import print_json, print_table

if TYPE_CHECKING:
    from pushforward.cli.signature import Option
    from pushforward.flows.flow import Flow


_TABLE = "For tables: columns of any kind, of which any vector model (--set as for nsf) learns the dependence."
_TABLE_USE = """\
It is pushforward.sklearn.FlowDensity, and FlowRegressor with --target: each column is brought to the real line by its
own marginal distribution, and a flow models all of them together. Columns are numbers, counts, categories, dates,
angles, with gaps or without; what they are taken for is told after the training and by pushforward inspect RUN.
Example: pushforward train table --data table.csv --out RUN --drop id --bounds age=0: --circular hour=0:24"""


def register(app: typer.Typer) -> None:
    """Add the commands to a command line."""
    app.command()(models)
    app.command()(inspect)


def models(
    name: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="Show the options of this one.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """List the models by name, or show one: its options as train --set takes them, its source, an example."""
    from pushforward.cli.settings import model_options
    from pushforward.models import list_models

    if name == TABLE_MODEL and not as_json:
        print(f"{TABLE_MODEL}: {_TABLE}\n{_TABLE_USE}")
    elif name is not None:
        options = model_options(name)
        if as_json:
            print_json(_defaults(options))
        else:
            _show_model(name, options)
    elif as_json:
        print_json(
            {
                model: {"about": about, "options": _defaults(model_options(model))}
                for model, about in list_models().items()
            }
        )
    else:
        rows = [(model, _plain(about)) for model, about in list_models().items()]
        print_table(("model", "what it is"), [*rows, (TABLE_MODEL, _TABLE)])


def inspect(
    place: Annotated[
        Path,
        typer.Argument(
            metavar="RUN", parser=given_path, help="The folder of a training, or a model file.", show_default=False
        ),
    ],
    as_json: Json = False,
) -> None:
    """Show what a trained model is made of: columns, parts, parameters, shapes, and how exact its log-density is."""
    from dataclasses import asdict

    from pushforward.diagnostics.summary import summary

    subject = _opened(place)
    found = None if subject.flow is None else summary(subject.flow)
    if as_json:
        facts: dict[str, Any] = dict(subject.origin)
        if subject.columns:
            facts["columns"] = [vars(report) for report in subject.columns]
        if found is not None and subject.flow is not None:
            facts |= {
                "event_shape": list(subject.flow.event_shape),
                "parameters": found.parameters,
                "accuracy": subject.accuracy,
                "parts": [asdict(part) for part in found.parts],
            }
        print_json(facts)
        return
    if subject.columns:
        print_table(subject.columns.HEADINGS, [report.cells for report in subject.columns], title=subject.name)
    if found is None:
        print(f"{subject.name}: no column varies, there is no flow")
        return
    rows = [
        (
            part.name,
            part.kind,
            f"{part.parameters:,}",
            "x".join(map(str, part.shape)),
            part.accuracy,
            part.inverse,
        )
        for part in found.parts
    ]
    title = f"{subject.name}: {found.parameters:,} parameters, log p(x): {subject.accuracy}"
    print_table(("part", "kind", "parameters", "output", "log-det", "inverse"), rows, title=title)


@dataclass(frozen=True)
class _Subject:
    """What is inspected: its name and origin, its flow, how exact its log-density is, and the columns of a table."""

    name: str
    origin: dict[str, Any]
    flow: Flow | None
    accuracy: str
    columns: Any = None


def _opened(place: Path) -> _Subject:
    if place.is_file():
        return _opened_file(place)
    if is_table_run(place):
        from pushforward.cli.table_runs import open_table_run

        fitted = open_table_run(place)
        run, estimator = fitted.run, fitted.estimator
        origin: dict[str, Any] = {"model": run.model, "options": run.options, "data": run.data}
        return _Subject(f"{run.model} on {run.data}", origin, estimator.flow_, fitted.accuracy, estimator.columns_)
    from pushforward.cli.runs import open_run

    of_flow, flow = open_run(place)
    origin = {"model": of_flow.model, "options": of_flow.options, "data": of_flow.data, "labels": of_flow.labels}
    return _Subject(f"{of_flow.model} on {of_flow.data}", origin, flow, flow.accuracy.describe())


def _opened_file(place: Path) -> _Subject:
    from pushforward.flows.saving import load, read_metadata

    if "estimator" in read_metadata(place):
        from pushforward.cli.table_runs import accuracy_of
        from pushforward.sklearn import load as load_estimator

        estimator = load_estimator(place)
        origin, accuracy = {"file": str(place)}, accuracy_of(estimator)
        return _Subject(str(place), origin, estimator.flow_, accuracy, estimator.columns_)
    flow = load(place)
    return _Subject(str(place), {"file": str(place)}, flow, flow.accuracy.describe())


def _show_model(name: str, options: dict[str, Option]) -> None:
    from pushforward.cli.signature import section
    from pushforward.cli.values import expectation
    from pushforward.models import list_models
    from pushforward.parts import model_named

    rows = [
        (option.name, _shown_default(option), expectation(option.annotation), option.help)
        for option in options.values()
    ]
    print_table(("option", "default", "takes", "what it is"), rows, title=f"{name}: {_plain(list_models()[name])}")
    source = section(model_named(name), "Source")
    if source:
        print(f"Source: {_plain(source)}")
    print(
        f"Example: pushforward train {name} --data {_example_data(name, options)} --out RUN{_example_setting(options)}"
    )


def _example_data(name: str, options: dict[str, Option]) -> str:
    """Data of the kind that a model with these options takes."""
    from pushforward.distributions import StandardNormal
    from pushforward.models import build

    if "shape" in options:
        return "digits"
    if "clip" in options:
        return "movement"
    if {"levels", "classes", "node_types"} & set(options):
        return "integers.npy"
    # Columns of tables are brought to normal numbers, so that the flow between has a standard normal base.
    flow = build(name)
    if isinstance(flow.base, StandardNormal):
        return "table.csv"
    return "moons" if options["features"].default == 2 and flow.support.everywhere else "numbers.npy"


def _example_setting(options: dict[str, Option]) -> str:
    numbers = [option for option in options.values() if type(option.default) is int and option.name == "layers"]
    return "".join(f" --set {option.name}={option.default}" for option in numbers)


def _plain(text: str) -> str:
    """A docstring's text without its marks."""
    return text.replace("`", "")


def _defaults(options: dict[str, Option]) -> dict[str, Any]:
    return {name: None if option.required else option.default for name, option in options.items()}


def _shown_default(option: Option) -> str:
    return "required" if option.required else json.dumps(option.default, default=str)
