"""Files come back byte for byte: how a file was filtered and deflated is found, and where it is not, its bytes stay."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib

import numpy as np
import pytest
from codec_helpers import digits_of, grey, png, run, sample_pictures, small, smooth_images
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pushforward.codec import File, pack_files, unpack, unpack_files
from pushforward.codec.archive import pillow_png
from pushforward.codec.archive.deflate import Settings, find_settings
from pushforward.codec.archive.description import describe
from pushforward.codec.archive.formats import KINDS, open_contents, open_file, write_files
from pushforward.codec.archive.png import parse_png
from pushforward.codec.archive.scanlines import FILTERS, filter_all, to_rows, to_samples, unfilter
from pushforward.data.idx import encode_idx

random = np.random.default_rng(0)
SHADES = (np.add.outer(np.arange(40) * 3, np.arange(50)) + random.integers(0, 9, (40, 50))).astype(np.uint8)
COLOURS = np.stack([SHADES, 255 - SHADES, SHADES // 2], -1)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_of(
    rows: np.ndarray, width: int, depth: int, colour: int, *others: bytes, interlace: int = 0, **deflate
) -> bytes:
    """A PNG file by hand, of rows (height, bytes) without filters."""
    header = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, interlace)
    lines = np.concatenate([np.zeros((len(rows), 1), np.uint8), rows], 1).tobytes()
    engine = zlib.compressobj(**deflate)
    pixels = chunk(b"IDAT", engine.compress(lines) + engine.flush())
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(others) + pixels + chunk(b"IEND", b"")


def npz(save=np.savez, **arrays) -> bytes:
    stream = io.BytesIO()
    save(stream, **arrays)
    return stream.getvalue()


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


FEW_BITS = random.integers(0, 256, (9, 5)).astype(np.uint8)
PNGS = {
    **sample_pictures(),
    **{f"level-{level}": png(Image.fromarray(SHADES), compress_level=level) for level in range(1, 10)},
    **{f"strategy-{kind}": png(Image.fromarray(SHADES), compress_type=kind) for kind in range(5)},
    "optimized": png(Image.fromarray(SHADES), optimize=True),
    "optimized-colours": png(Image.fromarray(COLOURS), optimize=True),
    "clear-4-bit": png_of(FEW_BITS, 10, 4, 0, chunk(b"tRNS", b"\0\3")),
    "clear-2-bit": png_of(FEW_BITS, 20, 2, 0, chunk(b"tRNS", b"\0\1")),
    "odd-2-bit": png_of(FEW_BITS & 0xF0, 18, 2, 0),
    "deep-colours": png_of(np.repeat(SHADES, 6, 1), 50, 16, 2, level=9, memLevel=9),
    "small-window": png_of(FEW_BITS, 5, 8, 0, level=6, wbits=9),
}
EXACT = {
    **{f"png-{name}": ("png", content) for name, content in PNGS.items()},
    "npy": ("npy", npy(digits_of(3))),
    "npz": ("npz", npz(a=digits_of(3), b=np.arange(4.0))),
    "npz-deflated": ("npz", npz(np.savez_compressed, a=np.asfortranarray(digits_of(9)), b=np.arange(4.0))),
    "idx": ("idx", encode_idx(digits_of(3))),
    **{
        f"gz-{level}": ("gzipped idx", gzip.compress(encode_idx(digits_of(9)), level, mtime=7 * level))
        for level in range(1, 10)
    },
}


def named_gzip(content: bytes) -> bytes:
    stream = io.BytesIO()
    with gzip.GzipFile("digits-idx3-ubyte", "wb", fileobj=stream, mtime=1e9) as file:
        file.write(content)
    return stream.getvalue()


def dated_zip() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=2) as archive:
        archive.comment = b"a comment"
        archive.writestr(zipfile.ZipInfo("a.npy", (1999, 12, 31, 23, 59, 58)), npy(digits_of(2)))
        archive.writestr("notes.txt", "no array")
    return stream.getvalue()


EXACT["gz-named"] = ("gzipped idx", named_gzip(encode_idx(digits_of(9))))
EXACT["npz-dated"] = ("npz", dated_zip())


@pytest.mark.parametrize("name", EXACT)
def test_the_very_file_is_made_of_its_arrays(name: str) -> None:
    kind, content = EXACT[name]
    opened = open_file(File("x", content, 0o640))
    assert opened.entries and KINDS[opened.entries[0].kind] == kind
    assert write_files(opened.entries) == [File("x", content, 0o640)]


def odd_zip(method: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        archive.writestr("a.npy", npy(digits_of(2)))
    return stream.getvalue()


BYTES = {
    "nothing": b"",
    "two-zeros": b"\0\0",
    "three-bytes-of-idx": b"\0\0\x08",
    "idx-of-huge-sides": b"\0\0\x08\x03" + b"\0\0\0\0" + b"\xff" * 8,
    "idx-of-many-axes": b"\0\0\x08\xff" + b"\0\0\0\1" * 255 + b"a",
    "start-of-gzip": b"\x1f\x8b",
    "tiny-gzip": gzip.compress(b""),
    "two-gzips": 2 * gzip.compress(encode_idx(digits_of(2))),
    "start-of-png": PNGS["grey"][:8],
    "200-megapixels": png_of(np.zeros((1, 3), np.uint8), 20000, 8, 0),
    "interlaced": png_of(FEW_BITS, 5, 8, 0, interlace=1),
    "pixels-after-the-last": PNGS["grey"] + b"more",
    "wrong-checksum": PNGS["grey"][:-1] + b"x",
    "damaged-npy": npy(digits_of(2))[:50],
    "npy-with-a-strange-header": npy(digits_of(2)).replace(b"'descr'", b"'de(cr'"),
    "pickled": npy(np.array([{}], dtype=object)),
    "no-bytes": npy(np.empty(3, "V0")),
    "bzip2": odd_zip(zipfile.ZIP_BZIP2),
    "lzma": odd_zip(zipfile.ZIP_LZMA),
    "start-of-zip": b"PK\3\4",
    "damaged-zip": odd_zip(zipfile.ZIP_DEFLATED)[:-30],
}


@pytest.mark.parametrize("name", BYTES)
def test_what_is_no_whole_file_of_a_format_is_bytes(name: str) -> None:
    data = pack_files(small(), [File(name, BYTES[name])])
    assert unpack_files(small(), data) == [File(name, BYTES[name])]


def mutated(content: bytes, generator: np.random.Generator) -> bytes:
    damaged = bytearray(content)
    for _ in range(generator.integers(1, 4)):
        place, kind = int(generator.integers(len(damaged) + 1)), generator.integers(3)
        if kind == 0:
            damaged[place : place + 1] = generator.bytes(1)
        elif kind == 1:
            del damaged[place : place + int(generator.integers(1, 9))]
        else:
            damaged[place:place] = generator.bytes(int(generator.integers(1, 9)))
    return bytes(damaged)


def test_damaged_files_of_every_kind_are_bytes_that_come_back() -> None:
    generator = np.random.default_rng(1)
    kinds = dict(EXACT.values())
    contents = [mutated(content, generator) for content in (*kinds.values(), *PNGS.values()) for _ in range(20)]
    files = [File(str(index), content) for index, content in enumerate(contents)]
    assert len(files) >= 500
    assert unpack_files(small(), pack_files(small(), files)) == files


@pytest.mark.parametrize("name", [name for name in PNGS if name not in ("deep-colours", "film")])
def test_pixels_are_those_that_pillow_reads(name: str) -> None:
    samples, layout = parse_png(PNGS[name]).samples, parse_png(PNGS[name]).layout
    with Image.open(io.BytesIO(PNGS[name])) as image:
        scale = 255 // (2**layout.depth - 1) if layout.depth < 8 and image.mode == "L" else 1
        assert np.array_equal(np.asarray(image), samples.astype(np.asarray(image).dtype) * scale)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 2, 3, 4, 6, 8]), st.integers(0, 2**32 - 1))
def test_filters_are_undone(height: int, width: int, unit: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    rows = generator.integers(0, 256, (height, width * unit)).astype(np.uint8)
    filters = generator.integers(0, FILTERS, height).astype(np.uint8)
    filtered = filter_all(rows, unit)[filters, np.arange(height)]
    assert np.array_equal(unfilter(filtered, filters, unit), rows)


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_samples_are_packed_as_they_were(depth: int) -> None:
    samples = random.integers(0, 2**depth, (3, 5)).astype(np.uint8 if depth < 16 else ">u2")
    rows = to_rows(samples, depth)
    assert rows.shape == (3, (5 * depth + 7) // 8)
    assert np.array_equal(to_samples(rows, 5, depth, 1), samples)


def test_every_setting_of_zlib_has_its_number() -> None:
    every = [Settings.from_number(number) for number in range(10 * 5 * 9 * 7)]
    assert [found.number for found in every] == list(range(len(every)))
    content = smooth_images(60).tobytes()
    for wanted in (Settings(1), Settings(6, zlib.Z_RLE), Settings(9, zlib.Z_FILTERED, 9)):
        found = find_settings(wanted.deflate(content), content, range(10))
        assert found is not None and found.deflate(content) == wanted.deflate(content)
    assert find_settings(b"\0" + wanted.deflate(content), content, range(10)) is None


@pytest.mark.parametrize("optimize", [False, True])
def test_what_pillow_deflates_is_found_by_it(optimize: bool) -> None:
    content = png(Image.fromarray(SHADES), optimize=optimize)
    picture = parse_png(content)
    choice = pillow_png.find_choice(picture.stream, picture.samples, 8, 0, (9,) if optimize else (6,))
    assert choice is not None and pillow_png.is_choice(choice)
    assert pillow_png.deflate(picture.samples, 8, 0, choice) == picture.stream


@pytest.mark.parametrize("name", ["clear-4-bit", "clear-2-bit", "with-notes", "palette", "optimized-colours"])
def test_pixels_alone_show_the_same(name: str) -> None:
    opened = open_contents(File("x", PNGS[name]))
    (back,) = write_files(opened.entries)
    with Image.open(io.BytesIO(PNGS[name])) as a, Image.open(io.BytesIO(back.content)) as b:
        assert (a.mode, a.size, a.info.get("transparency")) == (b.mode, b.size, b.info.get("transparency"))
        assert np.array_equal(np.asarray(a.convert("RGBA")), np.asarray(b.convert("RGBA")))
    assert "the deflated stream" in opened.lost
    assert ("tEXt chunks" in opened.lost) == (name == "with-notes")


def foreign_gzip(array: np.ndarray) -> bytes:
    """A gzip file that zlib does not write: its first block is stored, its second one deflated."""
    content = encode_idx(array)
    engine = zlib.compressobj(6, wbits=-15)
    half = len(content) // 2
    stream = engine.compress(content[:half]) + engine.flush(zlib.Z_FULL_FLUSH) + engine.compress(content[half:])
    trailer = struct.pack("<II", zlib.crc32(content), len(content))
    return b"\x1f\x8b\x08\0\0\0\0\0\2\3" + stream + engine.flush() + trailer


def test_a_stream_that_is_not_found_stays_as_it_is(tmp_path) -> None:
    content = foreign_gzip(digits_of(200))
    assert not open_file(File("x.gz", content)).entries
    data = pack_files(small(), [File("x.gz", content)])
    assert unpack_files(small(), data) == [File("x.gz", content)]
    assert np.array_equal(unpack(small(), data)[0].array, digits_of(200))


def test_the_command_says_what_pixels_alone_do_not_keep(tmp_path, capsys) -> None:
    from pushforward.codec import save_portable

    save_portable(grey(), tmp_path / "codec.safetensors")
    images = random.integers(0, 2, (400, 4, 4)).astype(np.uint8)
    (tmp_path / "x.gz").write_bytes(foreign_gzip(images))
    run("compress", tmp_path / "x.gz", "-m", tmp_path / "codec.safetensors", "--pixels", "--rm")
    assert not (tmp_path / "x.gz").exists()
    assert describe((tmp_path / "x.gz.pfz").read_bytes())["entries"][0]["kind"] == "gzipped idx"
    run("decompress", tmp_path / "x.gz.pfz", "-m", tmp_path / "codec.safetensors")
    assert gzip.decompress((tmp_path / "x.gz").read_bytes()) == encode_idx(images)


def test_a_file_that_is_deflated_otherwise_here_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    content = gzip.compress(encode_idx(digits_of(200)), mtime=3)
    data = pack_files(small(), [File("x.gz", content)])
    assert describe(data)["entries"][0]["kind"] == "gzipped idx"
    monkeypatch.setattr(Settings, "deflate", lambda self, content: zlib.compress(content, 1, -15))
    from pushforward.errors import CodecError

    with pytest.raises(CodecError, match="deflated by zlib"):
        unpack_files(small(), data)
    assert np.array_equal(unpack(small(), data)[0].array, digits_of(200))
