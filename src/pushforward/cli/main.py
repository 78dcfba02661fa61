"""The command line: ``pushforward COMMAND ...``.

Everything heavy is imported inside the commands, so that ``--help`` answers at once. The commands stand in files by
subject, each of which registers its own on `app`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from pushforward.cli import (
    codec,
    describe,
    evaluate,
    export,
    impute,
    infer,
    interpolate,
    manipulate,
    play,
    plot,
    report,
    sample,
    score,
    train,
)
from pushforward.cli.options import Json, Quiet
from pushforward.cli.terminal import FAILURE, INTERRUPTED, USAGE, fail, print_json, print_table, say
from pushforward.errors import PushforwardError, UsageError

HELP = {"help_option_names": ["--help", "-h"]}

app = typer.Typer(
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings=HELP,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from pushforward.version import __version__

        print(f"pushforward {__version__}")
        raise typer.Exit


@app.callback()
def shared(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Normalizing flows: train, evaluate, sample, score, infer, plot, compress."""


def main() -> None:
    """Run the command line and exit: 0 done, 1 failure, 2 usage, 130 interrupted; never with a traceback."""
    # Before torch is there: its threads must sleep while they wait, not spin. On a machine that does other work too,
    # spinning makes small steps several times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the command line on these arguments and return its exit code."""
    try:
        # Not standalone, so that the errors of the parser come out in one line like all others.
        code = app(arguments or ["--help"], prog_name="pushforward", standalone_mode=False)
        # While an error can still be told.
        sys.stdout.flush()
        # The parser turns Ctrl-C into this code without a word.
        return fail("interrupted", INTERRUPTED) if code == INTERRUPTED else code if isinstance(code, int) else 0
    except UsageError as error:
        return fail(str(error), USAGE)
    except PushforwardError as error:
        return fail(str(error), FAILURE)
    except (KeyboardInterrupt, typer.Abort):
        return fail("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has gone; there is nobody to tell.
        _abandon_output()
        return FAILURE
    except OSError as error:
        if error.filename is not None:
            return fail(f"{error.filename}: {error.strerror}", FAILURE)
        # Files have names; this is the output of a command.
        _abandon_output()
        return fail(f"cannot write standard output: {error.strerror or error}", FAILURE)
    except MemoryError:
        return fail("out of memory; try a smaller batch", FAILURE)
    except Exception as error:
        if hasattr(error, "format_message"):
            return fail(f"{error.format_message()} (see --help)", getattr(error, "exit_code", USAGE))
        if os.environ.get("PUSHFORWARD_DEBUG"):
            raise
        return fail(f"unexpected {type(error).__name__}: {error} (PUSHFORWARD_DEBUG=1 shows where)", FAILURE)


def _abandon_output() -> None:
    """Let go of what could not be printed, which would fail again at the exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the run and its report go.")] = Path("runs/demo"),
    max_time: Annotated[str, typer.Option(help="How long to train: HH:MM:SS, or like 90s, 20m, 2h.")] = "00:03:00",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train the default image flow on the embedded digits and show how good it is."""
    from pushforward.cli.demo import run as run_demo

    result = run_demo(out, max_time, progress=not (quiet or as_json))
    if as_json:
        print_json(result)
        return
    rows = [(name, f"{value:.3f}") for name, value in result["test bits/dim"].items()]
    print_table(("", "test bits/dim"), rows)
    say(f"Everything is in {out}: start with {out / 'report.html'}", quiet)


ROOMS = (
    train,
    evaluate,
    sample,
    interpolate,
    manipulate,
    score,
    impute,
    infer,
    describe,
    plot,
    report,
    play,
    export,
    codec,
)
for room in ROOMS:
    room.register(app)

if __name__ == "__main__":
    main()
