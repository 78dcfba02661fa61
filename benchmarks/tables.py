"""The estimators for tables against zuko, scikit-learn and the truth. Each part prints a line a table and writes JSON.

    python benchmarks/tables.py fit --data FOLDER         # a whole FlowDensity().fit against zuko's eager training
    python benchmarks/tables.py density --data FOLDER     # held-out likelihood against mixtures and kernels
    python benchmarks/tables.py regression --data FOLDER  # quantiles against gradient boosting
    python benchmarks/tables.py large                     # 300,000 rows of ten columns with a known density
    python benchmarks/tables.py wide                      # 200 Gaussian columns of 2,500 rows: factor analysis
    python benchmarks/tables.py scoring                   # rows a second from parquet

FOLDER holds kin40k.csv.gz, skillcraft.csv.gz and elevators.csv.gz of the UCI repository, without headers.

What is compared, and in which units: rows are shuffled by a seed, 80 % to fit and 20 % to test, columns that do not
vary are left out, and each is divided by its standard deviation in the part to fit. Where values repeat (integers,
decimals that were rounded) uniform noise as wide as the smallest step between two values is added, the same for
everyone: mixtures and kernels would put a density without bounds on a repeated value, so that a likelihood says
nothing, and so would flows. All columns are then continuous, log-likelihoods are nats a row, and nobody has to be told
anything.

``fit`` times all of our fit, from the frame to the model, compiling included, and for zuko the steps alone, without
validations; both have one process to themselves, the same layers, widths, bins, batch size, number of steps, optimiser,
schedule and clipping. Seconds are of the wall and of the processor; on a busy machine only the latter say much.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
TABLES = ("kin40k", "skillcraft", "elevators")
LEVELS = (0.1, 0.5, 0.9)
Result = dict[str, Any]
Array = np.ndarray


# Data ----------------------------------------------------------------------------------------------------------------


def read(folder: Path, name: str) -> Array:
    """A table of the repository."""
    with gzip.open(folder / f"{name}.csv.gz", "rt") as file:
        return np.loadtxt(file, delimiter=",", comments=None)


def comparable(rows: Array) -> tuple[Array, Array]:
    """The parts to fit and to test on, as the module says."""
    rng = np.random.default_rng(0)
    rows = rows[rng.permutation(len(rows))]
    count = int(0.8 * len(rows))
    rows = rows[:, rows[:count].std(0) > 0]
    for column in rows.T:
        values = np.unique(column)
        if len(values) < 0.9 * len(column):
            steps = np.diff(values)
            column += steps[steps > 1e-9 * np.ptp(values)].min() * (rng.random(len(column)) - 0.5)
    rows = (rows - rows[:count].mean(0)) / rows[:count].std(0)
    return rows[:count], rows[count:]


class HardTable:
    """Ten columns, each a mixture of three normals whose weights, means and scales are a network of the columns before
    it: several modes, bends, and scales from 0.1 to 1, with a density in closed form."""

    columns, components, hidden = 10, 3, 24

    def __init__(self) -> None:
        rng = np.random.default_rng(7)
        self._first = [rng.normal(size=(i, self.hidden)) * 1.5 / max(1, i) ** 0.5 for i in range(self.columns)]
        self._shift = rng.normal(size=(self.columns, self.hidden))
        outputs = (self.columns, self.hidden, 3, self.components)
        self._second = rng.normal(size=outputs) * np.array([1.0, 1.0, 0.7])[:, None] * (2.0 / self.hidden) ** 0.5
        self._bias = rng.normal(size=(self.columns, 3, self.components)) * np.array([0.5, 1.5, 0.3])[:, None]

    def sample(self, rows: int, seed: int) -> Array:
        """Draw rows."""
        rng = np.random.default_rng(seed)
        x = np.zeros((rows, self.columns))
        for i in range(self.columns):
            weights, means, scales = self._mixture(x, i)
            chosen = (rng.random((rows, 1)) > weights.cumsum(1)[:, :-1]).sum(1)[:, None]
            mean, scale = (np.take_along_axis(each, chosen, 1)[:, 0] for each in (means, scales))
            x[:, i] = mean + scale * rng.standard_normal(rows)
        return x

    def log_density(self, x: Array) -> Array:
        """Its logarithm, ``(n,)``."""
        total = np.zeros(len(x))
        for i in range(self.columns):
            weights, means, scales = self._mixture(x, i)
            z = (x[:, i : i + 1] - means) / scales
            total += np.log((weights * np.exp(-0.5 * z**2) / scales).sum(1)) - 0.5 * np.log(2 * np.pi)
        return total

    def _mixture(self, x: Array, i: int) -> tuple[Array, Array, Array]:
        hidden = np.tanh(x[:, :i] @ self._first[i] + self._shift[i])
        logits, means, log_scales = np.moveaxis(np.tensordot(hidden, self._second[i], 1) + self._bias[i], 1, 0)
        weights = np.exp(logits - logits.max(1, keepdims=True))
        return weights / weights.sum(1, keepdims=True), means, 0.1 + 0.9 / (1.0 + np.exp(1.0 - log_scales))


# Whole fits against zuko ---------------------------------------------------------------------------------------------


def fits(folder: Path, tables: list[str], threads: int) -> list[Result]:
    """Ours and zuko's, each in a process of its own: ours first, as it says how many steps there are."""
    results = []
    for name in tables:
        mine = in_a_process("fit-ours", folder, name, threads)
        other = in_a_process("fit-zuko", folder, name, threads, json.dumps(mine["flow"]))
        result = {"table": name, "ours": mine, "zuko": other, "share": mine["wall"] / other["wall"]}
        print(
            f"{name}: {mine['flow']}: test log-likelihood ours {mine['test']:.3f}, zuko {other['test']:.3f}; seconds "
            f"ours {mine['wall']:.1f} (processor {mine['processor']:.1f}), zuko {other['wall']:.1f} "
            f"({other['processor']:.1f}): {result['share']:.2f} of its time, "
            f"{mine['processor'] / other['processor']:.2f} of its processor's",
            flush=True,
        )
        results.append(result)
    return results


