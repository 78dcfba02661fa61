"""The codec: whatever goes in comes out bit for bit, and what was damaged never comes out at all."""

from __future__ import annotations

import hashlib
import itertools
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from codec_helpers import build_idf, colour, digits_of, grey, small, trained_like
from hypothesis import given, settings
from hypothesis import strategies as st

import pushforward as pf
from pushforward.codec import Entry, compress, decompress, export, load_portable, pack, preview, save_portable, unpack
from pushforward.codec.archive.container import VERSION
from pushforward.codec.archive.packing import open_container
from pushforward.codec.entropy import AnsCoder
from pushforward.codec.exact.fixedpoint import IntegerConv, IntegerDenseNet, worst_case_sum
from pushforward.data.idx import read_idx
from pushforward.errors import CheckpointError, CodecError, UsageError

random = np.random.default_rng(0)
ARRAYS = {
    "digits": digits_of(20),
    "digits-float": digits_of(20).astype(np.float64),
    "digits-flat": digits_of(20).reshape(20, 64),
    "digits-one": digits_of(1)[0, 0],
    "empty": np.zeros((0, 8, 8), np.uint8),
    "empty-side": np.zeros((3, 0, 8), np.int16),
    "scalar": np.array(5),
    "one-pixel": np.array([[7]], np.uint8),
    "many-single-pixels": random.integers(0, 17, (30, 1, 1)).astype(np.uint8),
    "odd": random.integers(0, 17, (20, 13, 9)),
    "odd-wide": random.integers(0, 17, (7, 31)).astype(np.int16),
    "noise": random.integers(0, 256, (20, 8, 8)).astype(np.uint8),
    "constant": np.full((50, 8, 8), 3, np.uint8),
    "constant-outside": np.full((50, 8, 8), 200, np.uint8),
    "some-outside": np.where(random.random((50, 8, 8)) < 0.02, 255, digits_of(50)[:, 0]).astype(np.uint8),
    "negative": random.integers(-5, 17, (50, 8, 8)).astype(np.int8),
    "sixteen-bit": random.integers(0, 65536, (5, 17, 11)).astype(np.uint16),
    "sixteen-bit-smooth": np.add.outer(np.arange(30) * 97, np.arange(24) * 31).astype(np.uint16),
    "big-endian": random.integers(0, 65536, (9, 8, 8)).astype(">u2"),
    "thirty-two-bit": random.integers(-(2**31), 2**31, (4, 8, 8)).astype(np.int32),
    "sixty-four-bit": np.array([[2**64 - 1, 0] * 4] * 8, np.uint64),
    "colour": random.integers(0, 256, (40, 30, 3)).astype(np.uint8),
    "colour-smooth": np.stack([np.add.outer(np.arange(33), np.arange(21))] * 3, -1).astype(np.uint8),
    "colour-sixteen": random.integers(0, 65536, (11, 30, 3)).astype(np.uint16),
    "alpha": random.integers(0, 256, (10, 9, 4)).astype(np.uint8),
    "channels-first": random.integers(0, 256, (5, 3, 10, 9)).astype(np.uint8),
    "bool": random.random((7, 8, 8)) < 0.5,
    "float32": random.random((5, 8, 8)).astype(np.float32),
    "float16": random.random((5, 8, 8)).astype(np.float16),
    "minus-zero": -np.zeros((5, 8, 8)),
    "nan-and-infinity": np.array([[np.nan, np.inf, -np.inf, 1.0]] * 4),
    "complex": random.random((4, 4)) + 1j,
    "text": np.array(["ab", "c"]),
    "dates": np.array(["2020-01-01"], "M8[D]"),
    "fortran": np.asfortranarray(random.integers(0, 17, (12, 8, 8))),
    "strided": random.integers(0, 17, (12, 16, 8)).astype(np.uint8)[:, ::2],
}


def _assert_same(first: np.ndarray, second: np.ndarray) -> None:
    assert first.dtype == second.dtype
    assert first.shape == second.shape
    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize("model", [small, colour, grey], ids=["small", "colour", "grey"])
