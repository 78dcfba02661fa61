"""Moving events along an attribute through the latents of a trained flow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pushforward.cli.options import DataSpec, Device, Json, Quiet, RunFolder, Seed
from pushforward.cli.samples import check_shape, write_samples
from pushforward.cli.terminal import report_file
from pushforward.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor


def register(app: typer.Typer) -> None:
    """Add the command to a command line."""
    app.command()(manipulate)


def manipulate(
    folder: RunFolder,
    out: Annotated[Path, typer.Option("--out", "-o", help=".png, .npz or .npy", show_default=False)],
    having: Annotated[int, typer.Option("--with", help="The label of events with the attribute.", show_default=False)],
    lacking: Annotated[
        int | None,
        typer.Option("--without", help="The label of events without it; by default all others.", show_default=False),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            help="A file with a whole number for each event of the data (.npy, FILE.npz:NAME, IDX); digits, mnist: and "
            "cifar10: have their own.",
            show_default=False,
        ),
    ] = None,
    events: Annotated[int, typer.Option(min=1, help="How many test events without the attribute are moved.")] = 4,
    steps: Annotated[int, typer.Option(min=2, help="Events in a row, both ends included.")] = 8,
    low: Annotated[float, typer.Option("--from", help="The strength of the attribute at the first.")] = 0.0,
    high: Annotated[float, typer.Option("--to", help="The strength at the last; 1 is from mean to mean.")] = 1.0,
    data: DataSpec = None,
    seed: Seed = 0,
    device: Device = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Move test events along an attribute, found in the labels of the training part, into a picture or an array."""
    import torch

    from pushforward.cli.run_data import run_data
    from pushforward.cli.runs import open_run
    from pushforward.data.export import ARRAY_ENDINGS
    from pushforward.data.labels import load_labels
    from pushforward.diagnostics.attributes import attribute_direction
    from pushforward.diagnostics.attributes import manipulate as move
    from pushforward.files import choose_writer
    from pushforward.plots.pictures import PICTURE_ENDINGS

    if having == lacking:
        raise UsageError(f"--with and --without are both {having}: between them is no attribute")
    choose_writer(out, (*PICTURE_ENDINGS, *ARRAY_ENDINGS))
    run, flow = open_run(folder, device)
    found = run_data(run, data)
    check_shape(flow, found.test, data or run.data)
    of_events = load_labels(data or run.data, labels).check(found)
    torch.manual_seed(seed or 0)
    like = next(flow.parameters())
    direction = attribute_direction(
        flow,
        _labelled(found.train, of_events.train == having, f"labelled {having}").to(like),
        _labelled(found.train, _lacks(of_events.train, having, lacking), "without the attribute").to(like),
    )
    moved = _labelled(found.test, _lacks(of_events.test, having, lacking), "without the attribute")
    if len(moved) < events:
        raise UsageError(f"{events} events are to be moved, and {len(moved)} test events are without the attribute")
    chosen = moved[torch.randperm(len(moved))[:events]].to(like)
    rows = move(flow, chosen, direction, torch.linspace(low, high, steps).tolist()).cpu()
    write_samples(out, rows.flatten(0, 1), run, columns=steps)
    report_file(out, {"events": events, "steps": steps}, quiet, as_json)


def _lacks(labels: Tensor, having: int, lacking: int | None) -> Tensor:
    return labels != having if lacking is None else labels == lacking


def _labelled(x: Tensor, chosen: Tensor, what: str) -> Tensor:
    if not bool(chosen.any()):
        raise UsageError(f"no events {what}: see the labels of the data")
    return x[chosen]
