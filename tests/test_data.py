"""Readers give back what was written, refuse what is damaged, and the toy densities are what they say."""

from __future__ import annotations

import gzip
import math
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
    assert found.levels is None and found.train.shape == (24, 4) and found.train.dtype == torch.float32


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


def test_npz_with_a_missing_part(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", train=np.zeros((20, 3)), test=np.zeros((20, 3)))
    with pytest.raises(DataError, match="not validation"):
        data.load_arrays(tmp_path / "x.npz")


@pytest.fixture
def frame():
    import pandas as pd

    return pd.DataFrame({"a": np.arange(100), "b": RANDOM.normal(size=100), "c": RANDOM.normal(size=100)})


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet"])
def test_tables(tmp_path: Path, frame, name: str) -> None:
    path = tmp_path / name
    (frame.to_parquet if name.endswith("parquet") else frame.to_csv)(path, index=False)
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


def test_unusable_tables(tmp_path: Path, frame) -> None:
    path = tmp_path / "t.csv"
    frame.assign(b="word").to_csv(path, index=False)
    with pytest.raises(DataError, match="column 'b' holds no numbers"):
        data.load_table(path)
    frame.assign(c=[*range(99), None]).to_csv(path, index=False)
    with pytest.raises(DataError, match="column 'c' has a missing or infinite value \\(row 99\\)"):
        data.load_table(path)
    path.write_text("")
    with pytest.raises(DataError, match="not a readable table"):
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
