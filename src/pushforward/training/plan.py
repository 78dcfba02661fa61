"""What a training is told to do."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from pushforward.errors import UsageError
from pushforward.models.options import check_options
from pushforward.seeds import check_seed
from pushforward.training.compiling import Compile
from pushforward.training.memory import MEMORIES
from pushforward.training.schedules import SCHEDULES

OPTIMIZERS = ("adam", "adamw")
PRECISIONS = ("32", "32-true", "64", "64-true", "bf16-mixed")
DEFAULT_BATCH_SIZE = 256
DEFAULT_EPOCHS = 100
# Validating a small data set after every epoch would cost as much as training on it.
_LEAST_STEPS_BETWEEN_VALIDATIONS = 50


@dataclass(frozen=True)
class Plan:
    """The settings of a training, checked; see `fit` for their meaning.

    Raises:
        UsageError: a value of the wrong type or outside its range, or an unknown name.
    """

    batch_size: int
    learning_rate: float
    optimizer: str
    weight_decay: float
    schedule: str
    warmup_steps: int
    clip: float | None
    shift: int
    ema: float | None
    patience: int | None
    max_seconds: float | None
    max_epochs: int | None
    max_steps: int | None
    validate_every: int | None
    log_every: int
    checkpoint_seconds: float
    progress_seconds: float
    precision: str
    memory: str
    compile: Compile
    seed: int | None

    @classmethod
    def of(
        cls,
        *,
        batch_size: int | None,
        max_time: str | float | None,
        precision: str | int,
        **settings: Any,
    ) -> Plan:
        """Make a plan of settings as `fit` takes them."""
        return cls(
            batch_size=DEFAULT_BATCH_SIZE if batch_size is None else batch_size,
            max_seconds=parse_duration(max_time),
            precision=str(precision),
            **settings,
        )

    def __post_init__(self) -> None:
        check_options("fit", Plan, vars(self), {})
        if self.seed is not None:
            check_seed("seed", self.seed)
        for name in ("batch_size", "log_every"):
            _require(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        for name in ("max_epochs", "max_steps", "patience", "validate_every"):
            value = getattr(self, name)
            _require(value is None or value >= 1, name, "at least 1", value)
        for name in ("shift", "weight_decay", "warmup_steps", "checkpoint_seconds", "progress_seconds"):
            _require(getattr(self, name) >= 0, name, "0 or more", getattr(self, name))
        _require(0 < self.learning_rate < math.inf, "learning_rate", "above 0", self.learning_rate)
        _require(self.clip is None or self.clip > 0, "clip", "above 0", self.clip)
        _require(self.ema is None or 0 <= self.ema < 1, "ema", "in [0, 1)", self.ema)
        _require(self.optimizer in OPTIMIZERS, "optimizer", f"one of {', '.join(OPTIMIZERS)}", self.optimizer)
        _require(self.schedule in SCHEDULES, "schedule", f"one of {', '.join(SCHEDULES)}", self.schedule)
        _require(
            isinstance(self.compile, bool) or self.compile == "auto", "compile", "True, False or auto", self.compile
        )
        _require(self.memory in MEMORIES, "memory", f"one of {', '.join(MEMORIES)}", self.memory)
        _require(self.precision in PRECISIONS, "precision", f"one of {', '.join(PRECISIONS)}", self.precision)

    @property
    def double(self) -> bool:
        """Whether the flow is trained in double precision, whatever it was in."""
        return self.precision in ("64", "64-true")

    def last_step(self, steps_per_epoch: int) -> int | None:
        """The step to stop after, None where only time or patience limits the training."""
        limits = [self.max_steps, None if self.max_epochs is None else self.max_epochs * steps_per_epoch]
        given = [limit for limit in limits if limit is not None]
        if given:
            return min(given)
        return DEFAULT_EPOCHS * steps_per_epoch if self.max_seconds is None else None

    def validation_interval(self, steps_per_epoch: int) -> int:
        """Steps from one validation to the next: whole epochs of at least 50 steps unless told otherwise."""
        if self.validate_every is not None:
            return self.validate_every
        return steps_per_epoch * math.ceil(_LEAST_STEPS_BETWEEN_VALIDATIONS / steps_per_epoch)


def parse_duration(duration: str | float | None) -> float | None:
    """Seconds from ``"HH:MM:SS"``, ``"MM:SS"``, ``"90s"``, ``"20m"``, ``"2h"`` or a number of seconds.

    Raises:
        UsageError: it is none of these, or not above 0.

    Example:
        >>> parse_duration("00:05:00"), parse_duration("90s"), parse_duration(2.5)
        (300.0, 90.0, 2.5)
    """
    if duration is None:
        return None
    seconds = _seconds(str(duration).strip())
    if seconds is None or not 0 < seconds < math.inf:
        raise UsageError(f"max_time must be a positive HH:MM:SS, or like 90s, 20m, 2h; got {duration!r}")
    return seconds


def _seconds(text: str) -> float | None:
    clock = re.fullmatch(r"(?:(\d+):)?(\d+):(\d+(?:\.\d*)?)", text)
    if clock:
        hours, minutes, seconds = clock.groups(default="0")
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    plain = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*([smh]?)", text)
    return float(plain[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[plain[2]] if plain else None


def _require(holds: bool, name: str, expected: str, got: object) -> None:
    if not holds:
        raise UsageError(f"{name} must be {expected}, got {got!r}")