def fit_ours(folder: Path, name: str) -> Result:
    """A fit with all defaults; Lightning and the rest are imported before, as zuko is."""
    import lightning  # noqa: F401

    from pushforward.sklearn import FlowDensity

    train, test = comparable(read(folder, name))
    with recorded_fit() as settings:
        begin = clock()
        density = FlowDensity(columns=dict.fromkeys(range(train.shape[1]), "continuous"), random_state=0).fit(train)
        seconds = since(begin)
    return {"test": density.score(test), "flow": settings, **seconds}


def fit_zuko(folder: Path, name: str, flow: Result) -> Result:
    """The same flow, trained eagerly."""
    import zuko

    train, test = (torch.tensor(part, dtype=torch.float32) for part in comparable(read(folder, name)))
    torch.set_num_threads(flow["threads"])
    torch.manual_seed(0)
    module = zuko.flows.NSF(
        train.shape[1], bins=flow["bins"], transforms=flow["layers"], hidden_features=tuple(flow["hidden"])
    )
    begin = clock()
    optimiser = torch.optim.Adam(module.parameters(), flow["learning_rate"], fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, flow["max_steps"])
    order = torch.empty(0, dtype=torch.long)
    for _ in range(flow["steps"]):
        if len(order) < flow["batch_size"]:
            order = torch.randperm(len(train))
        rows, order = order[: flow["batch_size"]], order[flow["batch_size"] :]
        loss = -module().log_prob(train[rows]).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), float(train.shape[1]))
        optimiser.step()
        schedule.step()
    seconds = since(begin)
    with torch.no_grad():
        return {"test": float(torch.cat([module().log_prob(part) for part in test.split(1000)]).mean()), **seconds}


class recorded_fit:
    """Notes what the estimator's training was: the flow's size, its batches, and the steps it took."""

    def __enter__(self) -> Result:
        from pushforward.tables import fitting

        self._fit, noted = fitting.fit, {}

        def fit(flow: Any, train: Any, *rest: Any, **options: Any) -> Any:
            from pushforward.networks.masked.made import MaskedNetwork

            threads = torch.get_num_threads()
            result = self._fit(flow, train, *rest, **options)
            networks = [part for part in flow.modules() if isinstance(part, MaskedNetwork)]
            noted.update(
                layers=len(networks),
                hidden=[linear.out_features for linear in list(networks[0].linears)[:-1]],
                bins=(networks[0].per_input + 1) // 3,
                batch_size=min(options["batch_size"], len(train[0])),
                steps=result.steps,
                max_steps=options["max_steps"],
                learning_rate=options["learning_rate"],
                threads=threads,
            )
            return result

        fitting.fit = fit
        return noted

    def __exit__(self, *_: Any) -> None:
        from pushforward.tables import fitting

        fitting.fit = self._fit


# Quality -------------------------------------------------------------------------------------------------------------


