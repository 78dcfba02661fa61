"""Lossless compression of the same images: our codec beside xz, zstd, PNG, WebP and JPEG XL.

    python benchmarks/compression.py --model codec.safetensors --data mnist:FOLDER [--count 10000]
                                     [--threads 2] [--out compression.json]
    python benchmarks/compression.py --model codec.safetensors --files PATH...

``--model`` is what ``pushforward export-codec`` wrote, a model file or a run; ``--data`` is ``digits`` or
``mnist:FOLDER`` (their test split). ``xz`` and ``zstd`` get all images as one stream of bytes; a mosaic is one large
picture of all images; "each" is the sum over one file for each image. Everything is decoded and compared. Sizes are
in bits per dimension; "with model" counts the model's file too, which the others do not need. Codecs that are not
installed are listed as not measured (``pip install zstandard pillow-jxl-plugin``).

``--files`` compresses files and folders byte for byte instead, beside xz -9e of the same (a folder as a tar file), and
tells how many of them the model codes.
"""

from __future__ import annotations

import argparse
import io
import json
import lzma
import tarfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pushforward.cli.codec_files import load_model, read_files_of
from pushforward.codec import File, LocalBitsBack, PortableFlow, compress, decompress, pack_files, unpack_files
from pushforward.codec.archive.description import describe
from pushforward.codec.entropy import AnsCoder
from pushforward.data import load_data
from pushforward.flows.saving import MODEL
from pushforward.plots.pictures import mosaic

Images = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass
class Row:
    """One codec on all images."""

    codec: str
    bytes: int
    bits_per_dim: float
    bits_per_dim_with_model: float
    compress_per_second: float
    decompress_per_second: float


def measure(
    codec: str, images: Images, encode: Callable[[], Any], decode: Callable[[Any], Images], model_bytes: int = 0
) -> Row:
    """Encode and decode once, and check that the images come back."""
    start = time.perf_counter()
    coded = encode()
    encoded = time.perf_counter()
    back = decode(coded)
    decoded = time.perf_counter()
    if not np.array_equal(back.reshape(images.shape), images):
        raise SystemExit(f"{codec} did not give the images back")
    size = sum(map(len, coded)) if isinstance(coded, list) else len(coded)
    return Row(
        codec,
        size,
        8 * size / images.size,
        8 * (size + model_bytes) / images.size,
        len(images) / (encoded - start),
        len(images) / (decoded - encoded),
    )


def ours(path: Path, images: Images) -> tuple[Row, dict[str, float]]:
    """Our codec, and how far its file is from what the model says."""
    model = load_model(path)
    assert isinstance(model, PortableFlow | LocalBitsBack)
    file = path / MODEL if path.is_dir() else path
    compress(model, images[:8])
    row = measure(
        "pushforward",
        images,
        lambda: compress(model, images),
        lambda data: decompress(model, data),
        file.stat().st_size,
    )
    if not isinstance(model, PortableFlow):
        return row, {}
    events = torch.from_numpy(images.astype(np.int64)).reshape(-1, *model.event_shape)
    ideal = sum(model.bits(part) for part in events.split(256))
    return row, {"model_bits_per_dim": ideal / images.size, "overhead_percent": 100 * (8 * row.bytes / ideal - 1)}


def files(path: Path, inputs: list[Path]) -> None:
    """Files and folders byte for byte: in, out, by xz, and what codes them."""
    model = load_model(path)
    print(f"{'input':32}{'files':>7}{'bytes':>12}{'ours':>12}{'xz -9e':>12}{'of xz':>8}  methods")
    for place in inputs:
        read = read_files_of(place)
        data = pack_files(model, read)
        if unpack_files(model, data) != read:
            raise SystemExit(f"{place} did not come back")
        size = sum(len(file.content) for file in read)
        xz = len(lzma.compress(_tar(read) if len(read) > 1 else read[0].content, preset=9 | lzma.PRESET_EXTREME))
        methods = Counter(entry["method"] for entry in describe(data)["entries"])
        told = ", ".join(f"{count} {method}" for method, count in methods.most_common())
        print(f"{place.name:32}{len(read):7,}{size:12,}{len(data):12,}{xz:12,}{len(data) / xz:8.3f}  {told}")


