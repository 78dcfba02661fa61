"""The codec on the command line: compress, decompress, info, test, export-codec."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pushforward.errors import CheckpointError, CodecError, DataError, PushforwardError, UsageError

if TYPE_CHECKING:
    from pushforward.codec.archive.compression import Entry
    from pushforward.codec.model import CodecModel

SUFFIX = ".pfz"
STREAM = Path("-")

Inputs = Annotated[list[Path] | None, typer.Argument(metavar="IN...", help="Files; - or none for standard input.")]
Model = Annotated[
    Path,
    typer.Option("--model", "-m", help="codec.safetensors, model.safetensors, or a run.", show_default=False),
]
Output = Annotated[
    Path | None, typer.Option("--out", "-o", help="Where to write; - for standard output.", show_default=False)
]
ToStdout = Annotated[bool, typer.Option("--stdout", "-c", help="Write to standard output, keep the input.")]
Force = Annotated[bool, typer.Option("--force", "-f", help="Write over files that are there.")]
Keep = Annotated[bool, typer.Option("--keep/--rm", "-k", help="Keep the input (the default), or remove it when done.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No messages and no progress.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]


def register(app: typer.Typer) -> None:
    """Add the codec's commands to a command line."""
    app.command("compress")(compress_command)
    app.command("decompress")(decompress_command)
    app.command("info")(info_command)
    app.command("test")(test_command)
    app.command("export-codec")(export_command)


def compress_command(
    inputs: Inputs = None,
    model: Model = Path("codec.safetensors"),
    out: Output = None,
    to_stdout: ToStdout = False,
    force: Force = False,
    keep: Keep = True,
    block_size: Annotated[int | None, typer.Option(min=1, help="Events in a block.", show_default=False)] = None,
    quiet: Quiet = False,
) -> None:
    """Compress arrays, IDX files, pictures, folders of them, or anything, losslessly.

    Without --out each IN becomes IN.pfz; with it all inputs go into one file.
    """
    from pushforward.codec.archive.compression import pack

    sources = inputs or [STREAM]
    target = _target(out, to_stdout)
    coder = load_model(model)

    def write(paths: list[Path], place: Path) -> None:
        entries: list[Entry] = []
        for path in paths:
            entries += _read(path)
        _refuse_to_write_over(place, force)
        with _progress(quiet, place.name) as progress:
            data = pack(coder, entries, block_size=block_size, progress=progress)
        _write(place, data)
        size = sum(entry.array.nbytes for entry in entries)
        _say(f"{_label(paths)}: {size:,} -> {len(data):,} bytes ({100 * len(data) / max(size, 1):.2f}%)", quiet)
        if not keep and place != STREAM:
            _verify_written(coder, place, entries)
            _remove(paths)

    if target is not None:
        _refuse_same_names(sources)
        write(sources, target)
        return
    _each(sources, lambda path: write([path], STREAM if path == STREAM else _beside(path)))


