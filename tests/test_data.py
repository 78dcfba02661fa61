"""Readers give back what was written, refuse what is damaged, and the toy densities are what they say."""

from __future__ import annotations

import gzip
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import pushforward.data as data
from pushforward.errors import DataError, ShapeError, UsageError

RANDOM = np.random.default_rng(3)


def one_line(error: pytest.ExceptionInfo[DataError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def test_digits_split_and_levels() -> None:
    from sklearn.datasets import load_digits

    digits = data.load_data("digits")
    images = torch.as_tensor(load_digits().images, dtype=torch.float32)[:, None]
    assert digits.levels == 17
    assert torch.equal(digits.train, images[:1000])
    assert torch.equal(digits.validation, images[1000:1350])
    assert torch.equal(digits.test, images[1350:])


@pytest.mark.parametrize("kind", ["u1", "i1", "i2", "i4", "f4", "f8"])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_round_trip(tmp_path: Path, kind: str, ending: str) -> None:
    x = RANDOM.integers(0, 100, (3, 4, 5)).astype(kind)
    path = tmp_path / f"x-idx3{ending}"
    data.write_idx(path, x)
    back = data.read_idx(path)
    assert back.dtype == x.dtype and np.array_equal(back, x)


def test_idx_known_bytes(tmp_path: Path) -> None:
    path = tmp_path / "known"
    path.write_bytes(bytes([0, 0, 0x0B, 2, 0, 0, 0, 1, 0, 0, 0, 2, 1, 0, 0xFF, 0xFF]))
    assert data.read_idx(path).tolist() == [[256, -1]]


@pytest.fixture
def mnist(tmp_path: Path) -> Path:
    data.write_idx(tmp_path / "train-images-idx3-ubyte.gz", RANDOM.integers(0, 256, (60, 7, 6)).astype(np.uint8))
    data.write_idx(tmp_path / "t10k-images-idx3-ubyte", RANDOM.integers(0, 256, (12, 7, 6)).astype(np.uint8))
    return tmp_path


def test_mnist_folder(mnist: Path) -> None:
    found = data.load_data(f"mnist:{mnist}")
    raw = data.read_idx(mnist / "train-images-idx3-ubyte.gz")
    assert (len(found.train), len(found.validation), len(found.test)) == (50, 10, 12)
    assert found.event_shape == (1, 7, 6) and found.levels == 256
    assert np.array_equal(torch.cat([found.train, found.validation])[:, 0].numpy(), raw)


def test_mnist_missing_file(mnist: Path) -> None:
    (mnist / "t10k-images-idx3-ubyte").unlink()
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte") as error:
        data.load_mnist(mnist)
    one_line(error)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file"),
        (b"PNG\0 something else", "not an IDX file"),
        (b"\0\0\x08\x03\0\0", "truncated"),
        (b"\0\0\x08\x01\0\0\0\x05abc", "truncated IDX file, shape \\(5,\\) takes 13 bytes and there are 11"),
        (b"\0\0\x08\x01\0\0\0\x01abc", "past its end"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "truncated"),
        (gzip.compress(b"\0\0\x08\x01\0\0\0\x05abcde", mtime=0)[:-9], "gzip"),
        (gzip.compress(b"\0\0\x08\x01\0\0\0\x05abc", mtime=0), "truncated"),
    ],
)
def test_idx_damaged(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x-idx1-ubyte"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        data.read_idx(path)
    assert str(path) in one_line(error)


def test_idx_of_wrong_dimensions(tmp_path: Path) -> None:
    data.write_idx(tmp_path / "labels-idx1", np.arange(20, dtype=np.uint8))
    with pytest.raises(DataError, match=r"expected images .* got shape \(20,\)"):
        data.load_data(str(tmp_path / "labels-idx1"))


def cifar(folder: Path) -> np.ndarray:
    records = RANDOM.integers(0, 256, (20, 3073)).astype(np.uint8)
    records[:, 0] %= 10
    for name in ("data_batch_1.bin", "data_batch_2.bin", "test_batch.bin"):
        (folder / name).write_bytes(records.tobytes())
    return records


def test_cifar10(tmp_path: Path) -> None:
    records = cifar(tmp_path)
    found = data.load_data(f"cifar10:{tmp_path}")
    assert found.event_shape == (3, 32, 32) and found.levels == 256
    assert (len(found.train), len(found.validation), len(found.test)) == (36, 4, 20)
    # The file stores whole planes, red first, row by row.
    assert found.test[5, 2, 3, 4] == records[5, 1 + 2 * 1024 + 3 * 32 + 4]


def test_cifar10_damaged(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="binary files"):
        data.load_cifar10(tmp_path)
    cifar(tmp_path)
    (tmp_path / "test_batch.bin").write_bytes(b"\0" * 4000)
    with pytest.raises(DataError, match="multiple of 3073"):
        data.load_cifar10(tmp_path)
    (tmp_path / "test_batch.bin").write_bytes(b"\x20" * 3073)
    with pytest.raises(DataError, match="labels"):
        data.load_cifar10(tmp_path)


def test_npy_is_split_without_loss(tmp_path: Path) -> None:
    x = np.arange(40 * 6).reshape(40, 3, 2).astype(np.uint8)
    np.save(tmp_path / "x.npy", x)
    found = data.load_data(str(tmp_path / "x.npy"))
    assert found.levels == 256 and found.event_shape == (1, 3, 2)
    assert (len(found.train), len(found.validation), len(found.test)) == (32, 4, 4)
    everything = torch.cat(list(found.parts().values())).reshape(40, 6)
    assert torch.equal(everything[everything[:, 0].argsort()], torch.as_tensor(x.reshape(40, 6)).float())
    assert torch.equal(found.train[:, 0, 0, 0] / 6, torch.as_tensor(np.random.default_rng(0).permutation(40)[:32]))


def test_npz_parts_and_levels(tmp_path: Path) -> None:
    parts = {part: RANDOM.integers(0, 5, (n, 2, 4, 4)) for part, n in [("train", 7), ("val", 2), ("test", 3)]}
    np.savez(tmp_path / "x.npz", **parts, levels=5)
    found = data.load_data(str(tmp_path / "x.npz"))
    assert found.levels == 5 and np.array_equal(found.validation.numpy(), parts["val"])
    assert data.load_data(str(tmp_path / "x.npz"), levels=9).levels == 9
    with pytest.raises(DataError, match=r"expected values 0\.\.2 \(3 levels\), got 0\.\.4"):
        data.load_data(str(tmp_path / "x.npz"), levels=3)


def test_float_array_is_continuous(tmp_path: Path) -> None:
    x = RANDOM.normal(size=(30, 4))
    np.savez(tmp_path / "x.npz", x)
    found = data.load_data(str(tmp_path / "x.npz"))
    assert found.levels is None and found.train.shape == (24, 4)
    # In the precision that it was stored in.
    assert np.array_equal(found.train.numpy(), x[np.random.default_rng(0).permutation(30)[:24]])


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros(20), "expected \\(N, D\\)"),
        (np.zeros((0, 3)), "expected \\(N, D\\)"),
        (np.zeros((5, 3)), "at least 10"),
        (np.full((20, 3), np.nan), "not finite"),
        (np.full((20, 3), -1), "negative"),
        (np.zeros((20, 3), complex), "expected numbers"),
        (np.array([["a", "b"]] * 20), "expected numbers"),
        (np.array([[None, 1]] * 20), "not a readable NumPy file"),
    ],
)
def test_unusable_arrays(tmp_path: Path, x: np.ndarray, message: str) -> None:
    np.save(tmp_path / "x.npy", x, allow_pickle=True)
    with pytest.raises(DataError, match=message) as error:
        data.load_arrays(tmp_path / "x.npy")
    one_line(error)