def _tar(read: list[File]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for file in read:
            entry = tarfile.TarInfo(file.name)
            entry.size = len(file.content)
            archive.addfile(entry, io.BytesIO(file.content))
    return stream.getvalue()


def coder_speed(symbols: int = 500_000, alphabet: int = 17) -> dict[str, float]:
    """Symbols per second of the entropy coder alone, each symbol with a distribution of its own."""
    generator = np.random.default_rng(0)
    weights = generator.integers(1, 2**20, (symbols, alphabet)).astype(np.float64)
    message = generator.integers(0, alphabet, symbols)
    coder = AnsCoder()
    start = time.perf_counter()
    coder.push(message, weights)
    pushed = time.perf_counter()
    back = coder.pop(weights)
    popped = time.perf_counter()
    if not np.array_equal(back, message):
        raise SystemExit("the entropy coder did not give the symbols back")
    return {
        "coder_push_million_symbols_per_second": symbols / (pushed - start) / 1e6,
        "coder_pop_million_symbols_per_second": symbols / (popped - pushed) / 1e6,
    }


def general(images: Images) -> list[Row]:
    """Coders of bytes."""
    content = images.tobytes()
    extreme = 9 | lzma.PRESET_EXTREME

    def array(data: bytes) -> Images:
        return np.frombuffer(data, np.uint8)

    rows = [
        measure(
            "xz -9e", images, lambda: lzma.compress(content, preset=extreme), lambda data: array(lzma.decompress(data))
        )
    ]
    try:
        import zstandard
    except ImportError:
        print("zstd: not measured (pip install zstandard)")
        return rows
    coder, decoder = zstandard.ZstdCompressor(level=22), zstandard.ZstdDecompressor()
    rows.append(
        measure("zstd -22", images, lambda: coder.compress(content), lambda data: array(decoder.decompress(data)))
    )
    return rows


def pictures(images: Images, levels: int) -> list[Row]:
    """Coders of pictures: all images in one, and each by itself."""
    from PIL import Image

    formats: list[tuple[str, str, dict[str, Any]]] = [
        ("PNG", "PNG", {"optimize": True}),
        ("WebP lossless", "WEBP", {"lossless": True, "quality": 100, "method": 6}),
    ]
    try:
        import pillow_jxl  # noqa: F401

        formats.append(("JPEG XL lossless", "JXL", {"lossless": True, "effort": 9}))
    except ImportError:
        print("JPEG XL: not measured (pip install pillow-jxl-plugin)")
    # Pictures take what they hold for shades from black to white.
    stretch = 255 // (levels - 1)
    shades = (images * stretch).astype(np.uint8)
    rows = []
    for name, kind, options in formats:

        def encode(picture: Images, kind: str = kind, options: dict[str, Any] = options) -> bytes:
            stream = io.BytesIO()
            Image.fromarray(picture).save(stream, kind, **options)
            return stream.getvalue()

        def decode(data: bytes) -> Images:
            return np.asarray(Image.open(io.BytesIO(data)).convert("L")) // stretch

        picture, undo = tile(shades)
        rows.append(measure(f"{name}, mosaic", images, lambda: encode(picture), lambda data: undo(decode(data))))  # noqa: B023
        rows.append(
            measure(
                f"{name}, each",
                images,
                lambda: [encode(shade) for shade in shades],
                lambda files: np.stack([decode(file) for file in files]),
            )
        )
    return rows


def tile(images: Images) -> tuple[Images, Callable[[Images], Images]]:
    """One large picture of all images, and how to cut it again."""
    count, height, width = images.shape

    def undo(picture: Images) -> Images:
        parts = picture.reshape(-1, height, picture.shape[1] // width, width).swapaxes(1, 2)
        return parts.reshape(-1, height, width)[:count]

    return mosaic(images), undo


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--files", type=Path, nargs="+", default=[])
    parser.add_argument("--count", type=int, default=None)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.files:
        files(options.model, options.files)
        return
    data = load_data(options.data)
    images = data.test[: options.count].numpy().astype(np.uint8).squeeze(1)
    row, gap = ours(options.model, images)
    rows = [row, *general(images), *pictures(images, data.levels or 256)]
    print(f"{len(images)} images of {options.data}, {torch.get_num_threads()} threads")
    print(f"{'codec':26}{'bytes':>10}{'bits/dim':>10}{'with model':>12}{'images/s in':>13}{'out':>10}")
    for row in rows:
        print(
            f"{row.codec:26}{row.bytes:10,}{row.bits_per_dim:10.3f}{row.bits_per_dim_with_model:12.3f}"
            f"{row.compress_per_second:13,.0f}{row.decompress_per_second:10,.0f}"
        )
    gap.update(coder_speed())
    for name, value in gap.items():
        print(f"{name.replace('_', ' ')}: {value:.4f}")
    if options.out:
        result = {"data": options.data, "images": len(images), "threads": torch.get_num_threads(), **gap}
        options.out.write_text(json.dumps({**result, "rows": [asdict(row) for row in rows]}, indent=2) + "\n")


if __name__ == "__main__":
    main()
