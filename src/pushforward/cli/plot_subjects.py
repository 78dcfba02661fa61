"""What a picture is drawn of: a flow or a fitted table, with test data beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.cli.runs import Run, column_names
from pushforward.cli.table_runs import FittedTable
from pushforward.errors import DataError, UsageError
from pushforward.extras import requires
from pushforward.flows.flow import Flow
from pushforward.plots import calibration, corner, density_2d, map_of, pit_values, scatter_2d, trajectories, warped_grid
from pushforward.plots.points import plane_bounds, quantile_limits
from pushforward.sklearn import FlowDensity, FlowRegressor
from pushforward.spaces import Circle, Product, Space, Sphere
from pushforward.transforms import GeographicCoordinates

with requires("tables", purpose="a picture of a model"):
    import pandas as pd

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
#: More columns make no readable picture of pairs.
MOST_COLUMNS = 12
_RESOLUTION = 200
_MAP_RESOLUTION = 90


@dataclass(frozen=True)
class FlowSubject:
    """A flow of vectors with test data ``(n, D)``.

    Attributes:
        resolution: points along each side of a picture of the density.
    """

    run: Run
    flow: Flow
    data: Tensor
    seed: int
    say: Callable[[str], None]
    resolution: int = 300

    def draw(self, kind: str) -> Figure:
        """Draw one of the kinds of pictures.

        Raises:
            UsageError: there is none of that kind of such events.
        """
        shape = tuple(self.flow.event_shape)
        if len(shape) != 1:
            raise UsageError(f"plot draws models of vectors, this one's events are {shape}; sample -o x.png shows them")
        names = self.names
        if kind == "frames":
            raise UsageError(f"frames is of models of clips, this one's events are {shape}; draw its samples")
        pictures: dict[str, Callable[[], Figure]] = {
            "density": lambda: self._density(shape),
            "samples": lambda: scatter_2d(_plane(self.samples(), names), names),
            "pairs": lambda: pairs(self.values(), self.samples(), names),
            "trajectories": lambda: trajectories(self.flow, self.data.to(self._like)),
            "calibration": lambda: calibration(pit_values(self.flow, self.data.to(self._like)), names),
            "grid": lambda: self._grid(shape),
            "map": self._map,
        }
        return pictures[kind]()

    def _density(self, shape: tuple[int, ...]) -> Figure:
        if shape != (2,) or self.run.levels is not None:
            raise UsageError(f"density is of two continuous columns, this model has events {shape}; draw its pairs")
        bounds = _circle_ends(self.flow.support) or plane_bounds(self.data)
        return density_2d(self.flow, bounds, names=self.names, resolution=self.resolution)

    def _grid(self, shape: tuple[int, ...]) -> Figure:
        if shape != (2,) or self.run.levels is not None:
            raise UsageError(f"grid is of two continuous columns, this model has events {shape}; draw its pairs")
        return warped_grid(self.flow, self.data)

    @property
    def names(self) -> tuple[str, ...]:
        """What the columns are called."""
        return column_names(self.flow.event_shape[0], self.run.columns)

    def values(self) -> Array:
        """The test data as numbers."""
        return self.data.double().numpy()

    def _map(self) -> Figure:
        if self.flow.support != Sphere(2) and GeographicCoordinates.of(self.flow.support) is None:
            raise UsageError(f"map is of a flow on the ordinary sphere, this model's events are in {self.flow.support}")
        return map_of(self.flow, self.data.to(self._like), resolution=_MAP_RESOLUTION)

    def samples(self) -> Array:
        """As many samples as there are test data, as numbers."""
        torch.manual_seed(self.seed)
        with torch.no_grad():
            samples = self.flow.sample(len(self.data)).double().cpu().numpy()
        return whole_rows("samples", samples, self.say)

    @property
    def _like(self) -> Tensor:
        """A tensor of the flow's device and type; flows that the data place have buffers alone."""
        return next(chain(self.flow.parameters(), filter(torch.is_floating_point, self.flow.buffers())))


