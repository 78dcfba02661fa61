"""Reports of models of images and of clips."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.cli.clip_subject import ClipSubject
from pushforward.cli.codec_report import codec_sections
from pushforward.cli.image_subject import ImageSubject
from pushforward.cli.report_parts import picture_section, score_section, seeded
from pushforward.errors import PushforwardError
from pushforward.flows.flow import Flow
from pushforward.plots import images_beside
from pushforward.reports import Picture, Report, Section, Table
from pushforward.training.evaluate import log_probs

_EVENTS, _SHOWN = 1000, 16
_SAMPLES = {
    "samples": (
        "Test images, and samples of the model.",
        "Two squares of small images side by side: test data on the left, samples on the right.",
    )
}
_FRAMES = {
    "frames": (
        "A test clip, and futures that the model draws of its first frames.",
        "Rows of frames: the true clip above, drawn ones below.",
    )
}


def report_of_images(subject: ImageSubject, source: str) -> Report:
    """The report of a flow of images with test images that come from ``source``."""
    run, flow, labels = subject.run, subject.flow, subject.labels
    x, given = subject.data[:_EVENTS], None if labels is None else labels[:_EVENTS]
    return Report(
        title=f"{run.model} on {source}",
        text=f"A flow of images {_size(flow)}, tested on {_first(x, subject.data)}images that it was not trained on.",
        sections=[
            score_section(flow, x, given, subject.seed),
            *picture_section("Samples", subject.draw, _SAMPLES),
            _reconstructions(subject, x, given),
            _extremes(subject, x, given),
            *(codec_sections(flow, x, run.levels) if given is None else []),
        ],
        configuration={"model": run.model, "data": source, **run.options, **run.training},
    )


def report_of_clips(subject: ClipSubject, x: Tensor, given: Tensor | None, source: str) -> Report:
    """The report of a flow of clips: ``x`` are the test events as it scores them, ``given`` their first frames."""
    run, flow = subject.run, subject.flow
    some = slice(_EVENTS)
    return Report(
        title=f"{run.model} on {source}",
        text=f"A flow of clips {_size(flow)}, tested on {_first(x[some], x)}clips that it was not trained on.",
        sections=[
            score_section(flow, x[some], None if given is None else given[some], subject.seed),
            *picture_section("Futures", subject.draw, _FRAMES),
        ],
        configuration={"model": run.model, "data": source, **run.options, **run.training},
    )


def _reconstructions(subject: ImageSubject, x: Tensor, given: Tensor | None) -> Section:
    """Images beside what their latents are decoded to."""
    flow, shown = subject.flow, x[:_SHOWN]
    context = None if given is None else given[:_SHOWN]
    try:
        back = seeded(subject.seed, lambda: flow.decode(flow.encode(shown, context), context))
    except PushforwardError as error:
        return Section("Reconstructions", f"None: {error}.")
    largest = float((back - shown).abs().max())
    alt = "Two squares of the same small images side by side: test data on the left, what came back on the right."
    picture = _beside(subject, shown, back, ("data", "decoded latents"), "Test images, and decode(encode(x)).", alt)
    return Section("Reconstructions", content=[Table(["largest difference"], [[largest]]), picture])


def _extremes(subject: ImageSubject, x: Tensor, given: Tensor | None) -> Section:
    """What the model finds least and most likely."""
    order = torch.argsort(log_probs(subject.flow, x, given, seed=subject.seed))
    least, most = x[order[:_SHOWN]], x[order[-_SHOWN:].flip(0)]
    caption = "The least likely test images, the least first, and the most likely."
    alt = "Two squares of small images side by side: the least likely test images on the left, the most likely right."
    return Section(
        "Unlikely images", content=[_beside(subject, least, most, ("least likely", "most likely"), caption, alt)]
    )


def _beside(
    subject: ImageSubject, left: Tensor, right: Tensor, titles: tuple[str, str], caption: str, alt: str
) -> Picture:
    maximum = None if subject.run.levels is None else subject.run.levels - 1
    return Picture.of_figure(images_beside(left, right, maximum=maximum, titles=titles), caption, alt)


def _first(some: Tensor, x: Tensor) -> str:
    return f"{len(some):,} " if len(some) == len(x) else f"the first {len(some):,} of {len(x):,} "


def _size(flow: Flow) -> str:
    return " x ".join(map(str, flow.event_shape))