@pytest.mark.parametrize("name", ARRAYS)
def test_every_array_comes_back(name, model):
    array = ARRAYS[name]
    data = compress(model(), array, block_size=7)
    _assert_same(decompress(model(), data), array)
    assert len(data) <= array.nbytes + 80 + 8 * (array.size // 7 + 1)
    if array.ndim and len(array):
        _assert_same(decompress(model(), data, index=len(array) // 2), array[len(array) // 2])
        _assert_same(decompress(model(), data, index=-1), array[-1])


def test_a_plain_file_is_barely_longer_than_the_array():
    noise = random.integers(0, 65536, (200, 200)).astype(np.uint16)
    assert len(compress(grey(), noise)) < noise.nbytes + 100


def test_tensors_go_in_too():
    tensor = torch.from_numpy(digits_of(3))
    assert np.array_equal(decompress(small(), compress(small(), tensor)), tensor.numpy())


def test_a_float_flow_is_exported_on_the_way():
    flow, digits = build_idf((1, 8, 8), 17), digits_of(5)
    assert compress(flow, digits) == compress(small(), digits)
    _assert_same(decompress(flow, compress(flow, digits)), digits)


def test_objects_and_fields_are_refused():
    for array in (np.array([object()]), np.zeros(3, dtype=[("a", int)])):
        with pytest.raises(UsageError, match="plain numbers"):
            compress(small(), array)


def test_names_kinds_and_mixed_types_come_back_together():
    entries = [
        Entry(array, name, kind % 3, name.encode()[: kind % 4]) for kind, (name, array) in enumerate(ARRAYS.items())
    ]
    for back, entry in zip(unpack(small(), pack(small(), entries, block_size=3)), entries, strict=True):
        assert (back.name, back.kind, back.extra) == (entry.name, entry.kind, entry.extra)
        _assert_same(back.array, np.asarray(entry.array))


def test_the_file_is_as_short_as_the_model_says():
    """Seeded samples of the model itself: at most 0.5% over -log2 p, and a header under 200 bytes."""
    digits = digits_of(1000)
    ideal = small().bits(torch.from_numpy(digits).long()) / 8
    size = len(compress(small(), digits))
    assert size <= 1.005 * ideal + 200


def test_blocks_do_not_depend_on_the_threads_or_their_number():
    digits, threads = digits_of(40), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = compress(small(), digits, block_size=8)
        torch.set_num_threads(3)
        seen: list[tuple[int, int]] = []
        assert compress(small(), digits, block_size=8, progress=lambda *state: seen.append(state)) == one
        assert seen == [(done, 5) for done in range(1, 6)]
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)


def _reference_ans(symbols: np.ndarray, weights: np.ndarray) -> bytes:
    """The coder in whole numbers: a state of 64 bits, words of 32, probabilities of 24."""
    state, words = 0, []
    for symbol, row in zip(symbols[::-1].tolist(), weights[::-1].tolist(), strict=True):
        scale = (2**24 - len(row)) / sum(row)
        edges = [int(sum(row[:place]) * scale) + place for place in range(len(row))] + [2**24]
        low, share = edges[symbol], edges[symbol + 1] - edges[symbol]
        if state >> 40 >= share:
            words.append(state & 0xFFFFFFFF)
            state >>= 32
        state = (state // share << 24) + low + state % share
    words += [state & 0xFFFFFFFF, state >> 32]
    return np.array(words, "<u4").tobytes().rstrip(b"\0")


def test_the_coder_has_defined_bits():
    """A version of the library that computed other bits would fail here, not on somebody's files."""
    generator = np.random.default_rng(0)
    for alphabet in (2, 17, 256):
        weights = generator.integers(0, 2**44 // alphabet, (300, alphabet))
        symbols = generator.integers(0, alphabet, 300)
        coder = AnsCoder()
        coder.push(symbols, weights)
        assert coder.to_bytes() == _reference_ans(symbols, weights)
        assert np.array_equal(AnsCoder(coder.to_bytes()).pop(weights), symbols)


def test_networks_compute_in_whole_numbers():
    """The rows of a convolution against Python's own integers, and the bound that keeps every sum exact."""
    generator = torch.Generator().manual_seed(0)
    conv = IntegerConv.from_float(
        torch.randn(3, 2, 3, 3, generator=generator) * 100, torch.randn(3, generator=generator)
    )
    assert worst_case_sum(conv.weight, conv.bias, conv.weight_bits) < 2**53
    net = IntegerDenseNet(0, 2**20, [conv], IntegerConv.from_float(torch.randn(1, 5, 1, 1), None))
    x = torch.randint(-4000, 4000, (2, 2, 3, 4), generator=generator)
    padded = torch.nn.functional.pad(x << 14, (1, 1, 1, 1)).tolist()
    weight, bias = conv.weight.reshape(3, 3, 2, 3).tolist(), conv.bias.tolist()
    buffer = torch.zeros(2, 3, 4, 5, dtype=torch.float64)
    buffer[..., :2] = (x << 14).permute(0, 2, 3, 1)
    for n, i, j, out in itertools.product(range(2), range(3), range(4), range(3)):
        total = sum(
            padded[n][c][i + a][j + b] * weight[a][b][c][out] for a in range(3) for b in range(3) for c in range(2)
        )
        rounded = (total + bias[out] + 2 ** (conv.weight_bits - 1)) >> conv.weight_bits
        buffer[n, i, j, 2 + out] = min(max(rounded, 0), 2**26)
    last = net.last.weight[0].tolist()
    expected = [
        (sum(int(value) * row[0] for value, row in zip(pixel, last)) + 2 ** (net.last.weight_bits - 1))
        >> net.last.weight_bits
        for pixel in buffer.reshape(-1, 5).tolist()
    ]
    assert net(x, 1).flatten().tolist() == [min(max(value, -(2**26)), 2**26) for value in expected]
    assert torch.equal(net(x, 1), net(x, 10**6))


def test_weights_beyond_exact_arithmetic_are_refused():
    with pytest.raises(CodecError, match="exact"):
        IntegerConv.from_float(torch.full((1, 4, 3, 3), 1e8), None)
    with pytest.raises(CodecError, match="finite"):
        IntegerConv.from_float(torch.full((1, 4, 3, 3), math.nan), None)


def test_previews_end_in_the_exact_images():
    digits = digits_of(10)
    data = compress(small(), digits)
    steps = [preview(small(), data, latents, seed=5) for latents in range(small().latents + 1)]
    _assert_same(steps[-1], digits)
    assert all(step.shape == digits.shape and step.max() <= 16 for step in steps)
    assert not np.array_equal(steps[0], digits)
    _assert_same(preview(small(), data, 1, seed=3), preview(small(), data, 1, seed=3))
    with pytest.raises(UsageError, match="latents"):
        preview(small(), data, 99)


DAMAGED = compress(small(), digits_of(4), block_size=3)


def test_truncation_at_every_length():
    for length in range(len(DAMAGED)):
        with pytest.raises(CodecError):
            decompress(small(), DAMAGED[:length])


def test_a_flip_of_every_byte_and_bytes_at_the_end():
    for place in range(len(DAMAGED)):
        for flip in (1, 128, 255):
            damaged = bytearray(DAMAGED)
            damaged[place] ^= flip
            with pytest.raises(CodecError):
                decompress(small(), bytes(damaged))
    with pytest.raises(CodecError):
        decompress(small(), DAMAGED + b"\0")


def test_another_model_another_version_and_other_files():
    with pytest.raises(CodecError, match="another model"):
        decompress(small(1), compress(small(), digits_of(300)))
    for version, whose in ((VERSION - 1, "an earlier"), (VERSION + 1, "a later")):
        with pytest.raises(CodecError, match=f"got {version}, which {whose} version of pushforward wrote"):
            decompress(small(), DAMAGED[:4] + bytes([version]) + DAMAGED[5:])
    with pytest.raises(CodecError, match="something else"):
        decompress(small(), b"\x89PNG" + DAMAGED)


def test_files_beyond_the_memory_limit():
    bomb = compress(small(), np.zeros(2**20, np.uint8))
    with pytest.raises(CodecError, match="limit"):
        decompress(small(), bomb, memory_limit=2**19)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes(data):
    for content in (data, DAMAGED[:4] + data, DAMAGED[:22] + data):
        with pytest.raises(CodecError):
            decompress(small(), content)


@settings(max_examples=250, deadline=None)
@given(st.integers(4, len(DAMAGED) - 9), st.binary(min_size=1, max_size=4), st.booleans())
def test_forged_files_with_a_right_digest(place, content, insert):
    """Someone who mends the digest can make another file, but no crash and no unbounded memory."""
    body = DAMAGED[:place] + content + DAMAGED[place + (0 if insert else len(content)) : -8]
    forged = body + hashlib.blake2b(body, digest_size=8).digest()
    try:
        array = decompress(small(), forged, memory_limit=2**20)
    except (CodecError, UsageError):
        return
    assert array.nbytes <= 2**20


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["u1", "i1", ">u2", "<i4", "f4", "f8", "?"]),
    st.lists(st.integers(0, 11), min_size=0, max_size=4),
    st.integers(0, 2**32),
    st.sampled_from([2, 17, 256, 2**15]),
)
def test_arrays_of_any_shape_and_type(dtype, shape, seed, top):
    generator = np.random.default_rng(seed)
    array = generator.integers(0, top, shape).astype(dtype)
    _assert_same(decompress(small(), compress(small(), array, block_size=4)), array)


def test_one_block_does_not_need_the_others():
    digits = digits_of(300)
    data = compress(small(), digits, block_size=100)
    header, _ = open_container(small(), data)
    assert len(header.lengths) == 3
    damaged = bytearray(data)
    damaged[-8 - header.lengths[-1] // 2] ^= 1
    damaged[-8:] = hashlib.blake2b(damaged[:-8], digest_size=8).digest()
    _assert_same(decompress(small(), bytes(damaged), index=120), digits[120])
    with pytest.raises(CodecError):
        decompress(small(), bytes(damaged), index=280)


def test_an_exported_model_comes_back_from_its_file(tmp_path):
    path = tmp_path / "codec.safetensors"
    save_portable(small(), path)
    back = load_portable(path)
    assert back.fingerprint == small().fingerprint
    assert compress(back, digits_of(6)) == compress(small(), digits_of(6))
    content = path.read_bytes()
    for damaged in (content[:100], content[:-10], content.replace(b'"version":"1"', b'"version":"2"'), b""):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError):
            load_portable(path)
    with pytest.raises(CheckpointError):
        load_portable(tmp_path / "missing.safetensors")


def test_the_portable_model_costs_next_to_nothing():
    flow = build_idf((1, 8, 8), 17)
    digits = torch.from_numpy(digits_of(200)).long()
    with torch.no_grad():
        float_bits = -float(flow.log_prob(digits.float()).sum()) / math.log(2)
    assert abs(small().bits(digits) / float_bits - 1) < 0.002


def test_vectors_are_coded_too():
    torch.manual_seed(0)
    model = export(trained_like(pf.build("idf-vector", features=6, levels=16, hidden=8)))
    rows = model.preview(AnsCoder(), 300, 0).numpy().astype(np.uint8)
    data = compress(model, rows)
    assert len(data) <= 1.005 * model.bits(torch.from_numpy(rows).long()) / 8 + 200
    _assert_same(decompress(model, data), rows)


def test_conditional_flows_are_refused():
    small = {"shape": (1, 4, 4), "hidden": [4], "blocks": 1}
    for flow in (
        pf.models.idf(levels=4, context=2, layers=1, **small),
        pf.models.coarse_to_fine(levels=4, context=2, **small),
        pf.models.idf_vector(features=4, levels=4, context=2, layers=0),
        pf.models.idf_vector(features=4, levels=4, context=2, layers=1),
    ):
        with pytest.raises(UsageError, match="context"):
            export(flow)


def test_a_continuous_part_has_no_exact_form():
    with pytest.raises(UsageError, match="integers"):
        export(pf.build("realnvp", features=2))


@pytest.mark.slow
def test_every_test_image_of_mnist():
    folder = os.environ.get("PUSHFORWARD_MNIST")
    if folder is None:
        pytest.skip("set PUSHFORWARD_MNIST to the folder of MNIST's IDX files")
    path = Path(folder) / "t10k-images-idx3-ubyte.gz"
    images = torch.from_numpy(read_idx(path)).long()[:, None]
    model = export(build_idf((1, 28, 28), 256))
    for part in images.split(500):
        coder = AnsCoder()
        model.push(coder, part)
        assert torch.equal(model.pop(AnsCoder(coder.to_bytes()), len(part)), part)


def test_arguments_in_the_wrong_order_are_told() -> None:
    flow = pf.models.coarse_to_fine(shape=(1, 4, 4), levels=4, hidden=[4], blocks=1)
    codec, images = export(flow), np.zeros((2, 4, 4), np.uint8)
    with pytest.raises(UsageError, match=r"^export expects a flow as its first argument, got coarse_to_fine, which"):
        export(pf.models.coarse_to_fine)
    with pytest.raises(UsageError, match=r"^the codec expects a flow as its first argument, got a value of type ndarr"):
        compress(images, codec)
    with pytest.raises(UsageError, match=r"^the codec expects a flow as its first argument, got a value of type bytes"):
        decompress(compress(codec, images), codec)
    with pytest.raises(UsageError, match=r"^decompress expects the bytes that compress returned, got .* ndarray$"):
        decompress(codec, images)
    with pytest.raises(UsageError):
        compress(codec, flow)
