"""Data of every usual form arrive in batches, and what is wrong with them is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor
from torch.utils import data as torch_data
from torch.utils.data import DataLoader, TensorDataset
from training_helpers import affine_flow, fit, image_flow, moons, small_flow

import pushforward as pf
from pushforward.errors import DataError, ShapeError, UsageError
from pushforward.spaces import Integers, Interval, OneHot, Reals
from pushforward.training.augmentation import shifted
from pushforward.training.batches import Batches
from pushforward.training.checks import check_pair, check_support
from pushforward.training.inputs import read_pair


def test_each_epoch_is_a_permutation() -> None:
    batches = Batches(torch.arange(12.0)[:, None], None, 4, seed=3)
    epochs = [torch.cat([batches.rows(step) for step in range(first, first + 3)]) for first in (0, 3, 6)]
    assert all(sorted(epoch.tolist()) == list(range(12)) for epoch in epochs)
    assert not torch.equal(epochs[0], epochs[1])


def test_batch_of_a_step_needs_no_history() -> None:
    x = torch.arange(10.0)[:, None]
    straight = [rows for _, (_, _, rows) in zip(range(9), Batches(x, None, 3, seed=5).stream(0))]
    jumped = next(Batches(x, None, 3, seed=5).stream(7))[2]
    assert torch.equal(straight[7], jumped)


def test_processes_share_a_batch() -> None:
    x = torch.arange(20.0)[:, None]
    whole = Batches(x, x + 100, 8, seed=1).batch(3)
    shares = [Batches(x, x + 100, 8, seed=1, rank=rank, world_size=2).batch(3) for rank in range(2)]
    assert sorted(torch.cat([share[2] for share in shares]).tolist()) == sorted(whole[2].tolist())
    assert all(torch.equal(share[1], share[0] + 100) and len(share[0]) == 4 for share in shares)
    with pytest.raises(UsageError, match="multiple of the 3 processes"):
        Batches(x, None, 8, seed=1, rank=0, world_size=3)


def test_integers_are_served_as_floats() -> None:
    assert Batches(torch.arange(6, dtype=torch.uint8)[:, None], None, 2, seed=0).batch(0)[0].dtype == torch.float32


def test_integers_are_served_in_the_type_of_the_flow() -> None:
    batches = Batches(torch.ones(4, 2, dtype=torch.uint8), torch.ones(4, 1).long(), 2, seed=0, dtype=torch.float64)
    assert [part.dtype for part in batches.batch(0)] == [torch.float64, torch.float64, torch.int64]


# Shifting


def test_shifted_images_are_the_images_moved() -> None:
    images = torch.arange(16.0).reshape(1, 1, 4, 4).expand(64, 2, 4, 4)
    assert shifted(images, None, 0)[0] is images
    moved, _ = shifted(images, None, 1, share=1.0)
    possible = [
        images[0][:, [max(min(row + up, 3), 0) for row in range(4)]][..., [max(min(c + left, 3), 0) for c in range(4)]]
        for up in (-1, 0, 1)
        for left in (-1, 0, 1)
    ]
    assert all(any(torch.equal(image, other) for other in possible) for image in moved)
    assert len({tuple(image.flatten().tolist()) for image in moved}) > 4
    still, _ = shifted(images, None, 1)
    assert 8 < sum(torch.equal(one, other) for one, other in zip(still, images)) < 60
    with pytest.raises(UsageError, match="shift expects images"):
        shifted(torch.zeros(3, 2), None, 1)


def test_an_image_moves_with_its_image_context() -> None:
    images = torch.rand(64, 1, 5, 5)
    moved, context = shifted(images, torch.cat([images, 3 * images], 1), 2, share=1.0)
    assert not torch.equal(moved, images)
    assert context is not None and torch.equal(context, torch.cat([moved, 3 * moved], 1))


@pytest.mark.parametrize("shape", [(64, 3), (64, 5, 1, 1), (64,)])
def test_a_context_without_a_plane_stays(shape: tuple[int, ...]) -> None:
    context = torch.rand(shape)
    assert shifted(torch.rand(64, 1, 5, 5), context, 2, share=1.0)[1] is context


def test_a_context_of_another_plane_cannot_move_along() -> None:
    with pytest.raises(UsageError, match=r"plane \(4, 4\), got \(2, 2\)"):
        shifted(torch.rand(3, 1, 4, 4), torch.rand(3, 1, 2, 2), 1)


def test_fit_shifts_pairs_together() -> None:
    images = torch.randint(0, 17, (64, 1, 4, 4)).float()
    seen = []

    def objective(flow: pf.Flow, x: Tensor, context: Tensor | None) -> Tensor:
        seen.append((x, context))
        return -flow.log_prob(x, context).mean()

    flow = pf.build("mnist-simple", shape=[1, 4, 4], levels=17, context=(1, 4, 4), layers=1, hidden=4)
    fit(flow, (images, -images), max_steps=3, shift=2, objective=objective)
    assert all(torch.equal(x, -context) for x, context in seen)


# Forms


class Items(torch_data.Dataset[Any]):
    """A dataset that makes its items one by one."""

    def __init__(self, x: Tensor, context: Tensor | None) -> None:
        self.x, self.context = x, context

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, row: int) -> Any:
        return self.x[row] if self.context is None else (self.x[row], self.context[row])


class Stream(torch_data.IterableDataset[Any]):
    """A dataset that can only be gone through."""

    def __init__(self, items: Items) -> None:
        self.items = items

    def __iter__(self) -> Iterator[Any]:
        return (self.items[row] for row in range(len(self.items)))


def tuples(samples: list[Any]) -> Any:
    return tuple(torch.stack(part) for part in zip(*samples)) if isinstance(samples[0], tuple) else torch.stack(samples)


EVENTS: dict[str, Callable[[Tensor], Any]] = {
    "tensor": lambda x: x,
    "with a gradient": lambda x: x.clone().requires_grad_(),
    "array": lambda x: x.numpy(),
    "array in double": lambda x: x.double().numpy(),
    "array, read-only and backwards": lambda x: np.broadcast_to(x.numpy()[:, ::-1], x.shape)[:, ::-1],
    "array of another byte order": lambda x: x.numpy().astype(">f8"),
    "array of objects": lambda x: x.numpy().astype(object),
    "lists": lambda x: x.tolist(),
    "list of tensors": list,
    "list of arrays": lambda x: list(x.numpy()),
    "frame": lambda x: pd.DataFrame(x.numpy()),
}
DATASETS: dict[str, Callable[[Tensor, Tensor | None], Any]] = {
    "tensors": lambda x, c: TensorDataset(x) if c is None else TensorDataset(x, c),
    "subset": lambda x, c: torch_data.Subset(Items(x, c), range(len(x))),
    "items": Items,
    "stream": lambda x, c: Stream(Items(x, c)),
    "loader of tensors": lambda x, c: DataLoader(TensorDataset(x) if c is None else TensorDataset(x, c), shuffle=False),
    "loader of items": lambda x, c: DataLoader(Items(x, c), batch_size=7, drop_last=True),
    "loader of a stream": lambda x, c: DataLoader(Stream(Items(x, c)), batch_size=7),
    "loader that collates": lambda x, c: DataLoader(Items(x, c), batch_size=7, collate_fn=tuples),
    "loader that samples": lambda x, c: DataLoader(Items(x, c), sampler=list(range(len(x)))),
}
UNCONDITIONAL = affine_flow()


def conditional(features: int) -> pf.Flow:
    return pf.build("maf", features=2, context=features, layers=1)


@pytest.mark.parametrize("form", EVENTS.values(), ids=EVENTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_events_of_every_form_are_the_same(form: Callable[[Tensor], Any], dtype: torch.dtype) -> None:
    x = moons(20)
    events, context = read_pair(UNCONDITIONAL, form(x), "train", dtype)
    assert events.dtype == dtype and torch.equal(events, x.to(dtype)) and context is None
    events, context = read_pair(conditional(2), (form(x), form(-x)), "train", dtype)
    assert context is not None and torch.equal(events, x.to(dtype)) and torch.equal(context, -x.to(dtype))
    assert not events.requires_grad


@pytest.mark.parametrize("form", DATASETS.values(), ids=DATASETS)
@pytest.mark.parametrize("given", [False, True])
def test_datasets_and_loaders_are_read_whole(form: Callable[..., Any], given: bool) -> None:
    x = moons(20)
    flow, context = (conditional(1), x[:, :1]) if given else (UNCONDITIONAL, None)
    events, contexts = read_pair(flow, form(x, context), "test", torch.float32)
    assert torch.equal(events, x)
    assert contexts is None if context is None else torch.equal(contexts, context)


def test_a_loader_that_shuffles_is_its_dataset_and_gives_the_batch_size() -> None:
    x = moons(100)
    plain = fit(small_flow(), x, x, max_steps=6, batch_size=20, log_every=1).history
    loader = DataLoader(TensorDataset(x), batch_size=20, shuffle=True)
    assert same_losses(plain, fit(small_flow(), loader, loader, max_steps=6, log_every=1).history)
    other = fit(small_flow(), loader, loader, max_steps=6, log_every=1, batch_size=50).history
    assert not same_losses(plain, other)


def same_losses(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> bool:
    return [(row["train_loss"], row["val_loss"]) for row in one] == [
        (row["train_loss"], row["val_loss"]) for row in other
    ]


def test_a_loader_that_draws_with_replacement_is_drained_once() -> None:
    x = torch.arange(20.0).reshape(10, 2)
    sampler = torch_data.RandomSampler(range(10), replacement=True, num_samples=30)
    events, _ = read_pair(
        UNCONDITIONAL, DataLoader(TensorDataset(x), batch_size=4, sampler=sampler), "train", torch.float32
    )
    assert events.shape == (30, 2) and (events[:, None] == x).all(-1).any(1).all()


def test_the_parts_of_a_dataset_of_ours() -> None:
    x = moons(40)
    data = pf.data.Dataset("moons", x[:20], x[20:30], x[30:])
    for name, rows in (("train", x[:20]), ("validation", x[20:30]), ("test", x[30:])):
        assert torch.equal(read_pair(UNCONDITIONAL, data, name, torch.float32)[0], rows)
    flow = affine_flow()
    assert fit(flow, data, max_steps=2).best_validation is not None
    assert pf.evaluate(flow, data).log_prob == pf.evaluate(flow, x[30:]).log_prob


def test_frames_and_series_as_context() -> None:
    table = pd.DataFrame(moons(20).numpy(), columns=["a", "b"]).assign(day=range(20), night=True)
    events, context = read_pair(conditional(1), (table[["b", "a"]], table["day"]), "train", torch.float32)
    assert torch.equal(events, moons(20)[:, [1, 0]]) and torch.equal(context, torch.arange(20.0)[:, None])
    assert read_pair(conditional(2), (table[["b", "a"]], table[["day", "night"]]), "train", torch.float32)[1].shape == (
        20,
        2,
    )


def test_whole_numbers_stay_small() -> None:
    for kind, kept in ((np.uint8, torch.uint8), (np.uint16, torch.int32), (np.int64, torch.int64), (bool, torch.bool)):
        events, _ = read_pair(UNCONDITIONAL, np.ones((3, 2), kind), "train", torch.float32)
        assert events.dtype == kept


def test_evaluate_takes_what_fit_takes() -> None:
    flow, x = small_flow(), moons(50)
    expected = pf.evaluate(flow, x)
    for form in (
        x.numpy(),
        x.tolist(),
        pd.DataFrame(x.numpy()),
        TensorDataset(x),
        DataLoader(TensorDataset(x)),
        (x, None),
    ):
        assert pf.evaluate(flow, form) == expected
    flow = conditional(1)
    assert pf.evaluate(flow, (x, x[:, :1])) == pf.evaluate(flow, x.numpy(), x[:, :1].numpy())
    with pytest.raises(UsageError, match="got both"):
        pf.evaluate(flow, (x, x[:, :1]), x[:, :1])


# What is wrong


def complaint(kind: type[Exception], data: Any, flow: Any = UNCONDITIONAL) -> str:
    with pytest.raises(kind) as error:
        read_pair(flow, data, "train", torch.float32)
    assert "\n" not in str(error.value) and "learning rate" not in str(error.value)
    return str(error.value)


def test_wrong_data() -> None:
    with pytest.raises(ShapeError, match=r"training events must be \(N, 2\) for this flow, got \(5, 3\)"):
        fit(affine_flow(), torch.zeros(5, 3))
    with pytest.raises(ShapeError, match="validation events"):
        fit(affine_flow(), moons(), torch.zeros(5, 3))
    with pytest.raises(DataError, match="no rows"):
        fit(affine_flow(), torch.zeros(0, 2))
    with pytest.raises(DataError, match="context for each of the 512"):
        fit(affine_flow(), (moons(), torch.zeros(3, 1)))
    with pytest.raises(DataError, match="test data hold no rows"):
        pf.evaluate(affine_flow(), torch.zeros(0, 2))


@pytest.mark.parametrize(
    ("kind", "data", "message"),
    [
        (UsageError, "digits.csv", "got 'digits.csv': read the file first"),
        (UsageError, Path("digits.csv"), "read the file first"),
        (UsageError, {"x": [1.0]}, "must be tensors, arrays, frames or lists, got dict"),
        (UsageError, None, "got NoneType"),
        (UsageError, (moons(3), None, None), "a pair of events and contexts, got 3 things"),
        (UsageError, DataLoader([{"x": 1.0, "y": 2.0}]), "got dicts of x, y"),
        (ShapeError, 3.0 * torch.ones(()), r"must be (N, 2) for this flow, got ()"),
        (ShapeError, moons(3)[:, 0], r"must be (N, 2) for this flow, got (3,)"),
        (DataError, [["a", "b"]], "training events must be numbers, got text"),
        (DataError, [[1.0, "b"]], "got text"),
        (DataError, [[1.0, None]], "training events are NaN"),
        (DataError, [[1.0, 2.0], [3.0]], "rows of one shape"),
        (DataError, [moons(3), moons(2)], "a tuple (events, contexts)"),
        (DataError, np.zeros((3, 2), "M8[s]"), "must be numbers, got datetime64"),
        (DataError, moons(3) + 0j, "must be real numbers"),
        (DataError, [], "no rows"),
        (DataError, DataLoader([]), "no rows"),
        (DataError, DataLoader([moons(2), moons(3)]), "one shape"),
        (DataError, (moons(3), [["a"]] * 3), "training contexts must be numbers"),
        (DataError, pd.DataFrame({"a": [1.0], "b": ["x"]}), "column 'b' holds no numbers"),
        (
            DataError,
            pd.DataFrame({"a": [1.0, 2.0], "b": [1.0, None]}),
            "column 'b' has a missing or infinite value (row 1)",
        ),
    ],
)
def test_wrong_forms(kind: type[Exception], data: Any, message: str) -> None:
    assert message in complaint(kind, data)


def test_rows_that_are_not_finite_are_named() -> None:
    x = moons(512)
    x[[5, 300]] = torch.nan
    x[7, 1] = -torch.inf
    text = "the training events are NaN or infinite (in float32) in 3 of 512 rows (rows 5, 7, 300)"
    assert text in complaint(DataError, x)
    assert "training contexts are NaN or infinite (in float32) in 3" in complaint(
        DataError, (moons(512), x), conditional(2)
    )
    assert "(row 0)" in complaint(DataError, np.array([[1e300, 0.0]]))
    with pytest.raises(DataError, match="validation events are NaN"):
        fit(affine_flow(), moons(), x)
    with pytest.raises(DataError, match="test events are NaN"):
        pf.evaluate(affine_flow(), x)


def test_rows_of_a_later_chunk_are_counted_from_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushforward.training.checks._CHUNK", 20)
    x = moons(64)
    x[[9, 10, 63]] = torch.nan
    assert "(rows 9, 10, 63)" in complaint(DataError, x)


def test_contexts_must_be_those_of_the_flow() -> None:
    x, context = moons(5), torch.zeros(5, 3)
    check_pair(UNCONDITIONAL, x, None, "training")
    check_pair(conditional(3), x, context, "training")
    text = complaint(UsageError, (x, context))
    assert "takes no context" in text and "contexts of shape (3,)" in text
    assert "expects a context of shape (3,)" in complaint(UsageError, x, conditional(3))
    text = complaint(ShapeError, (x, context[:, :1]), conditional(3))
    assert "contexts must be (N, 3) for this flow, got (5, 1)" in text
    for call in (fit, pf.evaluate):
        with pytest.raises(UsageError, match="takes no context"):
            call(pf.build("maf", features=2), (x, context))


def test_events_outside_of_the_support_are_told() -> None:
    def message(space: Any, x: Tensor) -> str:
        flow: Any = SimpleNamespace(support=space)
        with pytest.raises(DataError) as error:
            check_support(flow, x, "training")
        assert "\n" not in str(error.value)
        return str(error.value)

    levels = Integers(0, 255, (1, 2, 2))
    images = torch.arange(16.0).reshape(4, 1, 2, 2)
    for x in (images, images.to(torch.uint8)):
        check_support(SimpleNamespace(support=levels), x, "training")  # type: ignore[arg-type]
    text = message(levels, images / 16)
    assert (
        "whole numbers from 0 to 255, got fractions such as 0.0625 in 4 of 4 training events (rows 0, 1, 2, 3)" in text
    )
    assert "numbers such as -3 in 1 of 4 training events (row 0)" in message(levels, images - 3 * (images < 1))
    assert "whole numbers from 0 to 7, got numbers such as 8" in message(
        Integers(0, 7, (1, 2, 2)), images.to(torch.uint8)
    )
    assert "numbers of at least 0, got numbers such as -1" in message(Interval(0.0, torch.inf, (1,)), -torch.ones(2, 1))
    assert "whole numbers, got fractions such as 0.5" in message(Integers(shape=(1,)), torch.full((2, 1), 0.5))
    assert "OneHot" in message(OneHot(1, 2), torch.ones(2, 1, 2))
    check_support(SimpleNamespace(support=Reals((2,))), moons(4), "training")  # type: ignore[arg-type]


def test_fit_checks_the_support_before_any_step() -> None:
    flow, levels = image_flow(), torch.randint(17, (5, 1, 4, 4))
    for data in ((levels / 16,), (levels, levels / 16)):
        with pytest.raises(DataError, match="whole numbers from 0 to 16, got fractions"):
            fit(flow, *data)


def test_images_on_another_scale_are_told_the_range() -> None:
    flow = pf.build("mnist-simple", shape=[1, 8, 8], levels=256, layers=1, hidden=4)
    images = pf.data.load_digits().train / 16
    with pytest.raises(DataError, match=r"whole numbers from 0 to 255, got fractions such as .* in 1000 of 1000"):
        fit(flow, images)
