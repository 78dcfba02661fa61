"""Showing what there is: the models and their options, and what a trained flow is made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pushforward.cli.options import Json
from pushforward.cli.terminal import print_json, print_table

if TYPE_CHECKING:
    from pushforward.cli.signature import Option
    from pushforward.flows.flow import Flow


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

    if name is not None:
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
        print_table(("model", "what it is"), [(model, _plain(about)) for model, about in list_models().items()])


def inspect(
    place: Annotated[
        Path, typer.Argument(metavar="RUN", help="The folder of a training, or a model file.", show_default=False)
    ],
    as_json: Json = False,
) -> None:
    """Show what a trained flow is made of: parts, parameters, shapes, and how exact its log-density is."""
    from dataclasses import asdict

    from pushforward.diagnostics.summary import summary

    name, origin, flow = _opened(place)
    found = summary(flow)
    parts, accuracy = found.parts, found.accuracy
    whole = {
        **origin,
        "event_shape": list(flow.event_shape),
        "parameters": found.parameters,
        "accuracy": accuracy,
    }
    if as_json:
        print_json({**whole, "parts": [asdict(part) for part in parts]})
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
        for part in parts
    ]
    title = f"{name}: {whole['parameters']:,} parameters, log p(x): {accuracy}"
    print_table(("part", "kind", "parameters", "output", "log-det", "inverse"), rows, title=title)


def _opened(place: Path) -> tuple[str, dict[str, Any], Flow]:
    """What the flow of a run or of a model file is called, where it comes from, and the flow."""
    from pushforward.cli.runs import open_run
    from pushforward.flows.saving import load

    if place.is_file():
        return str(place), {"file": str(place)}, load(place)
    run, flow = open_run(place)
    return f"{run.model} on {run.data}", {"model": run.model, "options": run.options, "data": run.data}, flow


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
    print(f"Example: pushforward train {name} --data {_example_data(options)} --out RUN{_example_setting(options)}")


def _example_data(options: dict[str, Option]) -> str:
    """Data of the kind that a model with these options takes."""
    if "shape" in options:
        return "digits"
    return "integers.npy" if {"levels", "classes"} & set(options) else "table.csv"


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