def test_damaged_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", RANDOM.normal(size=(50, 4)))
    whole = (tmp_path / "x.npz").read_bytes()
    for content in (whole[: len(whole) // 2], b"not a zip", b""):
        (tmp_path / "x.npz").write_bytes(content)
        with pytest.raises(DataError, match="not a readable NumPy file") as error:
            data.load_arrays(tmp_path / "x.npz")
        one_line(error)


def test_missing_parts_are_taken_from_the_training_rows(tmp_path: Path) -> None:
    train, test = np.arange(60.0).reshape(20, 3), np.ones((7, 3))
    np.savez(tmp_path / "x.npz", x_train=train, x_test=test, y_train=np.zeros(20), y_test=np.zeros(7))
    found = data.load_data(str(tmp_path / "x.npz"))
    assert [len(part) for part in found.parts().values()] == [18, 2, 7]
    assert "missing part (validation)" in found.notes[0]
    rows = np.concatenate([found.train.numpy(), found.validation.numpy()])
    assert np.array_equal(rows[np.argsort(rows[:, 0])], train) and np.array_equal(found.test.numpy(), test)
    np.savez(tmp_path / "x.npz", train=train[:9])
    with pytest.raises(DataError, match="too few to take a validation part"):
        data.load_arrays(tmp_path / "x.npz")
    np.savez(tmp_path / "x.npz", train=train, test=np.ones((4, 2)))
    with pytest.raises(DataError, match=r"train \(3,\), test \(2,\)"):
        data.load_arrays(tmp_path / "x.npz")


def test_an_array_is_chosen_by_name_or_by_what_the_others_are(tmp_path: Path) -> None:
    images, more = RANDOM.integers(0, 9, (20, 4, 4)), RANDOM.integers(0, 9, (30, 5))
    path = tmp_path / "x.npz"
    np.savez(path, images=images, labels=np.zeros(20))
    assert data.load_data(str(path)).event_shape == (1, 4, 4)
    np.savez(path, images=images, more=more)
    with pytest.raises(DataError, match=r"found images, more; name one of them: .*x.npz:NAME"):
        data.load_data(str(path))
    assert data.load_data(f"{path}:more").event_shape == (5,)
    with pytest.raises(DataError, match="expected an array 'less', found images, more"):
        data.load_data(f"{path}:less")


@pytest.mark.parametrize("levels", [np.array([3, 4]), np.array("many"), np.array(2.5), np.array(1), np.array(np.nan)])
def test_odd_levels_are_said(tmp_path: Path, levels: np.ndarray) -> None:
    np.savez(tmp_path / "x.npz", data=np.zeros((20, 3), int), levels=levels)
    with pytest.raises(DataError, match="expected in levels one whole number of at least 2"):
        data.load_arrays(tmp_path / "x.npz")


def test_byte_order_does_not_change_the_levels(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", RANDOM.integers(0, 900, (20, 3)).astype(">u2"))
    assert data.load_arrays(tmp_path / "x.npy").levels == 65536


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels_last_are_recognised_and_said(tmp_path: Path, channels: int) -> None:
    x = RANDOM.integers(0, 256, (20, 8, 9, channels)).astype(np.uint8)
    np.save(tmp_path / "x.npy", x)
    found = data.load_arrays(tmp_path / "x.npy")
    assert found.event_shape == (channels, 8, 9) and "pictures of 9x8" in found.notes[0]
    first = np.random.default_rng(0).permutation(20)[0]
    assert np.array_equal(found.train[0].numpy(), x[first].transpose(2, 0, 1))


@pytest.mark.parametrize("shape", [(20, 3, 8, 3), (20, 16, 4, 4), (20, 1, 5, 1)])
def test_channels_first_stay(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "x.npy", np.zeros(shape, np.uint8))
    found = data.load_arrays(tmp_path / "x.npy")
    assert found.event_shape == shape[1:] and found.notes == ()


def test_levels_that_no_value_has_are_told(tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    for largest, notes in ((1, 1), (127, 0), (255, 0)):
        x = (np.arange(600) % 2 * largest).astype(np.uint8).reshape(10, 3, 4, 5)
        np.save(tmp_path / "x.npy", x)
        for index, clip in enumerate(x):
            np.save(clips / f"{index}.npy", clip)
        for spec in (str(tmp_path / "x.npy"), f"clips:{clips}"):
            found = data.load_data(spec)
            assert found.levels == 256 and ["--levels 2 " in note for note in found.notes] == [True] * notes
            assert data.load_data(spec, largest + 1).notes == ()


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16])
def test_pictures_of_fractions_become_levels(tmp_path: Path, kind: type) -> None:
    whole = RANDOM.integers(0, 256, (20, 1, 6, 6))
    np.save(tmp_path / "x.npy", (whole / 255).astype(kind))
    for levels in (None, 256):
        found = data.load_data(str(tmp_path / "x.npy"), levels)
        assert found.levels == 256 and found.train.dtype == torch.float32 and "256 levels" in found.notes[0]
        order = np.random.default_rng(0).permutation(20)
        assert np.array_equal(found.train.numpy(), whole[order[:16]])
    # Of other fractions the levels must be told, and the rounding is.
    np.save(tmp_path / "x.npy", RANDOM.random((20, 1, 6, 6)))
    assert data.load_arrays(tmp_path / "x.npy").levels is None
    assert "rounded by up to 0." in data.load_arrays(tmp_path / "x.npy", 16).notes[0]
    np.save(tmp_path / "x.npy", RANDOM.normal(size=(20, 1, 6, 6)))
    with pytest.raises(DataError, match=r"whole numbers 0\.\.15 or fractions 0\.\.1, got fractions -"):
        data.load_arrays(tmp_path / "x.npy", 16)


@pytest.mark.parametrize("name", ["x.npz", "x.npy", "t.csv.gz", "t.csv.xz", "t.csv.zst", "t.csv.bz2", "t.csv.zip"])
def test_damage_is_said_in_one_line(tmp_path: Path, frame, name: str) -> None:
    path = tmp_path / name
    if name.endswith("npz"):
        np.savez_compressed(path, frame.to_numpy())
    elif name.endswith("npy"):
        np.save(path, frame.to_numpy())
    else:
        frame.to_csv(path, index=False)
    whole = path.read_bytes()
    load = data.load_table if name.startswith("t") else data.load_arrays
    for damaged in (whole[: len(whole) // 2], whole[:100] + bytes(40) + whole[140:], whole[:6], b""):
        path.write_bytes(damaged)
        try:
            load(path)
        except DataError as error:
            assert name in str(error) and "\n" not in str(error)
        else:  # zeros in the middle of plain numbers are numbers
            assert name == "x.npy"


@pytest.fixture
def frame():
    import pandas as pd

    return pd.DataFrame({"a": np.arange(100), "b": RANDOM.normal(size=100), "c": RANDOM.normal(size=100)})


@pytest.mark.parametrize(
    "name", ["t.csv", "t.CSV", "t.csv.gz", "t.csv.bz2", "t.csv.xz", "t.csv.zst", "t.csv.zip", "t.tsv", "t.parquet"]
)
def test_tables(tmp_path: Path, frame, name: str) -> None:
    path = tmp_path / name
    if name.endswith("parquet"):
        frame.to_parquet(path, index=False)
    else:
        frame.to_csv(path, index=False, sep="\t" if "tsv" in name else ",")
    found = data.load_data(str(path))
    assert found.columns == ("a", "b", "c") and found.levels is None
    order = np.random.default_rng(0).permutation(100)
    assert np.allclose(found.test.numpy(), frame.to_numpy()[order[90:]], rtol=1e-6)
    chunks = list(data.iterate_table(path, rows=30))
    assert [len(chunk) for chunk in chunks] == [30, 30, 30, 10]
    assert [index for chunk in chunks for index in chunk.index] == list(range(100))
    assert np.allclose(np.concatenate([chunk.to_numpy() for chunk in chunks]), frame.to_numpy())


def test_csv_without_a_header_keeps_its_first_row(tmp_path: Path, frame) -> None:
    frame.to_csv(tmp_path / "t.csv", index=False, header=False)
    found = data.load_table(tmp_path / "t.csv")
    assert found.columns == ("column_0", "column_1", "column_2")
    assert sum(len(part) for part in found.parts().values()) == 100


def rows_of(table: data.TableFile) -> list[list[object]]:
    return table.read().to_numpy().tolist()


def written(tmp_path: Path, text: str, name: str = "t.csv") -> data.TableFile:
    (tmp_path / name).write_bytes(text.encode())
    return data.open_table(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("0.5,0.5,1\n1,2,3\n", [0.5, 0.5, 1]),
        ("0.5,,1\n1,2,3\n", [0.5, None, 1]),
        ("nan,0.5,1\n1,2,3\n", [None, 0.5, 1]),
        ("1e5,-2,1\n1,2,3\n", [1e5, -2, 1]),
        ("5.1,3.5,setosa\n4.9,3.0,setosa\n7,3.2,virginica\n", [5.1, 3.5, "setosa"]),
        ("bob,23,5\nann,24,6\neve,29,7\n", ["bob", 23, 5]),
        ("?,2,3\n4,?,5\n", [None, 2, 3]),
    ],
)
def test_a_first_line_of_data_is_a_row(tmp_path: Path, text: str, first: list[object]) -> None:
    frame = written(tmp_path, text).read()
    assert len(frame) == text.count("\n") and list(frame.columns) == ["column_0", "column_1", "column_2"]
    assert [None if value != value else value for value in frame.iloc[0].tolist()] == first


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a,b\n1,2\n", ["a", "b"]),
        ("a,,c\n1,2,3\n", ["a", "column_1", "c"]),
        ("a,a\n1,2\n", ["a", "a.1"]),
        ("name,2001,2002\nann,5,6\nbob,7,8\n", ["name", "2001", "2002"]),
        ("name,colour\nann,red\n", ["name", "colour"]),
        ("\ufeffa,b\n1,2\n", ["a", "b"]),
        ('"a, b";"c"\n1,5;2\n', ["a, b", "c"]),
        ('"a\nb",c\n1,2\n', ["a\nb", "c"]),
        ("a|b\n1|2\n", ["a", "b"]),
        ("a,b,\n1,2,\n3,4,\n", ["a", "b"]),
        ("a,b\n1,2,\n3,4,\n", ["a", "b"]),
    ],
)
def test_a_first_line_of_names_is_none(tmp_path: Path, text: str, names: list[str]) -> None:
    table = written(tmp_path, text)
    frame = table.read()
    assert list(frame.columns) == names == list(table.names)
    assert len(frame) == text.count("\n") - 1 - text.count('\nb"')


def test_semicolons_and_decimal_commas(tmp_path: Path) -> None:
    assert rows_of(written(tmp_path, "a;b\n1,5;2\n-3,25;4\n")) == [[1.5, 2], [-3.25, 4]]
    assert rows_of(written(tmp_path, "a;b\n1.5;2\n-3.25;4\n")) == [[1.5, 2], [-3.25, 4]]
    assert rows_of(written(tmp_path, "1,5\t2,5\n1,0\t3,5\n", "t.tsv")) == [[1.5, 2.5], [1.0, 3.5]]
    assert rows_of(written(tmp_path, "a,b\nx;y,1\nz,2\n")) == [["x;y", 1], ["z", 2]]


def test_an_index_is_left_out_and_said(tmp_path: Path, frame) -> None:
    path = tmp_path / "t.csv"
    frame.sample(frac=1, random_state=0).to_csv(path)
    table = data.open_table(path)
    assert table.names == ("a", "b", "c") and "left out as an index" in table.notes[0]
    twice = frame.to_csv(index=True).replace(",a,b,c", "Unnamed: 0,a,b,c")
    assert written(tmp_path, twice).names == ("a", "b", "c")
    # As R writes it, the index has no cell in the first line.
    assert rows_of(written(tmp_path, '"x","y"\n"1",5,6\n"2",7,8\n')) == [[5, 6], [7, 8]]
    # Fractions without a name are data.
    assert written(tmp_path, ",b\n0.5,2\n1.5,3\n").names == ("column_0", "b")
    with pytest.raises(DataError, match=r"2 names \(x, y\) and the rows have 3 values"):
        written(tmp_path, "x,y\n0.5,5,6\n0.5,7,8\n")
    with pytest.raises(DataError, match=r"4 names \(x, y, z, w\) and the rows have 3 values"):
        written(tmp_path, "x,y,z,w\n0.5,5,6\n0.5,7,8\n")
    frame.set_index("c").to_parquet(tmp_path / "t.parquet")
    table = data.open_table(tmp_path / "t.parquet")
    assert table.names == ("a", "b")
    assert table.notes == ("the index 'c' is left out",)


def test_large_offsets_keep_their_digits(tmp_path: Path) -> None:
    import pandas as pd

    times = 1.7e9 + 1000 * RANDOM.normal(size=200)
    pd.DataFrame({"time": times}).to_csv(tmp_path / "t.csv", index=False)
    found = data.load_table(tmp_path / "t.csv")
    assert np.array_equal(
        np.sort(np.concatenate([part.numpy()[:, 0] for part in found.parts().values()])), np.sort(times)
    )


def test_columns_of_every_type_and_their_choice(tmp_path: Path) -> None:
    text = "day,flag,code,x\n2020-01-31,True,01,1.5\n2020-02-01,False,02,\n"
    table = written(tmp_path, text)
    frame = table.read(texts=["code"])
    assert [str(kind) for kind in frame.dtypes] == ["datetime64[us]", "bool", "str", "float64"]
    assert frame["code"].tolist() == ["01", "02"]
    assert list(table.choose(["x", "day"]).read().columns) == ["x", "day"]
    assert table.choose(drop=["x", "day"]).names == ("flag", "code")
    with pytest.raises(DataError, match="expected a column 'y', found day, flag, code, x"):
        table.choose(["y"])
    with pytest.raises(UsageError, match="nothing is left"):
        table.choose(["x"], ["x"])
    # A number in one chunk and a text in another is one of the texts that the column was fitted on.
    chunks = list(written(tmp_path, "k\n1\nb\n").chunks(1, texts=["k"]))
    assert [chunk["k"].tolist() for chunk in chunks] == [["1"], ["b"]]


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("a,b\né,2\n".encode("latin-1"))
    with pytest.raises(DataError, match="expected text in UTF-8") as error:
        data.open_table(tmp_path / "t.csv")
    one_line(error)
    (tmp_path / "t.csv").write_bytes("a,b\né,2\n".encode("utf-16"))
    assert rows_of(data.open_table(tmp_path / "t.csv")) == [["é", 2]]


def test_unusable_tables(tmp_path: Path, frame) -> None:
    path = tmp_path / "t.csv"
    frame.assign(b="word").to_csv(path, index=False)
    with pytest.raises(DataError, match="column 'b' holds no numbers"):
        data.load_table(path)
    frame.assign(c=[*range(99), None]).to_csv(path, index=False)
    with pytest.raises(DataError, match="column 'c' has a missing or infinite value \\(row 99\\)"):
        data.load_table(path)
    path.write_text("")
    with pytest.raises(DataError, match="no lines of text"):
        data.load_table(path)
    path.write_text("a,b\n")
    with pytest.raises(DataError, match="no rows"):
        data.load_table(path)
    (tmp_path / "t.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(DataError, match="not a readable table") as error:
        data.load_table(tmp_path / "t.parquet")
    one_line(error)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_image_folder(tmp_path: Path, mode: str) -> None:
    from PIL import Image

    shape = (12, 5, 6) if mode == "L" else (12, 5, 6, 3)
    pixels = RANDOM.integers(0, 256, shape).astype(np.uint8)
    for index, picture in enumerate(pixels):
        Image.fromarray(picture).save(tmp_path / f"{index:02}.png")
    found = data.load_data(str(tmp_path))
    assert found.event_shape == (1 if mode == "L" else 3, 5, 6) and found.levels == 256
    first = np.random.default_rng(0).permutation(12)[0]
    expected = pixels[first][None] if mode == "L" else pixels[first].transpose(2, 0, 1)
    assert np.array_equal(found.train[0].numpy(), expected)


def test_pictures_in_full_depth(tmp_path: Path) -> None:
    from PIL import Image

    deep = np.array([[0, 1000], [40000, 65535]], np.uint16)
    for name in ("a.png", "a.tif"):
        Image.fromarray(deep).save(tmp_path / name)
        assert np.array_equal(data.read_picture(tmp_path / name)[0], deep)
    colours = RANDOM.integers(0, 200, (2, 2, 4)).astype(np.uint8)
    Image.fromarray(colours).save(tmp_path / "rgba.png")
    assert np.array_equal(data.read_picture(tmp_path / "rgba.png"), colours.transpose(2, 0, 1))
    opaque = colours.copy()
    opaque[..., 3] = 255
    Image.fromarray(opaque).save(tmp_path / "opaque.png")
    assert np.array_equal(data.read_picture(tmp_path / "opaque.png"), opaque[..., :3].transpose(2, 0, 1))
    Image.fromarray(colours[..., :3]).quantize(4).save(tmp_path / "palette.png")
    assert np.array_equal(data.read_picture(tmp_path / "palette.png"), colours[..., :3].transpose(2, 0, 1))
    black = np.array([[True, False], [False, True]])
    Image.fromarray(black).save(tmp_path / "black.png")
    assert np.array_equal(data.read_picture(tmp_path / "black.png")[0], black)


def test_pictures_that_would_lose_something(tmp_path: Path) -> None:
    import struct
    import zlib

    from PIL import Image

    Image.fromarray(RANDOM.random((4, 4)).astype(np.float32)).save(tmp_path / "float.tif")
    Image.new("CMYK", (4, 4)).save(tmp_path / "inks.jpg")

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header, pixels = struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0), zlib.compress(bytes(2 * (1 + 12)))
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    (tmp_path / "deep.png").write_bytes(png)
    (tmp_path / "deep.ppm").write_bytes(b"P6 1 1 65535\n" + bytes(6))
    for name, held in [("float.tif", "floating"), ("inks.jpg", "inks"), ("deep.png", "16 bits"), ("deep.ppm", "16 b")]:
        with pytest.raises(DataError, match=f"{name}: it.* {held}") as error:
            data.read_picture(tmp_path / name)
        one_line(error)


def test_folders_of_every_depth(tmp_path: Path) -> None:
    from PIL import Image

    def folder(name: str, pictures: list[np.ndarray]) -> Path:
        (tmp_path / name).mkdir()
        for index, picture in enumerate(pictures):
            Image.fromarray(picture).save(tmp_path / name / f"{index:02}.png")
        return tmp_path / name

    grey = list(RANDOM.integers(0, 256, (10, 4, 4)).astype(np.uint8))
    deep = list(RANDOM.integers(0, 65536, (10, 4, 4)).astype(np.uint16))
    black = list(RANDOM.integers(0, 2, (10, 4, 4)).astype(bool))
    clear = RANDOM.integers(0, 255, (4, 4, 4)).astype(np.uint8)
    for name, pictures, levels in [("deep", deep, 65536), ("black", black, 2)]:
        found = data.load_image_folder(folder(name, pictures))
        assert found.levels == levels and found.event_shape == (1, 4, 4)
        first = np.random.default_rng(0).permutation(10)[0]
        assert np.array_equal(found.train[0, 0].numpy(), pictures[first])
    mixed = data.load_image_folder(folder("mixed", [*grey[:8], black[0], clear]))
    assert mixed.event_shape == (4, 4, 4) and "4 channels" in mixed.notes[0] and mixed.levels == 256
    with pytest.raises(DataError, match="share one depth"):
        data.load_image_folder(folder("both", [*grey[:5], *deep[:5]]))


def test_unusable_image_folder(tmp_path: Path) -> None:
    from PIL import Image

    with pytest.raises(DataError, match="no pictures"):
        data.load_image_folder(tmp_path)
    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    Image.new("L", (4, 5)).save(tmp_path / "b.png")
    with pytest.raises(DataError, match=r"this one is 4x5, a\.png is 4x4"):
        data.load_image_folder(tmp_path)
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:30])
    with pytest.raises(DataError, match=r"b\.png: not a readable picture") as error:
        data.load_image_folder(tmp_path)
    one_line(error)


