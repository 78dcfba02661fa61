"""The curve of a training: kept in memory, appended to ``metrics.csv``, sent to TensorBoard."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from pushforward.extras import requires
from pushforward.files import atomic_write, unwritable

FIELDS = ("step", "epoch", "train_loss", "val_loss", "lr", "seconds")
Row = dict[str, float | None]


class Recorder:
    """Rows of a training's metrics; with a folder, also ``metrics.csv`` and TensorBoard events in it."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.rows: list[Row] = []
        self._writer: Any = None

    def start(self, rows: list[Row]) -> None:
        """Begin with ``rows``, those of the training that is resumed; whatever the file held beyond them goes."""
        self.rows = list(rows)
        if self.folder is None:
            return
        text = io.StringIO()
        writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        atomic_write(self.folder / "metrics.csv", text.getvalue())
        self._writer = _tensorboard(self.folder / "tensorboard", int(rows[-1]["step"] or 0) + 1 if rows else 0)

    def add(self, row: Row) -> None:
        """Record one row."""
        self.rows.append(row)
        if self.folder is None:
            return
        path = self.folder / "metrics.csv"
        try:
            with path.open("a", newline="") as file:
                csv.DictWriter(file, FIELDS, lineterminator="\n").writerow(row)
            for name in ("train_loss", "val_loss", "lr"):
                if row[name] is not None:
                    self._writer.add_scalar(name, row[name], int(row["step"] or 0))
        except OSError as error:
            raise unwritable(path, error) from error

    def close(self) -> None:
        """Flush what is left."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _tensorboard(folder: Path, purge_step: int) -> Any:
    with requires("train", purpose="the record of a training"):
        from torch.utils.tensorboard import SummaryWriter

    try:
        return SummaryWriter(str(folder), purge_step=purge_step)
    except OSError as error:
        raise unwritable(folder, error) from error
