"""Fitted estimators as files: one safetensors file holds the parameters, the columns and the flow."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from pushforward.errors import CheckpointError
from pushforward.files import atomic_write
from pushforward.flows.saving import read_tensors
from pushforward.tables.codes import LatentCode
from pushforward.tables.features import FeatureCode
from pushforward.tables.states import Classes, StateWriter, read_state
from pushforward.tables.table import Table
from pushforward.version import __version__

FORMAT = "pushforward-table"
FORMAT_VERSION = 1

KEPT: Classes = {kept.__name__: kept for kept in (Table, LatentCode, FeatureCode)}
"""What a file may hold objects of."""


class Saved(BaseEstimator):
    """An estimator that saves what it was fitted to."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator to one safetensors file, whole or not at all.

        :meth:`load` and ``pushforward.sklearn.load`` read it without running code from it, and give the same numbers.

        Raises:
            NotFittedError: before :meth:`fit`.
            UsageError: if a parameter or a column's name is of a kind that no file holds.
            FileError: if the file cannot be written.

        Example:
            >>> import tempfile, pathlib, numpy as np
            >>> from pushforward.sklearn import FlowDensity, load
            >>> X = np.random.default_rng(0).normal(size=(60, 2))
            >>> density = FlowDensity(random_state=0, max_steps=5).fit(X)
            >>> path = pathlib.Path(tempfile.mkdtemp()) / "density.safetensors"
            >>> density.save(path)
            >>> bool((load(path).score_samples(X) == density.score_samples(X)).all())
            True
        """
        atomic_write(path, to_bytes(self, {}))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read an estimator of this class that :meth:`save` wrote.

        Raises:
            CheckpointError: if the file is missing, damaged, foreign, of another version or another estimator's.
        """
        return load(path, (cls,))


def to_bytes(estimator: Saved, metadata: Mapping[str, str]) -> bytes:
    """The fitted estimator as the content of a file, with more metadata beside its own.

    Raises:
        NotFittedError: if it is not fitted.
        UsageError: if a parameter or a column's name is of a kind that no file holds.
    """
    from safetensors.torch import save

    check_is_fitted(estimator)
    writer = StateWriter(KEPT)
    own = {
        "format": FORMAT,
        "version": str(FORMAT_VERSION),
        "written_by": __version__,
        "estimator": type(estimator).__name__,
        "state": json.dumps(writer.write(vars(estimator)), allow_nan=False),
    }
    return save(writer.tensors, {**metadata, **own})


def load(path: str | os.PathLike[str], estimators: Sequence[type[BaseEstimator]]) -> Any:
    """Read the fitted estimator, one of ``estimators``, that a file holds.

    Raises:
        CheckpointError: if the file is missing, damaged, foreign, of another version, or holds none of them.
    """
    path = Path(path)
    metadata, tensors = read_tensors(path)
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"{path} holds no estimator: expected a file that an estimator's save wrote")
    if metadata.get("version") != str(FORMAT_VERSION):
        raise CheckpointError(
            f"{path} has format version {metadata.get('version')}, expected {FORMAT_VERSION}: it was saved by another "
            f"version of pushforward"
        )
    known = {cls.__name__: cls for cls in estimators}
    name = metadata.get("estimator")
    if name not in known:
        raise CheckpointError(f"{path} holds a {name}, expected {' or '.join(known)}")
    try:
        estimator = known[name]()
        estimator.__dict__.update(read_state(json.loads(metadata["state"]), tensors, KEPT))
    except Exception as error:  # The state of a damaged or crafted file can lead to anything.
        reason = f"{type(error).__name__}: {error}".split("\n")[0]
        raise CheckpointError(f"{path} cannot be read ({reason}): it is damaged") from error
    return estimator
