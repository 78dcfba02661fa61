"""Walking between events through the latents of a trained flow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pushforward.cli.options import DataSpec, Device, Json, Quiet, RunFolder, Seed
from pushforward.cli.samples import check_shape, write_samples
from pushforward.cli.terminal import report_file
from pushforward.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the command to a command line."""
    app.command()(interpolate)


def interpolate(
    folder: RunFolder,
    out: Annotated[Path, typer.Option("--out", "-o", help=".png, .npz or .npy", show_default=False)],
    pairs: Annotated[int, typer.Option(min=1, help="How many pairs of test events.")] = 4,
    steps: Annotated[int, typer.Option(min=2, help="Events from one to the other, both included.")] = 8,
    path: Annotated[
        str, typer.Option(help="The way: straight, or spherical, on the sphere that latents of a normal lie near.")
    ] = "straight",
    data: DataSpec = None,
    seed: Seed = 0,
    device: Device = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Walk between pairs of test events through the latents of every level, into a picture or an array."""
    import torch

    from pushforward.cli.run_data import run_data
    from pushforward.cli.runs import open_run
    from pushforward.data.export import ARRAY_ENDINGS
    from pushforward.diagnostics.interpolation import interpolate as walk
    from pushforward.diagnostics.interpolation import spherical, straight
    from pushforward.files import choose_writer
    from pushforward.plots.pictures import PICTURE_ENDINGS

    choose_writer(out, (*PICTURE_ENDINGS, *ARRAY_ENDINGS))
    paths = {"straight": straight, "spherical": spherical}
    if path not in paths:
        raise UsageError(f"--path is {' or '.join(paths)}, got {path!r}")
    run, flow = open_run(folder, device)
    x = run_data(run, data).test
    check_shape(flow, x, data or run.data)
    if len(x) < 2 * pairs:
        raise UsageError(f"{pairs} pairs need {2 * pairs} test events, and there are {len(x)}")
    torch.manual_seed(seed or 0)
    chosen = x[torch.randperm(len(x))[: 2 * pairs]].to(next(flow.parameters()))
    walks = walk(flow, chosen[:pairs], chosen[pairs:], steps, paths[path]).cpu()
    write_samples(out, walks.flatten(0, 1), run, columns=steps)
    report_file(out, {"pairs": pairs, "steps": steps}, quiet, as_json)