@pytest.mark.parametrize("spec", ["nothing-here", "mnist:/nowhere", "cifar10:/nowhere", "/nowhere/x.npz", "folder:/no"])
def test_missing_data(spec: str) -> None:
    with pytest.raises(DataError, match="no such") as error:
        data.load_data(spec)
    one_line(error)


def test_unknown_kind_of_file(tmp_path: Path) -> None:
    (tmp_path / "x.doc").write_text("hello")
    with pytest.raises(DataError, match="unknown kind of file"):
        data.load_data(str(tmp_path / "x.doc"))


DENSITIES = [pytest.param(make, id=name) for name, make in data.TOYS.items()] + [
    pytest.param(lambda: data.ImageDensity(np.arange(32.0).reshape(4, 8)), id="image")
]


def grid_of(density: data.ToyDensity, side: int) -> tuple[torch.Tensor, float]:
    low, high = -6.0, 6.0
    step = (high - low) / side
    axis = low + step * (torch.arange(side, dtype=torch.float64) + 0.5)
    return torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1), step


@pytest.mark.parametrize("make", DENSITIES)
def test_toy_integrates_to_one(make) -> None:
    density = make()
    points, step = grid_of(density, 240)
    assert density.log_prob(points).exp().sum().item() * step**2 == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("make", DENSITIES)
