"""The report of a run, of whatever kind the run is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pushforward.cli.configuration import is_inference, is_table_run
from pushforward.cli.table_runs import open_table_run
from pushforward.errors import UsageError
from pushforward.reports import Picture, Report, Section, training_curve
from pushforward.training.runs.folder import METRICS

# Some flows take a thousandth of a second for each point.
_ROWS, _RESOLUTION = 5000, 120


def report_of(folder: Path, data: str | None, seed: int, say: Callable[[str], None]) -> Report:
    """Open a run and put its report together.

    Args:
        folder: of the run.
        data: others than the run's own; None for those.
        seed: of the samples.
        say: told what has no place in a picture.

    Raises:
        CheckpointError: there is no run, or its training has not come to a model yet.
        DataError: its data are no longer there.
        UsageError: other data are given than such a run takes.
    """
    if is_inference(folder):
        if data is not None:
            raise UsageError("a report of an inference tests the posterior with its own simulations: leave out --data")
        from pushforward.cli.inference_report import report_again

        return report_again(folder, say)
    report = _of_table(folder, data, seed, say) if is_table_run(folder) else _of_flow(folder, data, seed, say)
    report.sections = [*report.sections, *_training(folder)]
    return report


def _of_table(folder: Path, data: str | None, seed: int, say: Callable[[str], None]) -> Report:
    from pushforward.cli.columns_report import report_of_table
    from pushforward.cli.plot_subjects import TableSubject
    from pushforward.cli.table_use import rows_of

    fitted = open_table_run(folder)
    source, frame = rows_of(fitted, data, "test")
    return report_of_table(TableSubject(fitted, frame[:_ROWS], seed, say), frame, source)


def _of_flow(folder: Path, data: str | None, seed: int, say: Callable[[str], None]) -> Report:
    from pushforward.cli.clip_subject import ClipSubject
    from pushforward.cli.columns_report import report_of_vectors
    from pushforward.cli.given_frames import in_pair
    from pushforward.cli.given_labels import scored_parts
    from pushforward.cli.image_subject import ImageSubject
    from pushforward.cli.images_report import report_of_clips, report_of_images
    from pushforward.cli.plot_subjects import FlowSubject
    from pushforward.cli.run_data import run_data
    from pushforward.cli.runs import open_run
    from pushforward.cli.samples import check_shape

    run, flow = open_run(folder)
    read, source = run_data(run, data), data or run.data
    x, given = in_pair(scored_parts(run, flow, read, source)["test"])
    check_shape(flow, x, source)
    if len(flow.event_shape) == 4:
        return report_of_clips(ClipSubject(run, flow, read.test, seed), x, given, source)
    if len(flow.event_shape) == 3:
        return report_of_images(ImageSubject(run, flow, x, given, seed), source)
    if run.model == "graph-cnf":
        from pushforward.cli.graphs_report import report_of_graphs

        return report_of_graphs(run, flow, x, source, seed)
    return report_of_vectors(FlowSubject(run, flow, x[:_ROWS], seed, say, _RESOLUTION), x, source)


def _training(folder: Path) -> list[Section]:
    """The curve of the training, where one was recorded."""
    figure = training_curve(folder / METRICS)
    if figure is None:
        return []
    alt = "Two curves of the loss over the steps of the training, one of the training data and one of validation data."
    caption = "Where validation rises while training falls, the model learns its data by heart."
    return [Section("Training", content=[Picture.of_figure(figure, caption, alt)])]
