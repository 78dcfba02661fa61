"""Pictures of a trained model on the command line."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from pushforward.cli.configuration import is_table_run
from pushforward.cli.options import DataSpec, Json, Quiet, RunFolder, Seed, given_path
from pushforward.cli.terminal import report_file, say

Kind = Literal["density", "samples", "pairs", "calibration", "trajectories", "grid", "map", "frames"]
_ENDINGS = (".png", ".pdf", ".svg")
_ROWS = 5000


def register(app: typer.Typer) -> None:
    """Add the command to a command line."""
    app.command()(plot)


def plot(
    folder: RunFolder,
    kind: Annotated[
        Kind,
        typer.Argument(
            help="density (of two columns), samples (of two columns, or of images beside the data), pairs (samples "
            "over data, each pair of columns), calibration (histograms of F(y), reliability), trajectories (of a "
            "continuous flow of two columns), grid (the latent grid as a bijection of two columns bends it), map (the "
            "density on the ordinary sphere, with test data), frames (a test clip, and futures of its first frames).",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="PATH", parser=given_path, help=", ".join(_ENDINGS), show_default=False),
    ],
    data: DataSpec = None,
    seed: Seed = 0,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Draw a trained model: its density, its samples (pairs: over the data), its calibration on test data, the
    trajectories of a continuous flow, the latent grid as it is bent, the map of a flow on the sphere, or
    the futures of a clip."""
    from pushforward.files import choose_writer
    from pushforward.plots import save

    choose_writer(out, _ENDINGS)
    talk = partial(say, quiet=quiet or as_json)
    subject = _table_subject if is_table_run(folder) else _flow_subject
    save(subject(folder, data, seed, talk).draw(kind), out)
    report_file(out, {"picture": kind}, quiet, as_json)


def _flow_subject(folder: Path, data: str | None, seed: int | None, talk: Callable[[str], None]) -> Any:
    from pushforward.cli.clip_subject import ClipSubject
    from pushforward.cli.given_frames import in_pair
    from pushforward.cli.given_labels import scored_parts
    from pushforward.cli.image_subject import ImageSubject
    from pushforward.cli.plot_subjects import FlowSubject
    from pushforward.cli.run_data import run_data
    from pushforward.cli.runs import open_run

    run, flow = open_run(folder)
    if len(flow.event_shape) == 4:
        return ClipSubject(run, flow, run_data(run, data).test, seed or 0)
    if len(flow.event_shape) == 3:
        x, labels = in_pair(scored_parts(run, flow, run_data(run, data), data or run.data)["test"])
        return ImageSubject(run, flow, x, labels, seed or 0)
    return FlowSubject(run, flow, run_data(run, data).test[:_ROWS], seed or 0, talk)


def _table_subject(folder: Path, data: str | None, seed: int | None, talk: Callable[[str], None]) -> Any:
    from pushforward.cli.plot_subjects import TableSubject
    from pushforward.cli.table_runs import open_table_run
    from pushforward.cli.table_use import rows_of

    fitted = open_table_run(folder)
    _, frame = rows_of(fitted, data, "test")
    return TableSubject(fitted, frame[:_ROWS], seed or 0, talk)
