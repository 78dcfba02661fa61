"""Labels of data: what each event is a picture of, in the parts that the events are split into."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.data.cifar10 import cifar10_labels
from pushforward.data.dataset import Dataset, split_order
from pushforward.data.digits import digits_labels
from pushforward.data.idx import mnist_labels, read_idx
from pushforward.data.numpy_files import NUMPY_ENDINGS, read_array, split_name
from pushforward.data.sources import require_file
from pushforward.errors import DataError

DIGITS = "digits"
KINDS: dict[str, Callable[[Path], tuple[np.ndarray[Any, Any], ...]]] = {
    "mnist": mnist_labels,
    "cifar10": cifar10_labels,
}


@dataclass(frozen=True)
class Labels:
    """Whole numbers, one for each event of a training, a validation and a test part.

    Attributes:
        train, validation, test: integers ``(N,)``.

    Example:
        >>> sorted(load_labels("digits").train.unique().tolist())
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """

    train: Tensor
    validation: Tensor
    test: Tensor

    def check(self, data: Dataset) -> Labels:
        """Return these labels, if they are as many as the events of ``data``, part by part.

        Raises:
            DataError: they are not.
        """
        for name, x in data.parts().items():
            labels = getattr(self, name)
            if len(labels) != len(x):
                raise DataError(
                    f"{data.name}, {name} part: expected a label for each of {len(x)} events, got {len(labels)}"
                )
        return self


def load_labels(spec: str, file: str | None = None) -> Labels:
    """The labels of the data that ``spec`` names.

    ``digits``, ``mnist:FOLDER`` and ``cifar10:FOLDER`` have their own. Of other data they lie in a file of whole
    numbers ``(N,)``, one for each event in the order of the events' file (pictures of a folder: by their names).

    Args:
        spec: the data, as `load_data` takes it.
        file: ``.npy``, ``FILE.npz:NAME`` or an IDX file; None for the data's own labels.

    Raises:
        DataError: there are no labels, or they are no whole numbers.

    Example:
        >>> len(load_labels("digits").test)
        447
    """
    if file is not None:
        return _from_file(file)
    if not has_labels(spec):
        raise DataError(
            f"{spec} has no labels of its own, as digits, mnist:FOLDER and cifar10:FOLDER have: expected a file of "
            "them (manipulate --labels), one whole number for each event"
        )
    if spec == DIGITS:
        return _as_labels(*digits_labels())
    kind, _, path = spec.partition(":")
    return _as_labels(*KINDS[kind](Path(path).expanduser()))


def has_labels(spec: str) -> bool:
    """Whether data have labels of their own.

    Example:
        >>> has_labels("digits"), has_labels("faces.npy")
        (True, False)
    """
    return spec == DIGITS or spec.partition(":")[0] in KINDS


def _from_file(name: str) -> Labels:
    file, _ = split_name(Path(name).expanduser())
    require_file(file)
    x = read_array(Path(name).expanduser()) if file.suffix.lower() in NUMPY_ENDINGS else read_idx(file)
    if x.ndim != 1 or x.dtype.kind not in "biu" or len(x) < 10:
        raise DataError(f"{name}: expected at least 10 labels, whole numbers (N,), got {x.dtype} of shape {x.shape}")
    train, validation, test = split_order(len(x))
    return _as_labels(x[train], x[validation], x[test])


def _as_labels(*parts: np.ndarray[Any, Any]) -> Labels:
    return Labels(*(torch.from_numpy(np.ascontiguousarray(part, dtype=np.int64)) for part in parts))
