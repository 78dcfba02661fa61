"""The models of the codec's two levels, side by side: ``codec.safetensors`` and ``codec.best.safetensors``."""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pushforward.cli.codec_files import load_model
from pushforward.errors import CheckpointError, PushforwardError, UsageError

if TYPE_CHECKING:
    from pushforward.codec.model import CodecModel


class Level(StrEnum):
    """How much is computed for a file."""

    FAST = "fast"
    BEST = "best"


LevelOption = Annotated[
    Level,
    typer.Option(
        help="fast: the model named. best: the slower one beside it, NAME.best.safetensors, which takes a pixel after "
        "the other (export-codec --level best)."
    ),
]


def level_file(path: Path, level: Level) -> Path:
    """Where the model of a level is, beside the model that is named, or in its run's folder.

    >>> str(level_file(Path("codec.safetensors"), Level.BEST))
    'codec.best.safetensors'
    """
    from pushforward.flows.saving import MODEL

    if level is Level.FAST:
        return path
    file = path / MODEL if path.is_dir() else path
    return file.with_name(f"{file.stem}.{level}{file.suffix}")


def load_level(path: Path, level: Level) -> CodecModel:
    """The model of a level.

    Raises:
        CheckpointError: if there is none or it cannot be read.
    """
    if level is Level.FAST:
        return load_model(path)
    return load_model(level_file(path, level), "write it with export-codec RUN --level best")


class Levels:
    """The models of both levels, each read when it is first asked for.

    Args:
        path: where the fast one is.

    Raises:
        CheckpointError: if there is neither.
    """

    def __init__(self, path: Path) -> None:
        self._load = cache(load_level)
        self.path = path
        self.levels = [level for level in Level if level_file(path, level).exists()]
        if not self.levels:
            self._load(path, Level.FAST)

    def of(self, data: bytes) -> CodecModel:
        """The model that wrote a file; the first one where none did.

        Raises:
            CodecError: if it is no such file, or damaged.
            PushforwardError: if none that can be read wrote it, and one cannot be read.
        """
        from pushforward.codec.archive.container import read_container

        fingerprint = read_container(data)[0].fingerprint
        unread: list[PushforwardError] = []
        for level in self.levels:
            # That one of the models cannot be read does not matter to what the other one wrote.
            try:
                model = self._load(self.path, level)
            except (CheckpointError, UsageError) as error:
                unread.append(error)
                continue
            if fingerprint in (b"", model.fingerprint):
                return model
        if unread:
            raise unread[0]
        return self._load(self.path, self.levels[0])
