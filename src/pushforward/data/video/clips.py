"""Clips as data sets: generated ones by name, and folders of arrays."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.data.dataset import Dataset, infer_levels, split
from pushforward.data.digits import load_digits
from pushforward.data.idx import load_mnist
from pushforward.data.numpy_files import read_arrays
from pushforward.data.sources import require_folder
from pushforward.data.video.bouncing_balls import bouncing_balls
from pushforward.data.video.movement import stochastic_movement
from pushforward.data.video.moving_pictures import moving_pictures
from pushforward.errors import DataError

_CHANNELS = (1, 3)


def load_movement(clips: int = 4000, seed: int = 0) -> Dataset:
    """Stochastic movement: clips ``(3, 1, 8, 8)`` of 2 levels, of which an eighth as many validate and test each."""
    return _generated("movement", stochastic_movement, clips, 2, seed)


def load_balls(clips: int = 2000, seed: int = 0) -> Dataset:
    """Two bouncing balls: clips ``(10, 1, 16, 16)`` of 256 levels."""
    return _generated("balls", bouncing_balls, clips, 256, seed)


def load_moving_digits(clips: int = 2000, seed: int = 0) -> Dataset:
    """Two of the embedded digits: clips ``(8, 1, 16, 16)`` of 17 levels; what tests are digits that train nothing."""
    return _moving("moving-digits", load_digits(), clips, seed, frames=8, size=16, speed=1.5)


def load_moving_mnist(folder: str | os.PathLike[str], clips: int = 1000, seed: int = 0) -> Dataset:
    """Two digits of MNIST, from the folder of its files: clips ``(10, 1, 64, 64)`` of 256 levels."""
    return _moving("moving-mnist", load_mnist(folder), clips, seed, frames=10, size=64, speed=3.0)


def load_clips(folder: str | os.PathLike[str]) -> Dataset:
    """Clips from a folder of ``.npy`` files, one each: ``(T, H, W)``, ``(T, C, H, W)`` or ``(T, H, W, C)`` of whole
    numbers, split 80/10/10 in the order of their names.

    Raises:
        DataError: no clips, one that is none, or clips of differing shapes.
    """
    place = require_folder(folder)
    paths = sorted(place.rglob("*.npy"))
    if not paths:
        raise DataError(f"{place}: no clips in it (looked for .npy)")
    clips = [_clip(path) for path in paths]
    for path, clip in zip(paths, clips):
        if clip.shape != clips[0].shape or clip.dtype != clips[0].dtype:
            raise DataError(
                f"{path}: clips must share one shape and type; this one is {clip.shape} of {clip.dtype}, "
                f"{paths[0].name} {clips[0].shape} of {clips[0].dtype}"
            )
    stacked = np.stack(clips)
    return split(place.name, stacked, infer_levels(place.name, stacked, None))


def _clip(path: Path) -> NDArray[Any]:
    """One clip, channels first."""
    (x,) = read_arrays(path).values()
    if x.dtype.kind not in "iub" or x.ndim not in (3, 4) or x.size == 0:
        raise DataError(
            f"{path}: expected a clip (T, H, W), (T, C, H, W) or (T, H, W, C) of whole numbers, got {x.shape} of "
            f"{x.dtype}"
        )
    if x.ndim == 3:
        return x[:, None]
    last = x.shape[1] not in _CHANNELS and x.shape[-1] in _CHANNELS
    return np.moveaxis(x, -1, 1) if last else x


def _generated(name: str, draw: Callable[..., Tensor], clips: int, levels: int, seed: int) -> Dataset:
    generator = torch.Generator().manual_seed(seed)
    train, validation, test = (draw(size, generator=generator) for size in (clips, clips // 8, clips // 8))
    return Dataset(name, train, validation, test, levels)


def _moving(name: str, pictures: Dataset, clips: int, seed: int, *, frames: int, size: int, speed: float) -> Dataset:
    """Clips of pictures, each part of its own part of the pictures."""
    generator = torch.Generator().manual_seed(seed)
    sizes = (clips, clips // 8, clips // 8)
    train, validation, test = (
        moving_pictures(part, count, frames, size, speed=speed, generator=generator)
        for part, count in zip(pictures.parts().values(), sizes, strict=True)
    )
    return Dataset(name, train, validation, test, pictures.levels)