def test_toy_samples_follow_its_density(make) -> None:
    """The frequencies on a coarse grid agree with the integrals of the density over the cells (chi-squared)."""
    density = make()
    points, step = grid_of(density, 240)
    mass = density.log_prob(points).exp() * step**2
    cells = mass.unfold(0, 10, 10).unfold(1, 10, 10).sum((-1, -2)).flatten()
    rows = 100_000
    x = density.sample(rows, torch.Generator().manual_seed(1))
    index = ((x + 6) / (10 * step)).floor().long().clamp(0, 23)
    counts = torch.bincount(index[:, 0] * 24 + index[:, 1], minlength=24 * 24)
    kept = cells * rows > 20
    statistic = ((counts[kept] - rows * cells[kept]).square() / (rows * cells[kept])).sum().item()
    freedom = int(kept.sum())
    assert statistic < freedom + 5 * math.sqrt(2 * freedom)
    # And the mean log-density of the samples is the negative entropy.
    entropy = -torch.special.xlogy(mass, mass / step**2).sum()
    assert -density.log_prob(x[:20_000]).mean().item() == pytest.approx(entropy.item(), abs=0.03)


@pytest.mark.parametrize("make", DENSITIES)
def test_toy_is_reproducible_and_single_precision_agrees(make) -> None:
    density = make()
    x = density.sample(500, torch.Generator().manual_seed(7))
    assert torch.equal(x, density.sample(500, torch.Generator().manual_seed(7)))
    assert density.sample(0).shape == (0, 2) and density.log_prob(torch.zeros(0, 2)).shape == (0,)
    single = density.log_prob(x)
    assert single.dtype == torch.float32
    assert torch.allclose(single.double(), density.log_prob(x.double()), atol=2e-4, rtol=1e-4)
    with pytest.raises(ShapeError):
        density.log_prob(torch.zeros(3, 3))