def densities(folder: Path) -> list[Result]:
    """Held-out log-likelihood of ours, the mixture that BIC chooses, and kernels of the width that folds choose."""
    from sklearn.mixture import GaussianMixture
    from sklearn.model_selection import GridSearchCV
    from sklearn.neighbors import KernelDensity

    from pushforward.sklearn import FlowDensity

    results = []
    for name in TABLES:
        train, test = comparable(read(folder, name))
        begin = clock()
        ours = FlowDensity(columns=dict.fromkeys(range(train.shape[1]), "continuous"), random_state=0).fit(train)
        result = {"table": name, "ours": ours.score(test), **since(begin)}
        mixtures = [GaussianMixture(count, random_state=0).fit(train) for count in (1, 2, 4, 8, 16, 32)]
        best = min(mixtures, key=lambda mixture: mixture.bic(train))
        result |= {"mixture": best.score(test), "components": best.n_components}
        # A kernel density costs rows times rows: of many, the first ones.
        few, asked = train[:8000], test[:1500]
        search = GridSearchCV(KernelDensity(), {"bandwidth": np.geomspace(0.05, 1.5, 10)}, cv=3).fit(few[:3000])
        width = search.best_params_["bandwidth"]
        result |= {"kernels": KernelDensity(bandwidth=width).fit(few).score(asked) / len(asked), "bandwidth": width}
        print(
            f"{name} {train.shape}: test log-likelihood ours {result['ours']:.3f} ({result['wall']:.0f} s), mixture of "
            f"{result['components']} {result['mixture']:.3f}, kernels {result['kernels']:.3f}",
            flush=True,
        )
        results.append(result)
    return results


def regressions(folder: Path) -> list[Result]:
    """Pinball loss of quantiles, and the share of targets in the central interval of 90 %."""
    from sklearn.datasets import load_diabetes
    from sklearn.ensemble import HistGradientBoostingRegressor

    from pushforward.sklearn import FlowRegressor

    results = []
    for name in (*TABLES, "diabetes"):
        rows = np.column_stack(load_diabetes(return_X_y=True)) if name == "diabetes" else read(folder, name)
        (features, target), (asked, answers) = map(_last_apart, comparable(rows))
        begin = clock()
        ours = FlowRegressor(random_state=0).fit(features, target)
        result = {"table": name, **since(begin)}
        result["ours"] = pinball(answers, ours.predict_quantiles(asked, LEVELS))
        low, high = ours.predict_quantiles(asked, (0.05, 0.95)).T
        result["coverage"] = float(((answers >= low) & (answers <= high)).mean())
        trees = [
            HistGradientBoostingRegressor(loss="quantile", quantile=level, random_state=0)
            .fit(features, target)
            .predict(asked)
            for level in LEVELS
        ]
        result["boosting"] = pinball(answers, np.stack(trees, 1))
        print(
            f"{name} {features.shape}: pinball loss ours {result['ours']:.4f} ({result['wall']:.0f} s), "
            f"boosting {result['boosting']:.4f}; 90 % interval holds {100 * result['coverage']:.1f} %",
            flush=True,
        )
        results.append(result)
    return results


def pinball(target: Array, quantiles: Array) -> float:
    """The mean over rows and levels of ``max(p (y - q), (p - 1) (y - q))``."""
    error = target[:, None] - quantiles
    return float(np.maximum(np.array(LEVELS) * error, (np.array(LEVELS) - 1.0) * error).mean())


def _last_apart(rows: Array) -> tuple[Array, Array]:
    return rows[:, :-1], rows[:, -1]


def large(rows: int, steps: int) -> list[Result]:
    """Ours with defaults, and 6,000 steps of the recipe ``nsf`` by ``fit`` with its defaults."""
    import pushforward as pf
    from pushforward.sklearn import FlowDensity

    truth = HardTable()
    train, test = truth.sample(rows, 1), truth.sample(20_000, 2)
    entropy = truth.log_density(test).mean()
    begin = clock()
    density = FlowDensity(random_state=0).fit(train)
    result = {"rows": rows, "truth": entropy, "ours": density.score(test), **since(begin)}
    begin = clock()
    flow = pf.models.nsf(features=train.shape[1])
    pf.fit(flow, torch.tensor(train, dtype=torch.float32), max_steps=steps, seed=0, progress=False)
    with torch.no_grad():
        result["nsf"] = float(flow.log_prob(torch.tensor(test, dtype=torch.float32)).mean())
    result["nsf_wall"] = since(begin)["wall"]
    print(
        f"{rows} rows: log-likelihood truth {entropy:.3f}, ours {result['ours']:.3f} in {result['wall']:.0f} s, "
        f"{steps} steps of nsf {result['nsf']:.3f} in {result['nsf_wall']:.0f} s"
    )
    return [result]


