"""The manual page ``pushforward.1``, from the command line itself: ``python -m pushforward.cli.manual FILE``."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import typer
from typer.main import get_command

from pushforward.files import atomic_write
from pushforward.version import __version__

_ENDINGS = """\
.SH EXIT STATUS
0 where all was done, 1 for a failure, 2 for a usage that is wrong, 130 where it was interrupted.
.SH ENVIRONMENT
.TP
.B PUSHFORWARD_DEBUG
Where set, an unexpected error shows where it came from.
"""


def manual(app: typer.Typer) -> str:
    """The page in the language of man: every command with its arguments and options.

    Example:
        >>> from pushforward.cli.main import app
        >>> manual(app).splitlines()[0].split()[:3]
        ['.TH', 'PUSHFORWARD', '1']
    """
    command: Any = get_command(app)
    context = typer.Context(command, info_name="pushforward", **command.context_settings)
    names = sorted(command.commands)
    parts = [
        f'.TH PUSHFORWARD 1 "" "pushforward {__version__}" "User Commands"',
        ".SH NAME",
        f"pushforward {chr(92)}- normalizing flows on the command line",
        ".SH SYNOPSIS",
        ".B pushforward",
        ".I COMMAND",
        "[arguments and options]",
        ".SH DESCRIPTION",
        _text(command.help),
        ".SH OPTIONS",
        *_parameters(command, context),
        ".SH COMMANDS",
    ]
    for name in names:
        parts += _command(name, command.commands[name], context)
    return "\n".join(part for part in parts if part) + "\n" + _ENDINGS


def _command(name: str, command: Any, parent: Any) -> list[str]:
    """A command's section: its use, what it does, what it takes."""
    context = typer.Context(command, info_name=name, parent=parent)
    use = " ".join(["pushforward", name, *command.collect_usage_pieces(context)])
    return [f".SS {_text(use)}", _text(command.help), *_parameters(command, context)]


def _parameters(command: Any, context: Any) -> list[str]:
    """A command's arguments and options with what they mean."""
    parts = []
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            head = parameter.metavar if parameter.param_type_name == "argument" else None
            parts += [".TP", f".B {_text(head or record[0])}", _text(record[1]) or "\\&"]
    return parts


def _text(text: str | None) -> str:
    """Text without the marks of the terminal's help, and with those of man escaped."""
    plain = (
        re.sub(r"``?", "", text or "").replace("\\[", "[").replace("\f", "").replace("\\", "\\e").replace("-", "\\-")
    )
    lines = [" ".join(line.split()) for line in plain.strip().splitlines()]
    # A line that begins with a dot or a quote would be a command; an empty one is a paragraph.
    return "\n".join(".PP" if not line else "\\&" * line.startswith((".", "'")) + line for line in lines)


def main() -> None:
    """Write the page to the file that is named."""
    from pushforward.cli.main import app

    place = Path(sys.argv[1])
    place.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(place, manual(app))


if __name__ == "__main__":
    main()