@pytest.mark.parametrize("name", ["moons", "rings", "spirals", "gaussians", "pinwheel"])
def test_toy_log_density_far_away_is_finite(name: str) -> None:
    assert torch.isfinite(data.toy(name).log_prob(torch.tensor([[50.0, -30.0], [0.0, 0.0]]))).all()


def test_checkerboard_is_exact() -> None:
    board = data.toy("checkerboard")
    assert board.log_prob(torch.tensor([-3.0, -3.0])).item() == pytest.approx(-math.log(32))
    assert board.log_prob(torch.tensor([[-3.0, -1.0], [9.0, 9.0]])).tolist() == [-math.inf, -math.inf]


def test_moons_are_scikit_learns() -> None:
    from sklearn.datasets import make_moons

    x, _ = make_moons(20_000, noise=0.1, random_state=0)
    theirs = data.toy("moons").log_prob(torch.as_tensor(x - [0.5, 0.25])).mean()
    density = data.toy("moons")
    ours = density.log_prob(density.sample(20_000, torch.Generator().manual_seed(0))).mean()
    assert ours.item() == pytest.approx(theirs.item(), abs=0.03)


def test_image_density_reads_ink(tmp_path: Path) -> None:
    from PIL import Image

    page = np.full((4, 8), 255, np.uint8)
    page[0, 0] = 0
    Image.fromarray(page).save(tmp_path / "ink.png")
    x = data.ImageDensity.read(tmp_path / "ink.png").sample(100)
    # One black pixel, top left: its width is 1 and the picture is centred.
    assert (x[:, 0] >= -4).all() and (x[:, 0] <= -3).all() and (x[:, 1] >= 1).all() and (x[:, 1] <= 2).all()
    with pytest.raises(DataError, match="above 0"):
        data.ImageDensity(np.zeros((3, 3)))
    assert data.load_data(f"picture:{tmp_path / 'ink.png'}").event_shape == (2,)


