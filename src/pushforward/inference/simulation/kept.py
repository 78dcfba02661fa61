"""Simulations kept in a folder while they are made, so that what was interrupted goes on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pushforward.errors import DataError, UsageError
from pushforward.files import atomic_path, make_folder


class Kept:
    """The simulations in a folder: the parameters with their seed, and one file for each batch of observations.

    Args:
        folder: None keeps nothing.

    Raises:
        FileError: if the folder cannot be written.
    """

    def __init__(self, folder: str | os.PathLike[str] | None) -> None:
        self._folder = None if folder is None else make_folder(folder)
        self._seed: int | None = None

    def seed(self, wanted: int | None) -> int:
        """The folder's seed, else the one that is wanted, else one of chance.

        Raises:
            UsageError: if the folder's simulations are of another seed than the one that is wanted.
        """
        path = self._parameters
        found = None if path is None or not path.exists() else _read(path)[1]
        if found is not None and wanted is not None and found != wanted:
            raise UsageError(f"{self._folder} holds simulations of the seed {found}, not {wanted}: use another folder")
        either = wanted if found is None else found
        self._seed = int(torch.randint(2**31, ())) if either is None else either
        return self._seed

    def parameters(self, draw: Callable[[], Tensor], count: int) -> Tensor:
        """The parameters that were drawn before, or new ones.

        Raises:
            UsageError: if there were more or fewer, or they are of another proposal.
        """
        path, drawn = self._parameters, draw()
        if path is None:
            return drawn
        if not path.exists():
            _write(path, drawn, self._seed)
        theta, _ = _read(path)
        if len(theta) != count:
            raise UsageError(
                f"{self._folder} holds {len(theta)} parameters, and {count} are wanted: use another folder"
            )
        # Not bit for bit: a proposal that is a network may compute a little differently on another machine.
        if theta.shape != drawn.shape or not torch.allclose(theta, drawn.to(theta.dtype), rtol=1e-3):
            raise UsageError(
                f"{self._folder} holds simulations of another proposal: call as before, or use another folder"
            )
        return theta

    def read(self, batch: int, rows: int) -> Tensor | None:
        """The observations of a batch, None where they are not there.

        Raises:
            UsageError: if there are more or fewer.
        """
        path = self._observations(batch)
        if path is None or not path.exists():
            return None
        x, _ = _read(path)
        if len(x) != rows:
            raise UsageError(
                f"{path} holds {len(x)} simulations and not {rows}: keep batch_size and workers as they were"
            )
        return x

    def write(self, batch: int, x: Tensor) -> None:
        """Keep the observations of a batch."""
        path = self._observations(batch)
        if path is not None and not path.exists():
            _write(path, x, self._seed)

    @property
    def _parameters(self) -> Path | None:
        return None if self._folder is None else self._folder / "parameters.safetensors"

    def _observations(self, batch: int) -> Path | None:
        return None if self._folder is None else self._folder / f"observations-{batch:06d}.safetensors"


def _write(path: Path, values: Tensor, seed: int | None) -> None:
    with atomic_path(path) as temporary:
        save_file({"values": values.contiguous()}, temporary, metadata={"seed": str(seed)})


def _read(path: Path) -> tuple[Tensor, int]:
    """What a file holds, and the seed it is of."""
    try:
        with safe_open(path, framework="pt") as file:
            return file.get_tensor("values"), int(file.metadata()["seed"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is no whole file of simulations ({error}): remove it, and it is made anew") from error