def decompress_command(
    inputs: Inputs = None,
    model: Model = Path("codec.safetensors"),
    out: Output = None,
    to_stdout: ToStdout = False,
    force: Force = False,
    keep: Keep = True,
    preview: Annotated[
        int | None,
        typer.Option(min=0, help="Decode so many latents, the deepest first, and draw the others.", show_default=False),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Get back what was compressed: the same files, under their own names unless --out says otherwise."""
    from pushforward.codec.archive.compression import unpack, unpack_preview
    from pushforward.codec.archive.formats import write_files

    sources = inputs or [STREAM]
    target = _target(out, to_stdout)
    if target is not None and len(sources) > 1 and target != STREAM and not target.is_dir():
        raise UsageError(f"--out {target} must be a folder that is there, to decompress several files")
    coder = load_model(model)

    def write(path: Path) -> None:
        data = _read_bytes(path)
        with _progress(quiet, path.name) as progress:
            if preview is None:
                entries = unpack(coder, data, progress=progress)
            else:
                entries = unpack_preview(coder, data, preview)
        files = write_files(entries)
        places = _places(path, target, [name for name, _ in files])
        for place in places:
            _refuse_to_write_over(place, force)
        for place, (_, content) in zip(places, files):
            _write(place, content)
        _say(f"{_label([path])}: {len(data):,} -> {sum(len(content) for _, content in files):,} bytes", quiet)
        if not keep and preview is None and STREAM not in (path, *places):
            _remove([path])

    _each(sources, write)


def info_command(
    inputs: Annotated[list[Path], typer.Argument(metavar="IN...", help="Compressed files.")],
    as_json: Json = False,
) -> None:
    """Show what compressed files hold, without decoding them."""

    def show(path: Path) -> None:
        facts = describe(_read_bytes(path))
        if as_json:
            print(json.dumps({"file": str(path), **facts}))
            return
        print(f"{path}: {facts['bytes']:,} bytes for {facts['array_bytes']:,} ({100 * facts['ratio']:.2f}%)")
        print(f"  model {facts['model']}, format {facts['format']}, {facts['blocks']} blocks")
        for entry in facts["entries"]:
            print(f"  {entry['name'] or '(no name)'}: {entry['kind']}, {entry['dtype']} {tuple(entry['shape'])}")

    _each(inputs, show)


def test_command(
    inputs: Annotated[list[Path], typer.Argument(metavar="IN...", help="Compressed files.")],
    model: Model = Path("codec.safetensors"),
    quiet: Quiet = False,
) -> None:
    """Decode compressed files without writing anything, and say whether they are whole."""
    from pushforward.codec.archive.compression import unpack
    from pushforward.codec.archive.formats import write_files

    coder = load_model(model)

    def check(path: Path) -> None:
        with _progress(quiet, path.name) as progress:
            write_files(unpack(coder, _read_bytes(path), progress=progress))
        _say(f"{path}: whole", quiet)

    _each(inputs, check)


def export_command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, or its model.safetensors.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the portable model goes.")] = Path(
        "codec.safetensors"
    ),
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Export a trained integer flow to the portable form that gives the same bits on every machine."""
    from pushforward.codec.exact.portable import PortableFlow
    from pushforward.codec.exact.state import save_portable

    _refuse_to_write_over(out, force)
    model = load_model(run)
    if not isinstance(model, PortableFlow):
        raise UsageError(f"{run} is no flow on integers: compress with it directly, by local bits-back coding")
    save_portable(model, out)
    shape = " x ".join(map(str, model.event_shape))
    _say(f"{out}: {out.stat().st_size:,} bytes, model {model.fingerprint.hex()}, {shape}", quiet)


def load_model(path: Path) -> CodecModel:
    """A portable model, a model file, or the model of a run, as what codes with it.

    Raises:
        CheckpointError: if there is none or it cannot be read.
    """
    from pushforward.codec.archive.compression import as_model
    from pushforward.codec.exact.state import is_portable_file, load_portable
    from pushforward.models.registry import load
    from pushforward.training.checkpoints import MODEL

    file = path / MODEL if path.is_dir() else path
    if not file.is_file():
        raise CheckpointError(f"{file} expects a model, got nothing there: say which with --model")
    return load_portable(file) if is_portable_file(file) else as_model(load(file))


def describe(data: bytes) -> dict[str, Any]:
    """What a compressed file says of itself.

    Raises:
        CodecError: if it is damaged.
    """
    from pushforward.codec.archive.container import VERSION, read_container
    from pushforward.codec.archive.formats import KINDS

    header, blocks = read_container(data, 2**62)
    return {
        "format": VERSION,
        "model": header.fingerprint.hex(),
        "bytes": len(data),
        "array_bytes": header.bytes,
        "ratio": len(data) / max(header.bytes, 1),
        "blocks": len(blocks),
        "entries": [
            {
                "name": name,
                "kind": KINDS[form.kind] if form.kind < len(KINDS) else "unknown",
                "dtype": form.dtype,
                "shape": list(form.shape),
            }
            for name, form in zip(header.names, header.entries)
        ],
    }


def _each(paths: list[Path], action: Callable[[Path], None]) -> None:
    """Go on with the other files where one fails, as xz and zstd do, and fail in the end."""
    failures = 0
    for path in paths:
        try:
            action(path)
        except PushforwardError as error:
            if len(paths) == 1:
                raise
            failures += 1
            print(f"pushforward: {path}: {' '.join(str(error).split())}", file=sys.stderr)
    if failures:
        raise CodecError(f"{failures} of {len(paths)} files failed")


def _target(out: Path | None, to_stdout: bool) -> Path | None:
    if to_stdout and out is not None and out != STREAM:
        raise UsageError("--stdout and --out exclude each other")
    return STREAM if to_stdout else out


def _beside(path: Path) -> Path:
    if path.name.endswith(SUFFIX):
        raise DataError(f"{path} is compressed already (it ends in {SUFFIX}): name an --out to compress it again")
    return path.resolve().with_name(path.resolve().name + SUFFIX)


def _places(source: Path, target: Path | None, names: list[str]) -> list[Path]:
    """Where the files of one compressed file go."""
    from pushforward.codec.archive.formats import safe_path

    if target == STREAM or (target is None and source == STREAM):
        if len(names) != 1:
            raise UsageError(f"{source} holds {len(names)} files, which do not fit on standard output: use --out")
        return [STREAM]
    if len(names) == 1 and "/" not in names[0]:
        stored = safe_path(names[0]).name if names[0] else _without_suffix(source)
        if target is None:
            return [source.parent / stored]
        return [target / stored if target.is_dir() else target]
    paths = [safe_path(name) for name in names]
    if target is None:
        return [source.parent / path for path in paths]
    # A folder given by --out stands for the folder that was compressed.
    single = len({path.parts[0] for path in paths}) == 1 and all(len(path.parts) > 1 for path in paths)
    return [target.joinpath(*(path.parts[1:] if single else path.parts)) for path in paths]


def _without_suffix(source: Path) -> str:
    if source.name.endswith(SUFFIX) and len(source.name) > len(SUFFIX):
        return source.name[: -len(SUFFIX)]
    raise UsageError(f"{source} does not tell how its content is called: name an --out")


def _read(path: Path) -> list[Entry]:
    from pushforward.codec.archive.formats import read_entries, read_folder

    if path == STREAM:
        return read_entries(sys.stdin.buffer.read(), "")
    if path.is_dir():
        return read_folder(path)
    return read_entries(_read_bytes(path), path.name)


def _read_bytes(path: Path) -> bytes:
    from pushforward.codec.archive.formats import read_bytes

    return sys.stdin.buffer.read() if path == STREAM else read_bytes(path)


def _write(place: Path, content: bytes) -> None:
    """Write all of it, or leave what was there."""
    from pushforward.files import atomic_write

    if place == STREAM:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    else:
        atomic_write(place, content)


def _refuse_to_write_over(place: Path, force: bool) -> None:
    if force:
        return
    if place == STREAM:
        if sys.stdout.isatty():
            raise UsageError("standard output is a terminal: redirect it, or use --force")
    elif place.exists():
        raise DataError(f"{place} is there already: use --force to write over it")


def _refuse_same_names(paths: list[Path]) -> None:
    names = [path.resolve().name for path in paths]
    if len(set(names)) != len(names):
        raise UsageError("several inputs have one name: decompressed, they would be written over each other")


def _verify_written(model: CodecModel, place: Path, entries: list[Entry]) -> None:
    """Before an input is removed, read back what was written of it."""
    from pushforward.codec.archive.compression import unpack

    for back, entry in zip(unpack(model, place.read_bytes()), entries, strict=True):
        if back.array.tobytes() != entry.array.tobytes():
            raise CodecError(f"{place} does not read back: the input is kept")


def _remove(paths: list[Path]) -> None:
    for path in paths:
        if not path.is_file():
            continue
        try:
            path.unlink()
        except OSError as error:
            raise DataError(f"{path}: cannot be removed ({error.strerror}); what was made of it is whole") from error


def _label(paths: list[Path]) -> str:
    return ", ".join(map(str, paths[:3])) + (", ..." if len(paths) > 3 else "")


def _say(text: str, quiet: bool) -> None:
    if not quiet:
        print(text, file=sys.stderr)


@contextmanager
def _progress(quiet: bool, text: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on the terminal's error stream; yields what tells it how many blocks are done."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda done, total: None
        return
    with Progress(console=console, transient=True, refresh_per_second=4) as bar:
        task = bar.add_task(text, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
