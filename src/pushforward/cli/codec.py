"""The codec on the command line: compress, decompress, info, test, export-codec."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pushforward.cli.codec_files import (
    STREAM,
    beside,
    load_model,
    places_of,
    read_content,
    read_entries_of,
    refuse_same_names,
    refuse_to_write_over,
    remove,
    target_of,
    verify_written,
    write_content,
)
from pushforward.cli.options import Json, Quiet
from pushforward.cli.terminal import FAILURE, fail, print_json, progress, say
from pushforward.errors import CodecError, PushforwardError, UsageError

if TYPE_CHECKING:
    from pushforward.codec.archive.entry import Entry

Inputs = Annotated[list[Path] | None, typer.Argument(metavar="IN...", help="Files; - or none for standard input.")]
Model = Annotated[
    Path,
    typer.Option("--model", "-m", help="A portable model, a model.safetensors, or a run."),
]
Output = Annotated[
    Path | None, typer.Option("--out", "-o", help="Where to write; - for standard output.", show_default=False)
]
ToStdout = Annotated[bool, typer.Option("--stdout", "-c", help="Write to standard output, keep the input.")]
Force = Annotated[bool, typer.Option("--force", "-f", help="Write over files that are there.")]
Keep = Annotated[bool, typer.Option("--keep/--rm", "-k", help="Keep the input (the default), or remove it when done.")]


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
    from pushforward.codec.archive.packing import pack

    sources = inputs or [STREAM]
    target = target_of(out, to_stdout)
    coder = load_model(model)

    def write(paths: list[Path], place: Path) -> None:
        entries: list[Entry] = []
        for path in paths:
            entries += read_entries_of(path)
        refuse_to_write_over(place, force)
        with progress(quiet, None, place.name) as advance:
            data = pack(coder, entries, block_size=block_size, progress=advance)
        write_content(place, data)
        size = sum(entry.array.nbytes for entry in entries)
        share = 100 * len(data) / max(size, 1)
        say(f"{_label(paths)}: {size:,} -> {len(data):,} bytes ({share:.2f}%), model {model}", quiet)
        if not keep and place != STREAM:
            verify_written(coder, place, entries)
            remove(paths)

    if target is not None:
        refuse_same_names(sources)
        write(sources, target)
        return
    _each(sources, lambda path: write([path], STREAM if path == STREAM else beside(path)))


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
    from pushforward.codec.archive.formats import write_files
    from pushforward.codec.archive.packing import unpack, unpack_preview

    sources = inputs or [STREAM]
    target = target_of(out, to_stdout)
    if target is not None and len(sources) > 1 and target != STREAM and not target.is_dir():
        raise UsageError(f"--out {target} must be a folder that is there, to decompress several files")
    coder = load_model(model)

    def write(path: Path) -> None:
        data = read_content(path)
        with progress(quiet, None, path.name) as advance:
            if preview is None:
                entries = unpack(coder, data, progress=advance)
            else:
                entries = unpack_preview(coder, data, preview)
        files = write_files(entries)
        places = places_of(path, target, [name for name, _ in files])
        for place in places:
            refuse_to_write_over(place, force)
        for place, (_, content) in zip(places, files):
            write_content(place, content)
        say(f"{_label([path])}: {len(data):,} -> {sum(len(content) for _, content in files):,} bytes", quiet)
        if not keep and preview is None and STREAM not in (path, *places):
            remove([path])

    _each(sources, write)


def info_command(
    inputs: Annotated[list[Path], typer.Argument(metavar="IN...", help="Compressed files.")],
    as_json: Json = False,
) -> None:
    """Show what compressed files hold, without decoding them."""
    from pushforward.codec.archive.description import describe

    def show(path: Path) -> None:
        facts = describe(read_content(path))
        if as_json:
            print_json({"file": str(path), **facts})
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
    from pushforward.codec.archive.formats import write_files
    from pushforward.codec.archive.packing import unpack

    coder = load_model(model)

    def check(path: Path) -> None:
        with progress(quiet, None, path.name) as advance:
            write_files(unpack(coder, read_content(path), progress=advance))
        say(f"{path}: whole", quiet)

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

    refuse_to_write_over(out, force)
    model = load_model(run, "name a run, or its model.safetensors")
    if not isinstance(model, PortableFlow):
        raise UsageError(f"{run} is no flow on integers: compress with it directly, by local bits-back coding")
    save_portable(model, out)
    shape = " x ".join(map(str, model.event_shape))
    say(f"{out}: {out.stat().st_size:,} bytes, model {model.fingerprint.hex()}, {shape}", quiet)


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
            fail(f"{path}: {error}", FAILURE)
    if failures:
        raise CodecError(f"{failures} of {len(paths)} files failed")


def _label(paths: list[Path]) -> str:
    return ", ".join(map(str, paths[:3])) + (", ..." if len(paths) > 3 else "")
