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

from pushforward.cli import codec, describe, train, use
from pushforward.cli.options import Json, Quiet
from pushforward.cli.terminal import FAILURE, INTERRUPTED, USAGE, fail, print_json, print_table, say
from pushforward.errors import PushforwardError, UsageError

app = typer.Typer(
    help="Normalizing flows: train, evaluate, sample, score, compress.",
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


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
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except MemoryError:
        return fail("out of memory; try a smaller batch", FAILURE)
    except Exception as error:
        if hasattr(error, "format_message"):
            return fail(f"{error.format_message()} (see --help)", getattr(error, "exit_code", USAGE))
        if os.environ.get("PUSHFORWARD_DEBUG"):
            raise
        return fail(f"unexpected {type(error).__name__}: {error} (PUSHFORWARD_DEBUG=1 shows where)", FAILURE)


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


for room in (train, use, describe, codec):
    room.register(app)

if __name__ == "__main__":
    main()
