"""Columns of dates, times and durations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from pushforward.errors import DataError
from pushforward.tables.columns import Array, Mask
from pushforward.tables.labels import restored_dtype
from pushforward.tables.values.base import Readers

TICKS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
SECONDS = {"D": 86_400, "s": 1}
FARTHEST = 2.0**62
NOT_A_TIME = np.iinfo(np.int64).min


@Readers.register
class Dates:
    """Dates or durations as the number of their units since an origin: whole days, or seconds.

    Dates are counted by the clock of their own time zone, so that a day is a day also where the clock is put forward,
    and subtracted from the origin as whole ticks before they become floats.

    Args:
        dtype: what they are written as.
        duration: whether they are durations.
        resolution: of the clock, ``s``, ``ms``, ``us`` or ``ns``.
        zone: the time zone's name, None for none.
        origin: in ticks of the resolution.
        unit: ``D`` where every value is a whole day, else ``s``.

    Example:
        >>> times = pd.Series(pd.to_datetime(["2024-05-01 10:00:00.0", "2024-05-01 10:00:01.5", None]))
        >>> dates = Dates.of(times)
        >>> dates.read(times), dates.unit
        (array([0. , 1.5, nan]), 's')
    """

    def __init__(self, dtype: Any, duration: bool, resolution: str, zone: str | None, origin: int, unit: str) -> None:
        self.dtype = dtype
        self.duration = duration
        self.resolution = resolution
        self.zone = zone
        self.origin = origin
        self.unit = unit

    @classmethod
    def of(cls, values: pd.Series) -> Dates:
        """Choose the origin and the unit of a column."""
        duration = is_duration(values)
        times = pd.to_timedelta(values) if duration else pd.to_datetime(values)
        zone = None if duration or times.dt.tz is None else str(times.dt.tz)
        dtype = times.dtype if types.is_object_dtype(values.dtype) else values.dtype
        dates = cls(dtype, duration, times.dt.unit, zone, 0, "s")
        ticks, missing = dates._ticks(times)
        present = ticks[~missing]
        if len(present):
            dates.origin = int(present.min())
            dates.unit = "s" if (present % (SECONDS["D"] * TICKS[dates.resolution])).any() else "D"
        return dates

    @property
    def whole(self) -> bool:
        """Whether the numbers are whole days."""
        return self.unit == "D"

    def read(self, values: pd.Series) -> Array:
        if values.isna().all():
            return np.full(len(values), np.nan)
        try:
            times = pd.to_timedelta(values) if self.duration else pd.to_datetime(values)
            ticks, missing = self._ticks(times)
        except (ValueError, TypeError) as error:
            what = "durations" if self.duration else "dates" if self.zone is None else f"dates of {self.zone}"
            shown = repr(values.dropna().iloc[0])
            raise DataError(
                f"expects {what}, got {shown} of dtype {values.dtype}: turn the values into them"
            ) from error
        return np.where(missing, np.nan, (ticks - self.origin) / self._ticks_per_unit)

    def write(self, numbers: Array) -> pd.Series:
        missing = np.isnan(numbers)
        moved = np.rint(np.clip(np.where(missing, 0.0, numbers) * self._ticks_per_unit, -FARTHEST, FARTHEST))
        ticks = np.where(missing, NOT_A_TIME, moved.astype(np.int64) + self.origin)
        if self.duration:
            return pd.Series(ticks.view(f"m8[{self.resolution}]")).astype(self.dtype)
        clock = pd.Series(ticks.view(f"M8[{self.resolution}]"))
        if self.zone is not None:
            early = np.ones(len(clock), dtype=bool)
            clock = clock.dt.tz_localize(self.zone, ambiguous=early, nonexistent="shift_forward")
        return clock.astype(self.dtype)

    def state(self) -> dict[str, Any]:
        names = ("duration", "resolution", "zone", "origin", "unit")
        return {"dtype": str(self.dtype)} | {name: getattr(self, name) for name in names}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Dates:
        names = ("duration", "resolution", "zone", "origin", "unit")
        return cls(restored_dtype(state["dtype"]), *(state[name] for name in names))

    @property
    def _ticks_per_unit(self) -> int:
        return SECONDS[self.unit] * TICKS[self.resolution]

    def _ticks(self, times: pd.Series) -> tuple[NDArray[np.int64], Mask]:
        """Whole ticks on the column's clock, and which are missing."""
        if not self.duration:
            zoned = times.dt.tz is not None
            if zoned != (self.zone is not None):
                raise ValueError("dates with and without a time zone")
            times = times.dt.tz_convert(self.zone).dt.tz_localize(None) if zoned else times
        ticks = times.dt.as_unit(self.resolution).to_numpy().view(np.int64)
        return ticks, np.asarray(ticks == NOT_A_TIME)


def is_duration(values: pd.Series) -> bool:
    """Whether a column holds durations."""
    kind = getattr(values.dtype, "kind", "O")
    return kind == "m" or (kind == "O" and types.infer_dtype(values, skipna=True) in ("timedelta", "timedelta64"))
