"""Streams of row groups: every row once an epoch, the same batches whoever reads them, and memory for a buffer."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader
from training_helpers import affine_flow, fit, same, small_flow, weights

import pushforward as pf
from pushforward.data import ParquetStream
from pushforward.errors import DataError, ShapeError, TrainingError, UsageError
from pushforward.training.streaming import StreamedBatches


def write_rows(
    folder: Path, sizes: tuple[int, ...] = (700, 330), group: int = 50, seed: int = 0
) -> np.ndarray[Any, Any]:
    """Files of correlated normal rows around (3, -1); returns all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    files = []
    for index, size in enumerate(sizes):
        x = rng.normal(size=(size, 2)) @ np.array([[2.0, 0.5], [0.0, 1.0]]) + [3.0, -1.0]
        pd.DataFrame(x, columns=["a", "b"]).to_parquet(folder / f"{index}.parquet", row_group_size=group, index=False)
        files.append(x)
    return np.concatenate(files)


def batches(stream: ParquetStream, size: int = 40, seed: int = 0, rank: int = 0, processes: int = 1) -> StreamedBatches:
    return StreamedBatches(stream, size, seed, torch.float32, rank, processes)


def take(stream: ParquetStream, count: int, start: int = 0, **options: Any) -> list[Any]:
    source = batches(stream, **options).stream(start)
    return [next(source) for _ in range(count)]


def test_an_epoch_has_every_row_once_in_an_order_of_its_own(tmp_path: Path) -> None:
    x = write_rows(tmp_path)
    stream = ParquetStream(tmp_path, buffer_rows=200, held_out=0)
    assert stream.rows == 1030 and stream.shards == 4
    orders = []
    for _ in range(2):
        rows = [stream.shard(index, 0, torch.float64).epoch(len(orders)) for index in range(4)]
        pieces = [piece for each in rows for piece in each]
        numbers = torch.cat([piece[2] for piece in pieces])
        assert sorted(numbers.tolist()) == list(range(1030))
        assert (torch.cat([piece[0] for piece in pieces]).numpy() == x[numbers]).all()
        # Whole row groups of 50, and no more of them than a shard's part of the buffer.
        assert max(len(piece[2]) for piece in pieces) <= 100
        orders.append(numbers)
    assert not torch.equal(*orders)


def test_batches_go_on_from_any_step_and_over_the_end_of_an_epoch(tmp_path: Path) -> None:
    write_rows(tmp_path)
    stream = ParquetStream(tmp_path, buffer_rows=200, held_out=0)
    whole = take(stream, 80)
    assert batches(stream).steps_per_epoch == 25
    for start in (1, 7, 30, 59):
        for one, two in zip(take(stream, 5, start), whole[start:]):
            assert torch.equal(one[0], two[0]) and torch.equal(one[2], two[2])
    seen = torch.cat([rows for _, _, rows in whole]).bincount(minlength=1030)
    # Three passes: a row whose shard is behind is still to come, one whose shard is ahead was seen once more.
    assert seen.sum() == 3200 and seen.min() >= 2 and seen.max() <= 4
    assert not torch.equal(take(stream, 1, seed=1)[0][0], whole[0][0])


