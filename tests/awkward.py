"""A table of twenty awkward columns, independent of each other, each with the density that it was drawn from.

Log-densities are with respect to the mixed measure: Lebesgue on continuous parts, counting on atoms, integers,
categories and missing values; days of a date are counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]
Generator = np.random.Generator

CIRCULAR = {"compass": (0, 360), "month": (1, 13)}
"""What nobody can see in the numbers and has to be said: ``FlowDensity(circular=CIRCULAR)``."""

COLOURS = {"amber": 0.5, "blue": 0.3, "green": 0.15, "red": 0.05}
MONTHS = np.array([14, 11, 9, 7, 5, 4, 4, 5, 7, 9, 12, 13]) / 100
START = pd.Timestamp("2024-01-01")
LONGEST_STAY = 60
COUNT_MEANS, COUNT_SHARES = np.array([0.5, 3.0, 2000.0]), np.array([0.5, 0.45, 0.05])


@dataclass(frozen=True)
class Awkward:
    """One column: how it is drawn, its log-density, which values it can ever take, and the masses of its atoms."""

    name: str
    draw: Callable[[Generator, int], Any]
    log_density: Callable[[Any], Array]
    valid: Callable[[Any], NDArray[np.bool_]]
    atoms: dict[Any, float] = field(default_factory=dict)


def awkward_columns() -> list[Awkward]:
    """The eighteen columns that have a density; ``id`` and ``unit`` come to them in :func:`awkward_table`."""
    return [
        _free("epoch", stats.norm(1.7e9, 1000.0)),
        _free("cauchy", stats.cauchy(-5.0, 2.0)),
        _free("spoiled", stats.norm(3.0, 2.0)),
        _within("lognormal", stats.lognorm(1.0, scale=20.0), 0.0, np.inf),
        _within("waiting", stats.expon(scale=2.0), 0.0, np.inf),
        _within("share", stats.uniform(), 0.0, 1.0),
        _mixed("rate", stats.beta(2.0, 3.0), {0.0: 0.12, 1.0: 0.06}, 0.0, 1.0),
        _mixed("spend", stats.lognorm(0.7, scale=np.e), {0.0: 0.6}, 0.0, np.inf),
        _clipped(),
        _rounded(),
        _counts("visits", stats.poisson(3.0).pmf, lambda rng, n: rng.poisson(3.0, n)),
        _counts("views", _wide_mass, _wide_draw),
        _labels(),
        _member(),
        _compass(),
        _month(),
        _day(),
        _income(),
    ]


def awkward_table(rows: int = 5000, seed: int = 0, bad_row: bool = True) -> pd.DataFrame:
    """Draw the table; one value of the column ``spoiled`` is 1e9 unless ``bad_row`` is false."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({column.name: column.draw(rng, rows) for column in awkward_columns()})
    if bad_row:
        table.loc[7, "spoiled"] = 1e9
    table["id"] = np.arange(10_001, 10_001 + rows)
    table["unit"] = "cm"
    return table


def _numbers(values: Any) -> Array:
    return np.asarray(pd.to_numeric(pd.Series(values)), dtype=np.float64)


def _free(name: str, law: Any) -> Awkward:
    return Awkward(
        name,
        lambda rng, n: law.rvs(n, random_state=rng),
        lambda x: law.logpdf(_numbers(x)),
        lambda x: np.isfinite(_numbers(x)),
    )


def _within(name: str, law: Any, low: float, high: float) -> Awkward:
    return Awkward(
        name,
        lambda rng, n: law.rvs(n, random_state=rng),
        lambda x: law.logpdf(_numbers(x)),
        lambda x: (_numbers(x) >= low) & (_numbers(x) <= high),
    )


def _mixed(name: str, law: Any, atoms: dict[Any, float], low: float, high: float) -> Awkward:
    values, masses = np.array(list(atoms)), np.array(list(atoms.values()))

    def draw(rng: Generator, n: int) -> Array:
        which = rng.choice(len(values) + 1, n, p=[*masses, 1.0 - masses.sum()])
        return np.where(which < len(values), np.append(values, 0.0)[which], law.rvs(n, random_state=rng))

    def log_density(x: Any) -> Array:
        x = _numbers(x)
        is_atom = x[:, None] == values
        between = np.log(1.0 - masses.sum()) + law.logpdf(x)
        return np.where(is_atom.any(1), np.log(np.maximum((is_atom * masses).sum(1), 1e-300)), between)

    return Awkward(name, draw, log_density, lambda x: (_numbers(x) >= low) & (_numbers(x) <= high), atoms)


