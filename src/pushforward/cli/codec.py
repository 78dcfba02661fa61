"""The codec on the command line: compress, decompress, info, test, export-codec."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from pushforward.cli.codec_files import (
    STREAM,
    beside,
    left_out_of,
    load_model,
    place_of,
    read_content,
    read_files_of,
    refuse_reading_twice,
    refuse_same_names,
    refuse_to_write_over,
    remove,
    restored_mode,
    shared_mode,
    sources_of,
    target_of,
    verify_archive,
    verify_files,
    write_content,
)
from pushforward.cli.codec_levels import Level, LevelOption, Levels, level_file, load_level
from pushforward.cli.codec_messages import entry_line, label, share, tell_left_out, tell_losses, told_warnings
from pushforward.cli.options import Json, Quiet
from pushforward.cli.terminal import FAILURE, fail, print_json, progress, say
from pushforward.errors import CodecError, PushforwardError, UsageError

if TYPE_CHECKING:
    from pushforward.codec.archive.entry import File

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
Pixels = Annotated[
    bool,
    typer.Option(
        "--pixels",
        help="Keep the pixels of PNG and gzipped IDX files alone, and say what is not kept; by default files come back "
        "byte for byte.",
    ),
]


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
    level: LevelOption = Level.FAST,
    out: Output = None,
    to_stdout: ToStdout = False,
    force: Force = False,
    keep: Keep = True,
    pixels: Pixels = False,
    block_size: Annotated[int | None, typer.Option(min=1, help="Events in a block.", show_default=False)] = None,
    quiet: Quiet = False,
) -> None:
    """Compress arrays, IDX files, pictures, folders of them, or anything, byte for byte.

    Without --out each IN becomes IN.pfz; with it all inputs go into one file. What the model makes no shorter than
    xz and zstd do is coded by these.
    """
    from pushforward.codec.archive.formats import open_contents, open_file
    from pushforward.codec.archive.packing import pack_files

    sources = sources_of(inputs)
    target = target_of(out, to_stdout)
    coder = load_level(model, level)

    def write(paths: list[Path], place: Path) -> None:
        refuse_to_write_over(place, force)
        files = [file for path in paths for file in read_files_of(path)]
        opened = [(open_contents if pixels else open_file)(file) for file in files]
        with progress(quiet, None, place.name) as advance, told_warnings(quiet):
            data = pack_files(coder, opened, block_size=block_size, progress=advance)
        write_content(place, data, shared_mode(files))
        size = sum(len(file.content) for file in files)
        told = f"{label(paths)}: {size:,} -> {len(data):,} bytes ({share(len(data), size)})"
        say(f"{told}, model {level_file(model, level)}", quiet)
        tell_losses(data, opened, quiet)
        tell_left_out([other for path in paths for other in left_out_of(path)], quiet)
        if not keep and place != STREAM:
            verify_archive(coder, place, opened)
            remove(paths, {file.name: file.content for file in files})

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
    """Get back what was compressed: the same files, under their own names unless --out says otherwise.

    Names that lead out of the folder are refused; the other files are written.
    """
    from pushforward.codec.archive.formats import write_shown
    from pushforward.codec.archive.names import shown
    from pushforward.codec.archive.packing import unpack_files, unpack_preview

    sources = sources_of(inputs)
    target = target_of(out, to_stdout)
    if target is not None and len(sources) > 1 and target != STREAM and not target.is_dir():
        raise UsageError(f"--out {target} must be a folder that is there, to decompress several files")
    levels = Levels(model)
    written: set[Path] = set()

    def write(path: Path) -> None:
        data = read_content(path)
        coder = levels.of(data)
        with progress(quiet, None, path.name) as advance:
            if preview is None:
                files = unpack_files(coder, data, progress=advance)
            else:
                files = write_shown(unpack_preview(coder, data, preview))
        names = [file.name for file in files]
        places: dict[Path, File] = {}

        def restore(file: File) -> None:
            place = place_of(path, target, file.name, names)
            if place in written:
                raise CodecError(f"{path} holds another file for {place}, which was just written: it is not written")
            refuse_to_write_over(place, force)
            write_content(place, file.content, restored_mode(path, file.mode))
            places[place] = file
            if place != STREAM:
                written.add(place)

        _each(files, restore, lambda file: f"{path}, {shown(file.name)}")
        size = sum(len(file.content) for file in files)
        say(f"{label([path])}: {len(data):,} -> {size:,} bytes", quiet)
        if not keep and preview is None and STREAM not in (path, *places):
            verify_files(list(places), list(places.values()))
            remove([path], {path.name: data})

    _each(sources, write)


def info_command(
    inputs: Annotated[list[Path], typer.Argument(metavar="IN...", help="Compressed files.")],
    as_json: Json = False,
) -> None:
    """Show what compressed files hold, without decoding them."""
    from pushforward.codec.archive.description import describe

    refuse_reading_twice(inputs)

    def show(path: Path) -> None:
        facts = describe(read_content(path))
        if as_json:
            print_json({"file": str(path), **facts})
            return
        print(f"{path}: {facts['file_bytes']:,} -> {facts['bytes']:,} bytes ({100 * facts['ratio']:.2f}%)")
        print(f"  model {facts['model'] or 'any'}, format {facts['format']}, {facts['blocks']} blocks")
        print(f"  header {facts['header_bytes']:,} bytes")
        for place, group in enumerate(facts["groups"]):
            entries = [entry for entry in facts["entries"] if entry["group"] == place]
            together = len(entries) > 1
            if together:
                blocks = "one block" if group["blocks"] == 1 else f"{group['blocks']} blocks"
                sizes = f"{group['bytes_in']:,} -> {group['bytes_out']:,} bytes"
                print(f"  {len(entries)} entries coded together in {blocks}, {sizes}:")
            for entry in entries:
                print(f"{'    ' if together else '  '}{entry_line(entry)}")

    _each(inputs, show)


def test_command(
    inputs: Annotated[list[Path], typer.Argument(metavar="IN...", help="Compressed files.")],
    model: Model = Path("codec.safetensors"),
    quiet: Quiet = False,
) -> None:
    """Decode compressed files without writing anything, and say whether they are whole."""
    from pushforward.codec.archive.packing import unpack_files

    refuse_reading_twice(inputs)
    levels = Levels(model)

    def check(path: Path) -> None:
        data = read_content(path)
        with progress(quiet, None, path.name) as advance:
            unpack_files(levels.of(data), data, progress=advance)
        say(f"{path}: whole", quiet)

    _each(inputs, check)


def export_command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, or its model.safetensors.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the portable model goes.")] = Path(
        "codec.safetensors"
    ),
    level: LevelOption = Level.FAST,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Export a trained model of integers to the portable form that gives the same bits on every machine.

    With --level best it goes beside --out, as NAME.best.safetensors, where compress --level best looks for it.
    """
    from pushforward.codec.exact.portable import PortableFlow
    from pushforward.codec.exact.state import save_portable

    out = level_file(out, level)
    refuse_to_write_over(out, force)
    model = load_model(run, "name a run, or its model.safetensors")
    if not isinstance(model, PortableFlow):
        raise UsageError(f"{run} is no flow on integers: compress with it directly, by local bits-back coding")
    save_portable(model, out)
    shape = " x ".join(map(str, model.event_shape))
    say(f"{out}: {out.stat().st_size:,} bytes, model {model.fingerprint.hex()}, {shape}", quiet)


Subject = TypeVar("Subject")


def _each(subjects: Sequence[Subject], action: Callable[[Subject], None], name: Callable[[Subject], str] = str) -> None:
    """Go on with the others where one fails, as xz and zstd do, and fail in the end."""
    failures = 0
    for subject in subjects:
        try:
            action(subject)
        except PushforwardError as error:
            if len(subjects) == 1:
                raise
            failures += 1
            fail(f"{name(subject)}: {error}", FAILURE)
    if failures:
        raise CodecError(f"{failures} of {len(subjects)} files failed")