@dataclass(frozen=True)
class TableSubject:
    """A fitted table with test rows; it says how many points have no place in a picture."""

    fitted: FittedTable
    frame: pd.DataFrame
    seed: int
    say: Callable[[str], None]

    def draw(self, kind: str) -> Figure:
        """Draw one of the kinds of pictures.

        Raises:
            UsageError: there is none of that kind of such columns.
        """
        names = self.names
        pictures: dict[str, Callable[[], Figure]] = {
            "density": self._density,
            "samples": lambda: scatter_2d(_plane(self._whole("samples", self.samples()), names), names),
            "pairs": lambda: pairs(self._whole("rows", self.values()), self._whole("samples", self.samples()), names),
            "trajectories": self._trajectories,
            "calibration": lambda: calibration(self._whole("rows", self._pit()), names),
            "grid": _no_grid,
            "map": _no_map,
            "frames": _no_frames,
        }
        return pictures[kind]()

    def _trajectories(self) -> Figure:
        raise UsageError("trajectories are of a continuous flow of vectors, and this is a model of a table; draw pairs")

    def values(self) -> Array:
        """The test rows as numbers, NaN where a value is missing."""
        return self._numbers(self.frame)

    def _whole(self, what: str, values: Array) -> Array:
        return whole_rows(what, values, self.say)

    @property
    def names(self) -> tuple[str, ...]:
        """The modelled columns that vary: constants and identifiers are told, and have no distribution."""
        estimator = self.fitted.estimator
        reports = estimator.target_columns_ if isinstance(estimator, FlowRegressor) else estimator.columns_
        still = {str(report.name) for report in reports if report.kind in ("constant", "id")}
        return tuple(name for name in self.fitted.run.modelled if name not in still)

    def categories(self, name: str) -> list[object] | None:
        """The values of a column of texts, in the order of the numbers that stand for them; None of other columns."""
        return None if _is_measured(self.frame[name]) else _known(self.frame[name]).tolist()

    def _density(self) -> Figure:
        names = self.names
        if len(names) != 2 or not isinstance(self.fitted.estimator, FlowDensity):
            raise UsageError(f"density is of two columns modelled together, this model is of {', '.join(names)}")
        rows = self._whole("rows", self.values())
        estimator = self.fitted.estimator

        def log_prob(points: Tensor) -> Tensor:
            frame = pd.DataFrame(points.double().numpy(), columns=list(names))
            return torch.from_numpy(estimator.score_samples(frame)).float()

        limits = [quantile_limits(column) for column in rows.T]
        return density_2d(log_prob, (*limits[0], *limits[1]), names=names, resolution=_RESOLUTION)

    def samples(self) -> Array:
        """A sample for each test row, of its features where there are some, as numbers."""
        fitted, state = self.fitted, np.random.RandomState(self.seed)
        if isinstance(fitted.estimator, FlowRegressor):
            features = self.frame[list(fitted.run.features)]
            drawn = np.asarray(fitted.estimator.sample(features, 1, state)).reshape(len(features), -1)
            return self._numbers(pd.DataFrame(drawn, columns=list(fitted.run.targets)))
        return self._numbers(fitted.sample(len(self.frame), None, state))

    def _numbers(self, frame: pd.DataFrame) -> Array:
        """The columns that vary as numbers, texts by their order among all."""
        return np.stack([_numbers(frame[name], self.frame[name]) for name in self.names], axis=1)

    def _pit(self) -> Array:
        run, estimator = self.fitted.run, self.fitted.estimator
        if isinstance(estimator, FlowRegressor):
            pit = estimator.pit(self.frame[list(run.features)], self.frame[list(run.targets)])
            chosen = [run.targets.index(name) for name in self.names]
            return np.asarray(pit).reshape(len(self.frame), -1)[:, chosen]
        return estimator.pit(self.frame)


def _circle_ends(space: Space) -> tuple[float, float, float, float] | None:
    """The ends of two circles, which are a picture's; None where the space is another."""
    parts = space.spaces if isinstance(space, Product) else (space,)
    ends = [(part.low, part.high) for part in parts if isinstance(part, Circle) for _ in range(part.shape.numel())]
    return (*ends[0], *ends[1]) if len(ends) == 2 else None


def _no_grid() -> Figure:
    raise UsageError("grid is of a flow alone, and between a table's columns and its flow lie marginals; draw density")


def _no_map() -> Figure:
    raise UsageError("map is of a flow on the ordinary sphere, and this is a model of a table; draw pairs")


def _no_frames() -> Figure:
    raise UsageError("frames is of models of clips, and this is a model of a table; draw pairs")


def whole_rows(what: str, values: Array, say: Callable[[str], None]) -> Array:
    """Those of the rows that have all values; how many have not is said.

    Raises:
        DataError: none has.
    """
    whole = np.asarray(np.isfinite(values).all(1))
    if not whole.any():
        raise DataError(f"a picture shows {what} that have all values, and none of {len(whole)} has")
    if not whole.all():
        say(f"{int((~whole).sum())} of {len(whole)} {what} have missing values and are left out of the picture")
    return values[whole]


def pairs(data: Array, samples: Array, names: tuple[str, ...]) -> Figure:
    """Samples over data, each pair of columns.

    Raises:
        UsageError: there are too many columns to be read.
    """
    if len(names) > MOST_COLUMNS:
        raise UsageError(f"a picture of pairs has room for {MOST_COLUMNS} columns, and there are {len(names)}")
    return corner(data, samples, names)


def _plane(samples: Array, names: tuple[str, ...]) -> Array:
    if samples.shape[1] != 2:
        raise UsageError(f"samples are drawn of two columns, and there are {len(names)}; draw pairs")
    return samples


def _known(values: pd.Series) -> pd.Index:
    """The values that there are, in their order."""
    return pd.Index(values.dropna().unique()).sort_values()


def _is_measured(values: pd.Series) -> bool:
    kinds = pd.api.types
    return kinds.is_numeric_dtype(values.dtype) or kinds.is_datetime64_any_dtype(values.dtype)


def _numbers(values: pd.Series, like: pd.Series) -> Array:
    if pd.api.types.is_bool_dtype(values.dtype) or pd.api.types.is_numeric_dtype(values.dtype):
        return values.to_numpy(np.float64, na_value=np.nan)
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return values.to_numpy("datetime64[s]").astype(np.float64)
    codes = _known(like).get_indexer(pd.Index(values)).astype(np.float64)
    return np.where(codes < 0, np.nan, codes)