def wide() -> list[Result]:
    """200 Gaussian columns of 5 factors, of which 2,500 rows say little."""
    from sklearn.decomposition import FactorAnalysis

    from pushforward.sklearn import FlowDensity

    rng = np.random.default_rng(0)
    loadings = rng.normal(size=(5, 200))
    train, test = (rng.normal(size=(n, 5)) @ loadings + 0.5 * rng.normal(size=(n, 200)) for n in (2500, 2000))
    begin = clock()
    result = {"ours": FlowDensity(random_state=0).fit(train).score(test), **since(begin)}
    result["factors"] = FactorAnalysis(5).fit(train).score(test)
    print(f"200 columns: ours {result['ours']:.2f} in {result['wall']:.0f} s, factor analysis {result['factors']:.2f}")
    return [result]


# Scoring -------------------------------------------------------------------------------------------------------------


def scoring(rows: int) -> list[Result]:
    """Rows a second that ``score_samples`` takes from a parquet file of ten columns, batch by batch."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from pushforward.sklearn import FlowDensity

    truth = HardTable()
    names = [f"x{i}" for i in range(truth.columns)]
    train = truth.sample(20_000, 1)
    density = FlowDensity(random_state=0, max_steps=200).fit(train)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        pq.write_table(pa.table(dict(zip(names, truth.sample(rows, 2).T, strict=True))), path)
        begin, total = clock(), 0
        for batch in pq.ParquetFile(path).iter_batches(batch_size=2**17):
            total += len(density.score_samples(np.stack([column.to_numpy() for column in batch.columns], 1)))
        seconds = since(begin)
    result = {"rows": total, "rate": total / seconds["wall"], **seconds}
    print(f"{total} rows in {seconds['wall']:.1f} s: {result['rate']:.0f} rows a second")
    return [result]


# -- ------------------------------------------------------------------------------------------------------------------


def clock() -> tuple[float, float]:
    """Seconds of the wall and of the processor, of this process and those that it waited for."""
    times = os.times()
    return time.perf_counter(), times.user + times.system + times.children_user + times.children_system


def since(begin: tuple[float, float]) -> dict[str, float]:
    """What has passed since ``clock``."""
    return dict(zip(("wall", "processor"), (now - before for now, before in zip(clock(), begin))))


def in_a_process(task: str, folder: Path, name: str, threads: int, *rest: str) -> Result:
    """Run a task in a new process without compiled code from before."""
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, __file__, "--threads", str(threads), task, "--data", str(folder), name, *rest]
        environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": cache, "OMP_NUM_THREADS": str(threads)}
        process = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(process.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    commands = parser.add_subparsers(dest="name", required=True)
    for name in ("fit", "density", "regression", "fit-ours", "fit-zuko"):
        commands.add_parser(name).add_argument("--data", type=Path, required=True)
    commands.choices["fit"].add_argument("--tables", nargs="+", choices=TABLES, default=TABLES)
    for name in ("fit-ours", "fit-zuko"):
        commands.choices[name].add_argument("table")
    commands.choices["fit-zuko"].add_argument("flow", type=json.loads)
    commands.add_parser("large").add_argument("--rows", type=int, default=300_000)
    commands.choices["large"].add_argument("--steps", type=int, default=6000)
    commands.add_parser("wide")
    commands.add_parser("scoring").add_argument("--rows", type=int, default=1_000_000)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warnings.simplefilter("ignore")
    parts: dict[str, Callable[[], Any]] = {
        "fit": lambda: fits(arguments.data, arguments.tables, arguments.threads),
        "fit-ours": lambda: fit_ours(arguments.data, arguments.table),
        "fit-zuko": lambda: fit_zuko(arguments.data, arguments.table, arguments.flow),
        "density": lambda: densities(arguments.data),
        "regression": lambda: regressions(arguments.data),
        "large": lambda: large(arguments.rows, arguments.steps),
        "wide": wide,
        "scoring": lambda: scoring(arguments.rows),
    }
    result = parts[arguments.name]()
    if arguments.name in ("fit-ours", "fit-zuko"):
        print(json.dumps(result))
        return
    path = ROOT / "build" / f"tables-{arguments.name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
