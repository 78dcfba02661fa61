"""Tables in many parquet files: every worker's results are those of one process, and none is lost or mistaken."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

import pushforward as pf
from pushforward.data.storage import parquet_files
from pushforward.errors import DataError, UsageError
from pushforward.partitions.engines import check_engine
from pushforward.partitions.partition import plan_partitions
from pushforward.partitions.record_batches import ScoreBatches
from pushforward.partitions.sampling import plan_samples
from pushforward.sklearn import FlowDensity

COLUMNS = ("a", "b", "c")


def flow(seed: int = 0) -> pf.Flow:
    torch.manual_seed(seed)
    made = pf.build("nsf", features=3, layers=1, hidden=(16,))
    made.initialise(torch.randn(100, 3))
    return made.eval()


def write_rows(path: Path, rows: int, seed: int, group: int = 100) -> pd.DataFrame:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = pd.DataFrame(np.random.default_rng(seed).normal(size=(rows, 3)), columns=list(COLUMNS))
    frame.insert(0, "id", np.arange(rows) + 1000 * seed)
    frame.to_parquet(path, row_group_size=group, index=False)
    return frame


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index, name in enumerate(["x.parquet", "y.parquet", "deep/z.parquet"]):
        write_rows(tmp_path / "data" / name, 250 + index, index)
    return tmp_path / "data"


def expected(model: pf.Flow, path: Path) -> np.ndarray[Any, Any]:
    x = torch.from_numpy(pd.read_parquet(path)[list(COLUMNS)].to_numpy(np.float32, copy=True))
    with torch.no_grad():
        return model.log_prob(x).double().numpy()


def scores(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    return {str(each.relative_to(path)): pd.read_parquet(each).log_prob.to_numpy() for each in path.rglob("*.parquet")}


def test_every_file_becomes_a_file_of_its_scores(folder: Path, tmp_path: Path) -> None:
    model = flow()
    report = pf.partitions.score(model, folder, tmp_path / "out", keep=["id"])
    assert (report.rows, report.partitions, report.skipped, report.failures) == (753, 3, 0, ())
    for path in folder.rglob("*.parquet"):
        found = pd.read_parquet(tmp_path / "out" / path.relative_to(folder))
        assert list(found.columns) == ["id", "log_prob"]
        assert (found.id == pd.read_parquet(path).id).all()
        assert found.log_prob.to_numpy() == pytest.approx(expected(model, path), abs=1e-5)


def test_a_large_file_is_cut_at_its_row_groups_in_order(tmp_path: Path) -> None:
    write_rows(tmp_path / "large.parquet", 950, 0, group=100)
    partitions, failures = plan_partitions(parquet_files(tmp_path), limit=300)
    assert failures == [] and [each.rows for each in partitions] == [300, 300, 300, 50]
    assert [each.name for each in partitions] == [f"large-{index:05}-of-00004.parquet" for index in range(4)]
    batches = [batch for each in partitions for _, batch in each.batches(["id"])]
    assert pa.Table.from_batches(batches)["id"].to_pylist() == list(range(950))


def test_a_glob_takes_what_it_names_and_hidden_files_are_no_data(folder: Path) -> None:
    write_rows(folder / "_delta" / "log.parquet", 10, 0)
    write_rows(folder / ".x.parquet", 10, 0)
    assert list(parquet_files(folder)) == ["deep/z.parquet", "x.parquet", "y.parquet"]
    assert list(parquet_files(folder / "*.parquet")) == ["x.parquet", "y.parquet"]
    assert list(parquet_files(folder / "x.parquet")) == ["x.parquet"]
    with pytest.raises(DataError, match=r"no \.parquet files there"):
        parquet_files(folder / "*.csv")


def test_other_file_systems_are_as_good(folder: Path, tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    for path in folder.glob("*.parquet"):
        memory.pipe_file(f"/bucket/data/{path.name}", path.read_bytes())
    model = flow()
    pf.partitions.score(model, folder / "*.parquet", tmp_path / "out", keep=["id"])
    report = pf.partitions.score(model, "memory://bucket/data/*.parquet", "memory://bucket/scored", keep=["id"])
    again = pf.partitions.score(
        model, "memory://bucket/data/*.parquet", "memory://bucket/scored", keep=["id"], resume=True
    )
    assert (report.partitions, again.partitions, again.skipped) == (2, 0, 2)
    assert sorted(memory.find("/bucket/scored")) == ["/bucket/scored/x.parquet", "/bucket/scored/y.parquet"]
    for path in (tmp_path / "out").glob("*.parquet"):
        with memory.open(f"/bucket/scored/{path.name}") as file:
            assert pd.read_parquet(file).equals(pd.read_parquet(path))
    memory.rm("/bucket", recursive=True)


def test_resume_does_what_is_missing_or_has_changed(folder: Path, tmp_path: Path) -> None:
    model, out = flow(), tmp_path / "out"
    pf.partitions.score(model, folder, out, keep=["id"])
    (out / "x.parquet").unlink()
    kept = (out / "deep" / "z.parquet").stat().st_mtime_ns
    write_rows(folder / "y.parquet", 40, 9)
    report = pf.partitions.score(model, folder, out, keep=["id"], resume=True)
    assert (report.partitions, report.skipped, report.rows) == (2, 1, 290)
    assert (out / "deep" / "z.parquet").stat().st_mtime_ns == kept
    assert len(pd.read_parquet(out / "y.parquet")) == 40


def test_a_file_that_was_cut_otherwise_leaves_no_old_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_partitions
    monkeypatch.setattr("pushforward.partitions.scoring.plan_partitions", lambda files: plan(files, 300))
    model, out = flow(), tmp_path / "out"
    write_rows(tmp_path / "data" / "x.parquet", 950, 0)
    pf.partitions.score(model, tmp_path / "data", out, keep=["id"])
    (out / ".x-00000-of-00002.left.parquet").write_bytes(b"of a worker that was killed")
    (out / "notes.parquet").write_bytes(b"somebody's own")
    frame = write_rows(tmp_path / "data" / "x.parquet", 550, 1)
    assert pf.partitions.score(model, tmp_path / "data", out, keep=["id"], resume=True).partitions == 2
    assert sorted(path.name for path in out.iterdir()) == [
        "notes.parquet",
        "x-00000-of-00002.parquet",
        "x-00001-of-00002.parquet",
    ]
    assert pd.concat([pd.read_parquet(path) for path in sorted(out.glob("x-*"))]).id.tolist() == frame.id.tolist()


def test_what_is_there_is_neither_written_over_nor_taken_for_this_models(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pf.partitions.score(flow(), folder, out, keep=["id"])
    before = scores(out)
    with pytest.raises(UsageError, match="is there already: resume goes on"):
        pf.partitions.score(flow(), folder, out, keep=["id"])
    for model, keep in ((flow(1), ["id"]), (flow(), ["id", "a"])):
        with pytest.raises(UsageError, match="another model or of other options"):
            pf.partitions.score(model, folder, out, keep=keep, resume=True)
    assert all((scores(out)[name] == values).all() for name, values in before.items())
    with pytest.raises(UsageError, match="lies in the folder of the scores"):
        pf.partitions.score(flow(), tmp_path, out, resume=True)


def test_a_bad_file_is_named_and_loses_no_other(folder: Path, tmp_path: Path) -> None:
    content = (folder / "y.parquet").read_bytes()
    (folder / "cut.parquet").write_bytes(content[: len(content) // 2])
    frame = write_rows(folder / "gap.parquet", 250, 3)
    frame.loc[230, "b"] = np.nan
    frame.to_parquet(folder / "gap.parquet", row_group_size=100, index=False)
    damaged = bytearray(content)
    damaged[200:400] = bytes(200)
    (folder / "damaged.parquet").write_bytes(damaged)
    frame.drop(columns=["id", "c"]).to_parquet(folder / "narrow.parquet")
    said: list[str] = []
    report = pf.partitions.score(flow(), folder, tmp_path / "out", keep=["id"], say=said.append)
    assert report.partitions == 3 and sorted(scores(tmp_path / "out")) == ["deep/z.parquet", "x.parquet", "y.parquet"]
    told = "\n".join(report.failures)
    assert "cut.parquet: no readable parquet table" in told
    assert "gap.parquet, row group 2: the rows: column 'b' has a missing or infinite value" in told
    assert "damaged.parquet, row group 0: " in told
    assert "narrow.parquet, row group 0: expected a column 'id'" in told
    assert len(report.failures) == 4 and len(said) == 3
    assert not list((tmp_path / "out").rglob(".*"))


def test_an_empty_file_has_no_scores(tmp_path: Path) -> None:
    write_rows(tmp_path / "data" / "none.parquet", 0, 0)
    report = pf.partitions.score(flow(), tmp_path / "data", tmp_path / "out", keep=["id"])
    found = pd.read_parquet(tmp_path / "out" / "none.parquet")
    assert report.partitions == 1 and list(found.columns) == ["id", "log_prob"] and len(found) == 0


# The function


def test_a_pickled_function_gives_the_same_scores_to_batches_and_frames(tmp_path: Path) -> None:
    frame = write_rows(tmp_path / "x.parquet", 200, 0)
    score = pickle.loads(pickle.dumps(ScoreBatches(flow(), keep=["id"])))
    batch = score(pa.RecordBatch.from_pandas(frame))
    frames = list(score.frames(iter([frame[:150], frame[150:], frame[:0]])))
    assert batch.column("log_prob").to_numpy() == pytest.approx(expected(flow(), tmp_path / "x.parquet"), abs=1e-5)
    assert pd.concat(frames).log_prob.to_numpy() == pytest.approx(batch.column("log_prob").to_numpy(), abs=1e-5)
    assert [list(each.columns) for each in frames] == [["id", "log_prob"]] * 3
    for call in (lambda: score(batch.select(["log_prob"])), lambda: list(score.frames([frame[["a"]]]))):
        with pytest.raises(DataError, match="expected a column 'id'"):
            call()
    with pytest.raises(UsageError, match="'log_prob' is the name of the scores"):
        ScoreBatches(flow(), keep=["log_prob"])


def test_an_estimator_reads_its_columns_of_any_kind_by_name(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"size": rng.normal(5, 2, 300), "colour": rng.choice(["red", "blue"], 300), "id": np.arange(300)}
    )
    density = FlowDensity(random_state=0, max_steps=5).fit(frame[["size", "colour"]])
    density.save(tmp_path / "density.safetensors")
    shuffled = frame[["id", "colour", "size"]]
    (tmp_path / "data").mkdir()
    shuffled.to_parquet(tmp_path / "data" / "x.parquet")
    for number, model in enumerate([density, tmp_path / "density.safetensors"]):
        pf.partitions.score(model, tmp_path / "data", tmp_path / f"out{number}")
        found = pd.read_parquet(tmp_path / f"out{number}" / "x.parquet")
        assert found.log_prob.to_numpy() == pytest.approx(density.score_samples(frame[["size", "colour"]]), abs=1e-12)
    pf.partitions.sample(density, 50, tmp_path / "drawn")
    drawn = pd.read_parquet(tmp_path / "drawn")
    assert list(drawn.columns) == ["size", "colour"] and set(drawn.colour) <= {"red", "blue"}


# Samples


def test_samples_are_the_same_whoever_draws_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushforward.partitions.sampling.plan_samples", lambda rows: plan_samples(rows, 100))
    model = flow()
    for workers in (1, 3):
        report = pf.partitions.sample(model, 250, tmp_path / str(workers), seed=5, workers=workers)
        assert (report.partitions, report.rows) == (3, 250)
    one, three = (pd.read_parquet(tmp_path / name) for name in ("1", "3"))
    assert one.equals(three) and len(one) == 250 and not one.duplicated().any()
    with pytest.raises(UsageError, match="another model or of other options"):
        pf.partitions.sample(model, 250, tmp_path / "1", seed=6, resume=True)
    (tmp_path / "1" / "part-00001-of-00003.parquet").unlink()
    assert pf.partitions.sample(model, 250, tmp_path / "1", seed=5, resume=True).partitions == 1
    assert pd.read_parquet(tmp_path / "1").equals(three)


def test_samples_follow_the_flow(tmp_path: Path) -> None:
    exact = pf.Flow([pf.transforms.Elementwise(pf.scalar.Affine(), (2,))], pf.distributions.StandardNormal((2,)))
    pf.partitions.sample(exact, 200_000, tmp_path / "drawn")
    drawn = pd.read_parquet(tmp_path / "drawn").to_numpy()
    # Five standard errors of a mean, a variance and a correlation of standard normal numbers.
    assert np.abs(drawn.mean(0)).max() < 5 / 200_000**0.5
    assert np.abs(np.cov(drawn.T) - np.eye(2)).max() < 5 * (2 / 200_000) ** 0.5


# Engines


@pytest.mark.parametrize(
    ("engine", "scheduler", "workers", "told"),
    [
        ("ray", None, None, "engine must be one of local, dask"),
        ("local", "tcp://somewhere:1", None, "a scheduler is for engine='dask'"),
        ("dask", "tcp://somewhere:1", 2, "give one of the two"),
        ("local", None, 0, "workers must be at least 1"),
    ],
)
def test_a_choice_of_workers_that_cannot_be_is_told(engine: str, scheduler: Any, workers: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        check_engine(engine, scheduler, workers)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    from dask.distributed import Client, LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as running, Client(running) as client:
        yield client


def _kill_a_worker_when(client: Any, out: Path) -> threading.Thread:
    victim = next(iter(client.run(os.getpid).values()))

    def kill() -> None:
        while not any(out.glob("*.parquet")):
            time.sleep(0.01)
        os.kill(victim, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    return thread


def test_a_worker_that_is_killed_in_the_middle_loses_nothing(cluster: Any, tmp_path: Path) -> None:
    for index in range(6):
        write_rows(tmp_path / "data" / f"{index}.parquet", 20_000, index, group=5_000)
    model = flow()
    alone = pf.partitions.score(model, tmp_path / "data", tmp_path / "alone", keep=["id"], workers=1)
    killer = _kill_a_worker_when(cluster, tmp_path / "out")
    report = pf.partitions.score(
        model, tmp_path / "data", tmp_path / "out", keep=["id"], engine="dask", scheduler=cluster
    )
    killer.join()
    assert alone.failures == report.failures == () and report.rows == alone.rows == 120_000
    assert not list((tmp_path / "out").glob(".*"))
    one, two = scores(tmp_path / "alone"), scores(tmp_path / "out")
    assert one.keys() == two.keys() and all((one[name] == two[name]).all() for name in one)


def test_samples_of_a_cluster_are_those_of_one_process(cluster: Any, tmp_path: Path) -> None:
    pf.partitions.sample(flow(), 3000, tmp_path / "alone", workers=1)
    pf.partitions.sample(flow(), 3000, tmp_path / "out", engine="dask", scheduler=cluster.scheduler.address)
    assert pd.read_parquet(tmp_path / "alone").equals(pd.read_parquet(tmp_path / "out"))


def test_nobody_at_the_scheduler_is_told(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushforward.partitions.engines._SECONDS_TO_CONNECT", 0.2)
    with pytest.raises(UsageError, match="no dask scheduler answers at tcp://127"):
        pf.partitions.score(flow(), folder, tmp_path / "out", engine="dask", scheduler="tcp://127.0.0.1:9", keep=["id"])
    assert not (tmp_path / "out").exists()


def test_numbers_of_rows_go_on_over_partitions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushforward.partitions.sampling.ROWS_IN_BATCH", 40)
    monkeypatch.setattr("pushforward.partitions.sampling.plan_samples", lambda rows: plan_samples(rows, 100))
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"id": np.arange(60), "x": rng.normal(size=60), "y": rng.normal(size=60)})
    density = pf.sklearn.FlowDensity(max_steps=5, random_state=0).fit(frame)
    pf.partitions.sample(density, 250, tmp_path, workers=1)
    assert sorted(pd.read_parquet(tmp_path).id) == list(range(60, 310))
