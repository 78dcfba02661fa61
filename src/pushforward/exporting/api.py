"""A method of a flow, exported into a file that other programs run."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence

import torch

from pushforward.distributions.base import Distribution
from pushforward.errors import UsageError
from pushforward.exporting.methods import METHODS
from pushforward.exporting.refusals import check_columns, check_flow
from pushforward.exporting.signature import Signature
from pushforward.exporting.tracing import traced
from pushforward.exporting.writing import writer_for
from pushforward.files import atomic_path


def export(
    flow: Distribution, path: str | os.PathLike[str], method: str = "log_prob", *, columns: Sequence[str] = ()
) -> Signature:
    r"""Write a method of a flow as a graph that needs neither Pushforward nor Python.

    The graph takes batches of any size: events ``x`` (or, for ``decode``, each ``latent``), then the ``context`` where
    there is one, then the random numbers of which samples are made, so that it is deterministic. What depends on the
    parameters alone, inverses of matrices for instance, is computed beforehand. Equal to the method within 1e-4.

    Args:
        flow: the flow, or a distribution.
        path: ``.onnx`` for ONNX (the extra ``onnx``), ``.pt2`` for ``torch.export.load``.
        method: ``"log_prob"``, ``log p(x)``, ``(batch,)``; ``"encode"``, the latents of ``x``; ``"decode"``, the data
            of latents; ``"sample"``, samples made of standard normal or uniform numbers.
        columns: the names of an event's numbers, which the file then holds too.

    Returns:
        the names, shapes and kinds of what the graph takes and gives, which the file holds as well.

    Raises:
        UsageError: for another method or format, for columns that are not one name for each number, and for a method
            that is no graph: steps that are chosen as they go (adaptive solvers), an estimate, or too many steps.
        MissingExtraError: if the format's packages are not installed.

    Source: ONNX, https://onnx.ai; Ansel et al. (2024), PyTorch 2 (``torch.export``), doi:10.1145/3620665.3640366.

    Example:
        >>> import tempfile, pushforward as pf
        >>> flow = pf.build("realnvp", features=2, layers=1, hidden=8)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     signature = pf.export(flow, f"{folder}/model.pt2", "sample")
        >>> signature.inputs
        (Port(name='normal_0', shape=(2,), kind='normal'),)
    """
    if method not in METHODS:
        raise UsageError(f"export expects a method of {', '.join(METHODS)}, got {method!r}")
    write = writer_for(path)
    check_columns(columns, flow.event_shape)
    check_flow(flow, method)
    # A copy, in evaluation mode and without compiled parts; its parameters are needed as they are now.
    with torch.random.fork_rng():
        found = traced(copy.deepcopy(flow).eval(), method, tuple(columns))
    with atomic_path(path) as place:
        write(found, place)
    return found.signature