def test_a_batch_mixes_the_places_of_the_files(tmp_path: Path) -> None:
    write_rows(tmp_path, sizes=(4000,), group=100)
    _, _, rows = take(ParquetStream(tmp_path, buffer_rows=1200, held_out=0), 1)[0]
    # Forty rows of four blocks of three row groups.
    assert len(set((rows // 100).tolist())) >= 10


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_share_the_batches_of_one(tmp_path: Path, processes: int) -> None:
    write_rows(tmp_path)
    stream = ParquetStream(tmp_path, buffer_rows=200)
    alone = take(stream, 40)
    shares = [take(stream, 40, rank=rank, processes=processes) for rank in range(processes)]
    for step, (_, _, rows) in enumerate(alone):
        together = [int(row) for share in shares for row in share[step][2]]
        assert sorted(together) == sorted(rows.tolist())
    with pytest.raises(UsageError, match="3 processes cannot share 4 shards"):
        batches(stream, processes=3)
    with pytest.raises(UsageError, match="batch_size must be a multiple of the stream's 4 shards, got 30"):
        batches(stream, size=30)


def test_the_workers_of_a_loader_read_every_row_once(tmp_path: Path) -> None:
    x = write_rows(tmp_path)
    stream = ParquetStream(tmp_path, columns=["b"], context=["a"], held_out=0)
    for workers in (0, 2):
        pairs = list(DataLoader(stream, batch_size=32, num_workers=workers))
        events, contexts = torch.cat([pair[0] for pair in pairs]), torch.cat([pair[1] for pair in pairs])
        found = torch.cat([contexts, events], dim=1).numpy()
        assert (np.sort(found, axis=0) == np.sort(x.astype(np.float32), axis=0)).all()


def test_rows_that_are_held_out_are_not_trained_on(tmp_path: Path) -> None:
    write_rows(tmp_path)
    stream = ParquetStream(tmp_path, held_out=0.2, seed=3)
    held_out = {(group.address, group.index) for group in stream.held_out.groups}
    trained = {(group.address, group.index) for group in stream.groups}
    assert len(held_out) == 4 and len(trained) == 17 and not held_out & trained
    assert stream.rows + stream.held_out.rows == 1030


def test_a_sample_is_of_different_rows_all_equally_likely(tmp_path: Path) -> None:
    x = write_rows(tmp_path)
    stream = ParquetStream(tmp_path, held_out=0)
    frame = stream.sample(400, seed=1)
    assert len(frame) == 400 and frame.index.is_unique and (frame.to_numpy() == x[frame.index]).all()
    assert len(stream.sample(5000)) == 1030
    counts = sum(np.bincount(stream.sample(103, seed=seed).index, minlength=1030) for seed in range(60))
    # A tenth of the rows sixty times: each row six times, with the spread of the hypergeometric's mean over groups.
    assert counts.mean() == pytest.approx(6.0)
    assert abs(counts[:700].mean() - 6.0) < 0.6


def test_other_file_systems_are_as_good(tmp_path: Path) -> None:
    write_rows(tmp_path)
    memory = fsspec.filesystem("memory")
    for path in tmp_path.glob("*.parquet"):
        memory.pipe_file(f"/lake/{path.name}", path.read_bytes())
    here, there = take(ParquetStream(tmp_path), 3), take(ParquetStream("memory://lake/*.parquet"), 3)
    assert all(torch.equal(one[0], two[0]) for one, two in zip(here, there))
    memory.rm("/lake", recursive=True)


# Training


def test_a_stream_trains_to_the_likelihood_of_its_rows(tmp_path: Path) -> None:
    x = write_rows(tmp_path, sizes=(3000, 2000), group=100)
    stream = ParquetStream(tmp_path, buffer_rows=800)
    flow = affine_flow()
    result = fit(flow, stream, max_steps=400, batch_size=128, learning_rate=0.05)
    held_out = np.concatenate([x[group.start : group.start + group.rows] for group in stream.held_out.groups])
    expected = -flow.log_prob(torch.from_numpy(held_out).float()).mean().item()
    assert result.best_validation == pytest.approx(expected, abs=1e-5)
    # The best diagonal normal distribution, whose entropy is known.
    trained = x.std(0)
    assert result.best_validation == pytest.approx(np.log(trained).sum() + np.log(2 * np.pi) + 1, abs=0.08)


def test_a_stream_goes_on_where_it_was(tmp_path: Path) -> None:
    write_rows(tmp_path / "data")
    stream = ParquetStream(tmp_path / "data", buffer_rows=200)
    options: dict[str, Any] = {"batch_size": 40, "log_every": 1, "validate_every": 10, "schedule": "constant"}
    whole, parts = small_flow(), small_flow()
    expected = fit(whole, stream, max_steps=60, **options)
    fit(parts, stream, max_steps=35, out=tmp_path / "run", **options)
    again = small_flow()
    found = fit(again, stream, max_steps=60, out=tmp_path / "run", resume=True, **options)
    assert same(weights(whole), weights(again))
    # The run that was cut short recorded its last step, which ends a window of the mean.
    losses = [{row["step"]: row["train_loss"] for row in result.history} for result in (expected, found)]
    assert losses[0] == losses[1] and len(losses[0]) == 60


_DISTRIBUTED = """
import sys, torch
import pushforward as pf

def run(data, out, steps, **options):
    torch.manual_seed(0)
    flow = pf.build("realnvp", features=2, layers=2)
    stream = pf.data.ParquetStream(data, buffer_rows=200)
    pf.fit(flow, stream, max_steps=steps, batch_size=40, seed=3, log_every=1, validate_every=10, progress=False,
           schedule="constant", accelerator="cpu", out=out, **options)

if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2], 20, devices=2, strategy="ddp")
    run(sys.argv[1], sys.argv[2], 40, devices=2, strategy="ddp", resume=True)
"""


@pytest.mark.slow
def test_two_processes_train_on_a_stream_to_the_loss_of_one_also_after_a_pause(tmp_path: Path) -> None:
    write_rows(tmp_path / "data")
    script = tmp_path / "train.py"
    script.write_text(_DISTRIBUTED)
    namespace: dict[str, Any] = {"__name__": "script"}
    exec(_DISTRIBUTED, namespace)
    namespace["run"](tmp_path / "data", tmp_path / "one", 40)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), str(tmp_path / "data"), str(tmp_path / "two")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    curves = []
    for run in ("one", "two"):
        with (tmp_path / run / "metrics.csv").open() as file:
            curves.append({row["step"]: row for row in csv.DictReader(file)})
    assert curves[0].keys() == curves[1].keys() and len(curves[0]) == 40
    for step, one in curves[0].items():
        two = curves[1][step]
        assert float(two["train_nats"]) == pytest.approx(float(one["train_nats"]), abs=1e-4)
        if one["validation_nats"]:
            assert float(two["validation_nats"]) == pytest.approx(float(one["validation_nats"]), abs=1e-4)


_MEMORY = """
import resource, sys
import torch
import pushforward as pf

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

def run(folder, steps):
    flow = pf.Flow([pf.transforms.Elementwise(pf.scalar.Affine(), (8,))], pf.distributions.StandardNormal((8,)))
    stream = pf.data.ParquetStream(folder, buffer_rows=100_000)
    pf.fit(flow, stream, max_steps=steps, batch_size=8192, validate_every=steps, progress=False)

run(sys.argv[1], 2)
before = peak()
run(sys.argv[2], 250)
print(peak() - before)
"""


@pytest.mark.slow
def test_memory_is_that_of_the_buffer_however_long_the_table(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, files in (("short", 2), ("long", 20)):
        (tmp_path / name).mkdir()
        for index in range(files):
            frame = pd.DataFrame(rng.normal(size=(100_000, 8)).astype(np.float32))
            frame.columns = [f"column_{column}" for column in frame.columns]
            frame.to_parquet(tmp_path / name / f"{index}.parquet", row_group_size=25_000)
    command = [sys.executable, "-c", _MEMORY, str(tmp_path / "short"), str(tmp_path / "long")]
    done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # The rows are 64 MB, and the buffer is 3 MB; what a first call needs is in the first run already.
    assert float(done.stdout) < 25


# What is wrong


def test_what_cannot_be_streamed_is_told_before_any_work(tmp_path: Path) -> None:
    write_rows(tmp_path / "data")
    write_rows(tmp_path / "one", sizes=(20,))
    with pytest.raises(UsageError, match="one row group cannot be held out of one"):
        ParquetStream(tmp_path / "one")
    assert ParquetStream(tmp_path / "one", held_out=0).held_out is None
    with pytest.raises(UsageError, match=r"held_out in \[0, 1\)"):
        ParquetStream(tmp_path / "data", held_out=1.0)
    with pytest.raises(DataError, match=r"no \.parquet files there"):
        ParquetStream(tmp_path / "nowhere")
    with pytest.raises(DataError, match="row group 0: expected a column 'c', found a, b"):
        fit(small_flow(), ParquetStream(tmp_path / "one", ["a", "c"], held_out=0), max_steps=1)
    with pytest.raises(ShapeError, match=r"the training events must be \(N, 2\) for this flow, got \(1024, 1\)"):
        fit(small_flow(), ParquetStream(tmp_path / "data", ["a"], held_out=0.0), max_steps=1)
    with pytest.raises(UsageError, match="takes no context"):
        fit(small_flow(), ParquetStream(tmp_path / "data", context=["a"], columns=["a", "b"]), max_steps=1)
    (tmp_path / "data" / "1.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(DataError, match=r"1\.parquet: no readable parquet table"):
        ParquetStream(tmp_path / "data")


def test_a_file_that_fails_in_the_middle_leaves_the_last_good_weights(tmp_path: Path) -> None:
    write_rows(tmp_path)
    frame = pd.read_parquet(tmp_path / "0.parquet")
    frame.loc[321, "b"] = np.nan
    frame.to_parquet(tmp_path / "0.parquet", row_group_size=50, index=False)
    stream = ParquetStream(tmp_path, buffer_rows=200, held_out=0)
    flow = affine_flow()
    with pytest.raises(TrainingError, match=r"0\.parquet, row group 6: column 'b' has a missing .*\(row 321\)"):
        pf.fit(flow, stream.mapped(_first_rows(stream)), max_steps=100, batch_size=40, seed=0, progress=False)
    assert not flow.training and not same(weights(flow), weights(affine_flow()))


def _first_rows(stream: ParquetStream) -> Any:
    """Rows as they are, but for a sample, which is filled in where a training later fails."""

    def read(frame: pd.DataFrame) -> Any:
        if len(frame) > 50:
            frame = frame.fillna(0.0)
        return stream.pair(frame, torch.float32, stream.groups[int(frame.index[0]) // 50])

    return read


def test_a_density_of_columns_of_any_kind_is_fitted_to_a_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pushforward.sklearn import FlowDensity

    rng = np.random.default_rng(0)
    for index in range(3):
        kind = rng.choice(["a", "b"], 2000, p=[0.3, 0.7])
        size = np.where(kind == "a", -2.0, 2.0) + rng.normal(size=2000)
        frame = pd.DataFrame({"kind": kind, "size": size})
        frame.to_parquet(tmp_path / f"{index}.parquet", row_group_size=200, index=False)
    monkeypatch.setattr("pushforward.tables.streaming.ROWS_FOR_COLUMNS", 1500)
    density = FlowDensity(random_state=0, max_steps=300).fit(ParquetStream(tmp_path, buffer_rows=1000))
    # The entropy of the choice and of a normal distribution, in nats.
    entropy = -(0.3 * np.log(0.3) + 0.7 * np.log(0.7)) + 0.5 * np.log(2 * np.pi * np.e)
    assert density.score(frame) == pytest.approx(-entropy, abs=0.08)
    assert density.entropy_ == pytest.approx(entropy, abs=0.15)
    drawn = density.sample(4000)
    assert (drawn.kind == "a").mean() == pytest.approx(0.3, abs=0.05)
    assert drawn["size"][drawn.kind == "a"].mean() == pytest.approx(-2.0, abs=0.25)
    with pytest.raises(UsageError, match="this stream has the context"):
        FlowDensity().fit(ParquetStream(tmp_path, context=["kind"]))
