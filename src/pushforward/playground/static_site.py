"""The playground without a server: the page, flows that were trained beforehand, and what runs them in the browser."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from pushforward.exporting import export
from pushforward.files import atomic_write, make_folder
from pushforward.flows import Flow
from pushforward.playground.bending import layers
from pushforward.playground.files import TRAINED, read_files
from pushforward.playground.learning import Learning
from pushforward.playground.messages import Start
from pushforward.playground.pictures import Pictures
from pushforward.playground.replies import pack
from pushforward.playground.runtime import read_runtime

STEPS = 1_500
SHOWN = tuple(
    Start(density, None, flow, depth, 8)
    for density in ("moons", "rings", "checkerboard", "pinwheel", "spirals", "gaussians")
    for flow, depth in (("nsf-coupling", 3), ("realnvp", 6))
)
"""Which flows are trained, and on what."""


def write_site(
    folder: str | os.PathLike[str],
    runtime: str | os.PathLike[str],
    pictures: Pictures | None = None,
    shown: Sequence[Start] = SHOWN,
    steps: int = STEPS,
    told: Callable[[str], None] = print,
) -> None:
    """Train flows and write the page that shows them, as plain files for any server of files.

    Args:
        folder: where they are written, beside what is there.
        runtime: the package of onnxruntime-web, as ``npm pack onnxruntime-web`` downloads it.
        pictures: a flow of images whose latents the page moves, and that is exported.
        shown: the flows and their densities.
        steps: of training, for each.
        told: is called with a line on each flow that is begun.

    Raises:
        UsageError: the package is none, or the flow of images decodes in no fixed number of steps.
        FileError: the folder cannot be written.
        MissingExtraError: without the extra ``onnx``.

    Example:
        >>> from pushforward.errors import UsageError
        >>> try:
        ...     write_site("playground", "no-package.tgz")
        ... except UsageError as error:
        ...     print("npm pack onnxruntime-web" in str(error))
        True
    """
    page = {**read_files(TRAINED), **read_runtime(runtime)}
    place = make_folder(folder)
    for name, content in page.items():
        atomic_write(place / name, content)
    facts = None if pictures is None else _write_pictures(pictures, place)
    models = []
    for asked in shown:
        told(f"{asked.density}: {asked.flow} of {asked.depth} layers")
        models.append(_write_model(asked, steps, place))
    # Last: where it is there, all is.
    atomic_write(place / "models.json", json.dumps({"models": models, "pictures": facts}))


def _write_model(asked: Start, steps: int, place: Path) -> dict[str, object]:
    """Train a flow, and write what the page shows of it and what goes on streaming: the layers as graphs."""
    learning = Learning(asked)
    for _ in range(steps):
        learning.learn()
    name = f"{asked.density}-{asked.flow}"
    folder = make_folder(place / name)
    atomic_write(folder / "view.bin", learning.view())
    atomic_write(folder / "target.bin", learning.target())
    _write_layers(learning.flow, folder)
    return {"folder": name, "density": asked.density, "flow": asked.flow}


def _write_layers(flow: Flow, folder: Path) -> None:
    r"""Write each layer of a flow of the plane as the two graphs of a flow onto the normal distribution, in the order
    from latent to data: ``decode-k.onnx`` is :math:`x = g_k(z)`, and ``log_prob-k.onnx`` says how much space grew by
    :math:`\log |\det dx / dz| = \log N(z) - \log p(x)`."""
    for number, layer in enumerate(reversed(list(layers(flow)))):
        alone = Flow([layer], flow.base)
        for method in ("decode", "log_prob"):
            export(alone, folder / f"{method}-{number}.onnx", method)


def _write_pictures(pictures: Pictures, place: Path) -> dict[str, object]:
    """Write a flow of images and images to begin with; what the page must know of them."""
    folder = make_folder(place / "pictures")
    # First what may be refused.
    export(pictures.flow, folder / "decode.onnx", "decode")
    encode = export(pictures.flow, folder / "encode.onnx", "encode")
    atomic_write(folder / "images.bin", pack("images", {}, {"images": pictures.images}))
    numbers = [{"shape": list(port.shape), "kind": port.kind} for port in encode.inputs[1:]]
    return {**pictures.facts(), "top": pictures.top, "numbers": numbers}