def _clipped() -> Awkward:
    """A sensor that shows nothing above 1."""
    law, most = stats.norm(), 1.0
    mass = float(law.sf(most))
    return Awkward(
        "clipped",
        lambda rng, n: np.minimum(law.rvs(n, random_state=rng), most),
        lambda x: np.where(_numbers(x) == most, np.log(mass), law.logpdf(_numbers(x))),
        lambda x: _numbers(x) <= most,
        {most: mass},
    )


def _rounded() -> Awkward:
    """Halves, as a form with few answers gives them."""
    law, step = stats.norm(10.0, 1.0), 0.5
    atoms = {
        float(x): float(law.cdf(x + step / 2) - law.cdf(x - step / 2)) for x in np.arange(7.0, 13.0 + step / 2, step)
    }

    def log_density(x: Any) -> Array:
        x = _numbers(x)
        return np.log(law.cdf(x + step / 2) - law.cdf(x - step / 2))

    return Awkward(
        "rounded",
        lambda rng, n: np.round(law.rvs(n, random_state=rng) / step) * step,
        log_density,
        lambda x: np.isfinite(_numbers(x)),
        atoms,
    )


def _counts(name: str, mass: Callable[[Array], Array], draw: Callable[[Generator, int], Any]) -> Awkward:
    return Awkward(
        name,
        draw,
        lambda x: np.log(mass(_numbers(x))),
        lambda x: (_numbers(x) >= 0) & (_numbers(x) == np.round(_numbers(x))),
        {k: float(mass(np.array([float(k)]))[0]) for k in range(3)},
    )


def _wide_draw(rng: Generator, rows: int) -> NDArray[np.int64]:
    mean = rng.choice(COUNT_MEANS, p=COUNT_SHARES, size=rows)
    return rng.negative_binomial(2, 2 / (2 + mean)).astype(np.int64)


def _wide_mass(x: Array) -> Array:
    masses = stats.nbinom(2, 2 / (2 + COUNT_MEANS)).pmf(np.asarray(x)[:, None])
    return np.asarray(masses @ COUNT_SHARES)


def _labels() -> Awkward:
    names, shares = list(COLOURS), list(COLOURS.values())
    return Awkward(
        "colour",
        lambda rng, n: pd.Categorical(rng.choice(names, n, p=shares), categories=names),
        lambda x: np.log(pd.Series(x).astype(object).map(COLOURS).to_numpy(np.float64)),
        lambda x: pd.Series(x).isin(names).to_numpy(),
        dict(COLOURS),
    )


def _member() -> Awkward:
    return Awkward(
        "member",
        lambda rng, n: rng.random(n) < 0.85,
        lambda x: np.log(np.where(np.asarray(x, dtype=bool), 0.85, 0.15)),
        lambda x: pd.Series(x).isin([True, False]).to_numpy(),
        {True: 0.85, False: 0.15},
    )


def _compass() -> Awkward:
    """Degrees around north, where the numbers jump from 360 to 0."""
    law = stats.vonmises(1.2, loc=0.2)
    return Awkward(
        "compass",
        lambda rng, n: np.degrees(law.rvs(n, random_state=rng)) % 360.0,
        lambda x: law.logpdf(np.radians(_numbers(x))) + np.log(np.pi / 180.0),
        lambda x: (_numbers(x) >= 0) & (_numbers(x) < 360),
    )


def _month() -> Awkward:
    return Awkward(
        "month",
        lambda rng, n: rng.choice(np.arange(1, 13), n, p=MONTHS),
        lambda x: np.log(MONTHS[_numbers(x).astype(np.int64) - 1]),
        lambda x: pd.Series(x).isin(range(1, 13)).to_numpy(),
        {month: float(MONTHS[month - 1]) for month in range(1, 13)},
    )


def _day() -> Awkward:
    """Days since the start of a year, the early ones more often."""
    chances = np.linspace(2.0, 0.2, LONGEST_STAY)
    chances = chances / chances.sum()

    def position(x: Any) -> NDArray[np.int64]:
        return np.asarray((pd.Series(x) - START) // pd.Timedelta(days=1), dtype=np.int64)

    return Awkward(
        "day",
        lambda rng, n: START + pd.to_timedelta(rng.choice(LONGEST_STAY, n, p=chances), unit="D"),
        lambda x: np.log(chances[position(x)]),
        lambda x: (pd.Series(x) == pd.Series(x).dt.normalize()).to_numpy(),
    )


def _income() -> Awkward:
    """A fifth of the people say nothing."""
    law, silent = stats.norm(50.0, 10.0), 0.2

    def draw(rng: Generator, n: int) -> Array:
        return np.where(rng.random(n) < silent, np.nan, law.rvs(n, random_state=rng))

    def log_density(x: Any) -> Array:
        x = _numbers(x)
        return np.where(np.isnan(x), np.log(silent), np.log1p(-silent) + law.logpdf(x))

    return Awkward("income", draw, log_density, lambda x: np.ones(len(x), dtype=bool), {np.nan: silent})
