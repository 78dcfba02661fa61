"""Writing events to files that other programs read."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.extras import requires
from pushforward.files import atomic_path, choose_writer

ARRAY_ENDINGS = (".npz", ".npy")
TABLE_ENDINGS = (".csv", ".parquet")


def write_events(
    path: str | os.PathLike[str], x: Tensor, levels: int | None = None, columns: tuple[str, ...] = ()
) -> None:
    """Write events ``(N, ...)`` as ``.npz`` (under ``data``), ``.npy``, ``.csv`` or ``.parquet`` by the name's ending.

    Discrete events (``levels``) are written as integers; tables take vectors alone.

    Raises:
        UsageError: another ending, or a table of what is no vector.
        FileError: the file cannot be written.
    """
    ending = choose_writer(path, (*ARRAY_ENDINGS, *TABLE_ENDINGS))
    values = x.detach().cpu().numpy()
    if levels is not None:
        values = values.round().astype(_integer_type(levels))
    if ending in TABLE_ENDINGS and values.ndim != 2:
        raise UsageError(f"{path}: a table takes vectors, these events are {values.shape[1:]}; choose .npz or .npy")
    with atomic_path(path) as temporary:
        if ending == ".npz":
            np.savez_compressed(temporary, data=values)
        elif ending == ".npy":
            np.save(temporary, values)
        else:
            _write_table(temporary, ending, values, columns)


def _write_table(path: os.PathLike[str], ending: str, values: np.ndarray[Any, Any], columns: tuple[str, ...]) -> None:
    with requires("data", purpose=f"a {ending} table"):
        import pandas as pd

        if ending == ".parquet":
            import pyarrow  # noqa: F401  (pandas writes with it)
    names = columns or tuple(f"column_{index}" for index in range(values.shape[1]))
    frame = pd.DataFrame(values, columns=list(names))
    if ending == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, index=False)


def _integer_type(levels: int) -> type[np.generic]:
    return np.uint8 if levels <= 256 else np.uint16 if levels <= 65536 else np.int64
