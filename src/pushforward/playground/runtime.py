"""What runs graphs in the browser: onnxruntime-web, two files of its package."""

from __future__ import annotations

import os
import tarfile

from pushforward.errors import UsageError

# The script, which needs no other, and the program in WebAssembly for processors.
_NAMES = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")


def read_runtime(package: str | os.PathLike[str]) -> dict[str, bytes]:
    """The bytes of each file of onnxruntime-web that the page needs, by name.

    Args:
        package: the file that ``npm pack onnxruntime-web`` downloads.

    Raises:
        UsageError: it is not there, or is another.
    """
    try:
        with tarfile.open(package) as archive:
            return {name: _member(archive, f"package/dist/{name}") for name in _NAMES}
    except (OSError, tarfile.TarError, KeyError, EOFError) as error:
        raise UsageError(
            f"{package}: expected the package of onnxruntime-web there, which npm pack onnxruntime-web downloads"
        ) from error


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        raise KeyError(name)
    with file:
        return file.read()
