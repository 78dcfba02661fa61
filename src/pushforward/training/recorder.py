"""The curve of a training: kept in memory, written to ``metrics.csv``, sent to TensorBoard."""

from __future__ import annotations

import csv
import io
from contextlib import suppress
from pathlib import Path
from typing import Any

from pushforward.errors import FileError
from pushforward.extras import requires
from pushforward.files import atomic_write, unwritable
from pushforward.training.runs.folder import METRICS, TENSORBOARD
from pushforward.training.units import Unit
from pushforward.training.warning import warn

Row = dict[str, float | None]


class Recorder:
    """Rows of a training's metrics; with a folder, also ``metrics.csv`` and TensorBoard events in it.

    The files' columns say their unit: ``train_nats`` and ``validation_nats``, for images ``..._bits_per_dim``. A disk
    that fills up costs a warning; the rows that it had no room for are written with those that come when it has.
    """

    def __init__(self, folder: Path | None, unit: Unit) -> None:
        self.folder = folder
        self.rows: list[Row] = []
        self._unit = unit
        self._unwritten: list[Row] = []
        self._events: Any = None

    def start(self, rows: list[Row]) -> None:
        """Begin with ``rows``, those of the training that is resumed; whatever the file held beyond them goes."""
        self.rows = list(rows)
        if self.folder is None:
            return
        self._rewrite()
        self._events = _tensorboard(self.folder / TENSORBOARD, int(rows[-1]["step"] or 0) + 1 if rows else 0)

    def add(self, row: Row) -> None:
        """Record one row."""
        self.rows.append(row)
        if self.folder is None:
            return
        self._unwritten.append(row)
        try:
            self._append(row) if len(self._unwritten) == 1 else self._write_again()
            self._log(self._unwritten)
            self._unwritten.clear()
        except (OSError, FileError) as error:
            if len(self._unwritten) == 1:
                warn(f"the training goes on, its record waits until it can be written: {error}")
            # Its thread ends at the first error.
            self.close()

    def close(self) -> None:
        """Flush what is left."""
        if self._events is not None:
            with suppress(OSError):
                self._events.close()
            self._events = None

    def _append(self, row: Row) -> None:
        assert self.folder is not None
        shown = self._shown(row)
        with (self.folder / METRICS).open("a", newline="") as file:
            csv.DictWriter(file, list(shown), lineterminator="\n").writerow(shown)

    def _write_again(self) -> None:
        """After a failure: it may have left half a line."""
        assert self.folder is not None
        self._rewrite()
        self._events = _tensorboard(self.folder / TENSORBOARD, int(self._unwritten[0]["step"] or 0))

    def _log(self, rows: list[Row]) -> None:
        for row in rows:
            for name, value in self._shown(row).items():
                if name not in ("step", "epoch", "seconds") and value is not None:
                    self._events.add_scalar(name, value, int(row["step"] or 0))

    def _rewrite(self) -> None:
        assert self.folder is not None
        text = io.StringIO()
        writer = csv.DictWriter(text, list(self._shown({})), lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(self._shown, self.rows))
        atomic_write(self.folder / METRICS, text.getvalue())

    def _shown(self, row: Row) -> Row:
        train, validation = row.get("train_loss"), row.get("val_loss")
        return {
            "step": row.get("step"),
            "epoch": row.get("epoch"),
            f"train_{self._unit.name}": None if train is None else self._unit.value(train),
            f"validation_{self._unit.name}": None if validation is None else self._unit.value(validation),
            "lr": row.get("lr"),
            "seconds": row.get("seconds"),
        }


def _tensorboard(folder: Path, purge_step: int) -> Any:
    with requires("train", purpose="the record of a training"):
        from torch.utils.tensorboard import SummaryWriter

    try:
        return SummaryWriter(str(folder), purge_step=purge_step)
    except OSError as error:
        raise unwritable(folder, error) from error
