"""Traced methods as files: ONNX, and torch's own format of exported programs."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from pathlib import Path

import torch

from pushforward.errors import UsageError, first_line
from pushforward.exporting.tracing import Traced
from pushforward.extras import requires
from pushforward.files import choose_writer
from pushforward.kernels.notices import without_notices

ENTRY = "pushforward"
"""Under which name the files hold the signature."""


def write_onnx(traced: Traced, path: Path) -> None:
    """Write a method as ONNX, of functions of the standard alone.

    Raises:
        UsageError: if the standard lacks a function.
    """
    signature = traced.signature
    with without_notices(("torch.onnx", "onnxscript", "onnx_ir"), logging.CRITICAL):
        try:
            program = torch.onnx.export(
                traced.program,
                input_names=signature.input_names,
                output_names=signature.output_names,
                dynamo=True,
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            raise UsageError(
                f"export to .onnx has no standard function for a step of {signature.method} ({_named(error)}): "
                f"export to .pt2 instead"
            ) from error
    assert program is not None
    # What each node says of where it was traced is nine tenths of a small file, and names this machine's folders.
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()
    program.model.metadata_props[ENTRY] = signature.to_json()
    program.save(path, external_data=False)


def write_program(traced: Traced, path: Path) -> None:
    """Write a method as ``torch.export.save`` does."""
    torch.export.save(traced.program, path, extra_files={ENTRY: traced.signature.to_json()})


def _named(error: BaseException) -> str:
    """The function that is not known, else what the error says."""
    found = re.search(r"aten[.:]+\w+", str(error))
    return found.group() if found else first_line(error)


WRITERS: dict[str, Callable[[Traced, Path], None]] = {".onnx": write_onnx, ".pt2": write_program}


def writer_for(path: str | os.PathLike[str]) -> Callable[[Traced, Path], None]:
    """Return what writes the format that a path names.

    Raises:
        UsageError: for another format.
        MissingExtraError: without onnx and onnxscript, for ``.onnx``.
    """
    write = WRITERS[choose_writer(path, tuple(WRITERS))]
    if write is write_onnx:
        with requires("onnx", "export to .onnx"):
            import onnx  # noqa: F401
            import onnxscript  # noqa: F401
    return write