def test_energies_at_known_points() -> None:
    z = torch.tensor([[2.0, 0.0]], dtype=torch.float64)
    ring = -math.log(1 + math.exp(-0.5 * (4 / 0.6) ** 2))
    assert data.ENERGIES["energy-1"](z).item() == pytest.approx(ring)
    assert data.ENERGIES["energy-2"](z).item() == pytest.approx(0, abs=1e-12)
    bump = 3 * math.exp(-0.5 * (1 / 0.6) ** 2)
    assert data.ENERGIES["energy-3"](z).item() == pytest.approx(-math.log(1 + math.exp(-0.5 * (bump / 0.35) ** 2)))
    step = 3 / (1 + math.exp(-1 / 0.3))
    assert data.ENERGIES["energy-4"](z).item() == pytest.approx(-math.log(1 + math.exp(-0.5 * (step / 0.35) ** 2)))


@pytest.mark.parametrize("name", list(data.ENERGIES))
def test_energies_are_finite_with_finite_gradients(name: str) -> None:
    from pushforward.data.toys import within

    z = torch.tensor([[0.0, 0.0], [30.0, -40.0], [-4.0, 4.0], [1e4, 1e4]], requires_grad=True)
    energy = within(data.ENERGIES[name])(z)
    (gradient,) = torch.autograd.grad(energy.sum(), z)
    assert torch.isfinite(energy).all() and torch.isfinite(gradient).all()


def test_unknown_toy() -> None:
    with pytest.raises(UsageError, match="no toy density 'suns'"):
        data.toy("suns")


def test_dataset_refuses_mixed_shapes_and_fractions() -> None:
    x = torch.zeros(4, 2)
    with pytest.raises(DataError, match="must agree"):
        data.Dataset("x", x, torch.zeros(4, 3), x)
    with pytest.raises(DataError, match="whole numbers"):
        data.Dataset("x", x + 0.5, x, x, levels=3)
    with pytest.raises(DataError, match="empty"):
        data.Dataset("x", x, torch.zeros(0, 2), x)


@pytest.mark.parametrize("waves", [data.tones, data.chirps])
def test_waveforms_are_as_many_and_as_long_as_asked_for(waves: Callable[..., torch.Tensor]) -> None:
    assert waves(0).shape == (0, 64) and waves(3, 1).shape == (3, 1)
    for count, length in [(-1, 8), (3, 0), (2.5, 8)]:
        with pytest.raises(UsageError, match=f"{waves.__name__} expects a whole number"):
            waves(count, length)
